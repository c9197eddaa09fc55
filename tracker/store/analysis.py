"""
Reports: sums over clicks and conversions, by any dimensions.

A statement is put together of the pieces below and of nothing else: what a person asked
for chooses among them, and travels as a parameter. Each *branch* sums one table for one
window; all of them together are the *facts*, and these are summed once more, for each
row and for the totals at the same time.

    click_rollup_pairs       whole days that are over, where two dimensions are enough
    click_rollup_days        whole days that are over
    click_rollups            all that is not a whole day of the rollups' own zone
    clicks                   where only they know: labels, system, browser
    conversion_rollup_pairs  whole days, where two dimensions are enough
    conversion_rollups       other conversions, and clicks they prove to be people's
    conversions              likewise, joined to their clicks
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Container,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeAlias, cast

from psycopg import errors, sql
from psycopg.rows import dict_row

from tracker.domain.calendar import Days, Span, Unit, edges, whole_days
from tracker.domain.catalog import Catalog
from tracker.domain.errors import TooLongError
from tracker.domain.money import to_minor_unit
from tracker.domain.report import (
    DIMENSIONS,
    MEASURES,
    MOST_ROWS,
    SUBS,
    Report,
    ReportHead,
    ReportQuery,
    ReportRow,
)
from tracker.store.postgres import Connection, Pool, connected

SQL = sql.SQL
Piece = sql.Composable
Pieces = Mapping[str, Piece]

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

_TIMES = ("hour", "day", "week", "month")
_PAIRED = frozenset({"partner", "offer", "country", "device"})
_PAIRS = (
    ("country", "device"),
    ("offer", "device"),
    ("partner", "device"),
    ("offer", "country"),
    ("partner", "country"),
    ("partner", "offer"),
)
"""The smallest first: any that has what is asked will do."""


# ------------------------------------------------------------------------- the pieces
# What each dimension is in a table. An advertiser is one by its offers; a time is the
# number of its bucket.

_BUCKET_OF_MOMENT = SQL("width_bucket({moment}, {starts}::timestamptz[])")
_BUCKET_OF_DAY = SQL("width_bucket(day, {starts}::date[])")

_NUMBERED: Pieces = {
    "partner": SQL("partner_number"),
    "offer": SQL("offer_number"),
    "advertiser": SQL("offer_number"),
    "country": SQL("country"),
    "device": SQL("device"),
    "traffic": SQL("traffic"),
}
_OF_CONVERSIONS: Pieces = {name: SQL(name) for name in ("goal", "status", "currency")}
_OF_CLICKS: Pieces = {name: sql.Identifier(name) for name in ("os", "browser", *SUBS)}
_COLUMNS: Pieces = {**_NUMBERED, **_OF_CONVERSIONS, **_OF_CLICKS}
_COLUMNS_OF_CLICKS: Pieces = {
    **_COLUMNS,
    **dict.fromkeys(_OF_CONVERSIONS, SQL("null::text")),
}
_TRUE = SQL("true")

_ROLLUPS = SQL("click_rollups")
_ROLLUP_DAYS = SQL("click_rollup_days")
_ROLLUP_PAIRS = SQL("click_rollup_pairs")
_CONVERSION_PAIRS = SQL("conversion_rollup_pairs")

_PAIRS_BY_TRAFFIC = SQL("""
(select  pair, day, partner_number, offer_number, country, device, told.*
 from    click_rollup_pairs,
         lateral (values ('visit', visit, uniques), ('bot', bot, 0),
                         ('datacenter', datacenter, 0), ('head', head, 0),
                         ('prefetch', prefetch, 0), ('refused', refused, 0),
                         ('repeated', repeated, 0)) as told (traffic, clicks, uniques)
) as pairs""")

# Of a click that was folded before its traffic was told, the class tells it.
_CLICKS = SQL("""
(select  day, clicked_at, partner_number, offer_number, 1 as clicks,
         (is_unique is true)::int as uniques,
         coalesce(traffic, case class when 0 then 'visit' when 1 then 'head'
                                      when 2 then 'prefetch' when 3 then 'refused'
                                      when 5 then 'repeated' end) as traffic,
         {asked}
 from    clicks
 where   class <> 4) as clicks""")

# What a conversion is counted by is kept with it; its labels are with its click, or
# where they are kept when the day of that is dropped.
_CONVERSIONS = SQL("""
(select  conversions.click_id, conversions.clicked_at, conversions.converted_at,
         coalesce(partners.number, 0) as partner_number,
         coalesce(offers.number, 0) as offer_number,
         goal, status, currency, kept.traffic, 1 as conversions,
         coalesce(amount, 0) as amount, revenue, payout, {asked}
 from    conversions
 join    conversion_clicks kept on kept.conversion_id = conversions.id
 left join catalog_numbers partners
         on partners.kind = 'partner' and partners.key = conversions.partner
 left join catalog_numbers offers
         on offers.kind = 'offer' and offers.key = conversions.offer
 {labels}
 where   click_class <> 4) as conversions""")

_LABELS = SQL("""
 left join clicks on clicks.day = (conversions.clicked_at at time zone 'UTC')::date
                 and clicks.id = conversions.click_id
 left join click_labels on click_labels.id = conversions.click_id""")

_KEPT = {name: SQL("kept.{0}") for name in ("country", "device", "os", "browser")}
_LABEL = SQL("coalesce(clicks.{0}, click_labels.labels ->> {1}, '') as {0}")
_OF_CLICK = SQL("coalesce({0}, '') as {0}")

_DAYS = SQL("day between {first} and {last}")
_OF_PAIR = SQL("pair = {pair} and {days}")
_MOMENTS = SQL("{moment} >= {start} and {moment} < {end}")
_AMONG = SQL(" and {column} = any({values})")

# ----------------------------------------------------------------------- the branches
# What each adds to the sums; to those that it does not name it adds nothing.

_COUNTS = (
    "clicks", "uniques", "bots", "refused", "other", "pending", "approved", "rejected",
)  # fmt: skip
_SUMS = ("amount", "revenue", "payout", "approved_revenue", "approved_payout")

_COUNTED: Pieces = {
    "clicks": SQL("sum(clicks) filter (where traffic = 'visit')"),
    "uniques": SQL("sum(uniques)"),
    "bots": SQL("sum(clicks) filter (where traffic in ('bot', 'datacenter'))"),
    "refused": SQL("sum(clicks) filter (where traffic = 'refused')"),
    "other": SQL(
        "sum(clicks) filter (where traffic in ('head', 'prefetch', 'repeated'))"
    ),
}
_COUNTED_OF_PAIRS: Pieces = {
    "clicks": SQL("sum(visit)"),
    "uniques": SQL("sum(uniques)"),
    "bots": SQL("sum(bot + datacenter)"),
    "refused": SQL("sum(refused)"),
    "other": SQL("sum(head + prefetch + repeated)"),
}

# A click that a conversion proves to be a person's is no bot's any more. It counts when
# it was made, whatever the conversions are counted by.
_PROVED: Pieces = {
    "clicks": SQL("sum(proven)"),
    "bots": SQL("-sum(proven) filter (where traffic in ('bot', 'datacenter'))"),
    "refused": SQL("-sum(proven) filter (where traffic = 'refused')"),
    "other": SQL(
        "-sum(proven) filter (where traffic in ('head', 'prefetch', 'repeated'))"
    ),
}
_PROVED_OF_CLICKS: Pieces = {
    "clicks": SQL("count(distinct click_id)"),
    "bots": SQL(
        "-count(distinct click_id) filter (where traffic in ('bot', 'datacenter'))"
    ),
    "refused": SQL("-count(distinct click_id) filter (where traffic = 'refused')"),
    "other": SQL(
        "-count(distinct click_id)"
        " filter (where traffic in ('head', 'prefetch', 'repeated'))"
    ),
}
_IS_PROOF = SQL(" and proven <> 0 and basis = 'click'")
# One that was dropped is among no bots, and is not taken from them.
_IS_PROOF_OF_CLICK = SQL("""
     and status <> 'rejected' and traffic <> 'visit'
     and exists (select from clicks
                  where clicks.day = (conversions.clicked_at at time zone 'UTC')::date
                    and clicks.id = conversions.click_id)""")

_CONVERTED: Pieces = {
    "pending": SQL("sum(conversions) filter (where status = 'pending')"),
    "approved": SQL("sum(conversions) filter (where status = 'approved')"),
    "rejected": SQL("sum(conversions) filter (where status = 'rejected')"),
    "amount": SQL("sum(amount) filter (where status <> 'rejected')"),
    "revenue": SQL("sum(revenue) filter (where status <> 'rejected')"),
    "payout": SQL("sum(payout) filter (where status <> 'rejected')"),
    "approved_revenue": SQL("sum(revenue) filter (where status = 'approved')"),
    "approved_payout": SQL("sum(payout) filter (where status = 'approved')"),
}

_CONVERTED_OF_PAIRS: Pieces = {
    name: SQL("sum({})").format(sql.Identifier(name)) for name in _CONVERTED
}

_BRANCH = SQL("""
select   {keys}{is_earlier} as is_earlier, {money} as money, {added}
from     {source}
where    {window}{filters}
group by {positions}""")

# ---------------------------------------------------------------------- the statement

_REPORT = SQL("""
with facts as ({branches}),
sums as (
  select    {raw}{is_total} as is_total, {sums},
            coalesce(max(rate), 1) as worth,
            bool_or(money <> {currency}) as is_converted,
            max(money) filter (where rate is null) as unrated
  from      facts
  left join unnest({currencies}::text[], {rates}::numeric[]) as rates (code, rate)
         on code = money
  group by  grouping sets ({sets}())
  having    {is_total} or {something}
)
select   {names}is_total, is_converted, unrated, count(*) over () - 1 as rows, {columns}
from     sums {joins}
{counterparts}
order by is_total desc, {order}
limit    {limit}""")

_MET = SQL("select currency from {source} where {window}{filters}")

_NAMED = SQL("""
  left join catalog_numbers as {alias}
         on {alias}.kind = {kind} and {alias}.number = {raw}""")
_NAME = SQL("coalesce({alias}.key, '#' || {raw})")

_DERIVED: Mapping[str, sql.SQL] = {
    "unique": SQL("{uniques}"),
    "conversions": SQL("({pending} + {approved})"),
    "profit": SQL("({revenue} - {payout})"),
    "margin": SQL("({revenue} - {payout}) / nullif({revenue}, 0)"),
    "cr": SQL("({pending} + {approved}) / nullif({clicks}, 0)"),
    "epc": SQL("{payout} / nullif({clicks}, 0)"),
    "rpc": SQL("{revenue} / nullif({clicks}, 0)"),
}
"""Of sums: the same for a row, for the totals, and for the days of a comparison."""

_MADE_OF = {
    "unique": ("uniques",),
    "conversions": ("pending", "approved"),
    "profit": ("revenue", "payout"),
    "margin": ("revenue", "payout"),
    "cr": ("pending", "approved", "clicks"),
    "epc": ("payout", "clicks"),
    "rpc": ("revenue", "clicks"),
}


# ------------------------------------------------------------------ putting it together


@dataclass(frozen=True, slots=True)
class Closed:
    """The days that are summed as such: those of a zone, before one of them."""

    zone: str
    before: date = date.max


@dataclass(frozen=True, slots=True)
class Summed:
    """Which days of clicks are, and which of conversions."""

    clicks: Closed
    conversions: Closed


@dataclass(frozen=True, slots=True)
class Money:
    """In what sums are said, and what one unit of each currency is worth in it."""

    currency: str
    rates: Mapping[str, Decimal]


class _Parameters:
    """What a statement is sent with; each value gets a name of its own."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def add(self, value: object) -> Piece:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return sql.Placeholder(name)


