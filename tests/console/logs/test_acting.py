"""What operators do from the logs, and who may not."""

import asyncio
import re
from html import unescape

import pytest

from tracker.console.acting import MOST_AT_ONCE
from tracker.store.lanes import LaneStore


@pytest.fixture
async def refused(visit, report):
    """A postback in quarantine; its click."""
    click_id = await visit()
    outcome = await report(click_id, token="wrong")
    return outcome.postback_id, click_id


@pytest.fixture
async def pending(visit, report):
    """A sale that waits for approval."""
    click_id = await visit()
    sale = await report(click_id, goal="sale", transaction_id=click_id, amount="50")
    return sale.conversion_id


async def test_a_release_is_told_with_who_did_it(operator, runtime, refused):
    postback, _ = refused

    done = await operator.post(
        f"/quarantine/{postback}/release", data={"waive": "bad_token"}
    )
    page = await operator.get(done.headers["location"])
    kept = await runtime.reports.get_postback(postback)

    assert (done.status_code, page.status_code) == (303, 200)
    assert "It was released" in page.text
    assert (kept.outcome, kept.waived, kept.released_by) == (
        "accepted",
        "bad_token",
        "olga",
    )


async def test_a_release_may_name_the_click(operator, runtime, visit, report):
    lost = await report("lost-on-the-way")
    click_id = await visit()

    await operator.post(
        f"/quarantine/{lost.postback_id}/release", data={"click": f" {click_id} "}
    )

    kept = await runtime.reports.get_postback(lost.postback_id)
    assert (kept.outcome, kept.click_id) == ("accepted", click_id)


async def test_what_stays_in_quarantine_says_so(operator, refused):
    postback, _ = refused

    done = await operator.post(f"/quarantine/{postback}/release")

    assert done.headers["location"] == f"/postbacks/{postback}?did=stays"


async def test_two_who_release_the_same_make_one_conversion(as_who, runtime, refused):
    postback, click_id = refused
    people = [as_who("operator"), as_who("other operator")]

    answers = await asyncio.gather(
        *(
            who.post(f"/quarantine/{postback}/release", data={"waive": "bad_token"})
            for who in people
        )
    )

    said = sorted(one.headers["location"].partition("did=")[2] for one in answers)
    assert said == ["earlier", "released"]
    assert len(await runtime.reports.list_conversions_of(click_id)) == 1


async def test_several_are_released_at_once(operator, runtime, visit, report):
    ids = [(await report(await visit(), token="no")).postback_id for _ in range(3)]

    done = await operator.post(
        "/quarantine/release",
        data={
            "id": [*ids[:2], "pb_nonsense"],
            "shown": ids,
            "which": "chosen",
            "waive": "bad_token",
            "back": "/quarantine?reason=bad_token",
        },
    )
    page = await operator.get(done.headers["location"])
    kept = [await runtime.reports.get_postback(one) for one in ids]

    assert done.headers["location"].startswith("/quarantine?reason=bad_token&")
    assert "2 released; 1 stay" in page.text
    assert [one.outcome for one in kept] == ["accepted", "accepted", "quarantined"]


async def test_more_than_one_form_may_release_is_refused_as_a_whole(
    operator, runtime, refused
):
    """Rather than some of it, with a sentence that says the others stay."""
    postback, _ = refused
    others = [f"pb_{number}" for number in range(MOST_AT_ONCE)]

    answer = await operator.post(
        "/quarantine/release", data={"id": [postback, *others], "waive": "bad_token"}
    )

    assert answer.status_code == 400
    assert "At most 200 postbacks can be released at once" in answer.text
    assert (await runtime.reports.get_postback(postback)).outcome == "quarantined"


async def test_one_that_is_chosen_twice_is_released_once(operator, refused):
    postback, _ = refused

    done = await operator.post(
        "/quarantine/release", data={"id": [postback] * 2, "waive": "bad_token"}
    )

    assert "released=1&stayed=0" in done.headers["location"]


async def test_of_many_it_is_noted_what_was_waived(operator, runtime):
    many = [f"pb_{number:040}" for number in range(60)]

    await operator.post(
        "/quarantine/release",
        data={"id": many, "which": "chosen", "waive": "bad_token"},
    )

    (deed,) = await runtime.audit.list_deeds(action="release_several", limit=1)
    assert "waive=bad_token" in deed.detail


