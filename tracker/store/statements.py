"""
A network's statement beside our conversions, compared by Postgres.

The lines go into temporary tables of one connection, which end with it: nothing of
the tracker's own is written or locked, and memory holds neither side.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any

import msgspec
from msgspec.structs import astuple
from psycopg import AsyncConnection, OperationalError
from psycopg.rows import class_row

from tracker.domain.errors import StoreUnavailableError
from tracker.domain.lines import Line
from tracker.store.migrations import read_report
from tracker.store.postgres import SESSION, Connection

AT_ONCE = 1000
"""Lines that are sent together."""

_SESSION: dict[str, Any] = {
    **SESSION,
    "prepare_threshold": None,
    # Whole tables are compared here, so they may be read as a whole, and for long.
    # Of a table of lines a small sample tells enough.
    "options": "-c timezone=UTC -c jit=off -c work_mem=96MB -c temp_buffers=64MB"
    " -c default_statistics_target=10"
    " -c lock_timeout=3s -c idle_in_transaction_session_timeout=10min",
}

_MAKE_LINES = """
create temporary table lines (
  number         integer not null,
  click_id       text collate "C",
  transaction_id text collate "C",
  goal           text collate "C",
  other_goal     text,
  status         text,
  amount         numeric,
  revenue        numeric,
  currency       text,
  at             timestamptz,
  fault          text not null,
  digest         bigint not null
)
"""

_SET_ZONE = "select set_config('timezone', %(zone)s, false)"
_COPY_LINES = "copy lines from stdin (format csv, null 'null')"

_JSON = msgspec.json.Encoder()

_LIST_DAYS = "select min(at), max(at) from lines"

# By a hash of 64 bits that a million lines share by chance once in thirty million
# statements.
_MAKE_REPEATED = """
create temporary table repeated as
select number, first
  from lines
  join (select digest, min(number) as first
          from lines
         where fault = ''
         group by digest
        having count(*) > 1) as several using (digest)
 where number > first
   and fault = ''
"""

_PAIR_REST = """
with paired as (
  insert into pairs {} returning number
)
delete from unpaired
 using paired
 where paired.number = unpaired.number
"""

_MAKE_FINDINGS = """
create temporary table findings (
  kind               text not null,
  number             integer,
  click_id           text collate "C",
  transaction_id     text collate "C",
  goal               text,
  at                 timestamptz,
  status             text,
  amount             numeric,
  revenue            numeric,
  currency           text,
  conversion_id      text collate "C",
  our_click_id       text,
  our_transaction_id text,
  our_goal           text,
  converted_at       timestamptz,
  our_status         text,
  our_amount         numeric,
  our_revenue        numeric,
  differences        text not null,
  fault              text not null
)
"""

_MAKE_UNPAIRED = """
create temporary table unpaired as
select *
  from lines
 where not exists (select from pairs where pairs.number = lines.number)
   and not exists (select from repeated where repeated.number = lines.number)
"""

_COUNT_FINDINGS = """
select kind, currency, count(*), sum(amount) as theirs, sum(our_amount) as ours
  from findings
 group by kind, currency
"""

_COUNT_PLAIN = """
select 'matched' as kind, currency, count(*), sum(amount) as theirs,
       sum(our_amount) as ours
  from pairs
 where is_plain
   and not exists (select from doubtful
                    where doubtful.conversion_id = pairs.conversion_id)
 group by currency
"""

_LIST_FINDINGS = """
select findings.*, explained.postback_id, explained.outcome, explained.reason,
       explained.conversion_id as answered_with
  from findings
  left join explained using (number)
 where kind not in ('void', 'outside')
 order by number nulls last, converted_at, findings.conversion_id
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """
    What is compared: an advertiser's conversions of a time, and how closely.

    `defaults` are the goals that are meant where none is named, `currency` is that of
    its offers where they have one in common.
    """

    advertiser: str
    goals: Sequence[str]
    defaults: Sequence[str]
    since: datetime
    until: datetime
    first_day: date
    tolerance: Decimal
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """How many findings of a kind there are, and what both sides add up to."""

    kind: str
    currency: str | None
    count: int
    theirs: Decimal | None
    ours: Decimal | None

    def __add__(self, other: "Total") -> "Total":
        """Both together, of one kind and currency."""
        return Total(
            self.kind,
            self.currency,
            self.count + other.count,
            _sum(self.theirs, other.theirs),
            _sum(self.ours, other.ours),
        )


