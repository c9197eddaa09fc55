"""
Lanes, one for each partner postback and host: on a paused one nothing is sent.

A delivery on a paused lane is held. Insert, pause and resume do not wait for each
other, so a sweep holds and frees what they missed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from tracker.domain.errors import NotFoundError
from tracker.store.postgres import Connection, Pool, transaction

_PAUSE = """
insert into lanes (lane, partner, postback, host, paused_at, paused_reason)
select lane,
       split_part(split_part(lane, '@', 1), '/', 1),
       split_part(split_part(lane, '@', 1), '/', 2),
       split_part(lane, '@', 2),
       tracker_now(),
       %(reason)s
from   unnest(%(lanes)s::text[]) as paused (lane)
order  by lane
on     conflict (lane) do update
set    paused_at = excluded.paused_at, paused_reason = excluded.paused_reason
where  lanes.paused_at is null
"""

_HOLD_PAUSED = """
update deliveries
set    held_reason = 'paused_lane'
from   lanes
where  lanes.paused_at is not null
and    deliveries.lane = lanes.lane
and    deliveries.held_reason is null and deliveries.lease_token is null
"""

_RESUME = """
update lanes
set    paused_at = null, paused_reason = null
where  lane = %(lane)s and paused_at is not null
returning lane
"""

_FREE = """
update deliveries
set    held_reason = null
where  lane = %(lane)s and held_reason = 'paused_lane'
"""

_FREE_RESUMED = """
update deliveries
set    held_reason = null
where  held_reason = 'paused_lane'
and    not exists (
           select from lanes
           where  lanes.lane = deliveries.lane and lanes.paused_at is not null)
"""

_LIST_PAUSED = """
select   lane, partner, postback, host, paused_at, paused_reason, (
             select count(*)
             from   deliveries
             where  held_reason = 'paused_lane' and deliveries.lane = lanes.lane
         ) as waiting
from     lanes
where    paused_at is not null
order by lane
"""


@dataclass(frozen=True, slots=True)
class PausedLane:
    """A lane that nothing is sent on, since when and why, and what waits for it."""

    lane: str
    partner: str
    postback: str
    host: str
    paused_at: datetime
    paused_reason: str
    waiting: int


class LaneStore:
    """The lanes of one database; every method is one transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def pause(self, lane: str, reason: str) -> None:
        """Send nothing more on a lane until it is resumed."""
        async with transaction(self._pool) as connection:
            await pause_lanes(connection, [lane], reason)

    async def resume(self, lane: str) -> None:
        """Send again; raises NotFoundError for a lane that is not paused."""
        async with transaction(self._pool) as connection:
            resumed = await connection.execute(_RESUME, {"lane": lane})
            if not resumed.rowcount:
                raise NotFoundError(f"no lane {lane} is paused")
            await connection.execute(_FREE, {"lane": lane})

    async def hold_paused(self) -> int:
        """Hold what became due on a paused lane by another way; how many."""
        async with transaction(self._pool) as connection:
            return (await connection.execute(_HOLD_PAUSED)).rowcount

    async def free_resumed(self) -> int:
        """Free what was written as held while its lane was being resumed; how many."""
        async with transaction(self._pool) as connection:
            return (await connection.execute(_FREE_RESUMED)).rowcount

    async def list_paused(self) -> tuple[PausedLane, ...]:
        """The lanes that wait for an operator."""
        async with transaction(self._pool) as connection:
            cursor = connection.cursor(row_factory=class_row(PausedLane))
            return tuple(await (await cursor.execute(_LIST_PAUSED)).fetchall())


async def pause_lanes(
    connection: Connection, lanes: Iterable[str], reason: str
) -> None:
    """Pause them, in the transaction of what they are paused for."""
    await connection.execute(_PAUSE, {"lanes": sorted(lanes), "reason": reason})
    await connection.execute(_HOLD_PAUSED)
