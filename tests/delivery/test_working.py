"""The worker process: what it starts, what it outlives, how it ends."""

import asyncio
from contextlib import asynccontextmanager

import psycopg
import pytest
from parties import PartnerInbox, a_catalog, a_delivery, a_postback, hang
from structlog.testing import capture_logs

from tracker import loops, worker
from tracker.loops import keep_going, running
from tracker.store.deliveries import LANES_PER_CLAIM
from tracker.store.signals import CHANNEL
from tracker.worker import Dispatcher, run_worker

LISTENERS = "select pid from pg_stat_activity where query = 'listen ' || %s"


@asynccontextmanager
async def working(runtime):
    """A worker that is asked to stop at the end, and does."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(runtime, stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await task


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - Postgres has no event to await
            await asyncio.sleep(0.01)


@pytest.fixture
async def other_inbox():
    """Another partner's server."""
    inbox = PartnerInbox()
    await inbox.start()
    yield inbox
    await inbox.stop()


@pytest.fixture
def for_both(partner_inbox, other_inbox, runtime):
    """A catalog with a postback for each of two servers, and their deliveries."""
    here = a_postback(partner_inbox.url(), id="here")
    there = a_postback(other_inbox.url(), id="there")
    runtime.catalog = a_catalog(here, there)

    def for_both(number):
        conversion = f"cv_{number}"
        return [
            a_delivery(conversion=conversion, catalog=a_catalog(postback))
            for postback in (here, there)
        ]

    return for_both


async def test_a_delivery_leaves_when_it_is_told_of(
    runtime, owe, partner_inbox, ledger, monkeypatch
):
    """Well before the poll, which is put off here so that it cannot help."""
    monkeypatch.setattr(worker, "POLL_SECONDS", 60)
    async with working(runtime):
        await until(lambda: ledger.column(LISTENERS, CHANNEL))
        began = asyncio.get_running_loop().time()
        await owe(a_delivery(catalog=runtime.catalog))
        runtime.wake_worker()
        await partner_inbox.wait_for_hits(1)

    assert asyncio.get_running_loop().time() - began < 1
    assert ledger.archived == ["delivered"]


async def test_a_worker_whose_listener_is_cut_off_listens_again(
    runtime, owe, partner_inbox, ledger, monkeypatch
):
    monkeypatch.setattr(worker, "POLL_SECONDS", 60)
    async with working(runtime):
        await until(lambda: ledger.column(LISTENERS, CHANNEL))
        (first,) = ledger.column(LISTENERS, CHANNEL)
        ledger.column("select pg_terminate_backend(%s)", first)
        await until(lambda: ledger.column(LISTENERS, CHANNEL) not in ([], [first]))
        await owe(a_delivery(catalog=runtime.catalog))
        runtime.wake_worker()
        await partner_inbox.wait_for_hits(1)


async def test_what_nobody_was_told_of_is_found_by_the_poll(
    runtime, owe, partner_inbox
):
    async with working(runtime):
        await owe(a_delivery(catalog=runtime.catalog))
        await partner_inbox.wait_for_hits(1)


async def test_a_partner_that_hangs_keeps_nobody_waiting(
    runtime, owe, partner_inbox, other_inbox, for_both, ledger
):
    """Forty are owed to each, twenty can be in flight, one partner hangs."""
    partner_inbox.answers.extend([hang] * 40)
    await owe(*(delivery for number in range(40) for delivery in for_both(number)))
    dispatcher = Dispatcher(runtime, in_flight=20)

    async with running([keep_going("deliver", dispatcher.dispatch)]):
        await other_inbox.wait_for_hits(40)
        assert len(partner_inbox.hits) <= 16
        partner_inbox.answers.clear()
        partner_inbox.let_go.set()
        await partner_inbox.wait_for_hits(40)
        await dispatcher.drain()

    assert ledger.archived == ["delivered"] * 80


async def test_partners_that_hang_leave_places_however_many_they_are(
    runtime, owe, partner_inbox, other_inbox, ledger
):
    """Ten lanes hang, with more due than there are places, before one comes late."""
    partner_inbox.answers.extend([hang] * 160)
    hanging = [a_postback(partner_inbox.url(), id=f"h{n}") for n in range(10)]
    quick = a_postback(other_inbox.url(), id="quick")
    runtime.catalog = a_catalog(*hanging, quick)
    await owe_each(owe, hanging, 16)
    dispatcher = Dispatcher(runtime, in_flight=64)

    async with running([keep_going("deliver", dispatcher.dispatch)]):
        await partner_inbox.wait_for_hits(30)
        await owe_each(owe, [quick], 40)
        dispatcher.wake()
        await other_inbox.wait_for_hits(40)
        assert len(partner_inbox.hits) < 60
        partner_inbox.answers.clear()
        partner_inbox.let_go.set()
        await until(lambda: len(ledger.archived) == 200)
        await dispatcher.drain()


async def test_calls_in_flight_are_finished_before_it_stops(
    runtime, owed, partner_inbox, ledger
):
    partner_inbox.answers.append(hang)
    async with working(runtime) as stop:
        await partner_inbox.wait_for_hits(1)
        stop.set()
        partner_inbox.let_go.set()

    assert ledger.archived == ["delivered"]


async def test_the_lease_of_a_call_that_takes_too_long_is_given_back(
    runtime, owed, partner_inbox, ledger, monkeypatch
):
    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 0.05)
    partner_inbox.answers.append(hang)
    async with working(runtime):
        await partner_inbox.wait_for_hits(1)

    assert (await runtime.reports.get_delivery(owed.id)).attempts == 0
    assert len((await runtime.deliveries.claim(1)).leases) == 1
    assert ledger.outcomes == []