async def test_those_that_are_shown_are_released_without_being_chosen(
    operator, runtime, refused
):
    postback, _ = refused

    await operator.post(
        "/quarantine/release",
        data={"shown": [postback], "which": "shown", "waive": "bad_token"},
    )

    assert (await runtime.reports.get_postback(postback)).outcome == "accepted"


@pytest.mark.parametrize(
    ("act", "said", "status", "payout"),
    [
        ("approve", {"note": "paid <b>"}, "approved", "4.00"),
        ("reject", {"note": ""}, "rejected", "4.00"),
        ("adjust", {"amount": "100"}, "pending", "8.00"),
    ],
)
async def test_a_conversion_is_changed_by_whoever_did_it(
    operator, runtime, pending, act, said, status, payout
):
    done = await operator.post(f"/conversions/{pending}/{act}", data=said)
    page = await operator.get(done.headers["location"])
    stands = await runtime.reports.get_conversion(pending)
    *_, last = await runtime.reports.list_changes_of([pending])

    assert done.status_code == 303
    assert (stands.status, str(stands.payout)) == (status, payout)
    assert (last.operator, last.note or "") == ("olga", said.get("note", ""))
    assert "<b>" not in page.text


@pytest.mark.parametrize(
    ("path", "said", "status", "why"),
    [
        ("/conversions/{}/approve", {}, 409, "is approved already"),
        ("/conversions/{}/adjust", {"amount": "much"}, 400, "'much' is not an amount"),
        ("/conversions/{}/adjust", {}, 400, "'' is not an amount"),
        ("/conversions/cv_nonsense/approve", {}, 404, "no conversion cv_nonsense"),
        ("/quarantine/release", {}, 400, "No postback was chosen"),
        ("/quarantine/pb_nonsense/release", {}, 404, "not the id of a postback"),
        ("/quarantine/release", {"id": "pb_1", "waive": "all"}, 400, "is no reason"),
        ("/deliveries/dl_nonsense/retry", {}, 404, "no delivery dl_nonsense"),
        ("/deliveries/dl_nonsense/replay", {}, 404, "no delivery dl_nonsense"),
        ("/lanes/resume", {"lane": "none@nowhere"}, 404, "no lane none@nowhere"),
    ],
)
async def test_what_is_refused_says_why(operator, pending, path, said, status, why):
    await operator.post(f"/conversions/{pending}/approve")

    answer = await operator.post(path.format(pending), data=said)

    assert answer.status_code == status
    assert why in unescape(re.search(r"<h1>([^<]*)</h1>", answer.text)[1])


async def test_a_delivery_is_sent_again(operator, runtime, pending, deliver, inbox):
    await deliver()
    told = len(inbox.hits)
    (delivery, *_) = await runtime.reports.list_deliveries_of([pending])

    done = await operator.post(f"/deliveries/{delivery.id}/replay")
    await deliver()
    twice = await operator.post(f"/deliveries/{delivery.id}/retry")

    assert done.headers["location"] == f"/deliveries/{delivery.id}?did=replayed"
    assert len(inbox.hits) == told + 1
    assert (twice.status_code, "replay it instead" in twice.text) == (409, True)


async def test_one_that_waits_is_tried_at_once(
    operator, runtime, visit, report, deliver, inbox
):
    await deliver()
    sale = await report(await visit())
    inbox.answers.extend([500, 500])
    await deliver()
    owed = await runtime.reports.list_deliveries_of([sale.conversion_id])

    for one in owed:
        await operator.post(f"/deliveries/{one.id}/retry")
    await deliver()

    stands = await runtime.reports.list_deliveries_of([sale.conversion_id])
    assert [one.state for one in owed] == ["owed", "owed"]
    assert [one.state for one in stands] == ["delivered", "delivered"]


async def test_a_lane_is_resumed(operator, as_who, runtime):
    lane = "bestdeals/all@gone.example"
    await LaneStore(runtime.pool).pause(lane, "410")
    before = await operator.get("/deliveries")
    theirs = await as_who("rival").get("/deliveries")

    done = await operator.post("/lanes/resume", data={"lane": lane})
    after = await operator.get("/deliveries")

    assert (done.status_code, lane in before.text) == (303, True)
    assert lane not in theirs.text
    assert lane not in after.text


@pytest.mark.parametrize(
    "back",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"],
)
async def test_nobody_is_sent_elsewhere(operator, pending, back):
    done = await operator.post(f"/conversions/{pending}/approve", data={"back": back})

    assert done.headers["location"] == f"/conversions/{pending}?did=approved"
