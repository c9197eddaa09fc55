"""What the README shows of signatures is what the tracker makes of them."""

import re
from pathlib import Path

import pytest

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
    assert len(RULES) == 3
