"""Daily partitions: what grows without bound is kept by day and dropped by day."""

from collections.abc import Iterable
from datetime import date, timedelta

from tracker.store.postgres import Pool, transaction

TABLES = ("clicks", "postbacks", "delivery_attempts", "delivery_archive", "nonces")

DAYS_AHEAD = 3
"""So long can the worker be away before a request has to make a day on its way."""


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

    async def make_ahead(self, today: date) -> None:
        """The partitions of yesterday, today and the next days, of every table."""
        days = [today + timedelta(days=n) for n in range(-1, DAYS_AHEAD + 1)]
        for table in TABLES:
            await self.ensure(table, days)
