"""What is kept for a set time, besides the tables that are dropped by day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, LiteralString

from psycopg import sql

from tracker.domain.click_id import first_at
from tracker.store.postgres import Pool, transaction

BLOCKS_AT_ONCE = 500
"""Blocks of a table (4 MB) that one statement truncates addresses in."""

ROWS_AT_ONCE = 10_000

# Hour by hour, so that no statement is long; who is asked for by day and id has its
# place in the index of one partition.
_KEEP_LABELS = """
insert into click_labels (id, labels)
select found.*
  from conversions
 cross join lateral (
         select id, jsonb_strip_nulls(jsonb_build_object(
                  'sub1', sub1, 'sub2', sub2, 'sub3', sub3, 'sub4', sub4,
                  'sub5', sub5, 'sub6', sub6, 'sub7', sub7, 'sub8', sub8,
                  'sub9', sub9, 'sub10', sub10,
                  'gclid', gclid, 'gbraid', gbraid, 'wbraid', wbraid,
                  'fbclid', fbclid, 'ttclid', ttclid, 'msclkid', msclkid
                ))
           from clicks
          where clicks.day = %(day)s
            and clicks.id  = conversions.click_id
            and clicks.reason is distinct from 'erased'
          limit 1
       ) as found
 where conversions.click_id >= %(first)s
   and conversions.click_id <  %(last)s
    on conflict (id) do nothing
"""

_LIST_TRUNCATED = "select day from truncated_days where table_name = %(table)s"

_NOTE_TRUNCATED = """
insert into truncated_days (table_name, day)
values (%(table)s, %(day)s)
    on conflict do nothing
"""

_COUNT_BLOCKS = """
select coalesce(pg_relation_size(to_regclass(%(partition)s)), 0)
       / current_setting('block_size')::bigint
"""

# A row that was truncated moves to another block, and is not met again as it was.
_TRUNCATE = """
update {table}
   set address = network(set_masklen(address, case family(address)
                                                when 4 then 24 else 48 end))
 where day  = %(day)s
   and ctid >= %(first)s::tid
   and ctid <  %(last)s::tid
   and masklen(address) > case family(address) when 4 then 24 else 48 end
"""

_PURGE = """
delete from {table}
 where ctid = any(array(
         select ctid from {table} where {column} < %(before)s and {only}
          limit %(limit)s))
"""


@dataclass(frozen=True, slots=True)
class Purged:
    """
    A table that is not kept by day: rows go by the time in `column`.

    `only` is a condition in SQL, of ours, for those of its rows that this is about.
    """

    table: str
    column: str
    only: LiteralString = "true"


class RetentionStore:
    """Ends what has been kept for long enough, some of it at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep_labels(self, day: date) -> int:
        """Before the clicks of a day go: the labels that conversions may still need."""
        kept = 0
        for first, last in _hours(day):
            given = {"day": day, "first": first_at(first), "last": first_at(last)}
            kept += await self._execute(sql.SQL(_KEEP_LABELS), given)
        return kept

    async def list_truncated(self, table: str) -> set[date]:
        """The days of a table that have no full address any more."""
        async with transaction(self._pool) as connection:
            cursor = await connection.execute(_LIST_TRUNCATED, {"table": table})
            return {row[0] for row in await cursor.fetchall()}

    async def truncate_addresses(self, table: str, day: date) -> int:
        """Leaves the networks of a day's addresses; how many were full."""
        truncate = sql.SQL(_TRUNCATE).format(table=sql.Identifier(table))
        truncated = 0
        for first in range(0, await self._count_blocks(table, day), BLOCKS_AT_ONCE):
            last = first + BLOCKS_AT_ONCE
            given = {"day": day, "first": f"({first},0)", "last": f"({last},0)"}
            truncated += await self._execute(truncate, given)
        await self._execute(sql.SQL(_NOTE_TRUNCATED), {"table": table, "day": day})
        return truncated

    async def purge(self, purged: Purged, before: datetime) -> int:
        """Deletes what is older; how many rows that were."""
        query = sql.SQL(_PURGE).format(
            table=sql.Identifier(purged.table),
            column=sql.Identifier(purged.column),
            only=sql.SQL(purged.only),
        )
        given = {"before": before, "limit": ROWS_AT_ONCE}
        rows = 0
        while deleted := await self._execute(query, given):
            rows += deleted
        return rows

    async def _count_blocks(self, table: str, day: date) -> int:
        async with transaction(self._pool) as connection:
            cursor = await connection.execute(
                _COUNT_BLOCKS, {"partition": f"{table}_{day:%Y%m%d}"}
            )
            return int((await cursor.fetchall())[0][0])

    async def _execute(
        self, query: sql.SQL | sql.Composed, given: dict[str, Any]
    ) -> int:
        async with transaction(self._pool) as connection:
            return (await connection.execute(query, given)).rowcount


def _hours(day: date) -> Iterator[tuple[datetime, datetime]]:
    midnight = datetime.combine(day, time(), UTC)
    for hour in range(24):
        yield midnight + timedelta(hours=hour), midnight + timedelta(hours=hour + 1)
