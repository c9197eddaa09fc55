"""
How many clicks were confirmed to their visitors, and how many of them are there.

Whoever confirms a click counts it, apart from the store that keeps it: what that
store loses afterwards is missing in the second count.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import dict_row

from tracker.domain.click_id import ClickId
from tracker.domain.tally import SLICE, SLICE_LENGTH, slice_at, start_of
from tracker.store.postgres import Pool, as_rows, connected

REMEMBERED = timedelta(hours=1)
"""A slice that is so old gets no more clicks, and is forgotten once it is saved."""

LOOK_AGAIN = timedelta(minutes=10)
AT_ONCE = 100
"""Slices that one pass counts again."""

_SAVE = """
insert into click_counts (process, slice, kept)
select %(process)s, slice, kept
  from json_to_recordset(%(rows)s::json) as counted (slice text, kept bigint)
    on conflict (slice, process) do update
   set kept = excluded.kept, counted_at = tracker_now()
"""

# What is missing may still come, from a spool, say, and is counted again later.
_LIST_DUE = """
select counted.slice, counted.kept,
       coalesce(audited.kept - audited.found, 0) as known_missing
  from (select slice, sum(kept)::bigint as kept
          from click_counts
         where slice >= %(since)s
           and slice <  %(until)s
         group by slice) as counted
  left join click_audits as audited on audited.slice = counted.slice
 where audited.slice is null
    or audited.kept <> counted.kept
    or audited.found < audited.kept
   and audited.audited_at < tracker_now() - %(look_again)s
 order by audited.audited_at nulls first, counted.slice
 limit %(limit)s
"""

# A click is found in the log; one that was set aside is not lost either.
_COUNT = """
insert into click_audits (slice, kept, found)
select %(slice)s, %(kept)s,
       (select count(*) from clicks
         where day = any(%(days)s) and id >= %(slice)s and id < %(next)s)
     + (select count(*) from click_collisions
         where left(id, 5) = %(slice)s)
     + (select count(*) from clicks_rejected
         where left(substring(entry from ' b.(.*).$'), 5) = %(slice)s)
    on conflict (slice) do update
   set kept = excluded.kept, found = excluded.found, audited_at = tracker_now()
returning kept - found
"""

_SUM_MISSING = """
select coalesce(sum(greatest(kept - found, 0)), 0)::bigint
  from click_audits
 where slice >= %(since)s
"""


@dataclass(frozen=True, slots=True)
class DueSlice:
    """A slice to be counted again, and how many of it were missing before."""

    slice: str
    kept: int
    known_missing: int


class Tally:
    """Counts clicks in memory, saves the counts, and counts again what was folded."""

    def __init__(self, pool: Pool, *, process: str) -> None:
        self._pool = pool
        self._process = process
        self._kept: defaultdict[str, int] = defaultdict(int)
        self._saved: dict[str, int] = {}

    def count(self, click_id: ClickId) -> None:
        """A click was confirmed."""
        self._kept[click_id[:SLICE_LENGTH]] += 1

    async def save(self, now: datetime) -> None:
        """Writes what has changed; with Postgres away nothing is forgotten."""
        changed = {
            name: kept
            for name, kept in self._kept.items()
            if self._saved.get(name) != kept
        }
        if changed:
            await self._write(changed)
        self._saved |= changed
        for name in [one for one in self._saved if one < slice_at(now - REMEMBERED)]:
            if self._kept[name] == self._saved[name]:
                del self._kept[name], self._saved[name]

    async def list_due(self, since: datetime, until: datetime) -> list[DueSlice]:
        """Slices within these times that were not counted again since they changed."""
        given = {
            "since": slice_at(since),
            "until": slice_at(until),
            "look_again": LOOK_AGAIN,
            "limit": AT_ONCE,
        }
        async with connected(self._pool) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(_LIST_DUE, given)
            return [DueSlice(**row) for row in await cursor.fetchall()]

    async def audit(self, due: DueSlice) -> int:
        """How many clicks of a slice are missing now."""
        start = start_of(due.slice)
        given = {
            "slice": due.slice,
            "next": slice_at(start + SLICE),
            "kept": due.kept,
            "days": list({start.date(), (start + SLICE).date()}),
        }
        return max(0, await self._get(_COUNT, given))

    async def sum_missing(self, since: datetime) -> int:
        """How many clicks are missing of all slices since then."""
        return await self._get(_SUM_MISSING, {"since": slice_at(since)})

    async def _write(self, changed: Mapping[str, int]) -> None:
        rows = [{"slice": name, "kept": kept} for name, kept in changed.items()]
        given = {"process": self._process, "rows": as_rows(rows)}
        async with connected(self._pool) as connection:
            await connection.execute(_SAVE, given)

    async def _get(self, query: str, given: Mapping[str, Any]) -> int:
        async with connected(self._pool) as connection:
            cursor = await connection.execute(query, given)
            (row,) = await cursor.fetchall()
            return int(row[0])
