"""The story of a delivery, against a real partner and a real Postgres."""

from datetime import timedelta

import pytest
from aiohttp import web
from parties import (
    CLICK_ID,
    a_catalog,
    a_click,
    a_delivery,
    a_partner,
    a_postback,
)
from structlog.testing import capture_logs

from tracker.domain.answer import RETRY_DELAYS
from tracker.domain.delivery import HeldReason
from tracker.domain.errors import NotFoundError, RefusedChangeError
from tracker.flow.delivery import deliver_due, end_expired_leases, sweep_deliveries
from tracker.store.deliveries import insert_deliveries


async def test_a_partner_is_told_once(runtime, owed, partner_inbox, ledger):
    assert await deliver_due(runtime) == 1
    assert await deliver_due(runtime) == 0

    (hit,) = partner_inbox.hits
    assert (hit.method, hit.query) == ("GET", {"cid": [CLICK_ID]})
    assert hit.headers["X-Tracker-Delivery"] == owed.id
    assert ledger.archived == ["delivered"]
    assert ledger.outcomes == ["delivered"]


async def test_every_attempt_is_kept_and_told(runtime, owed, partner_inbox):
    partner_inbox.answers.append(web.Response(status=500, text="no\0thing"))
    with capture_logs() as logs:
        await deliver_due(runtime)

    (attempt,) = await runtime.reports.list_attempts_of([owed.id])
    assert (attempt.outcome, attempt.http_status) == ("failed", 500)
    assert (attempt.answer, attempt.error) == ("no\ufffdthing", "bad_status")
    (event,) = [log for log in logs if log["event"] == "delivery.attempted"]
    assert (event["delivery_id"], event["http_status"]) == (owed.id, 500)
    assert event["url"] == attempt.url == partner_inbox.url(f"/pb?cid={CLICK_ID}")


async def test_a_partner_that_answers_500_twice_is_told_the_third_time(
    runtime, owed, partner_inbox, clock, ledger
):
    partner_inbox.answers.extend([500, 503])
    await deliver_due(runtime)
    assert await deliver_due(runtime) == 0
    clock.advance(seconds=6.1)
    await deliver_due(runtime)
    clock.advance(seconds=23.9)
    assert await deliver_due(runtime) == 0
    clock.advance(seconds=12.2)
    await deliver_due(runtime)

    assert ledger.outcomes == ["failed", "failed", "delivered"]
    assert len({hit.headers["X-Tracker-Delivery"] for hit in partner_inbox.hits}) == 1


async def test_a_partner_that_asks_for_patience_gets_it(
    runtime, owed, partner_inbox, clock, ledger
):
    busy = web.Response(status=503, headers={"Retry-After": "600"})
    partner_inbox.answers.append(busy)
    await deliver_due(runtime)

    clock.advance(seconds=590)
    assert await deliver_due(runtime) == 0
    clock.advance(seconds=15)
    assert await deliver_due(runtime) == 1


async def test_after_twelve_failures_it_is_dead_and_can_be_replayed(
    runtime, owed, partner_inbox, clock, ledger
):
    partner_inbox.answers.extend([500] * 12)
    await deliver_due(runtime)
    for delay in RETRY_DELAYS:
        clock.advance(seconds=1.2 * delay.total_seconds() + 0.1)
        assert await deliver_due(runtime) == 1
    assert ledger.archived == ["dead attempts_exhausted"]

    assert await runtime.deliveries.replay([owed.id]) == (owed.id,)
    await deliver_due(runtime)

    assert ledger.archived == ["dead attempts_exhausted", "delivered"]
    assert len(partner_inbox.hits) == 13
    assert {hit.headers["X-Tracker-Delivery"] for hit in partner_inbox.hits} == {
        owed.id
    }
    attempts = await runtime.reports.list_attempts_of([owed.id])
    assert [(one.round, one.number) for one in attempts[-2:]] == [(1, 12), (2, 1)]


async def test_a_dead_one_can_be_retried_and_a_delivered_one_replayed_only(
    runtime, owed, clock
):
    clock.advance(days=7, seconds=1)
    await sweep_deliveries(runtime)
    await runtime.deliveries.retry(owed.id)
    await deliver_due(runtime)

    with pytest.raises(RefusedChangeError):
        await runtime.deliveries.retry(owed.id)
    with pytest.raises(NotFoundError):
        await runtime.deliveries.retry("dl_unheard_of")
    assert await runtime.deliveries.replay([owed.id]) == (owed.id,)
    assert await runtime.deliveries.replay([owed.id]) == ()


async def test_retry_makes_a_waiting_one_due(runtime, owed, partner_inbox):
    partner_inbox.answers.append(500)
    await deliver_due(runtime)

    await runtime.deliveries.retry(owed.id)

    assert await deliver_due(runtime) == 1


async def test_what_is_unfinished_after_seven_days_has_expired(
    runtime, owed, clock, ledger
):
    clock.advance(days=6, hours=23)
    await sweep_deliveries(runtime)
    assert ledger.archived == []
    clock.advance(hours=1, seconds=1)
    await sweep_deliveries(runtime)

    assert ledger.archived == ["dead expired"]


