"""Know that it works before the first real conversion."""

import pytest


@pytest.fixture
def without_stores(environ):
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEYS"):
        del environ[f"TRACKER_{name}"]
    return environ


def test_an_advertiser_is_asked_in_its_own_words(tracker, without_stores):
    said = tracker("postback", "ask", "acme")

    assert said.out.startswith(
        "http://127.0.0.1:8080/postback/acme?click_id={your click id macro}&"
    )
    assert "${ACME_TOKEN}" in said.out
    assert "the-token" not in said.out
    assert max(map(len, said.out.splitlines()[1:])) <= 80


def test_an_advertiser_that_is_not_there_is_not_asked(tracker, without_stores):
    said = tracker("postback", "ask", "acne")

    assert (said.code, said.out) == (1, "")
    assert "no advertiser 'acne'; did you mean 'acme'?" in said.err
