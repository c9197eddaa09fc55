"""Reports: sums over clicks and conversions, by any dimensions."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from psycopg import errors
from psycopg.rows import dict_row

from tracker.domain.catalog import Catalog
from tracker.domain.errors import TooLongError
from tracker.domain.money import to_minor_unit
from tracker.domain.report import (
    MEASURES,
    MOST_ROWS,
    Report,
    ReportHead,
    ReportQuery,
    ReportRow,
)
from tracker.store.pieces import Parameters
from tracker.store.postgres import Connection, Pool, connected
from tracker.store.report_branches import Branches, Closed, Summed, windows_of
from tracker.store.report_measures import before
from tracker.store.report_statement import Money, Statement

if TYPE_CHECKING:
    from tracker.domain.calendar import Unit

Rows: TypeAlias = AsyncIterator[ReportRow]

AT_ONCE = 2000
"""Rows of a file that are in memory at a time."""

_SNAPSHOT = "set transaction isolation level repeatable read, read only"
# Rollups are so short that one hand sums them sooner than three agree.
_SEVERAL_HANDS = "set local max_parallel_workers_per_gather = 2"

_CLICKS_FROM = """
select to_date(min(right(relname, 8)), 'YYYYMMDD')
  from pg_inherits
  join pg_class on pg_class.oid = inhrelid
 where inhparent = 'clicks'::regclass and relname ~ '^clicks_[0-9]{8}$'
"""

_SUMMED = "select zone, closed_before, conversions_zone from rollup_days"


class AnalysisStore:
    """Reports, read on a pool of their own: one of them keeps no page waiting."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # Files leave room for pages.
        self._files = asyncio.Semaphore(max(pool.max_size // 2, 1))

    async def get(self, query: ReportQuery, catalog: Catalog) -> Report:
        """
        The totals of all rows, and no more of these than a page shows.

        Everything is of one moment. Raises TooLongError for one that takes too long.
        """
        async with self._snapshot(query) as connection:
            money, statement = await _prepared(connection, query, catalog)
            composed = statement.report(
                money, MOST_ROWS + 1
            )  # the totals are one of them
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(composed, statement.parameters.values)
            totals, *rows = await cursor.fetchall()
            reader = _Reader(query, money, await _clicks_from(connection, query))
        return Report(reader.head(totals), [reader.row(one) for one in rows])

    @asynccontextmanager
    async def stream(
        self, query: ReportQuery, catalog: Catalog
    ) -> AsyncIterator[tuple[ReportHead, Rows]]:
        """All rows, of which few are in memory at a time; raises TooLongError."""
        async with self._files, self._snapshot(query) as connection:
            money, statement = await _prepared(connection, query, catalog)
            composed = statement.report(money, None)
            reader = _Reader(query, money, await _clicks_from(connection, query))
            async with connection.cursor("report", row_factory=dict_row) as cursor:
                cursor.itersize = AT_ONCE
                await cursor.execute(composed, statement.parameters.values)
                totals = await cursor.fetchone()
                assert totals is not None  # noqa: S101 - there are always totals
                yield reader.head(totals), (reader.row(one) async for one in cursor)

    @asynccontextmanager
    async def _snapshot(self, query: ReportQuery) -> AsyncIterator[Connection]:
        async with connected(self._pool) as connection, connection.transaction():
            await connection.execute(_SNAPSHOT)
            if query.is_of_clicks:
                await connection.execute(_SEVERAL_HANDS)
            try:
                yield connection
            except errors.QueryCanceled as error:
                raise TooLongError("the report takes too long") from error


async def _prepared(
    connection: Connection, query: ReportQuery, catalog: Catalog
) -> tuple[Money, Statement]:
    cursor = await connection.execute(_SUMMED)
    ((zone, before, conversions_zone),) = await cursor.fetchall()
    summed = Summed(Closed(zone, before), Closed(conversions_zone))
    money = await _money(connection, query, catalog, summed)
    return money, Statement(query, catalog, summed)


async def _clicks_from(connection: Connection, query: ReportQuery) -> date | None:
    """The first day that retention has left, if the report asks for earlier ones."""
    if not query.is_of_clicks:
        return None
    cursor = await connection.execute(_CLICKS_FROM)
    (first,) = await cursor.fetchone() or (None,)
    asked = min(window.span[0] for window in windows_of(query)).date()
    return first if first and asked < first else None


async def _money(
    connection: Connection, query: ReportQuery, catalog: Catalog, summed: Summed
) -> Money:
    """That of all sums where there is only one; else the catalog's."""
    met = {offer.currency for offer in catalog.offers.values()}
    if len(met) > 1:
        parameters = Parameters()
        asked = Branches(query, catalog, summed, parameters).currencies()
        cursor = await connection.execute(asked, parameters.values)
        met = {row[0] for row in await cursor.fetchall()}
    currency = met.pop() if len(met) == 1 else catalog.currency
    return Money(currency, _rates(catalog, currency))


def _rates(catalog: Catalog, currency: str) -> dict[str, Decimal]:
    if not catalog.knows_currency(currency):
        return {currency: Decimal(1)}
    known = (catalog.currency, *catalog.rates)
    return {one: catalog.rate(one, currency) for one in known}


class _Reader:
    """Rows of Postgres as rows of a report: rounded, and their times named."""

    def __init__(
        self, query: ReportQuery, money: Money, clicks_from: date | None
    ) -> None:
        self._query = query
        self._money = money
        self._clicks_from = clicks_from
        self._labels = {
            one.name: [bucket.label for bucket in query.buckets(cast("Unit", one.name))]
            for one in query.dimensions
            if one.is_time
        }

    def head(self, totals: Mapping[str, Any]) -> ReportHead:
        return ReportHead(
            totals=self._values(totals, (), self._money.currency),
            count=totals["rows"],
            currency=self._money.currency,
            is_converted=bool(totals["is_converted"]),
            unrated=totals["unrated"] or "",
            clicks_from=self._clicks_from,
        )

    def row(self, row: Mapping[str, Any]) -> ReportRow:
        by = self._query.by
        keys = tuple(self._key(name, row[f"key{n}"]) for n, name in enumerate(by))
        own = keys[by.index("currency")] if "currency" in by else None
        return self._values(row, keys, own or self._money.currency)

    def _key(self, name: str, key: int | str | None) -> str | None:
        if isinstance(key, int):
            return self._labels[name][key - 1]
        return key

    def _values(
        self, row: Mapping[str, Any], keys: tuple[str | None, ...], currency: str
    ) -> ReportRow:
        columns = self._query.columns
        values = {name: _rounded(name, row[name], currency) for name in columns}
        earlier = {
            name: _rounded(name, row[before(name)], currency)
            for name in columns
            if self._query.compare
        }
        return ReportRow(keys, values, earlier, currency)


def _rounded(name: str, value: Any, currency: str) -> int | Decimal | None:
    """Money to what can be paid, a price and a share to four decimals; once."""
    kind = MEASURES[name].kind
    if value is None:
        return None
    if kind == "count":
        return int(value)
    if kind == "money":
        return to_minor_unit(value, currency)
    rounded: Decimal = value.quantize(_FINE, rounding=ROUND_HALF_UP)
    return rounded


_FINE = Decimal("0.0001")
