from dataclasses import replace
from datetime import timedelta

import pytest
from parties import Clock

from tracker.domain.offer import Status
from tracker.flow.approval import AT_ONCE, approve_overdue
from tracker.flow.conversion import Operator, set_conversion_status
from tracker.flow.trace import trace
from tracker.runtime import open_runtime

PAST = [("conversions", "converted_at"), ("conversion_changes", "changed_at")]
TWO_WEEKS = timedelta(days=14)


@pytest.fixture
def change_goal(runtime):
    """Changes the terms of a goal of the offer of shoes."""

    def change_goal(key="lead", **changed):
        shoes = runtime.catalog.offers["shoes"]
        goals = {**shoes.goals, key: replace(shoes.goals[key], **changed)}
        offers = {**runtime.catalog.offers, "shoes": replace(shoes, goals=goals)}
        runtime.catalog = replace(runtime.catalog, offers=offers)

    return change_goal


@pytest.fixture
def clock(database_url):
    return Clock(database_url)


@pytest.fixture
def a_pending_one(change_goal, visit, advertiser):
    """Makes a pending conversion of a goal that waits for two weeks."""
    change_goal(approve_after=TWO_WEEKS)

    async def a_pending_one():
        answer = await advertiser.report(await visit(), status="pending")
        return answer.json()["conversion_id"]

    return a_pending_one


@pytest.fixture
def statuses(rows):
    async def statuses():
        found = await rows("select status from conversions order by id")
        return [row["status"] for row in found]

    return statuses


@pytest.fixture
def changes(rows):
    """Of all conversions, in order: by which rule, and to which status."""

    async def changes():
        found = await rows(
            "select rule, status from conversion_changes order by changed_at, number"
        )
        return [(row["rule"], row["status"]) for row in found]

    return changes


async def test_what_an_advertiser_approves_waits_for_review(
    change_goal, visit, advertiser, runtime, rows, partner, run_worker_once
):
    change_goal(review=True)
    click_id = await visit()

    first = await advertiser.report(click_id)
    again = await advertiser.report(click_id, status="approved")
    await run_worker_once()
    assert first.json()["status"] == "accepted"
    assert (again.json()["status"], again.json()["reason"]) == (
        "duplicate",
        "in_review",
    )
    assert [told["status"] for told in partner.told] == ["pending"]
    assert await rows("select status, note from conversion_changes") == [
        {"status": "pending", "note": "held for review"}
    ]

    conversion_id = first.json()["conversion_id"]
    by = Operator("ann")
    await set_conversion_status(runtime, conversion_id, Status.APPROVED, by)
    after = await advertiser.report(click_id, status="approved")
    assert after.json()["reason"] == "repeated"


async def test_what_is_pending_for_long_enough_is_approved_and_told(
    a_pending_one, runtime, clock, changes, partner, run_worker_once
):
    conversion_id = await a_pending_one()
    await run_worker_once()
    clock.advance(days=13, hours=23)
    assert await approve_overdue(runtime) == 0

    clock.advance(hours=2)
    assert await approve_overdue(runtime) == 1
    await run_worker_once()

    assert await changes() == [(None, "pending"), ("approve_after", "approved")]
    assert [told["status"] for told in partner.told] == ["pending", "approved"]
    story = await trace(runtime, conversion_id)
    assert story.changes[-1].rule == "approve_after"


async def test_two_workers_approve_each_once(
    a_pending_one, runtime, settings, clock, statuses, changes, at_once
):
    ids = await at_once(*(a_pending_one() for _ in range(30)))
    clock.advance(days=15)

    async with open_runtime(settings) as other:
        other.catalog = runtime.catalog
        passes = (approve_overdue(one) for one in (runtime, other, runtime, other))
        approved = await at_once(*passes)

    assert sum(approved) == len(ids)
    assert set(await statuses()) == {"approved"}
    assert (await changes()).count(("approve_after", "approved")) == len(ids)


async def test_what_was_rejected_meanwhile_stays_rejected(
    a_pending_one, runtime, clock, statuses
):
    conversion_id = await a_pending_one()
    clock.advance(days=15)
    await set_conversion_status(
        runtime, conversion_id, Status.REJECTED, Operator("ann")
    )

    assert await approve_overdue(runtime) == 0
    assert await statuses() == ["rejected"]


async def move_into_the_past(runtime, days):
    """Whatever happened until now happened then."""
    async with runtime.pool.connection() as connection:
        for table, column in PAST:
            await connection.execute(
                f"update {table} set {column} = {column} - interval '{days} days'"
            )


async def test_its_time_runs_from_the_change_that_made_it_pending(
    a_pending_one, runtime, clock, rows
):
    """Not from the conversion, nor from a change of its amount."""
    conversion_id = await a_pending_one()
    ann = Operator("ann")
    await set_conversion_status(runtime, conversion_id, Status.REJECTED, ann)
    await move_into_the_past(runtime, days=20)
    await set_conversion_status(runtime, conversion_id, Status.PENDING, ann)
    assert await approve_overdue(runtime) == 0

    clock.advance(days=15)
    assert await approve_overdue(runtime) == 1


async def test_a_rejection_that_was_under_way_still_rejects(
    a_pending_one, runtime, clock, rows, advertiser, statuses
):
    """It arrived before the approval, which nobody had told anything new."""
    await a_pending_one()
    clock.advance(days=15)
    assert await approve_overdue(runtime) == 1

    (row,) = await rows("select click_id from conversions")
    answer = await advertiser.report(row["click_id"], status="rejected")
    assert (answer.json()["status"], await statuses()) == ("updated", ["rejected"])


async def test_one_that_cannot_be_approved_keeps_no_other(
    a_pending_one, runtime, clock, statuses, rows
):
    stuck = await a_pending_one()
    await a_pending_one()
    async with runtime.pool.connection() as connection:
        await connection.execute(
            "alter table conversion_changes add constraint stuck check"
            f" (not (conversion_id = '{stuck}' and status = 'approved'))"
        )
    clock.advance(days=15)

    assert await approve_overdue(runtime) == 1
    assert await statuses() == ["pending", "approved"]


async def test_more_than_a_batch_is_approved_in_one_pass(
    a_pending_one, runtime, clock, statuses
):
    await a_pending_one()
    async with runtime.pool.connection() as connection:
        await connection.execute(
            "insert into conversions select (jsonb_populate_record(conversions,"
            " jsonb_build_object('id', id || n))).* from conversions,"
            f" generate_series(1, {AT_ONCE}) as n"
        )
    clock.advance(days=15)

    assert await approve_overdue(runtime) == AT_ONCE + 1
    assert set(await statuses()) == {"approved"}
