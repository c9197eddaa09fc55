"""Daily partitions: what grows without bound is kept by day and dropped by day."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from psycopg import sql

from tracker.domain.errors import BusyError
from tracker.store.postgres import Pool, connected, is_without_partition, transaction

TABLES = ("clicks", "postbacks", "delivery_attempts", "delivery_archive")

DAYS_AHEAD = 3
"""So long can the worker be away before a request has to make a day on its way."""

LOCK_MS = 50
"""Dropping a day needs its table for itself; nobody is kept waiting for longer."""

Result = TypeVar("Result")

_LIST_DAYS = """
select right(partition.relname, 8)
  from pg_inherits
  join pg_class as partition on partition.oid = inhrelid
 where inhparent = %(table)s::regclass
   and partition.relname ~ ('^' || %(table)s || '_[0-9]{8}$')
"""

# Nobody makes the day while it is dropped: who makes one takes the same lock.
_LOCK_MAKERS = """
select set_config('lock_timeout', %(milliseconds)s, true),
       pg_advisory_xact_lock(hashtext('tracker_make_partitions'))
"""

_FORGET_TRUNCATED = """
delete from truncated_days where table_name = %(table)s and day = %(day)s
"""


class Partitions:
    """Makes the partitions of a table, and remembers which there are."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._made: dict[str, set[date]] = {table: set() for table in TABLES}

    async def ensure(self, table: str, days: Iterable[date]) -> None:
        """Every day has its partition when this returns; costs nothing if known."""
        missing = set(days) - self._made[table]
        if not missing:
            return
        async with transaction(self._pool) as connection:
            for day in sorted(missing):
                await connection.execute(
                    "select tracker_make_partitions(%s, %s, %s)", (table, day, day)
                )
        self._made[table] |= missing

    async def write(
        self, table: str, days: set[date], write: Callable[[], Awaitable[Result]]
    ) -> Result:
        """
        What `write` returns, once these days are there.

        A day that another process has dropped is made again: what comes so late is
        kept until the next pass, and must not be refused.
        """
        await self.ensure(table, days)
        try:
            return await write()
        except Exception as error:
            if not is_without_partition(error):
                raise
        self.forget()
        await self.ensure(table, days)
        return await write()

    async def make_ahead(self, today: date) -> None:
        """The partitions of yesterday, today and the next days, of every table."""
        days = [today + timedelta(days=n) for n in range(-1, DAYS_AHEAD + 1)]
        for table in TABLES:
            await self.ensure(table, days)

    def forget(self) -> None:
        """What was made may have been dropped since, by another process."""
        for days in self._made.values():
            days.clear()

    async def list_days(self, table: str) -> set[date]:
        """The days that a table has."""
        async with connected(self._pool) as connection:
            cursor = await connection.execute(_LIST_DAYS, {"table": table})
            return {_day(row[0]) for row in await cursor.fetchall()}

    async def drop(self, table: str, day: date) -> bool:
        """
        Whether the day is gone; False while somebody reads or writes the table.

        `drop table` for once, and not `detach … concurrently`: a day that is half
        detached is neither there to be written to nor can it be made again.
        """
        partition = sql.Identifier(f"{table}_{day:%Y%m%d}")
        self._made[table].discard(day)
        try:
            async with transaction(self._pool) as connection:
                await connection.execute(_LOCK_MAKERS, {"milliseconds": str(LOCK_MS)})
                await connection.execute(
                    sql.SQL("drop table if exists {}").format(partition)
                )
                await connection.execute(
                    _FORGET_TRUNCATED, {"table": table, "day": day}
                )
        except BusyError:
            return False
        return True


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
