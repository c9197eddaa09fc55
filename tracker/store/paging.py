"""
Pages of a log, the newest rows first, however long it is.

A page begins behind an id and not at a number: ids sort by time, so the last page
costs what the first one does. What an index serves is found wherever it is; for
anything else so many rows are looked through, and the page says how far that was.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from psycopg.rows import dict_row

from tracker.domain import base32
from tracker.domain.identity import EPOCH, milliseconds, moment
from tracker.store.postgres import Connection, Pool, transaction

PAGE_SIZE = 50
LOOKED_THROUGH = 20_000
"""Rows that are read for one page, where no index says which."""

_TIME, _TIME_BYTES = 8, 5
"""Characters at the beginning of an id, behind its prefix, that are its time."""

_CURSOR = re.compile(r"[0-9a-z_]{8,40}", re.ASCII)
_DELIVERY_CURSOR = re.compile(r"[0-9]{1,17}\.[0-9a-z_]{1,40}\.[0-9]{1,6}", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)

Row = TypeVar("Row")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a page is: the first one, or behind a cursor, older or newer than it.

    A cursor is what `Page` gave; ValueError comes of any other text.
    """

    older_than: str = ""
    newer_than: str = ""
    size: int = PAGE_SIZE

    @property
    def cursor(self) -> str:
        """Either of them."""
        return self.older_than or self.newer_than


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """
    Rows, the newest first, and the cursors of the pages beside it; "" for none.

    `looked_to` is set where there may be more of them, older (or newer) than that: so
    far was looked, and `older` (or `newer`) goes on from there.
    """

    rows: Sequence[Row] = ()
    older: str = ""
    newer: str = ""
    looked_to: datetime | None = None

    def of(self, rows: Sequence[Other]) -> "Page[Other]":
        """The same page with its rows read."""
        return Page(rows, self.older, self.newer, self.looked_to)


class ById:
    """Ids that sort by time: one of them is a cursor."""

    columns = ("id",)

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def first_at(self, at: datetime) -> str:
        """No id of that time or later sorts before it."""
        return self._prefix + base32.encode(milliseconds(at).to_bytes(_TIME_BYTES))

    @staticmethod
    def spell(row: Mapping[str, Any]) -> str:
        """The cursor of a row."""
        return str(row["id"])

    def read(self, cursor: str) -> tuple[Any, ...]:
        """The values of its columns; ValueError for no cursor of this log."""
        if not (_CURSOR.fullmatch(cursor) and cursor.startswith(self._prefix)):
            raise ValueError(f"{cursor!r} is no place in this log")
        self.moment(cursor)
        return (cursor,)

    def moment(self, cursor: str) -> datetime:
        """When that was."""
        text = cursor.removeprefix(self._prefix)[:_TIME]
        return moment(int.from_bytes(base32.decode(text)))


class ByCreation:
    """Deliveries, whose ids say nothing of time; rounds of one are told apart."""

    columns = ("created_at", "id", "round")

    @staticmethod
    def first_at(at: datetime) -> datetime:
        """As it is."""
        return at

    @staticmethod
    def spell(row: Mapping[str, Any]) -> str:
        """The cursor of a row."""
        microseconds = (row["created_at"] - EPOCH) // _MICROSECOND
        return f"{microseconds}.{row['id']}.{row['round']}"

    def read(self, cursor: str) -> tuple[Any, ...]:
        """The values of its columns; ValueError for no cursor of this log."""
        if not _DELIVERY_CURSOR.fullmatch(cursor):
            raise ValueError(f"{cursor!r} is no place in this log")
        _, delivery, number = cursor.split(".")
        return (self.moment(cursor), delivery, int(number))

    @staticmethod
    def moment(cursor: str) -> datetime:
        """When that was."""
        return EPOCH + int(cursor.partition(".")[0]) * _MICROSECOND


@dataclass(frozen=True, slots=True)
class Source:
    """
    A table of a log: its columns, and the condition that each filter is in it.

    `served` are the filters that an index finds. `day` says what an id tells of the
    day of its row: `is` that it is the same, `from` that it is no earlier; "" where
    the table is kept in one piece.
    """

    columns: str
    table: str
    conditions: Mapping[str, str]
    served: frozenset[str] = frozenset()
    day: str = ""
    always: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """What a log is made of, and how it is ordered; `at_most` rows are read in vain."""

    sources: Sequence[Source]
    key: ById | ByCreation
    at_most: int = LOOKED_THROUGH