@dataclass(frozen=True, slots=True)
class _Window:
    """One of the two spans that a report looks at, and where its buckets begin."""

    span: Span
    starts: Mapping[str, Sequence[datetime]]
    days: Mapping[str, Sequence[date]]
    is_earlier: bool = False


class _Statement:
    """
    The statement of a report, built of the pieces above.

    It is made for one query under one catalog; `summed` says how far days are summed.
    """

    def __init__(self, query: ReportQuery, catalog: Catalog, summed: Summed) -> None:
        self.parameters = _Parameters()
        self._add = self.parameters.add
        self._query = query
        self._catalog = catalog
        self._summed = summed
        self._windows = _windows(query)
        self._needed = _needed(query)
        self._advertisers = sorted(catalog.advertisers)
        self._keys = [sql.Identifier(f"key{n}") for n in range(len(query.by))]
        self._raw = [sql.Identifier(f"raw{n}") for n in range(len(query.by))]

    def report(self, money: Money, limit: int | None) -> sql.Composed:
        """Totals and rows; the totals come first, and are of all rows."""
        sets = SQL("({}), ").format(_listed(self._raw)) if self._raw else SQL("")
        return _REPORT.format(
            branches=SQL(" union all ").join(self._branches()),
            raw=_each(self._raw),
            is_total=self._is_total,
            sums=_listed(self._sums()),
            currency=self._add(money.currency),
            currencies=self._add(list(money.rates)),
            rates=self._add(list(money.rates.values())),
            sets=sets,
            something=self._something(),
            names=_each(self._names()),
            columns=_listed(self._columns()),
            joins=SQL("").join(self._joins()),
            counterparts=self._counterparts(),
            order=self._order(),
            limit=self._add(limit),
        )

    def met(self) -> sql.Composed:
        """The currencies of what the report is about."""
        sources = [
            _MET.format(
                source=source, window=where, filters=self._filters(self._basis())
            )
            for window in self._windows
            for source, where, _ in self._conversions_of(window)
        ]
        return SQL(" union ").join(sources)

    # Rows and totals

    @property
    def _is_total(self) -> Piece:
        return SQL("(grouping({}) = 1)").format(*self._raw[:1]) if self._raw else _TRUE

    def _names(self) -> Iterable[Piece]:
        for key, named in zip(self._keys, self._named(), strict=True):
            yield SQL("{} as {}").format(named, key)

    def _named(self) -> Iterable[Piece]:
        for name, raw in zip(self._query.by, self._raw, strict=True):
            if name == "advertiser":
                yield SQL("({}::text[])[{}]").format(self._add(self._advertisers), raw)
            elif name in _NUMBERED_KEYS:
                yield _NAME.format(alias=sql.Identifier(f"of_{name}"), raw=raw)
            else:
                yield raw

    def _joins(self) -> Iterable[Piece]:
        for name, raw in zip(self._query.by, self._raw, strict=True):
            if name in _NUMBERED_KEYS:
                alias, kind = sql.Identifier(f"of_{name}"), sql.Literal(name)
                yield _NAMED.format(alias=alias, kind=kind, raw=raw)

    def _something(self) -> Piece:
        """What came to nothing, because it was undone, is no row."""
        summed = [
            SQL("bool_or({} <> 0)").format(sql.Identifier(name))
            for name in self._needed
        ]
        return SQL("({})").format(SQL(" or ").join(summed))

    def _sums(self) -> Iterable[Piece]:
        for window in self._windows:
            which = self._which(window)
            for name in self._needed:
                summed = self._sum(name).format(
                    sql.Identifier(name), is_total=self._is_total, which=which
                )
                known = _before(name) if window.is_earlier else name
                yield SQL("{} as {}").format(summed, sql.Identifier(known))

    def _which(self, window: _Window) -> Piece:
        if not self._query.compare:
            return SQL("")
        earlier = sql.Literal(window.is_earlier)
        return SQL(" filter (where is_earlier = {})").format(earlier)

    def _sum(self, name: str) -> sql.SQL:
        """Of one currency a sum is exact; of several it is what these are worth."""
        if name in _COUNTS:
            return SQL("coalesce(sum({0}){which}, 0)")
        if "currency" not in self._query.by:
            return SQL("coalesce(sum({0} * rate){which}, 0)")
        return SQL(
            "coalesce(case when {is_total} then sum({0} * rate){which}"
            " else sum({0}){which} end, 0)"
        )

    def _columns(self) -> Iterable[Piece]:
        for name in self._query.columns:
            yield SQL("{} as {}").format(_measure(name), sql.Identifier(name))
            if self._query.compare:
                earlier = sql.Identifier(_before(name))
                yield SQL("{} as {}").format(_measure(name, _before), earlier)

    def _counterparts(self) -> Piece:
        """Days that the earlier month had more are in its totals, and in no row."""
        times = [
            SQL("{} < {}").format(raw, self._add(len(self._windows[0].starts[name])))
            for name, raw in zip(self._query.by, self._raw, strict=True)
            if self._query.compare and DIMENSIONS[name].is_time
        ]
        if not times:
            return SQL("")
        return SQL("where is_total or ({})").format(SQL(" and ").join(times))

    def _order(self) -> Piece:
        """What is equal stands in the order of its keys."""
        name = self._query.sort.removeprefix("-")
        direction = SQL("desc") if self._query.sort.startswith("-") else SQL("asc")
        ordered = SQL("{} {} nulls last").format(self._ordered(name), direction)
        return _listed([ordered, *self._named()])

    def _ordered(self, name: str) -> Piece:
        if name in self._query.by:
            return list(self._named())[self._query.by.index(name)]
        if "currency" in self._query.by and MEASURES[name].is_money:
            return SQL("({}) * worth").format(_measure(name))
        return _measure(name)

    # Branches

    def _branches(self) -> Iterable[Piece]:
        for window in self._windows:
            yield from self._of_clicks(window)
            yield self._of_proofs(window)
            yield from self._of_conversions(window)

    def _of_clicks(self, window: _Window) -> Iterable[Piece]:
        if self._query.is_of_clicks:
            first, last = (moment.date() for moment in window.span)
            days = _DAYS.format(first=self._add(first), last=self._add(last))
            moments = self._moments(SQL("clicked_at"), window.span)
            where = SQL("{} and {}").format(days, moments)
            yield self._counted(window, self._clicks(), where, SQL("clicked_at"))
            return
        days_of = self._whole_days(window, self._summed.clicks)
        if days_of:
            yield self._of_days(window, days_of)
        for span in edges(window.span, days_of):
            where = self._moments(SQL("starts_at"), span)
            yield self._counted(window, _ROLLUPS, where, SQL("starts_at"))

    def _whole_days(self, window: _Window, closed: Closed) -> Days | None:
        """Those that rows may take from what is summed by day."""
        query = self._query
        if "hour" in query.by or query.hour:
            return None
        if query.days.zone != closed.zone and window.starts:
            return None
        return whole_days(window.span, closed.zone, closed.before)

    def _of_days(self, window: _Window, days: Days) -> Piece:
        pair = _pair_of(self._query.asked)
        if pair is None:
            where = self._days(days)
            return self._counted(window, _ROLLUP_DAYS, where, None)
        where = self._days_of_pair(pair, days)
        if "traffic" in self._query.asked:
            return self._counted(window, _PAIRS_BY_TRAFFIC, where, None)
        return self._counted(window, _ROLLUP_PAIRS, where, None, _COUNTED_OF_PAIRS)

    def _counted(
        self,
        window: _Window,
        source: Piece,
        where: Piece,
        moment: Piece | None,
        counted: Pieces = _COUNTED,
    ) -> Piece:
        return self._branch(
            window,
            added=counted,
            keys=self._selected(window, moment, _COLUMNS_OF_CLICKS),
            money=SQL("null::text"),
            source=source,
            where=where,
            filters=self._filters_of_clicks(),
        )

    def _of_proofs(self, window: _Window) -> Piece:
        is_raw = self._query.is_of_clicks
        moment = SQL("clicked_at") if is_raw else SQL("starts_at")
        also = _IS_PROOF_OF_CLICK if is_raw else _IS_PROOF
        return self._branch(
            window,
            added=_PROVED_OF_CLICKS if is_raw else _PROVED,
            keys=self._selected(window, moment, _COLUMNS_OF_CLICKS),
            money=SQL("null::text"),
            source=self._conversions(),
            where=SQL("{}{}").format(self._moments(moment, window.span), also),
            filters=self._filters_of_clicks(),
        )

    def _of_conversions(self, window: _Window) -> Iterable[Piece]:
        for source, where, moment in self._conversions_of(window):
            yield self._branch(
                window,
                added=_CONVERTED if moment else _CONVERTED_OF_PAIRS,
                keys=self._selected(window, moment, _COLUMNS),
                money=SQL("currency"),
                source=source,
                where=where,
                filters=self._filters(self._basis()),
            )

    def _conversions_of(
        self, window: _Window
    ) -> Iterable[tuple[Piece, Piece, Piece | None]]:
        """Tables, what of each is in the window, and its time; days have no other."""
        pair = self._pair_of_conversions()
        days_of = self._whole_days(window, self._summed.conversions) if pair else None
        if pair and days_of:
            yield _CONVERSION_PAIRS, self._days_of_pair(pair, days_of), None
        moment = self._moment_of_conversion()
        for span in edges(window.span, days_of):
            yield self._conversions(), self._moments(moment, span), moment

    def _pair_of_conversions(self) -> str | None:
        """A pair has the statuses of conversions side by side."""
        if self._query.is_of_clicks or "status" in self._query.asked:
            return None
        return _pair_of(self._query.asked)

    def _branch(
        self, window: _Window, *, added: Pieces, where: Piece, **pieces: Piece
    ) -> Piece:
        """Summed by its keys and its money, which stands behind them and the window."""
        positions = [*range(1, len(self._raw) + 1), len(self._raw) + 2]
        return _BRANCH.format(
            is_earlier=sql.Literal(window.is_earlier),
            added=self._added(added),
            window=where,
            positions=_listed(map(sql.Literal, positions)),
            **pieces,
        )

    def _added(self, sums: Pieces) -> Piece:
        return _listed(
            SQL("{} as {}").format(sums.get(name, SQL("0")), sql.Identifier(name))
            for name in self._needed
        )

    def _moment_of_conversion(self) -> Piece:
        if not self._query.is_of_clicks:
            return SQL("starts_at")
        is_click = self._query.basis == "click"
        return SQL("clicked_at") if is_click else SQL("converted_at")

    def _basis(self) -> Piece:
        """A rollup has each conversion twice, once for each time it is counted at."""
        if self._query.is_of_clicks:
            return SQL("")
        return SQL(" and basis = {}").format(sql.Literal(self._query.basis))

    # Sources

    def _clicks(self) -> Piece:
        asked = [
            _OF_CLICK.format(sql.Identifier(name)) for name in self._of_one_click()
        ]
        return _CLICKS.format(asked=_listed(asked))

    def _conversions(self) -> Piece:
        if not self._query.is_of_clicks:
            return SQL("conversion_rollups")
        asked = self._of_one_click()
        columns = [
            _LABEL.format(sql.Identifier(name), sql.Literal(name))
            if name in SUBS
            else SQL("kept.{}").format(sql.Identifier(name))
            for name in asked
        ]
        labels = _LABELS if any(name in SUBS for name in asked) else SQL("")
        return _CONVERSIONS.format(asked=_listed(columns), labels=labels)

    def _of_one_click(self) -> list[str]:
        """What is asked of each click, beside what every source has."""
        kept = ("country", "device", *_OF_CLICKS)
        return [name for name in kept if name in self._query.asked]

    # Parts of a branch

    def _selected(
        self, window: _Window, moment: Piece | None, columns: Pieces
    ) -> Piece:
        """The keys of a branch by their names; without a moment it is of days."""
        found = [self._key(window, moment, columns, name) for name in self._query.by]
        named = zip(found, self._raw, strict=True)
        return _each(SQL("{} as {}").format(key, raw) for key, raw in named)

    def _key(
        self, window: _Window, moment: Piece | None, columns: Pieces, name: str
    ) -> Piece:
        if DIMENSIONS[name].is_time:
            return self._bucket(window, name, moment)
        if name == "advertiser":
            return SQL("({}::int[])[offer_number]").format(self._add(self._owners()))
        return columns[name]

    def _owners(self) -> list[int]:
        """The place of each offer's advertiser in their list, by its number."""
        offers = self._catalog.offers.values()
        found = [0] * max((one.number for one in offers), default=0)
        for one in offers:
            found[one.number - 1] = self._advertisers.index(one.advertiser) + 1
        return found

    def _bucket(self, window: _Window, name: str, moment: Piece | None) -> Piece:
        if moment is None:
            return _BUCKET_OF_DAY.format(starts=self._add(list(window.days[name])))
        starts = self._add(list(window.starts[name]))
        return _BUCKET_OF_MOMENT.format(moment=moment, starts=starts)

    def _days(self, days: Days) -> sql.Composed:
        first, last = self._add(days.first), self._add(days.last)
        return _DAYS.format(first=first, last=last)

    def _days_of_pair(self, pair: str, days: Days) -> sql.Composed:
        return _OF_PAIR.format(pair=sql.Literal(pair), days=self._days(days))

    def _moments(self, moment: Piece, span: Span) -> sql.Composed:
        start, end = map(self._add, span)
        return _MOMENTS.format(moment=moment, start=start, end=end)

    def _filters_of_clicks(self) -> Piece:
        """Clicks have no goal: they are not fewer where only one is asked for."""
        return self._filters(SQL(""), leave_out=_OF_CONVERSIONS)

    def _filters(self, also: Piece, leave_out: Container[str] = ()) -> Piece:
        asked = dict(self._query.filters)
        if self._query.partner is not None:
            asked["partner"] = (self._query.partner,)
        found = [
            _AMONG.format(column=_COLUMNS[name], values=self._values(name, values))
            for name, values in asked.items()
            if name not in leave_out
        ]
        return SQL("").join([also, *found])

    def _values(self, name: str, values: Sequence[str]) -> Piece:
        """Partners and offers are known by number; one that is unknown has nothing."""
        partners, offers = self._catalog.partners, self._catalog.offers
        if name == "partner":
            return self._add(
                [partners[key].number for key in values if key in partners]
            )
        if name == "offer":
            return self._add([offers[key].number for key in values if key in offers])
        if name == "advertiser":
            own = [one.number for one in offers.values() if one.advertiser in values]
            return self._add(own)
        return self._add(list(values))


