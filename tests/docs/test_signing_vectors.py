"""What the README shows of signatures is what the tracker makes of them."""

import json
import re
from functools import partial
from pathlib import Path

import httpx
import pytest

from tracker import sdk
from tracker.catalog import check_text
from tracker.domain.signature import Message, sign

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
VECTORS = re.findall(
    r"(?m)^key +(\S+)\nsigned +(.*)\nsignature +([0-9a-f]{64})$", README
)
RULES = re.findall(r"(?m)^\S.* {3,}(\{.*text: .*\})$", README)


def test_there_are_vectors_with_a_query_and_with_a_body():
    assert len(VECTORS) == 2


@pytest.mark.parametrize(("key", "signed", "signature"), VECTORS)
def test_every_vector_is_true(key, signed, signature):
    version, *parts = signed.split("\\n")
    timestamp, nonce, path, query, body = parts
    message = Message(timestamp, nonce, path, query, body.encode())

    assert version == "tracker-v1"
    assert sign(key, message) == signature


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_of_an_advertiser_s_own_can_be_written(rule):
    text = f"""\
version: 1
currency: USD
advertisers: {{acme: {{auth: {{signature: {rule}}}}}}}
"""
    check_text(text, "partners.yaml", {"ACME_SALT": "x" * 20, "ACME_KEY": "x" * 20})


def test_rules_are_found():
    assert len(RULES) == 12


def test_the_program_that_is_shown_runs(monkeypatch, capsys):
    (program,) = re.findall(r"(?ms)^```python\n(.*?)^```", README)
    sent = []

    def answer(request):
        sent.append(json.loads(request.content))
        said = {"status": "accepted", "conversion_id": "cv_1"}
        return httpx.Response(200, json=said)

    over_the_wire = partial(httpx.Client, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(sdk.httpx, "Client", over_the_wire)
    monkeypatch.setenv("ACME_KEY", "vector-key-0123456789")
    exec(program, {})

    assert capsys.readouterr().out == "accepted cv_1\n"
    assert sent[0]["amount"] == "49.90"
