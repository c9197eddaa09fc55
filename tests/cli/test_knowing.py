"""Know that it works before the first real conversion."""

import re
from urllib.parse import urlencode

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


def url_of(click_id, **said):
    said = {"click_id": click_id, "token": "the-token-of-acme", **said}
    return f"https://t.example/postback/acme?{urlencode(said)}"


SALE = {"goal": "sale", "transaction_id": "o-1", "amount": "50"}


async def test_a_postback_is_explained_step_by_step(tracker, visit):
    click_id = await visit()

    said = tracker("postback", "explain", url_of(click_id, **SALE))

    lines = dict(re.findall(r"(?m)^ *(\S+(?: \S+)?)  +(\S.*)$", said.out))
    assert said.code == 0
    assert lines["advertiser"] == "acme, named in the path"
    assert lines["click_id"] == f"{click_id} → click_id"
    assert lines["token"] == "*** → token"
    assert lines["click"].startswith("visit by bestdeals for shoes, ")
    assert lines["proof"] == "token: all that is asked holds"
    assert lines["counts as"] == "transaction:sale:o-1 of acme"
    assert lines["money"] == "payout 4.00, revenue 6.00, amount 50.00 USD"
    assert lines["tells"] == "bestdeals/all"
    assert lines["verdict"] == "accepted (HTTP 200)"
    assert max(map(len, said.out.splitlines())) <= 80


async def test_explaining_writes_nothing(tracker, visit, report, runtime):
    """Not even the key that was locked for it stays."""
    click_id = await visit()
    explained = tracker("postback", "explain", "--json", url_of(click_id, **SALE))

    async with runtime.pool.connection() as connection:
        for table in ("postbacks", "conversions", "conversion_keys", "deliveries"):
            cursor = await connection.execute(f"select count(*) from {table}")
            assert await cursor.fetchone() == (0,)

    assert explained.document["verdict"] == "accepted"
    assert (await report(click_id, **SALE)).verdict == "accepted"


async def test_what_was_explained_is_what_is_decided(tracker, visit, report):
    """Whatever is wrong, or right, in the words of the very same reasons."""
    click_id = await visit()
    await report(await visit(), **{**SALE, "transaction_id": "o-9"})
    for said in (
        {},
        {"goal": "nonsense"},
        {**SALE, "amount": "much"},
        {**SALE, "transaction_id": "o-9"},
        {"status": "maybe"},
        {"token": "wrong"},
        {"click_id": "{click_id}"},
        {"click_id": "0" * 32},
    ):
        url = url_of(**{"click_id": click_id, **said})
        explained = tracker("postback", "explain", "--json", url).document
        decided = await report(**{"click_id": click_id, **said})

        assert (explained["verdict"], explained["reason"]) == (
            decided.verdict,
            decided.reason,
        )


async def test_what_nobody_reads_is_named_with_what_was_meant(tracker, visit):
    click_id = await visit()
    sent = f"/postback/acme?clickid={click_id}&sum=5&zzz=1&token=the-token-of-acme"

    found = tracker("postback", "explain", "--json", sent).document

    notes = {one["name"]: one["note"] for one in found["parameters"]}
    assert found["reason"] == "missing_click_id"
    assert notes == {
        "clickid": "nobody reads it; did you mean click_id?",
        "sum": "nobody reads it; did you mean amount?",
        "zzz": "nobody reads it",
        "token": "",
    }


async def test_unfilled_macros_are_named_by_parameter_and_value(tracker, runtime):
    sent = "/postback/acme?click_id=[CLICKID]&amount=#AMOUNT#&goal=&goal=sale"

    found = tracker("postback", "explain", "--json", sent).document

    assert found["unfilled"] == ["click_id", "amount"]
    told = [(one["value"], one["note"]) for one in found["parameters"]]
    assert told == [
        ("[CLICKID]", "a macro of the sender's, left as text"),
        ("#AMOUNT#", "a macro of the sender's, left as text"),
        ("", "empty, which counts as absent"),
        ("sale", ""),
    ]


async def test_a_token_that_a_log_has_masked_does_not_hide_the_rest(tracker, visit):
    click_id = await visit()

    found = tracker(
        "postback", "explain", "--json", url_of(click_id, token="***", **SALE)
    ).document

    assert (found["reason"], found["proof"]["holds"]) == ("bad_token", False)
    assert found["otherwise"]["verdict"] == "accepted"
    assert found["otherwise"]["conversion"]["goal"] == "sale"


async def test_a_body_and_headers_are_read_as_if_they_arrived(tracker, visit):
    body = f'{{"click_id": "{await visit()}", "amount": 50}}'
    token = "Authorization: Bearer the-token-of-acme"

    said = tracker(
        "postback", "explain", "/postback", "--body", body, "--header", token, "--json"
    )

    assert (said.document["method"], said.document["verdict"]) == ("POST", "accepted")
    assert said.document["advertiser"] == "acme"


async def test_what_stands_already_is_told(tracker, visit, report):
    click_id = await visit()
    made = await report(click_id)

    said = tracker("postback", "explain", url_of(click_id))

    assert f"{made.conversion_id}: lead is approved" in said.out
    assert "duplicate: repeated" in said.out


async def test_one_in_quarantine_is_explained_as_it_would_be_released(
    tracker, visit, report
):
    outcome = await report(await visit(), goal="nonsense")

    said = tracker("postback", "explain", outcome.postback_id)

    assert "quarantined: unknown_goal" in said.out
    assert "add the word to the advertiser's `goals`" in said.out


@pytest.mark.parametrize("url", ["/c/bestdeals/shoes", "https://t.example/", "pb_1"])
async def test_what_is_no_postback_is_not_explained(tracker, runtime, url):
    said = tracker("postback", "explain", url)

    assert (said.code, said.out) == (1, "")


async def test_the_url_that_is_handed_out_is_understood(tracker, visit):
    """Filled in as an advertiser would, it is accepted."""
    asked = tracker("postback", "ask", "acme", "--show-token", "--json").document
    click_id = await visit()
    filled = {"click_id": click_id, "status": "approved", **SALE}

    url = asked["url"]
    for one in asked["parameters"]:
        value = filled.get(one["meaning"], one["placeholder"])
        url = url.replace(one["placeholder"], value)

    assert tracker("postback", "explain", "--json", url).document["reason"] == ""