@dataclass(frozen=True, slots=True)
class Search:
    """One page's statement: conditions of the filters, of the times, of the cursor."""

    log: Log
    filters: Mapping[str, Any]
    place: Place
    since: datetime | None = None
    until: datetime | None = None
    edge: str = ""

    @property
    def is_in_the_dark(self) -> bool:
        """Whether a filter is one that no index finds."""
        return not all(
            self.filters.keys() <= source.served for source in self.log.sources
        )

    def statement(self) -> str:
        """The rows of the page and one more; newer ones the oldest first."""
        return self._merged(
            [self._rows(source, source.columns) for source in self.log.sources]
        )

    def edge_statement(self) -> str:
        """The nearest of the rows at which the search of a table has read enough."""
        columns = ", ".join(self.log.key.columns)
        return self._merged(
            [
                self._rows(source, columns, only=source.served, skipped="%(at_most)s")
                for source in self.log.sources
            ]
        )

    def parameters(self) -> dict[str, Any]:
        """The values of all of its conditions."""
        key = self.log.key
        given: dict[str, Any] = dict(self.filters)
        given |= {"limit": self.place.size + 1, "at_most": self.log.at_most}
        for name, at in (("since", self.since), ("until", self.until)):
            if at is not None:
                given |= {name: key.first_at(at), f"{name}_day": at.date()}
        for name, cursor in (("cursor", self.place.cursor), ("edge", self.edge)):
            if cursor:
                values = zip(key.columns, key.read(cursor), strict=True)
                given |= {f"{name}_{column}": value for column, value in values}
                given[f"{name}_day"] = key.moment(cursor).date()
        return given

    def _rows(
        self,
        source: Source,
        columns: str,
        *,
        only: frozenset[str] | None = None,
        skipped: str = "",
    ) -> str:
        filters = self.filters.keys() if only is None else self.filters.keys() & only
        conditions = [
            *source.always,
            *(source.conditions[name] for name in sorted(filters)),
            *self._bounds(source),
        ]
        limit = f"offset {skipped} limit 1" if skipped else "limit %(limit)s"
        return "\n".join(
            [
                f"(select {columns}",
                f"from {source.table}",
                f"where {' and '.join(conditions)}" if conditions else "",
                f"order by {self._order(source)}",
                f"{limit})",
            ]
        )

    def _merged(self, selects: Sequence[str]) -> str:
        if len(selects) == 1:
            return selects[0]
        order = ", ".join(f"{one}{self._direction}" for one in self.log.key.columns)
        return "\nunion all\n".join(selects) + f"\norder by {order} limit %(limit)s"

    @property
    def _direction(self) -> str:
        return "" if self.place.newer_than else " desc"

    def _order(self, source: Source) -> str:
        days = ("day",) if source.day == "is" else ()
        columns = (*days, *self.log.key.columns)
        return ", ".join(f"{one}{self._direction}" for one in columns)

    def _bounds(self, source: Source) -> Iterator[str]:
        """Of times and cursors, and of the days that follow from them."""
        first = self.log.key.columns[0]
        if self.since is not None:
            yield f"{first} >= %(since)s"
            yield from _day(source, ">=", "since")
        if self.until is not None:
            yield f"{first} < %(until)s"
            yield from _day(source, "<=", "until")
        ahead, behind = (">", "<") if self.place.newer_than else ("<", ">")
        if self.place.cursor:
            yield self._compared("cursor", ahead)
            yield from _day(source, f"{ahead}=", "cursor")
        if self.edge:
            yield self._compared("edge", f"{behind}=")
            yield from _day(source, f"{behind}=", "edge")

    def _compared(self, name: str, sign: str) -> str:
        columns = self.log.key.columns
        values = ", ".join(f"%({name}_{column})s" for column in columns)
        return f"({', '.join(columns)}) {sign} ({values})"


def _day(source: Source, sign: str, name: str) -> Iterator[str]:
    """What an id tells of the day of its row; one that is finished may be so later."""
    if source.day == "is" or (source.day == "from" and sign == ">="):
        yield f"day {sign} %({name}_day)s"


async def fetch_page(pool: Pool, search: Search) -> Page[Mapping[str, Any]]:
    """That page, in one transaction; ValueError for a cursor of another log."""
    async with transaction(pool) as connection:
        edge = await _edge(connection, search)
        if edge:
            search = replace(search, edge=edge)
        rows = await fetch(connection, search.statement(), search.parameters())
    return _page(search, rows)


async def _edge(connection: Connection, search: Search) -> str:
    """The cursor of the last row that is looked at; "" where all are."""
    if not search.is_in_the_dark:
        return ""
    rows = await fetch(connection, search.edge_statement(), search.parameters())
    return search.log.key.spell(rows[0]) if rows else ""


async def fetch(
    connection: Connection, query: str, parameters: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Planned for these values: a partner of few clicks is not one of millions."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(query, parameters, prepare=False)
    return [*await cursor.fetchall()]


def _page(search: Search, rows: Sequence[Mapping[str, Any]]) -> Page[Any]:
    """Rows as they came, one more than fit if there are more."""
    place, key = search.place, search.log.key
    has_more = len(rows) > place.size
    shown = rows[: place.size]
    beyond = key.spell(shown[-1]) if has_more else search.edge
    looked_to = key.moment(search.edge) if search.edge and not has_more else None
    if place.newer_than:
        older = key.spell(shown[0]) if shown else place.newer_than
        return Page(shown[::-1], older, beyond, looked_to)
    newer = (key.spell(shown[0]) if shown else place.cursor) if place.cursor else ""
    return Page(shown, beyond, newer, looked_to)