async def test_a_410_pauses_the_lane_until_it_is_resumed(
    runtime, owe, partner_inbox, ledger
):
    first, second = (
        a_delivery(conversion=f"cv_{n}", catalog=runtime.catalog) for n in "12"
    )
    await owe(first)
    partner_inbox.answers.append(410)
    await deliver_due(runtime)
    await owe(second)

    assert await deliver_due(runtime) == 0
    (lane,) = await runtime.lanes.list_stopped()
    assert (lane.lane, lane.paused_reason, lane.waiting) == (first.lane, "410", 2)
    assert (lane.partner, lane.postback) == ("bestdeals", "sales")
    await runtime.lanes.resume(first.lane)
    assert await deliver_due(runtime) == 2
    with pytest.raises(NotFoundError):
        await runtime.lanes.resume(first.lane)


async def test_an_operator_can_pause_a_lane_too(runtime, owed):
    await runtime.lanes.pause(owed.lane, "asked by phone")

    assert await deliver_due(runtime) == 0
    held = await runtime.reports.get_delivery(owed.id)
    assert (held.state, held.reason) == ("held", "paused_lane")


async def test_what_was_written_while_its_lane_was_resumed_is_not_stuck(
    runtime, owed, partner_inbox
):
    """A transaction that saw the lane paused, and commits when it no longer is."""
    await runtime.lanes.pause(owed.lane, "asked by phone")
    late = a_delivery(conversion="cv_2", catalog=runtime.catalog)
    async with runtime.pool.connection() as connection, connection.transaction():
        await insert_deliveries(connection, [late])
        await runtime.lanes.resume(owed.lane)
    assert (await runtime.reports.get_delivery(late.id)).reason == "paused_lane"

    await sweep_deliveries(runtime)

    assert await deliver_due(runtime) == 2


async def test_the_sweep_frees_nothing_on_a_lane_that_is_still_paused(runtime, owed):
    await runtime.lanes.pause(owed.lane, "asked by phone")

    await sweep_deliveries(runtime)

    assert (await runtime.reports.get_delivery(owed.id)).reason == "paused_lane"
    assert await deliver_due(runtime) == 0


async def test_what_is_freed_on_a_paused_lane_is_held_for_that(
    runtime, without_click, clock
):
    await runtime.lanes.pause(without_click.lane, "asked by phone")
    clock.advance(hours=24, seconds=1)
    await sweep_deliveries(runtime)

    assert (await runtime.deliveries.count_owed()).held == {"paused_lane": 1}


async def test_a_removed_postback_is_held_and_freed_when_it_is_back(
    runtime, owed, partner_inbox
):
    in_force = runtime.catalog
    runtime.catalog = a_catalog(is_retired=True)
    await deliver_due(runtime)
    await sweep_deliveries(runtime)
    held = await runtime.reports.get_delivery(owed.id)
    assert (held.reason, held.attempts) == ("removed_postback", 0)

    runtime.catalog = in_force
    await sweep_deliveries(runtime)
    await deliver_due(runtime)

    assert len(partner_inbox.hits) == 1


async def test_a_postback_owed_by_a_retired_partner_is_held_from_the_start(
    runtime, owe, partner_inbox
):
    catalog = a_catalog(a_postback(partner_inbox.url()), is_retired=True)
    await owe(a_delivery(catalog=catalog))

    assert await deliver_due(runtime) == 0


@pytest.fixture
async def without_click(runtime, owe, partner_inbox):
    """A delivery that needs a label of a click nobody has seen yet."""
    runtime.catalog = a_catalog(a_postback(partner_inbox.url("/pb?s={sub1}&g={gclid}")))
    delivery = a_delivery(
        catalog=runtime.catalog,
        has_click=False,
        held_reason=HeldReason.CLICK_DETAILS,
    )
    await owe(delivery)
    return delivery


async def test_a_held_delivery_goes_when_its_click_arrives(
    runtime, without_click, partner_inbox, ledger
):
    await sweep_deliveries(runtime)
    assert await deliver_due(runtime) == 0

    clicked_at = without_click.macro_values["clicked_at"]
    ledger.execute(
        "select tracker_make_partitions('clicks', %s::date, %s::date)",
        clicked_at[:10],
        clicked_at[:10],
    )
    ledger.execute(
        "insert into clicks (day, id, clicked_at, class, partner_number, "
        "offer_number, catalog_version, sub1, gclid) "
        "values (%s::date, %s, %s, 0, 1, 1, 1, 'a label', 'g-1')",
        clicked_at[:10],
        CLICK_ID,
        clicked_at,
    )
    await sweep_deliveries(runtime)
    await deliver_due(runtime)

    assert partner_inbox.hits[0].query == {"s": ["a label"], "g": ["g-1"]}


async def test_after_a_day_without_its_click_it_is_dead(
    runtime, without_click, partner_inbox, clock, ledger
):
    clock.advance(hours=23, minutes=59)
    await sweep_deliveries(runtime)
    await deliver_due(runtime)
    assert ledger.archived == []

    clock.advance(minutes=2)
    await sweep_deliveries(runtime)
    await deliver_due(runtime)

    assert ledger.archived == ["dead click_details_lost"]
    assert (partner_inbox.hits, ledger.outcomes) == ([], [])


