"""One command tells the whole story of a click."""

import pytest

from tracker.flow.clicklog import fold_clicks


@pytest.fixture
async def story(visit, report, deliver):
    """A click, a sale that waits, its approval, a repetition; all of it delivered."""
    click_id = await visit(sub1="banner")
    sale = {"goal": "sale", "transaction_id": "order-1", "amount": "50"}
    first = await report(click_id, **sale)
    await report(click_id, **sale, status="approved")
    await report(click_id, **sale, status="approved")
    while await deliver():
        pass
    return click_id, first


async def test_a_story_is_told_in_order_of_time(tracker, story):
    click_id, first = story

    said = tracker("trace", click_id)

    assert (said.code, said.err) == (0, "")
    assert_in_order(
        said.out,
        [
            "visit by bestdeals for shoes",
            "sub1=banner",
            "https://shop.acme.example/",
            "accepted",
            "#1 created, pending",
            "payout 4.00, revenue 6.00, amount 50.00 USD",
            "updated",
            "#2 pending → approved",
            "duplicate: repeated",
            "attempt",
            "sale is approved",
            first.conversion_id,
        ],
    )
    assert max(map(len, said.out.splitlines())) <= 80


async def test_every_id_of_a_story_leads_to_it(tracker, story):
    click_id, first = story
    told = tracker("trace", click_id, "--json").document
    (delivery, *_), (postback, *_) = told["deliveries"], told["postbacks"]

    ids = [delivery["id"], postback["id"], first.conversion_id, click_id.upper()]
    others = [tracker("trace", one, "--json").document for one in ids]

    assert [other.pop("asked") for other in others] == ids
    del told["asked"]
    assert others == [told] * 4


async def test_the_document_has_it_all(tracker, story):
    told = tracker("trace", story[0], "--json").document

    assert told["click"]["record"]["subs"] == {"sub1": "banner"}
    assert [one["outcome"] for one in told["postbacks"]] == [
        "accepted",
        "updated",
        "duplicate",
    ]
    assert [one["status"] for one in told["changes"]] == ["pending", "approved"]
    assert told["conversions"][0]["payout"] == "4.00"
    assert [one["state"] for one in told["deliveries"]] == ["delivered"] * 2
    attempts = [one for each in told["deliveries"] for one in each["attempted"]]
    assert [one["http_status"] for one in attempts] == [200, 200]
    assert told["postbacks"][2]["meaning"].startswith("says what was already applied")


async def test_it_says_where_the_click_was_found(tracker, visit, runtime):
    click_id = await visit()
    found = [tracker("trace", click_id, "--json").document["click"]["found_in"]]

    await fold_clicks(runtime, 0)
    await runtime.redis.flushall()
    found.append(tracker("trace", click_id, "--json").document["click"]["found_in"])
    async with runtime.pool.connection() as connection:
        await connection.execute("delete from clicks")
    told = tracker("trace", click_id, "--json").document["click"]

    assert [*found, told["found_in"]] == ["redis", "postgres", "id"]
    assert (told["partner"], told["offer"], told["class"]) == (
        "bestdeals",
        "shoes",
        "visit",
    )


async def test_a_story_is_told_with_redis_away(tracker, visit, runtime, environ):
    click_id = await visit()
    await fold_clicks(runtime, 0)
    environ["TRACKER_REDIS_URL"] = "redis://127.0.0.1:1"

    said = tracker("trace", click_id)

    assert said.code == 0
    assert "its record is in the click log" in said.out


async def test_a_forged_id_shows_who_named_it(tracker, visit, report):
    click_id = await visit()
    forged = click_id[:-1] + ("0" if click_id[-1] != "0" else "1")
    outcome = await report(forged)

    said = tracker("trace", forged)

    assert said.code == 0
    assert "it is not a click of ours: the id was not signed by us" in said.out
    assert "quarantined: forged_click" in said.out
    assert outcome.postback_id in said.out


@pytest.mark.parametrize("asked", ["nonsense", "0" * 32, "pb_1", "cv_1", "dl_1"])
async def test_what_nobody_knows_is_one_sentence(tracker, runtime, asked):
    said = tracker("trace", asked)

    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("tracker: ")
    assert said.err.count("\n") == 1


async def test_a_failed_attempt_is_explained(tracker, visit, report, deliver, inbox):
    inbox.answers = [500]
    outcome = await report(await visit())
    await deliver()

    said = tracker("trace", outcome.conversion_id)

    assert "#1 failed: 500" in said.out
    assert "bad_status (the answer's status was no success)" in said.out
    assert "owed to bestdeals/all, now owed" in said.out
    assert "1 attempt, next try" in said.out


async def test_a_release_comes_before_what_it_made(tracker, visit, report):
    """Though the change counts from the arrival of the postback."""
    outcome = await report(await visit(), token="wrong")
    tracker("quarantine", "release", outcome.postback_id, "--waive", "bad_token")

    said = tracker("trace", outcome.postback_id)

    assert_in_order(
        said.out,
        [
            "quarantined: bad_token",
            "the token is not this advertiser's",
            "judged again: accepted",
            "waiving bad_token",
            "#1 created, approved",
        ],
    )


async def test_what_a_stranger_sent_stays_text(tracker, visit):
    """Neither control characters nor rich's own markup."""
    click_id = await visit(
        sub1="\x1b[31mred\x07\u202e [bold]x[/bold]", sub2="two\nlines"
    )

    said = tracker("trace", click_id)

    assert not set("\x1b\x07\u202e") & set(said.out)
    assert "[bold]x[/bold]" in said.out
    assert "sub2=two lines" in said.out


async def test_a_token_is_never_shown(tracker, visit, report):
    outcome = await report(await visit(), token="a-wrong-secret")

    shown = tracker("trace", outcome.postback_id).out
    shown += tracker("trace", outcome.postback_id, "--json").out

    assert "a-wrong-secret" not in shown
    assert "token=***" in shown


def assert_in_order(text, parts):
    place = 0
    for part in parts:
        place = text.find(part, place)
        assert place >= 0, f"{part!r} is missing, or too early, in\n{text}"


async def test_a_macro_left_as_text_is_named(tracker, visit, report):
    click_id = await visit()
    await report(click_id, goal="sale", amount="{sum}", status="[[state]]", sub="1")

    said = tracker("trace", click_id).out.replace("\n", " ")
    assert "left as text: amount, status" in " ".join(said.split())


async def test_it_begins_with_what_came_of_it(tracker, story, visit, report):
    silent = tracker("trace", await visit())
    forged = await visit()
    await report(forged, token="wrong")
    refused = tracker("trace", forged)
    sold = tracker("trace", story[0], "--json").document["conclusions"]

    assert "Nobody has reported anything for it." in silent.out
    assert_in_order(
        refused.out,
        ["1 postback is in quarantine, bad_token", "do: compare the token", "visit by"],
    )
    assert [one["mood"] for one in sold] == ["good"] * 3
    assert "bestdeals/all was told of change #1" in sold[1]["sentence"]


async def test_it_says_what_is_owed_still_and_why(
    tracker, visit, report, deliver, inbox
):
    inbox.answers = [500]
    click_id = await visit()
    await report(click_id)
    await deliver()

    (sale, owed) = tracker("trace", click_id, "--json").document["conclusions"]

    assert sale["mood"] == "good"
    assert "1 attempt, the last: bad_status" in owed["sentence"]
    assert "next try" in owed["sentence"]
    assert "read the answer" in owed["remedy"]