async def test_what_was_answered_is_not_forgotten_while_postgres_is_away(
    runtime, owed, partner_inbox, ledger, database_url, stores, monkeypatch
):
    """The partner has been told, so it must not be told again."""
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    runtime.pool.timeout = 0.1
    name = database_url.split("?")[0].rpartition("/")[2]

    async def cut_postgres_off(inbox, request):
        stores.execute(f'alter database "{name}" allow_connections false')
        stores.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            f"where datname = '{name}'"
        )
        return await hang(inbox, request)

    partner_inbox.answers.append(cut_postgres_off)
    dispatcher = Dispatcher(runtime)
    with capture_logs():
        async with running([keep_going("deliver", dispatcher.dispatch)]):
            await partner_inbox.wait_for_hits(1)
            partner_inbox.let_go.set()
            await until(lambda: runtime.pool.get_stats().get("requests_errors", 0) > 2)
            stores.execute(f'alter database "{name}" allow_connections true')
            await until(lambda: ledger.archived)
            await dispatcher.drain()

    assert ledger.archived == ["delivered"]
    assert len(partner_inbox.hits) == 1


async def test_a_loop_that_fails_says_why_and_goes_on(monkeypatch):
    monkeypatch.setattr(loops, "_FIRST_PAUSE", 0.0)
    outcomes = iter([ValueError("once"), ValueError("twice"), None])
    succeeded = asyncio.Event()

    async def step():
        if error := next(outcomes):
            raise error
        succeeded.set()
        await asyncio.Event().wait()

    with capture_logs() as logs:
        async with running([keep_going("test", step)]), asyncio.timeout(5):
            await succeeded.wait()

    assert [(log["event"], log["loop"]) for log in logs] == [
        ("loop.failed", "test"),
        ("loop.failed", "test"),
    ]


async def test_many_rings_are_told_together(runtime, database_url):
    """A thousand conversions in a row are a few signals, not a thousand."""
    async with await psycopg.AsyncConnection.connect(
        database_url, autocommit=True
    ) as listener:
        await listener.execute(f"listen {CHANNEL}")
        for _ in range(1000):
            runtime.wake_worker()
        await runtime.deliveries.close()
        told = [signal async for signal in listener.notifies(timeout=0)]

    assert 1 <= len(told) <= 3


async def test_many_lanes_that_wait_are_looked_through_once(runtime, ledger):
    """More than one claim looks at: nothing of them is due, so there it ends."""
    owe_each_lane(ledger, lanes=LANES_PER_CLAIM + 50, due_in="1 hour")
    dispatcher = Dispatcher(runtime)

    async with asyncio.timeout(5):
        await dispatcher.dispatch()


async def test_the_last_of_many_lanes_is_reached_without_a_poll(
    runtime, owe, partner_inbox, ledger, monkeypatch
):
    monkeypatch.setattr(worker, "POLL_SECONDS", 60)
    owe_each_lane(ledger, lanes=3 * LANES_PER_CLAIM, due_in="1 hour")
    runtime.catalog = a_catalog(a_postback(partner_inbox.url(), id="zzz"))
    dispatcher = Dispatcher(runtime)
    async with running([keep_going("deliver", dispatcher.dispatch)]):
        for number in range(4):
            await owe(a_delivery(conversion=f"cv_{number}", catalog=runtime.catalog))
            dispatcher.wake()
            await partner_inbox.wait_for_hits(number + 1)
        await dispatcher.drain()


async def test_a_full_lane_goes_on_without_a_poll(
    runtime, owe, partner_inbox, ledger, monkeypatch
):
    monkeypatch.setattr(worker, "POLL_SECONDS", 60)
    await owe(
        *(a_delivery(conversion=f"cv_{n}", catalog=runtime.catalog) for n in range(40))
    )
    dispatcher = Dispatcher(runtime)
    async with running([keep_going("deliver", dispatcher.dispatch)]):
        await partner_inbox.wait_for_hits(40)
        await dispatcher.drain()

    assert ledger.archived == ["delivered"] * 40


async def test_what_follows_another_goes_without_a_poll(
    runtime, owe, partner_inbox, monkeypatch
):
    monkeypatch.setattr(worker, "POLL_SECONDS", 60)
    await owe(*(a_delivery(number, catalog=runtime.catalog) for number in (1, 2, 3)))
    dispatcher = Dispatcher(runtime)
    async with running([keep_going("deliver", dispatcher.dispatch)]):
        await partner_inbox.wait_for_hits(3)
        await dispatcher.drain()


async def owe_each(owe, postbacks, number):
    """So many deliveries for each of these postbacks."""
    await owe(
        *(
            a_delivery(conversion=f"cv_{n}", catalog=a_catalog(postback))
            for n in range(number)
            for postback in postbacks
        )
    )


def owe_each_lane(ledger, *, lanes, due_in):
    ledger.execute(
        """
        insert into deliveries (id, change_id, conversion_id, partner, postback, lane,
                                number, macro_values, has_click, created_at, due_at)
        select 'dl_lane' || n, 'ch_lane' || n, 'cv_lane' || n, 'p' || n, 'sales',
               'bestdeals/m' || n || '@a', 1, '{}', true, tracker_now(),
               tracker_now() + %s::interval
        from   generate_series(1, %s) as n
        """,
        due_in,
        lanes,
    )