@dataclass(frozen=True, slots=True)
class Found:
    """
    A line, a conversion, or both, that do not agree.

    `number` is that of the line. What begins with `our_` is the conversion's; its sums
    are in `currency` where they can be. Of a line that is missing here, `outcome` and
    `reason` are what was decided of the postback that spoke of it last.
    """

    kind: str
    number: int | None
    click_id: str | None
    transaction_id: str | None
    goal: str | None
    at: datetime | None
    status: str | None
    amount: Decimal | None
    revenue: Decimal | None
    currency: str | None
    conversion_id: str | None
    our_click_id: str | None
    our_transaction_id: str | None
    our_goal: str | None
    converted_at: datetime | None
    our_status: str | None
    our_amount: Decimal | None
    our_revenue: Decimal | None
    differences: str
    fault: str
    postback_id: str | None
    outcome: str | None
    reason: str | None
    answered_with: str | None


class Comparison:
    """One statement on one connection: take its lines, compare, list."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def take(self, lines: Iterable[Line], zone: str) -> int:
        """The lines as they come, their times in this zone; how many."""
        await self._connection.execute(_SET_ZONE, {"zone": zone})
        await self._connection.execute(_MAKE_LINES)
        remaining, taken = iter(lines), 0
        async with (
            self._connection.cursor() as cursor,
            cursor.copy(_COPY_LINES) as copy,
        ):
            while batch := list(islice(remaining, AT_ONCE)):
                taken += len(batch)
                await copy.write(b"".join(map(_as_csv, batch)))
        await self._connection.execute(_SET_ZONE, {"zone": "UTC"})
        await self._connection.execute("analyze lines")
        return taken

    async def get_times(self) -> tuple[datetime | None, datetime | None]:
        """Of the first line and of the last one, None where none has a time."""
        cursor = await self._connection.execute(_LIST_DAYS)
        first, last = (await cursor.fetchall())[0]
        return first, last

    async def compare(self, scope: Scope) -> list[Total]:
        """What agrees and what does not, added up."""
        given = {name: getattr(scope, name) for name in scope.__slots__}
        execute = self._connection.execute
        await execute(_MAKE_REPEATED)
        await execute("analyze repeated")
        await self._pair(given)
        await execute(_MAKE_FINDINGS)
        compared = await self._totals(_COUNT_PLAIN, given)
        compared += await self._totals(_report("compare_lines"), given)
        await execute(_report("find_missing"), given)
        await execute("analyze findings")
        explained = f"create temporary table explained as {_report('explain_missing')}"
        await execute(explained, given)
        return compared + await self._totals(_COUNT_FINDINGS, given)

    async def list_found(self) -> AsyncIterator[Found]:
        """What does not agree, in the order of the lines, and then the conversions."""
        async with (
            self._connection.transaction(),
            self._connection.cursor("found", row_factory=class_row(Found)) as cursor,
        ):
            cursor.itersize = AT_ONCE
            await cursor.execute(_LIST_FINDINGS)
            async for found in cursor:
                yield found

    async def _pair(self, given: dict[str, Any]) -> None:
        """Which conversion each line is about; who has found one keeps it."""
        execute = self._connection.execute
        by_transaction = _report("pair_by_transaction")
        await execute(f"create temporary table pairs as {by_transaction}", given)
        await execute("analyze pairs")
        await execute(_MAKE_UNPAIRED)
        await execute("analyze unpaired")
        for name in ("pair_by_key", "pair_by_click"):
            await execute(_PAIR_REST.format(_report(name)), given)
        await execute("analyze pairs")
        doubtful = _report("list_doubtful")
        await execute(f"create temporary table doubtful as {doubtful}", given)
        await execute("analyze doubtful")

    async def _totals(self, query: str, given: dict[str, Any]) -> list[Total]:
        cursor = self._connection.cursor(row_factory=class_row(Total))
        await cursor.execute(query, given)
        return await cursor.fetchall()


@asynccontextmanager
async def open_comparison(conninfo: str) -> AsyncIterator[Comparison]:
    """A connection of its own; raises StoreUnavailableError while Postgres is away."""
    try:
        async with await AsyncConnection.connect(conninfo, **_SESSION) as connection:
            yield Comparison(connection)
    except OperationalError as error:
        reason = " ".join(str(error).split())
        raise StoreUnavailableError(f"Postgres does not answer: {reason}") from error


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return other if one is None else one if other is None else one + other


def _as_csv(line: Line) -> bytes:
    """
    JSON between its brackets is CSV, unless something in it had to be escaped.

    It is written at less than half of what the module csv takes.
    """
    row = _JSON.encode(astuple(line))[1:-1]
    return (_escaped(line) if b"\\" in row else row) + b"\n"


def _escaped(line: Line) -> bytes:
    return ",".join(map(_cell, astuple(line))).encode()


def _cell(value: object) -> str:
    if value is None:
        return "null"
    text = str(value).replace('"', '""')
    # What Postgres cannot keep as text.
    return '"{}"'.format(text.replace("\0", "\ufffd"))


_report = cache(read_report)
