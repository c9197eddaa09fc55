"""
Lanes, one for each partner postback and host: paused ones, and their breakers.

A delivery on a paused lane is held. Insert, pause and resume do not wait for each
other, so a sweep holds and frees what they missed. On an open lane nothing is held:
the claim leaves it out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import asdict
from psycopg.rows import class_row, dict_row

from tracker.domain.breaker import (
    WINDOW,
    Breaker,
    Call,
    OpenReason,
    after_calls,
    reclosed,
)
from tracker.domain.errors import NotFoundError
from tracker.store.postgres import Connection, Pool, as_rows, transaction

_INSERT = """
insert into lanes (lane, partner, postback, host)
select lane,
       split_part(split_part(lane, '@', 1), '/', 1),
       split_part(split_part(lane, '@', 1), '/', 2),
       split_part(lane, '@', 2)
from   unnest(%(lanes)s::text[]) as named (lane)
order  by lane
on     conflict (lane) do nothing
"""

_PAUSE = """
with unpaused as (
    select lane
    from   lanes
    where  lane = any(%(lanes)s) and paused_at is null
    order  by lane
    for    no key update
)
update lanes
set    paused_at = tracker_now(), paused_reason = %(reason)s
from   unpaused
where  lanes.lane = unpaused.lane
"""

# Rows that somebody else is writing are left to the sweep: to wait for them, with the
# lane locked, would be to wait for who waits for the lane.
_HOLD_PAUSED = """
with loose as (
    select deliveries.id
    from   lanes
    join   deliveries using (lane)
    where  lanes.paused_at is not null
    and    deliveries.held_reason is null and deliveries.lease_token is null
    for    no key update of deliveries skip locked
)
update deliveries
set    held_reason = 'paused_lane'
from   loose
where  deliveries.id = loose.id
"""

_RESUME = """
update lanes
set    paused_at = null, paused_reason = null
where  lane = %(lane)s and paused_at is not null
returning lane
"""

# A success on any other lane changes nothing.
_LIST_WATCHED = """
select lane
from   lanes
where  lane = any(%(lanes)s)
and    (places is not null or failed_in_row > 0
        or window_began_at > (select tracker_now()) - %(window)s)
"""

_LOCK_BREAKERS = """
select   lane, tracker_now() as now, opened_at, opened_reason, open_until, openings,
         places, closed_at, window_began_at, calls, failures, failed_in_row,
         unreached_in_row
from     lanes
where    lane = any(%(lanes)s)
order by lane
for      no key update
"""

_SET_BREAKERS = """
update lanes
set    opened_at = breaker.opened_at,
       opened_reason = breaker.opened_reason,
       open_until = breaker.open_until,
       openings = breaker.openings,
       places = breaker.places,
       closed_at = breaker.closed_at,
       window_began_at = breaker.window_began_at,
       calls = breaker.calls,
       failures = breaker.failures,
       failed_in_row = breaker.failed_in_row,
       unreached_in_row = breaker.unreached_in_row
from   json_to_recordset(%(breakers)s) as breaker (
           lane text, opened_at timestamptz, opened_reason text,
           open_until timestamptz, openings integer, places integer,
           closed_at timestamptz, window_began_at timestamptz, calls integer,
           failures integer, failed_in_row integer, unreached_in_row integer)
where  lanes.lane = breaker.lane
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

_LIST_STOPPED = """
select   lane, partner, postback, host, paused_at, paused_reason,
         opened_at, opened_reason, open_until, places, (
             select count(*)
             from   deliveries
             where  deliveries.lane = lanes.lane
             and    held_reason is null and lease_token is null
         ) + (
             select count(*)
             from   deliveries
             where  deliveries.lane = lanes.lane and held_reason = 'paused_lane'
         ) as waiting,
         case when paused_at is not null           then 'paused'
              when opened_at is null               then 'recovering'
              when open_until > (select tracker_now()) then 'open'
              else                                      'probing' end as state
from     lanes
where    paused_at is not null or places is not null
order by lane
"""

_COUNT_STOPPED = """
select count(*) filter (where paused_at is not null) as paused,
       count(*) filter (where opened_at is not null) as open
from   lanes
"""


@dataclass(frozen=True, slots=True)
class StoppedLane:
    """
    A lane that nothing, or not all, is sent on, and what waits for it.

    `state` is `paused`, until an operator resumes it; `open`, until `open_until`;
    `probing`, while a few calls find out; `recovering`, with `places` calls at once.
    """

    lane: str
    partner: str
    postback: str
    host: str
    state: str
    paused_at: datetime | None
    paused_reason: str | None
    opened_at: datetime | None
    opened_reason: str | None
    open_until: datetime | None
    places: int | None
    waiting: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A lane's breaker, before and after."""

    lane: str
    before: Breaker
    after: Breaker


