"""Who may attempt what, and whose word counts afterwards."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from parties import a_catalog, a_delivery, a_postback

from tracker.domain.delivery import (
    Dead,
    DeadReason,
    Delivered,
    Failure,
    HeldReason,
    Hold,
    Retry,
)
from tracker.flow.delivery import end_expired_leases
from tracker.store.deliveries import CLAIM, PER_LANE, Attempt, Ending
from tracker.store.reports import DeliveryFilter


def delivered(lease):
    return Ending(lease, Delivered(), Attempt("delivered", lease.claimed_at))


def failed(lease, **delay):
    verdict = Retry(Failure.BAD_STATUS, timedelta(**delay))
    return Ending(lease, verdict, Attempt("failed", lease.claimed_at))


def for_host(host, conversion, number=1):
    catalog = a_catalog(a_postback(f"https://{host}/pb"))
    return a_delivery(number, conversion=conversion, catalog=catalog)


def ids(leases):
    return [lease.delivery.id for lease in leases]


@pytest.fixture
def deliveries(runtime):
    return runtime.deliveries


async def test_a_claim_counts_the_attempt_and_nobody_else_gets_it(deliveries, owed):
    claim = await deliveries.claim(10)
    other = await deliveries.claim(10)

    assert ids(claim.leases) == [owed.id]
    assert claim.leases[0].delivery.attempts == 1
    assert other.leases == ()
    assert other.saw_all


async def test_workers_that_claim_at_once_share_what_is_due(deliveries, owe):
    owed = await owe(*(for_host(f"h{n % 4}", f"cv_{n}") for n in range(40)))
    claims = await asyncio.gather(*(deliveries.claim(10) for _ in range(8)))

    claimed = [one for claim in claims for one in ids(claim.leases)]
    assert len(claimed) == len(set(claimed))
    while more := ids((await deliveries.claim(10)).leases):
        claimed += more
    assert sorted(claimed) == sorted(one.id for one in owed)


async def test_a_worker_that_overslept_changes_nothing(
    runtime, deliveries, owed, clock, ledger
):
    (overslept,) = (await deliveries.claim(1)).leases
    clock.advance(seconds=61)
    await end_expired_leases(runtime)
    clock.advance(seconds=7)
    (current,) = (await deliveries.claim(1)).leases

    late = await deliveries.finish([delivered(overslept)])
    in_time = await deliveries.finish([delivered(current)])

    assert (late.lost, in_time.lost) == ({owed.id}, frozenset())
    assert sorted(ledger.outcomes) == ["delivered", "orphan", "unknown"]
    assert ledger.archived == ["delivered"]


async def test_a_lease_that_was_not_taken_over_still_counts(
    deliveries, owed, clock, ledger
):
    (lease,) = (await deliveries.claim(1)).leases
    clock.advance(seconds=90)

    await deliveries.finish([delivered(lease)])
    # The sweep had seen it expired, but was late.
    unknown = Ending(
        lease, Dead(DeadReason.EXPIRED), Attempt("unknown", lease.claimed_at)
    )
    await deliveries.finish([unknown])

    assert ledger.outcomes == ["delivered"]
    assert ledger.archived == ["delivered"]


async def test_a_lease_given_back_was_never_taken(deliveries, owed):
    claim = await deliveries.claim(1)
    await deliveries.release(claim.leases)
    await deliveries.release(claim.leases)

    (lease,) = (await deliveries.claim(1)).leases
    assert lease.delivery.attempts == 1


async def test_a_batch_is_finished_each_in_its_own_way(
    runtime, deliveries, owe, ledger
):
    await owe(*(a_delivery(conversion=f"cv_{n}") for n in range(4)))
    one, two, three, four = (await deliveries.claim(4)).leases
    gone = Dead(DeadReason.CLICK_DETAILS_LOST)
    await deliveries.finish(
        [
            delivered(one),
            failed(two, seconds=30),
            Ending(three, Hold(HeldReason.REMOVED_POSTBACK)),
            Ending(four, gone),
        ]
    )

    assert sorted(ledger.archived) == ["dead click_details_lost", "delivered"]
    (waiting,) = await runtime.reports.list_deliveries(DeliveryFilter("owed"))
    assert (waiting.id, waiting.attempts) == (two.delivery.id, 1)
    assert waiting.due_at - two.claimed_at > timedelta(seconds=29)
    (held,) = await runtime.reports.list_deliveries(DeliveryFilter("held"))
    assert (held.id, held.attempts) == (three.delivery.id, 0)
    assert held.reason == "removed_postback"
    (dead,) = await runtime.reports.list_deliveries(DeliveryFilter("dead"))
    assert (dead.id, dead.attempts) == (four.delivery.id, 0)


async def test_for_one_conversion_they_go_in_order(deliveries, owe, clock):
    first, second, third = await owe(*(a_delivery(number) for number in (1, 2, 3)))

    (lease,) = (await deliveries.claim(10)).leases
    await deliveries.finish([failed(lease, seconds=30)])
    assert ids((await deliveries.claim(10)).leases) == []
    clock.advance(seconds=31)
    (lease,) = (await deliveries.claim(10)).leases
    await deliveries.finish([delivered(lease)])
    (then,) = (await deliveries.claim(10)).leases
    await deliveries.finish([delivered(then)])

    assert [lease.delivery.id, then.delivery.id] == [first.id, second.id]
    assert ids((await deliveries.claim(10)).leases) == [third.id]


async def test_a_successor_is_due_with_the_one_it_waits_for(deliveries, owe, ledger):
    await owe(a_delivery(1))
    (lease,) = (await deliveries.claim(1)).leases
    await deliveries.finish([failed(lease, hours=2)])
    await owe(a_delivery(2))

    first, second = ledger.column("select due_at from deliveries order by number")
    assert second == first


async def test_a_successor_is_due_at_once_when_the_first_is_told(
    deliveries, owe, clock
):
    await owe(a_delivery(1))
    (lease,) = (await deliveries.claim(1)).leases
    await deliveries.finish([failed(lease, hours=2)])
    (second,) = await owe(a_delivery(2))
    await deliveries.retry(lease.delivery.id)
    (lease,) = (await deliveries.claim(10)).leases
    await deliveries.finish([delivered(lease)])

    assert ids((await deliveries.claim(10)).leases) == [second.id]


async def test_a_successor_written_while_the_first_is_finished_is_not_forgotten(
    runtime, deliveries, owe
):
    """Whichever commits first, the second is due when the first is told."""
    await owe(a_delivery(1))
    (lease,) = (await deliveries.claim(1)).leases
    await deliveries.finish([failed(lease, hours=2)])
    await deliveries.retry(lease.delivery.id)
    (lease,) = (await deliveries.claim(1)).leases

    second = a_delivery(2)
    await asyncio.gather(owe(second), deliveries.finish([delivered(lease)]))

    assert ids((await deliveries.claim(10)).leases) == [second.id]


async def test_other_postbacks_of_the_conversion_do_not_wait(deliveries, owe):
    await owe(a_delivery(1))
    (lease,) = (await deliveries.claim(1)).leases
    (other,) = await owe(a_delivery(2, catalog=a_catalog(a_postback(id="other"))))

    assert ids((await deliveries.claim(10)).leases) == [other.id]
    assert lease.delivery.conversion_id == other.conversion_id


async def test_at_most_sixteen_are_in_flight_on_one_lane(deliveries, owe):
    await owe(*(a_delivery(conversion=f"cv_{n}") for n in range(40)))

    claim = await deliveries.claim(100)
    assert len(claim.leases) == PER_LANE
    assert (await deliveries.claim(100)).leases == ()
    await deliveries.finish([delivered(lease) for lease in claim.leases[:3]])
    assert len((await deliveries.claim(100)).leases) == 3


async def test_the_calls_of_a_dead_worker_block_a_lane_no_longer_than_they_take(
    deliveries, owe, clock
):
    await owe(*(for_host("busy", f"cv_{n}") for n in range(PER_LANE + 1)))
    await deliveries.claim(100)
    clock.advance(seconds=19)
    assert (await deliveries.claim(100)).leases == ()

    clock.advance(seconds=2)
    assert len((await deliveries.claim(100)).leases) == 1


async def test_lanes_take_turns_when_places_are_few(deliveries, owe):
    hosts = ("a", "b", "c")
    await owe(*(for_host(host, f"cv_{host}{n}") for host in hosts for n in range(4)))

    cursor, served = "", []
    for _ in range(6):
        claim = await deliveries.claim(1, cursor=cursor)
        cursor = claim.cursor
        served += [lease.delivery.lane[-1] for lease in claim.leases]

    assert served == ["a", "b", "c", "a", "b", "c"]


async def test_one_claim_looks_at_so_many_lanes_and_the_next_goes_on(deliveries, owe):
    await owe(*(for_host(f"h{n}", f"cv_{n}") for n in range(5)))

    first = await deliveries.claim(10, lanes=3)
    second = await deliveries.claim(10, lanes=3, cursor=first.cursor)

    hosts = [
        [lease.delivery.lane[-2:] for lease in claim.leases]
        for claim in (first, second)
    ]
    assert hosts == [["h0", "h1", "h2"], ["h3", "h4"]]
    assert (first.saw_all, second.saw_all) == (False, True)


async def test_fifty_thousand_due_in_one_lane_delay_no_other(deliveries, owe, ledger):
    ledger.execute(
        """
        insert into deliveries (id, change_id, conversion_id, partner, postback, lane,
                                number, macro_values, has_click, created_at, due_at)
        select 'dl_' || n, 'ch_' || n, 'cv_' || n, 'crowd', 'all', 'crowd/all@a',
               1, '{}', true, tracker_now(), tracker_now() - interval '1 hour'
        from   generate_series(1, 50000) as n
        """
    )
    (lonely,) = await owe(a_delivery())

    claim = await deliveries.claim(PER_LANE + 1)

    assert lonely.id in ids(claim.leases)
    took = asyncio.get_running_loop().time()
    claim = await deliveries.claim(100, cursor=claim.cursor)
    took = asyncio.get_running_loop().time() - took
    assert (claim.leases, claim.saw_all) == ((), True)
    assert took < 0.5


async def test_a_paused_lane_is_never_claimed(runtime, deliveries, owe):
    (delivery,) = await owe(a_delivery())
    await runtime.lanes.pause(delivery.lane, "for a test")
    await owe(a_delivery(conversion="cv_2"))

    assert (await deliveries.claim(10)).leases == ()
    assert (await deliveries.count_owed()).held == {"paused_lane": 2}


async def test_the_same_change_owes_a_delivery_once(owe, ledger):
    delivery = a_delivery()
    await owe(delivery, delivery)
    await owe(delivery)

    assert ledger.column("select id from deliveries") == [delivery.id]


async def test_what_a_visitor_sent_cannot_break_the_insert(owe, ledger):
    values = {**a_delivery().macro_values, "sub1": "\\u0000 '; drop \ufffd {payout}"}
    await owe(a_delivery(macro_values=values))

    assert ledger.column("select macro_values from deliveries") == [values]


async def test_a_bad_ending_leaves_its_batch_undone_and_can_be_told(
    deliveries, owe, ledger
):
    """Refused as data, so that a batch is halved until it stands alone."""
    await owe(*(a_delivery(conversion=f"cv_{n}") for n in "12"))
    good, bad = (await deliveries.claim(2)).leases
    unkept = Ending(bad, Delivered(), Attempt("delivered", bad.claimed_at, "GET", "\0"))

    with pytest.raises(psycopg.DataError):
        await deliveries.finish([delivered(good), unkept])
    assert (ledger.outcomes, ledger.archived) == ([], [])

    assert (await deliveries.finish([delivered(good)])).lost == frozenset()
    assert ledger.archived == ["delivered"]


def test_a_claim_is_short_enough_for_psycopg_to_remember_how_it_reads():
    """A longer one is taken apart anew each time, at a tenth of the claim's cost."""
    assert len(CLAIM) <= psycopg._queries.MAX_CACHED_STATEMENT_LENGTH
