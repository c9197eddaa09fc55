"""Signs that something is wrong: what failed lately, and what comes no longer."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from psycopg.rows import class_row

from tracker.store.migrations import read_report
from tracker.store.postgres import Pool, transaction

Sign = TypeVar("Sign")


@dataclass(frozen=True, slots=True)
class Dead:
    """So many deliveries of a postback were given up, for a reason."""

    partner: str
    postback: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Postbacks that came into quarantine in a day, and on a usual day."""

    reason: str
    lately: int
    usual: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many came lately, and in the same hours of usual days, by whose number."""

    number: int
    lately: int
    usual: float


class SignStore:
    """Reads for the page that is looked at first; every method is one statement."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def count_dead(self, since: datetime) -> list[Dead]:
        """Deliveries given up since then and not replayed, the most first."""
        return await self._fetch("count_dead", Dead, since=since)

    async def count_quarantined(self, now: datetime) -> list[Quarantined]:
        """What the last 24 hours brought of each reason, and the 7 days before."""
        return await self._fetch("count_quarantined", Quarantined, now=now)

    async def count_visits(self, since: datetime, until: datetime) -> list[Arrivals]:
        """Visits by partner; both times are quarters of an hour."""
        return await self._fetch(
            "count_visits_lately", Arrivals, since=since, until=until
        )

    async def count_conversions(
        self, since: datetime, until: datetime
    ) -> list[Arrivals]:
        """Conversions by offer; both times are quarters of an hour."""
        return await self._fetch(
            "count_conversions_lately", Arrivals, since=since, until=until
        )

    async def _fetch(self, report: str, kind: type[Sign], **values: Any) -> list[Sign]:
        async with transaction(self._pool) as connection:
            cursor = connection.cursor(row_factory=class_row(kind))
            await cursor.execute(_report(report), values)
            return await cursor.fetchall()


_report = cache(read_report)