class LaneStore:
    """The lanes of one database; every method is one transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def pause(self, lane: str, reason: str) -> None:
        """Send nothing more on a lane until it is resumed."""
        async with transaction(self._pool) as connection:
            await pause_lanes(connection, [lane], reason)

    async def resume(self, lane: str) -> None:
        """
        Send again, whatever stopped it: a pause, or its breaker.

        Raises NotFoundError for a lane that neither has stopped.
        """
        async with transaction(self._pool) as connection:
            resumed = await connection.execute(_RESUME, {"lane": lane})
            closed = await _force_close(connection, lane)
            if not (resumed.rowcount or closed):
                raise NotFoundError(f"no lane {lane} is paused or open")
            await connection.execute(_FREE, {"lane": lane})

    async def hold_paused(self) -> int:
        """Hold what became due on a paused lane by another way; how many."""
        async with transaction(self._pool) as connection:
            return (await connection.execute(_HOLD_PAUSED)).rowcount

    async def free_resumed(self) -> int:
        """Free what was written as held while its lane was being resumed; how many."""
        async with transaction(self._pool) as connection:
            return (await connection.execute(_FREE_RESUMED)).rowcount

    async def list_stopped(self) -> tuple[StoppedLane, ...]:
        """The lanes that nothing, or not all, is sent on."""
        async with transaction(self._pool) as connection:
            cursor = connection.cursor(row_factory=class_row(StoppedLane))
            return tuple(await (await cursor.execute(_LIST_STOPPED)).fetchall())

    async def count_stopped(self) -> Mapping[str, int]:
        """How many lanes are paused, and how many breakers are not closed."""
        async with transaction(self._pool) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            (counts,) = await (await cursor.execute(_COUNT_STOPPED)).fetchall()
            return counts


async def pause_lanes(
    connection: Connection, lanes: Iterable[str], reason: str
) -> None:
    """Pause them, in the transaction of what they are paused for."""
    named = {"lanes": sorted(lanes), "reason": reason}
    await connection.execute(_INSERT, named)
    await connection.execute(_PAUSE, named)
    await connection.execute(_HOLD_PAUSED)


async def list_watched(connection: Connection, lanes: Iterable[str]) -> frozenset[str]:
    """Those of them on which a success matters too; no other needs a write for one."""
    cursor = await connection.execute(
        _LIST_WATCHED, {"lanes": list(lanes), "window": WINDOW}
    )
    return frozenset(lane for (lane,) in await cursor.fetchall())


async def judge_lanes(
    connection: Connection, calls: Mapping[str, Sequence[Call]]
) -> tuple[Judged, ...]:
    """
    What these calls make of their lanes' breakers; those that changed.

    The last of a transaction: from here on other workers wait for the same lanes.
    """
    lanes = sorted(calls)
    await connection.execute(_INSERT, {"lanes": lanes})
    judged = [
        Judged(lane, before, after_calls(before, calls[lane], now))
        for lane, before, now in await _lock_breakers(connection, lanes)
    ]
    changed = tuple(one for one in judged if one.before != one.after)
    await _set_breakers(connection, {one.lane: one.after for one in changed})
    return changed


async def _lock_breakers(
    connection: Connection, lanes: Sequence[str]
) -> list[tuple[str, Breaker, datetime]]:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_LOCK_BREAKERS, {"lanes": lanes})
    rows = await cursor.fetchall()
    return [(row["lane"], _breaker(row), row["now"]) for row in rows]


async def _set_breakers(
    connection: Connection, breakers: Mapping[str, Breaker]
) -> None:
    rows = [{"lane": lane, **asdict(one)} for lane, one in breakers.items()]
    if rows:
        await connection.execute(_SET_BREAKERS, {"breakers": as_rows(rows)})


async def _force_close(connection: Connection, lane: str) -> bool:
    """Whether there was anything to close."""
    for _, breaker, now in await _lock_breakers(connection, [lane]):
        if breaker.opened_at is not None:
            await _set_breakers(connection, {lane: reclosed(now)})
            return True
    return False


def _breaker(row: Mapping[str, Any]) -> Breaker:
    known = {name: row[name] for name in Breaker.__struct_fields__}
    reason = row["opened_reason"] and OpenReason(row["opened_reason"])
    return Breaker(**{**known, "opened_reason": reason})
