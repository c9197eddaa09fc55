"""A lane that fails is left alone, by every worker, and comes back by itself."""

import asyncio
from datetime import timedelta

import pytest
from aiohttp import web
from parties import a_catalog, a_delivery, a_postback
from structlog.testing import capture_logs

from tracker.domain.breaker import ANSWERED, FAILED, UNREACHED
from tracker.domain.delivery import Delivered, Failure, Retry
from tracker.domain.errors import NotFoundError
from tracker.flow.delivery import deliver_due, end_expired_leases, sweep_deliveries
from tracker.flow.maintenance import measure_backlog
from tracker.metrics import render
from tracker.runtime import open_runtime
from tracker.store.deliveries import Attempt, Ending, _lease


@pytest.fixture
def deliveries(runtime):
    return runtime.deliveries


@pytest.fixture
async def other(runtime):
    """Another worker's stores."""
    async with open_runtime(runtime.settings) as other:
        await other.pool.wait()
        yield other.deliveries


@pytest.fixture
def owe_many(owe, runtime):
    """So many deliveries of different conversions to the partner."""

    async def owe_many(number, name="cv"):
        return await owe(
            *(
                a_delivery(conversion=f"{name}_{n}", catalog=runtime.catalog)
                for n in range(number)
            )
        )

    return owe_many


@pytest.fixture
def lane(runtime):
    async def lane():
        (lane,) = await runtime.lanes.list_stopped()
        return lane

    return lane


def ended(lease, sign):
    if sign is ANSWERED:
        attempt = Attempt("delivered", lease.claimed_at)
        return Ending(lease, Delivered(), attempt, sign)
    verdict = Retry(Failure.NO_CONNECTION, timedelta(days=1))
    return Ending(lease, verdict, Attempt("failed", lease.claimed_at), sign)


async def end_all(deliveries, leases, sign):
    return await deliveries.finish([ended(lease, sign) for lease in leases])


async def claim(deliveries, limit=100):
    return (await deliveries.claim(limit)).leases


async def open_lane(deliveries, owe_many):
    await owe_many(60)
    await end_all(deliveries, (await claim(deliveries))[:5], UNREACHED)


async def test_a_lane_that_cannot_be_reached_is_left_alone_by_all(
    deliveries, other, owe_many, lane
):
    await open_lane(deliveries, owe_many)

    assert await claim(deliveries) == await claim(other) == ()
    assert ((await lane()).state, (await lane()).waiting) == ("open", 49)


async def test_what_waits_for_an_open_lane_is_charged_no_attempt(
    deliveries, owe_many, ledger, clock
):
    await open_lane(deliveries, owe_many)
    for _ in range(20):
        clock.advance(seconds=1)
        await claim(deliveries)

    attempts = ledger.column("select attempts from deliveries order by attempts")
    assert attempts == [0] * 44 + [1] * 16


async def test_one_probe_goes_however_many_workers_ask_at_once(
    deliveries, other, owe_many, clock, lane
):
    await open_lane(deliveries, owe_many)
    for lease in await claim_in_flight(deliveries):
        await deliveries.finish([ended(lease, FAILED)])
    clock.advance(seconds=31)

    claims = await asyncio.gather(*(claim(one) for one in [deliveries, other] * 8))

    assert sum(map(len, claims)) == 1
    assert (await lane()).state == "probing"


async def claim_in_flight(deliveries):
    """The leases of the calls that were under way when the lane was opened."""
    rows = await deliveries._fetch(
        "select *, lease_until - interval '60 s' as claimed_at from deliveries "
        "where lease_token is not null"
    )
    return [_lease(row) for row in rows]


async def test_a_lane_gets_its_places_back_one_by_one(
    deliveries, owe_many, clock, runtime
):
    await open_lane(deliveries, owe_many)
    await end_all(deliveries, await claim_in_flight(deliveries), FAILED)
    clock.advance(seconds=31)
    sizes = []
    while leases := await claim(deliveries):
        sizes.append(len(leases))
        await end_all(deliveries, leases, ANSWERED)

    assert sizes == [1, 5, 5, 10, 16, 7]
    assert await runtime.lanes.list_stopped() == ()


async def test_a_failed_probe_opens_it_for_twice_as_long(
    deliveries, owe_many, clock, ledger
):
    await open_lane(deliveries, owe_many)
    await end_all(deliveries, await claim_in_flight(deliveries), FAILED)
    clock.advance(seconds=31)
    (probe,) = await claim(deliveries)
    await end_all(deliveries, [probe], FAILED)
    clock.advance(seconds=55)

    assert await claim(deliveries) == ()
    clock.advance(seconds=6)
    assert len(await claim(deliveries)) == 1