async def test_after_a_day_it_goes_if_it_needs_no_details_any_more(
    runtime, without_click, partner_inbox, clock, ledger
):
    runtime.catalog = a_catalog(a_postback(partner_inbox.url()))
    clock.advance(hours=24, seconds=1)
    await sweep_deliveries(runtime)
    await deliver_due(runtime)

    assert ledger.archived == ["delivered"]


async def test_a_template_edited_to_need_the_click_holds_what_has_none(
    runtime, owe, partner_inbox
):
    (owed,) = await owe(a_delivery(catalog=runtime.catalog, has_click=False))
    runtime.catalog = a_catalog(a_postback(partner_inbox.url("/pb?s={sub1}")))
    await deliver_due(runtime)

    held = await runtime.reports.get_delivery(owed.id)
    assert (held.reason, held.attempts) == ("click_details", 0)
    assert partner_inbox.hits == []


async def test_the_template_is_the_one_in_force_and_the_values_those_of_then(
    runtime, owed, partner_inbox
):
    runtime.catalog = a_catalog(a_postback(partner_inbox.url("/new?p={payout}")))
    await deliver_due(runtime)

    assert [hit.target for hit in partner_inbox.hits] == ["/new?p=2.50"]


async def test_revenue_is_shown_only_to_a_partner_that_may_see_it(
    runtime, owe, partner_inbox
):
    postback = a_postback(partner_inbox.url("/pb?r={revenue}"))
    for number, reveal in enumerate(["", "revenue"]):
        runtime.catalog = a_catalog(postback, reveal=frozenset({reveal}))
        await owe(a_delivery(conversion=f"cv_{number}", catalog=runtime.catalog))
        await deliver_due(runtime)

    assert [hit.query["r"] for hit in partner_inbox.hits] == [[""], ["4.00"]]


async def test_a_secret_is_sent_and_nowhere_kept(runtime, owed, partner_inbox, ledger):
    runtime.catalog = a_catalog(
        a_postback(partner_inbox.url("/pb?key=${KEY}")), secrets={"KEY": "hush-hush"}
    )
    with capture_logs() as logs:
        await deliver_due(runtime)

    assert partner_inbox.hits[0].query == {"key": ["hush-hush"]}
    (url,) = ledger.column("select url from delivery_attempts")
    assert url == partner_inbox.url("/pb?key=***")
    assert "hush-hush" not in str(logs)


async def test_a_request_that_cannot_be_made_is_a_failed_attempt(
    runtime, owed, ledger, partner_inbox
):
    runtime.catalog = a_catalog(a_postback(partner_inbox.url("/pb?key=${KEY}")))
    await deliver_due(runtime)

    (error,) = ledger.column("select error from delivery_attempts")
    assert error.startswith("bad_template: the secret 'KEY' is not set")
    assert partner_inbox.hits == []


async def test_a_partner_that_points_at_this_machine_is_not_called(
    runtime, owed, partner_inbox, ledger
):
    runtime.catalog = a_catalog(a_postback("http://169.254.169.254/latest/meta-data"))
    await deliver_due(runtime)

    (error,) = ledger.column("select error from delivery_attempts")
    assert error.startswith("forbidden_address")
    # A name may have another address tomorrow, so it is tried again.
    assert (await runtime.reports.get_delivery(owed.id)).attempts == 1


async def test_a_lease_that_ran_out_leaves_an_unknown_attempt(
    runtime, owed, clock, ledger
):
    """The minute that the lease has lasted was wait enough: it is due at once."""
    await runtime.deliveries.claim(10)
    clock.advance(seconds=59)
    await end_expired_leases(runtime)
    assert ledger.outcomes == []

    clock.advance(seconds=2)
    await end_expired_leases(runtime)
    await deliver_due(runtime)

    assert ledger.outcomes == ["unknown", "delivered"]


async def test_the_labels_of_a_click_reach_its_partner(runtime, owe, partner_inbox):
    runtime.catalog = a_catalog(a_postback(partner_inbox.url("/pb?s={sub1}")))
    await owe(a_delivery(catalog=runtime.catalog))
    await deliver_due(runtime)

    assert partner_inbox.hits[0].query == {"s": [a_click().subs[0]]}


async def test_nothing_is_due_before_its_time(runtime, owed, clock, partner_inbox):
    partner_inbox.answers.append(500)
    await deliver_due(runtime)
    backlog = await runtime.deliveries.count_owed()
    clock.advance(seconds=10)
    later = await runtime.deliveries.count_owed()

    assert (backlog.due, backlog.waiting) == (0, 1)
    assert (later.due, later.waiting) == (1, 0)
    assert timedelta(seconds=3) < later.oldest_due < timedelta(seconds=7)


def test_a_retired_partner_still_has_its_postbacks():
    assert a_partner(is_retired=True).postback("sales").id == "sales"
