"""
The worker: what happens without anybody asking.

Each loop turns a timer or a signal into a flow. A loop that fails says why, pauses
and goes on: nothing but the end of the process ends it.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing, suppress

import structlog

from tracker.coalesce import Coalescer
from tracker.domain.errors import StoreUnavailableError
from tracker.flow.approval import approve_overdue
from tracker.flow.audit import audit_clicks
from tracker.flow.cap import COUNT_SECONDS, CapCount
from tracker.flow.catalog import follow_catalog
from tracker.flow.clicklog import fold_clicks, fold_others
from tracker.flow.delivery import (
    IN_FLIGHT,
    attempt_delivery,
    claim_due,
    end_expired_leases,
    finish_deliveries,
    share_of,
    sweep_deliveries,
)
from tracker.flow.drain import DRAIN_SECONDS, drain_spools
from tracker.flow.erasure import finish_erasures
from tracker.flow.maintenance import make_partitions, measure_backlog
from tracker.flow.network import Network
from tracker.flow.retention import apply_retention
from tracker.flow.rollup import close_days, fold_changes
from tracker.loops import Step, end_tasks, keep_going, running
from tracker.runtime import FAULTS, Runtime
from tracker.store.deliveries import Claim, Ending, Lease
from tracker.store.postgres import is_passing

log = structlog.get_logger()

POLL_SECONDS = 1.0
SWEEP_SECONDS = 5.0
MEASURE_SECONDS = 15.0
MAINTENANCE_SECONDS = 3600.0
ERASE_SECONDS = 60.0
AUDIT_SECONDS = 30.0
APPROVE_SECONDS = 15.0
FOLD_SECONDS = 1.0
CLOSE_SECONDS = 60.0
PATIENCE_SECONDS = 15.0
"""How long calls in flight may take when the worker is asked to stop."""

_WRAPS_AROUND = 2
"""Claims begin at any lane: who passed the last one twice has been at all of them."""

PROBES = 3
"""Calls at once, once a second, that find out whether our network is up again."""


async def run_worker(runtime: Runtime, stop: asyncio.Event) -> None:
    """
    Everything a worker does, until `stop` is set.

    Then nothing new is claimed, calls in flight get 15 s, and the leases of those
    that take longer are given back.
    """
    dispatcher = Dispatcher(runtime)
    async with running(_loops(runtime, dispatcher)):
        await stop.wait()
        await dispatcher.drain()


class Dispatcher:
    """
    Keeps up to `IN_FLIGHT` deliveries in flight.

    A place that becomes free is filled at once, so a partner that is slow keeps
    its own places and nobody else's. While nobody can be reached only probes go, and
    what they were for is given back.
    """

    def __init__(self, runtime: Runtime, in_flight: int = IN_FLIGHT) -> None:
        self._runtime = runtime
        self._places = in_flight
        self._tasks: dict[asyncio.Task[None], Lease] = {}
        self._wake = asyncio.Event()
        self._cursor = ""
        self._is_draining = False
        self._claiming = asyncio.Lock()
        self._network = Network(runtime.sender.can_connect)
        self._finishing = Coalescer[Ending, Ending](
            lambda endings: finish_deliveries(runtime, endings),
            name="deliveries",
            faults=FAULTS,
        )

    def wake(self) -> None:
        """Something may be due; that does not hurry probes of our own network."""
        if not self._network.is_down:
            self._wake.set()

    async def dispatch(self) -> None:
        """Start what is due, then wait for a signal, at most a second."""
        self._wake.clear()
        await self._fill_places()
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()

    async def drain(self) -> None:
        """Claim no more; wait for the calls, and give back what takes too long."""
        self._is_draining = True
        async with self._claiming:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=PATIENCE_SECONDS)
        unfinished = dict(self._tasks)
        await end_tasks(unfinished)
        await self._finishing.close()
        await self._release(list(unfinished.values()))

    async def _fill_places(self) -> None:
        """Claim until no place is free, or every lane was looked at."""
        wraps = 0
        async with self._claiming:
            while wraps < _WRAPS_AROUND and (free := self._count_free()) > 0:
                # Half of them, so that the other half is shared out anew.
                limit = (free + 1) // 2
                claim = await self._claim(limit, share_of(free))
                if claim.saw_all and len(claim.leases) < limit:
                    return
                wraps += claim.is_wrapped

    async def _claim(self, limit: int, per_lane: int) -> Claim:
        claim = await claim_due(self._runtime, limit, self._cursor, per_lane)
        self._cursor = claim.cursor
        for lease in claim.leases:
            self._start(lease)
        return claim

    def _count_free(self) -> int:
        if self._is_draining:
            return 0
        places = PROBES if self._network.is_down else self._places
        return places - len(self._tasks)

    def _start(self, lease: Lease) -> None:
        task = asyncio.create_task(self._deliver(lease))
        self._tasks[task] = lease
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task)
        self.wake()

    async def _deliver(self, lease: Lease) -> None:
        """Where it fails, the lease runs out and the delivery is due again."""
        began = asyncio.get_running_loop().time()
        try:
            ending = await attempt_delivery(self._runtime, lease)
            if await self._network.is_to_blame(ending, began):
                await _insist(lambda: self._runtime.deliveries.release([lease]))
            else:
                await _insist(lambda: self._finishing.submit(ending))
        except Exception:
            log.exception("delivery.unfinished", delivery_id=lease.delivery.id)

    async def _release(self, leases: list[Lease]) -> None:
        """With Postgres away they run out by themselves, a minute later."""
        with suppress(StoreUnavailableError):
            await self._runtime.deliveries.release(leases)


def _loops(runtime: Runtime, dispatcher: Dispatcher) -> list[Awaitable[None]]:
    return [
        keep_going("deliver", dispatcher.dispatch),
        keep_going("listen", lambda: _listen(runtime, dispatcher)),
        keep_going("leases", lambda: end_expired_leases(runtime), POLL_SECONDS),
        keep_going("sweep", lambda: sweep_deliveries(runtime), SWEEP_SECONDS),
        keep_going("catalog", lambda: follow_catalog(runtime, applies_edits=True)),
        keep_going("caps", CapCount(runtime).count, COUNT_SECONDS),
        keep_going("drain", lambda: drain_spools(runtime), DRAIN_SECONDS),
        keep_going("measure", lambda: measure_backlog(runtime), MEASURE_SECONDS),
        keep_going("maintain", lambda: _maintain(runtime), MAINTENANCE_SECONDS),
        keep_going("audit", lambda: audit_clicks(runtime), AUDIT_SECONDS),
        keep_going("approve", lambda: approve_overdue(runtime), APPROVE_SECONDS),
        keep_going("erase", lambda: finish_erasures(runtime), ERASE_SECONDS),
        *(_fold(runtime, shard) for shard in range(runtime.settings.shards)),
        keep_going("fold others", lambda: fold_others(runtime), SWEEP_SECONDS),
        keep_going("fold changes", lambda: fold_changes(runtime), FOLD_SECONDS),
        keep_going("close days", lambda: close_days(runtime), CLOSE_SECONDS),
    ]


async def _maintain(runtime: Runtime) -> None:
    """Days ahead come first: they are what requests need."""
    await make_partitions(runtime)
    await apply_retention(runtime)


async def _fold(runtime: Runtime, shard: int) -> None:
    await keep_going(f"fold {shard}", lambda: fold_clicks(runtime, shard))


async def _listen(runtime: Runtime, dispatcher: Dispatcher) -> None:
    """Ends only when the connection is lost, and is then called again."""
    async with aclosing(runtime.deliveries.listen()) as signals:
        async for _ in signals:
            dispatcher.wake()


async def _insist(step: Step) -> None:
    """The call was made: while Postgres is away, that must not be forgotten."""
    while True:
        try:
            await step()
        except Exception as error:
            if not _is_worth_another_try(error):
                raise
            await asyncio.sleep(POLL_SECONDS)
        else:
            return


def _is_worth_another_try(error: Exception) -> bool:
    return isinstance(error, StoreUnavailableError) or is_passing(error)