async def test_a_probe_whose_worker_died_makes_room_for_the_next(
    runtime, deliveries, owe_many, clock
):
    await open_lane(deliveries, owe_many)
    await end_all(deliveries, await claim_in_flight(deliveries), FAILED)
    clock.advance(seconds=31)
    (forgotten,) = await claim(deliveries)
    clock.advance(seconds=61)
    await end_expired_leases(runtime)

    (probe,) = await claim(deliveries)
    assert probe.delivery.id != forgotten.delivery.id


async def test_a_worker_that_overslept_says_nothing_of_a_lane(
    runtime, deliveries, owe_many, clock
):
    """What it slept through looks to it as if the partner had not answered."""
    await owe_many(16)
    leases = await claim(deliveries)
    clock.advance(seconds=61)
    await end_expired_leases(runtime)

    finished = await end_all(deliveries, leases, UNREACHED)

    assert len(finished.lost) == 16
    assert await runtime.lanes.list_stopped() == ()


async def test_a_lane_on_which_all_is_well_is_never_written(
    deliveries, owe_many, ledger
):
    await owe_many(16)
    await end_all(deliveries, await claim(deliveries), ANSWERED)

    assert ledger.column("select lane from lanes") == []


async def test_two_workers_count_together(deliveries, other, owe_many, lane):
    await owe_many(16)
    leases = await claim(deliveries)
    await asyncio.gather(
        end_all(deliveries, leases[:3], UNREACHED),
        end_all(other, leases[3:6], UNREACHED),
    )

    assert (await lane()).opened_reason == "unreachable"


async def test_workers_that_finish_on_the_same_lanes_do_not_block_each_other(
    deliveries, other, owe, ledger
):
    """In opposite orders, again and again; a deadlock would be an error here."""
    catalogs = [a_catalog(a_postback(id=f"p{number}")) for number in range(8)]
    await owe(
        *(
            a_delivery(conversion=f"cv_{n}", catalog=catalog)
            for n in range(16)
            for catalog in catalogs
        )
    )
    leases = await claim(deliveries, 128)
    await asyncio.gather(
        *(end_all(deliveries, leases[n : n + 8], FAILED) for n in range(0, 64, 8)),
        *(end_all(other, leases[n + 8 : n : -1], FAILED) for n in range(63, 119, 8)),
    )

    assert sum(ledger.column("select openings from lanes")) == 8


async def test_what_is_too_old_ends_on_an_open_lane_too(
    runtime, deliveries, owe_many, clock, ledger
):
    await open_lane(deliveries, owe_many)
    await end_all(deliveries, await claim_in_flight(deliveries), FAILED)
    ledger.execute("update lanes set open_until = open_until + interval '1 year'")
    clock.advance(days=7, seconds=1)
    await sweep_deliveries(runtime)

    assert ledger.archived == ["dead expired"] * 60


async def test_an_operator_closes_a_breaker(
    runtime, deliveries, owe_many, lane, clock, partner_inbox
):
    await open_lane(deliveries, owe_many)
    await end_all(deliveries, await claim_in_flight(deliveries), FAILED)
    name = (await lane()).lane

    await runtime.lanes.resume(name)

    assert (await lane()).state == "recovering"
    assert len(await claim(deliveries)) == 5
    with pytest.raises(NotFoundError):
        await runtime.lanes.resume(name)


async def test_a_partner_that_is_called_too_often_is_left_alone_as_it_asks(
    runtime, owe_many, partner_inbox, clock
):
    """The lane waits, and the others that are owed on it are not charged."""
    await owe_many(1)
    busy = web.Response(status=429, headers={"Retry-After": "600"})
    partner_inbox.answers.append(busy)
    await deliver_due(runtime)
    await owe_many(10, "later")

    clock.advance(seconds=590)
    assert await deliver_due(runtime) == 0
    clock.advance(seconds=15)
    assert await deliver_due(runtime) == 1


async def test_opening_and_closing_are_told(runtime, owe_many, partner_inbox, clock):
    await owe_many(40)
    partner_inbox.answers.extend([500] * 16)
    with capture_logs() as logs:
        await deliver_due(runtime)
        clock.advance(seconds=31)
        while await deliver_due(runtime):
            pass

    told = [log for log in logs if log["event"] in {"lane.opened", "lane.closed"}]
    assert [(log["event"], log.get("reason")) for log in told] == [
        ("lane.opened", "failing"),
        ("lane.closed", None),
    ]
    assert len(partner_inbox.hits) == 40 + 16


async def test_open_lanes_are_measured(runtime, deliveries, owe_many):
    await open_lane(deliveries, owe_many)
    await measure_backlog(runtime)

    assert b'tracker_lanes_stopped{state="open"} 1.0' in render()