_NUMBERED_KEYS = ("partner", "offer")


def _windows(query: ReportQuery) -> list[_Window]:
    times = [cast("Unit", one.name) for one in query.dimensions if one.is_time]
    now = _Window(
        query.span,
        {unit: query.starts(unit) for unit in times},
        {unit: query.first_days(unit) for unit in times},
    )
    if query.earlier_span is None:
        return [now]
    before = _Window(
        query.earlier_span,
        {unit: query.earlier_starts(unit) for unit in times},
        {unit: query.earlier_first_days(unit) for unit in times},
        is_earlier=True,
    )
    return [now, before]


def _pair_of(asked: Iterable[str]) -> str | None:
    """The smallest of the pairs that has all that is asked for; None if none has."""
    needed = {"offer" if name == "advertiser" else name for name in asked}
    needed &= _PAIRED
    return next((" ".join(pair) for pair in _PAIRS if needed <= {*pair}), None)


def _needed(query: ReportQuery) -> list[str]:
    """The sums that its columns and its order are made of."""
    asked = (*query.columns, query.sort.removeprefix("-"))
    pieces = {one for name in asked for one in _MADE_OF.get(name, (name,))}
    return [name for name in (*_COUNTS, *_SUMS) if name in pieces]


def _measure(name: str, called: Callable[[str], str] = str) -> Piece:
    base = {one: sql.Identifier(called(one)) for one in (*_COUNTS, *_SUMS)}
    return base[name] if name in base else _DERIVED[name].format(**base)


