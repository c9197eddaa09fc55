"""
The branches of a report: each sums one table for one window, by the report's keys.

    click_rollup_pairs       whole days that are over, where two dimensions are enough
    click_rollup_days        whole days that are over
    click_rollups            all that is not a whole day of the rollups' own zone
    clicks                   where only they know: labels, system, browser
    conversion_rollup_pairs  whole days, where two dimensions are enough
    conversion_rollups       other conversions, and clicks they prove to be people's
    conversions              likewise, joined to their clicks
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

from psycopg import sql

from tracker.domain.calendar import Days, Span, Unit, edges, whole_days
from tracker.domain.catalog import Catalog
from tracker.domain.click import SUBS
from tracker.domain.report import DIMENSIONS, ReportQuery
from tracker.store.pieces import SQL, Parameters, Piece, Pieces, each, listed
from tracker.store.report_measures import needed

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

_LABEL = SQL("coalesce(clicks.{0}, click_labels.labels ->> {1}, '') as {0}")
_OF_CLICK = SQL("coalesce({0}, '') as {0}")

_DAYS = SQL("day between {first} and {last}")
_OF_PAIR = SQL("pair = {pair} and {days}")
_MOMENTS = SQL("{moment} >= {start} and {moment} < {end}")
_AMONG = SQL(" and {column} = any({values})")

# What each branch adds to the sums; to those that it does not name it adds nothing.


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

_MET = SQL("select currency from {source} where {window}{filters}")


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
class Window:
    """One of the two spans that a report looks at, and where its buckets begin."""

    span: Span
    starts: Mapping[str, Sequence[datetime]]
    days: Mapping[str, Sequence[date]]
    is_earlier: bool = False


class Branches:
    """
    Of one query under one catalog; `summed` says how far days are summed.

    `raw` are the names of their keys; `needed` are those of their sums.
    """

    def __init__(
        self,
        query: ReportQuery,
        catalog: Catalog,
        summed: Summed,
        parameters: Parameters,
    ) -> None:
        self.windows = windows_of(query)
        self.needed = needed(query)
        self.advertisers = sorted(catalog.advertisers)
        self.raw = [sql.Identifier(f"raw{n}") for n in range(len(query.by))]
        self._add = parameters.add
        self._query = query
        self._catalog = catalog
        self._summed = summed

    def all(self) -> Iterable[Piece]:
        """One for each table and window, with the same columns."""
        for window in self.windows:
            yield from self._of_clicks(window)
            yield self._of_proofs(window)
            yield from self._of_conversions(window)

    def currencies(self) -> sql.Composed:
        """A statement of its own: what its conversions are paid in."""
        sources = [
            _MET.format(
                source=source, window=where, filters=self._filters(self._basis())
            )
            for window in self.windows
            for source, where, _ in self._conversions_of(window)
        ]
        return SQL(" union ").join(sources)

    def _of_clicks(self, window: Window) -> Iterable[Piece]:
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

    def _whole_days(self, window: Window, closed: Closed) -> Days | None:
        """Those that rows may take from what is summed by day."""
        query = self._query
        if "hour" in query.by or query.hour:
            return None
        if query.days.zone != closed.zone and window.starts:
            return None
        return whole_days(window.span, closed.zone, closed.before)

    def _of_days(self, window: Window, days: Days) -> Piece:
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
        window: Window,
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

    def _of_proofs(self, window: Window) -> Piece:
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

    def _of_conversions(self, window: Window) -> Iterable[Piece]:
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
        self, window: Window
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
        self, window: Window, *, added: Pieces, where: Piece, **pieces: Piece
    ) -> Piece:
        """Summed by its keys and its money, which stands behind them and the window."""
        positions = [*range(1, len(self.raw) + 1), len(self.raw) + 2]
        return _BRANCH.format(
            is_earlier=sql.Literal(window.is_earlier),
            added=self._added(added),
            window=where,
            positions=listed(map(sql.Literal, positions)),
            **pieces,
        )

    def _added(self, sums: Pieces) -> Piece:
        return listed(
            SQL("{} as {}").format(sums.get(name, SQL("0")), sql.Identifier(name))
            for name in self.needed
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
        return _CLICKS.format(asked=listed(asked))

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
        return _CONVERSIONS.format(asked=listed(columns), labels=labels)

    def _of_one_click(self) -> list[str]:
        """What is asked of each click, beside what every source has."""
        kept = ("country", "device", *_OF_CLICKS)
        return [name for name in kept if name in self._query.asked]

    # Parts of a branch

    def _selected(self, window: Window, moment: Piece | None, columns: Pieces) -> Piece:
        """The keys of a branch by their names; without a moment it is of days."""
        found = [self._key(window, moment, columns, name) for name in self._query.by]
        named = zip(found, self.raw, strict=True)
        return each(SQL("{} as {}").format(key, raw) for key, raw in named)

    def _key(
        self, window: Window, moment: Piece | None, columns: Pieces, name: str
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
            found[one.number - 1] = self.advertisers.index(one.advertiser) + 1
        return found

    def _bucket(self, window: Window, name: str, moment: Piece | None) -> Piece:
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


def windows_of(query: ReportQuery) -> list[Window]:
    """That of its days, and that of those it is compared with."""
    times = [cast("Unit", one.name) for one in query.dimensions if one.is_time]
    now = Window(
        query.span,
        {unit: query.starts(unit) for unit in times},
        {unit: query.first_days(unit) for unit in times},
    )
    if query.earlier_span is None:
        return [now]
    before = Window(
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
