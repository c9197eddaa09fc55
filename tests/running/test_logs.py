import json
import subprocess
import sys

import pytest

from tracker import logs
from tracker.logs import hide, mask, mask_event

PROGRAM = """
import logging
import structlog
from tracker.logs import configure_logs, hide

configure_logs("info")
hide(["correct horse"])
log = structlog.get_logger()
log.debug("click.looked_up")
log.info("click.recorded", click_id="abc", token="t0ken", note="correct horse!")
logging.getLogger("uvicorn.access").info("%s", "GET /postback?cid=1&token=t0ken")
try:
    raise ValueError("postgresql://u:t0ken@db/x")
except ValueError:
    log.exception("web.failed")
"""


@pytest.fixture
def hidden(monkeypatch):
    monkeypatch.setattr(logs, "_hidden", {})
    return hide


def test_every_line_on_stderr_is_one_event_without_a_secret():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    recorded, access, failed = map(json.loads, done.stderr.splitlines())

    assert recorded.pop("at").endswith("Z")
    assert recorded == {
        "event": "click.recorded",
        "level": "info",
        "click_id": "abc",
        "token": "***",
        "note": "***!",
    }
    assert access["event"] == "GET /postback?cid=1&token=***"
    assert "postgresql://***@db/x" in failed["exception"]
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://u:p@w@db/x", "postgresql://***@db/x"),
        ("https://a.example/b@c?d=e", "https://a.example/b@c?d=e"),
        ("/postback?cid=1&secret=x&st=1", "/postback?cid=1&secret=***&st=1"),
        ("acme_token=x&cid=1", "acme_token=***&cid=1"),
        ("?X-Signature=x#end", "?X-Signature=***#end"),
        ("?%74oken=x", "?%74oken=***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("?design=x&offer=y", "?design=x&offer=y"),
    ],
)
def test_secrets_are_masked_where_urls_and_headers_keep_them(text, masked):
    assert mask(text) == masked


def test_a_secret_is_masked_however_deep_it_lies():
    event = {"answer": {"headers": [{"Set-Cookie": "a"}], "ok": True}, "password": ""}

    masked = mask_event(None, "info", event)

    assert masked["answer"] == {"headers": [{"Set-Cookie": "***"}], "ok": True}
    assert masked["password"] == ""


def test_a_registered_secret_is_masked_plain_and_encoded(hidden):
    hidden(["p&ss word", "p&ss word longer", "short"])

    assert mask("p%26ss%20word p%26ss+word p&ss word longer") == "*** *** ***"
    assert mask("short") == "short"


def test_a_megabyte_of_rubbish_is_masked_at_once():
    assert mask("a" * 1_000_000) == "a" * 1_000_000
    assert mask("://" * 300_000).startswith("://")


def test_nothing_plain_is_lost():
    event = {"event": ValueError("x"), "n": 1.5, "none": None, "tags": ("a",)}

    masked = mask_event(None, "info", event)

    assert masked == {"event": "x", "n": 1.5, "none": None, "tags": ["a"]}
