"""
A worker is stopped (SIGSTOP) while its calls are in flight, and resumed when its
leases have run out: `tracker_now()` is moved past them. By then another worker has told
half of the partners again, and is telling the other half.
"""

import asyncio
import signal

from lane_ground import Partner, grounds
from parties import Clock
from row import Row, must, told

CALLS = 16
HALF = CALLS // 2

_LEASES = "select lease_token from deliveries where lease_token is not null order by id"
_ARCHIVED = "select count(*) from delivery_archive"
_OUTCOMES = "select outcome from delivery_attempts"
_HAVE_ENDED = "select count(*) = %(n)s from delivery_attempts where outcome = %(as)s"
_NOBODY_WRITES = """
select not exists (
    select from pg_stat_activity
    where  datname = current_database() and pid <> pg_backend_pid()
    and    backend_type = 'client backend' and state <> 'idle')
"""
_ARE_DONE = "select count(*) = %(n)s from delivery_archive"


def attack(scale):
    rounds = scale.pick(10, 1)
    partner = Sleepers()
    with grounds({"bestdeals": partner.port}) as (ground,):
        unfenced, broken = asyncio.run(_oversleep_often(ground, partner, rounds))
        outcomes = ground.column(_OUTCOMES)
    calls = CALLS * rounds
    yield told("calls that were overslept", calls)
    yield must("unfenced completions", unfenced, unfenced == 0)
    yield must("leases of the other worker that it broke", broken, broken == 0)
    for outcome in ("unknown", "orphan", "delivered"):
        number = outcomes.count(outcome)
        yield must(f"attempts kept as {outcome}", number, number == calls)


class Sleepers(Partner):
    """Answers the calls of each worker when it is told to."""

    def __init__(self):
        super().__init__(self._wait)
        self.first = self.early = self.late = asyncio.Event()

    def begin_round(self):
        self.calls.clear()
        self.first, self.early, self.late = (asyncio.Event() for _ in range(3))

    async def _wait(self, _):
        number = len(self.calls)
        gate = self.early if number <= CALLS + HALF else self.late
        await (self.first if number <= CALLS else gate).wait()
        return 200


async def _oversleep_often(ground, partner, rounds):
    await partner.come_up()
    clock = Clock(ground.url)
    found = [await _oversleep(ground, partner, clock, n) for n in range(rounds)]
    return tuple(map(sum, zip(*found, strict=True)))


async def _oversleep(ground, partner, clock, number):
    """What the worker that overslept completed all the same, and what it broke."""
    partner.begin_round()
    ground.owe("bestdeals", [f"{number}_{n}" for n in range(CALLS)])
    before, total = number * CALLS, (number + 1) * CALLS
    with ground.worker() as overslept:
        await partner.wait_for_calls(CALLS)
        # Stopped inside of a transaction it would hold its locks, for up to 30 s.
        await ground.until(_NOBODY_WRITES)
        overslept.send_signal(signal.SIGSTOP)
        clock.advance(seconds=61)
        with ground.worker():
            await ground.until(_HAVE_ENDED, n=total, **{"as": "unknown"})
            # They are due again five seconds later, give or take a fifth.
            clock.advance(seconds=7)
            ground.wake()
            await partner.wait_for_calls(2 * CALLS)
            partner.early.set()
            await ground.until(_ARE_DONE, n=before + HALF)
            leases = ground.column(_LEASES)
            partner.first.set()
            overslept.send_signal(signal.SIGCONT)
            await ground.until(_HAVE_ENDED, n=total, **{"as": "orphan"})
            unfenced = ground.ask(_ARCHIVED)[0] - before - HALF
            broken = len(set(leases) - set(ground.column(_LEASES)))
            partner.late.set()
            await ground.until(_ARE_DONE, n=total)
    return unfenced, broken


ROW = Row(5, "a worker stopped past its lease, then resumed", attack)