def _before(name: str) -> str:
    return f"{name}_before"


def _listed(pieces: Iterable[Piece]) -> sql.Composed:
    return SQL(", ").join(pieces)


def _each(pieces: Iterable[Piece]) -> sql.Composed:
    """Each with a comma behind it, for what always goes on."""
    return SQL("").join(SQL("{}, ").format(piece) for piece in pieces)


# -------------------------------------------------------------------------- the reading


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
) -> tuple[Money, _Statement]:
    cursor = await connection.execute(_SUMMED)
    ((zone, before, conversions_zone),) = await cursor.fetchall()
    summed = Summed(Closed(zone, before), Closed(conversions_zone))
    money = await _money(connection, query, catalog, summed)
    return money, _Statement(query, catalog, summed)


async def _clicks_from(connection: Connection, query: ReportQuery) -> date | None:
    """The first day that retention has left, if the report asks for earlier ones."""
    if not query.is_of_clicks:
        return None
    cursor = await connection.execute(_CLICKS_FROM)
    (first,) = await cursor.fetchone() or (None,)
    asked = min(window.span[0] for window in _windows(query)).date()
    return first if first and asked < first else None


async def _money(
    connection: Connection, query: ReportQuery, catalog: Catalog, summed: Summed
) -> Money:
    """That of all sums where there is only one; else the catalog's."""
    met = {offer.currency for offer in catalog.offers.values()}
    if len(met) > 1:
        statement = _Statement(query, catalog, summed)
        asked = statement.met()
        cursor = await connection.execute(asked, statement.parameters.values)
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
        before = {
            name: _rounded(name, row[_before(name)], currency)
            for name in columns
            if self._query.compare
        }
        return ReportRow(keys, values, before, currency)


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
