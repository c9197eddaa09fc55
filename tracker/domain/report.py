"""
Reports: what is asked for, in words that everybody uses.

A dimension is what rows are for, a measure what stands in them. A query is both, with
days, filters and an order, and is written as a URL: whoever has that has the report.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Literal, cast, get_args
from urllib.parse import urlencode

from tracker.domain.calendar import Bucket, Days, Span, Unit, cut, midnight, moved
from tracker.domain.click import SUBS
from tracker.domain.comparison import Compare, earlier_days, held_against
from tracker.domain.money import MINUS

Basis = Literal["click", "conversion"]
Kind = Literal["count", "money", "share", "price"]

MOST_DIMENSIONS = 3
MOST_ROWS = 500
"""So many stand on a page; a file has them all."""

MOST_DAYS = 1830
MOST_DAYS_BY_HOUR = 31


@dataclass(frozen=True, slots=True)
class Dimension:
    """
    What rows can be for.

    `is_of_conversion`: clicks have none, and are not filtered by it. `is_of_click`: no
    rollup has it. `is_private`: not for partners.
    """

    name: str
    label: str
    is_of_conversion: bool = False
    is_of_click: bool = False
    is_private: bool = False

    @property
    def is_time(self) -> bool:
        """Whether its values are times, which have an order and no filter."""
        return self.name in get_args(Unit)


@dataclass(frozen=True, slots=True)
class Measure:
    """
    A column, and how it is reckoned, in words for its heading.

    A `share` is a part of one, a `price` money for one click.
    """

    name: str
    label: str
    formula: str
    kind: Kind = "count"
    is_private: bool = False

    @property
    def is_money(self) -> bool:
        """Whether it has a currency."""
        return self.kind in {"money", "price"}


DIMENSIONS: Mapping[str, Dimension] = {
    one.name: one
    for one in (
        Dimension("hour", "Hour"),
        Dimension("day", "Day"),
        Dimension("week", "Week"),
        Dimension("month", "Month"),
        Dimension("partner", "Partner", is_private=True),
        Dimension("offer", "Offer"),
        Dimension("advertiser", "Advertiser", is_private=True),
        Dimension("goal", "Goal", is_of_conversion=True),
        Dimension("status", "Status", is_of_conversion=True),
        Dimension("currency", "Currency", is_of_conversion=True),
        Dimension("country", "Country"),
        Dimension("device", "Device"),
        Dimension("traffic", "Traffic"),
        Dimension("os", "System", is_of_click=True),
        Dimension("browser", "Browser", is_of_click=True),
        *(Dimension(name, name.capitalize(), is_of_click=True) for name in SUBS),
    )
}

MEASURES: Mapping[str, Measure] = {
    one.name: one
    for one in (
        Measure(
            "clicks", "Clicks", "visits by people, and other clicks that converted"
        ),
        Measure(
            "unique", "Unique", "visits by whom the offer had not seen for 24 hours"
        ),
        Measure(
            "bots", "Bots", "clicks of crawlers and data centres that never converted"
        ),
        Measure(
            "refused", "Refused", "clicks that a paused or capped link did not take"
        ),
        Measure("other", "Other", "HEAD requests, prefetches and repeated clicks"),
        Measure("conversions", "Conversions", "pending + approved"),
        Measure("pending", "Pending", "conversions that nobody has decided about"),
        Measure("approved", "Approved", "conversions that are paid"),
        Measure("rejected", "Rejected", "conversions that are not paid"),
        Measure("cr", "CR", "conversions ÷ clicks", "share"),
        Measure(
            "epc", "EPC", "payout ÷ clicks: what a partner earns per click", "price"
        ),
        Measure(
            "amount",
            "Amount",
            "what customers paid, pending and approved",
            "money",
            is_private=True,
        ),
        Measure(
            "revenue",
            "Revenue",
            "what advertisers owe, pending and approved",
            "money",
            is_private=True,
        ),
        Measure(
            "approved_revenue",
            "Approved revenue",
            "what advertisers owe, approved only",
            "money",
            is_private=True,
        ),
        Measure("payout", "Payout", "owed to partners, pending and approved", "money"),
        Measure(
            "approved_payout",
            "Approved payout",
            "owed to partners, approved only",
            "money",
        ),
        Measure(
            "profit", "Profit", f"revenue {MINUS} payout", "money", is_private=True
        ),
        Measure("margin", "Margin", "profit ÷ revenue", "share", is_private=True),
        Measure("rpc", "RPC", "revenue ÷ clicks", "price", is_private=True),
    )
}

DEFAULT_COLUMNS = (
    "clicks", "unique", "bots", "conversions", "pending", "approved", "rejected", "cr",
    "epc", "revenue", "payout", "profit", "margin",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """
    What a report is to say.

    `partner` is whose eyes it is for, None for staff: it is never read from a URL.
    `filters` hold for each dimension the values that count; "" is none. `period` is
    what the days were called, `hour` the one hour that is wanted of them. `sort` is a
    dimension or a measure, with a minus for the largest first.
    """

    days: Days
    by: tuple[str, ...]
    sort: str
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    basis: Basis = "click"
    compare: Compare = ""
    period: str = ""
    hour: Bucket | None = None
    partner: str | None = None

    @property
    def span(self) -> Span:
        """The moments that it is about."""
        return _span_of(self.days, self.hour)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What its rows are for."""
        return tuple(DIMENSIONS[name] for name in self.by)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What stands in them."""
        return tuple(MEASURES[name] for name in self.columns)

    @property
    def asked(self) -> frozenset[str]:
        """Every dimension that it needs to know of each click or conversion."""
        forced = () if self.partner is None else ("partner",)
        return frozenset((*self.by, *self.filters, *forced))

    @property
    def is_of_clicks(self) -> bool:
        """Whether only the clicks themselves can answer it."""
        return any(DIMENSIONS[name].is_of_click for name in self.asked)

    @property
    def earlier(self) -> Days | None:
        """The days that it is compared with; None for none."""
        return earlier_days(self.days, self.compare) if self.compare else None

    @property
    def earlier_span(self) -> Span | None:
        """The moments that it is compared with; of an hour, that of the other day."""
        days = self.earlier
        if days is None or self.hour is None:
            return days.span if days else None
        start, end = self.span
        begins = moved(self.hour, "hour", self._shift, days.zone)
        return begins, begins + (end - start)

    @property
    def _shift(self) -> int:
        return (self.days.first - self.earlier.first).days if self.earlier else 0

    def buckets(self, unit: Unit) -> tuple[Bucket, ...]:
        """The times that its rows are for, if it is by that dimension."""
        if unit == "hour" and self.hour:
            return (self.hour,)
        return cut(self.days, unit)

    def starts(self, unit: Unit) -> tuple[datetime, ...]:
        """When each bucket begins, and last when all are over."""
        begun = [one.starts_at for one in self.buckets(unit)]
        return (*begun, self.span[1])

    def earlier_starts(self, unit: Unit) -> tuple[datetime, ...]:
        """
        When the counterpart of each begins, in the days that it is compared with.

        The first day is held against the first, the second against the second; of
        months and years, a month against a month. What is left where the earlier ones
        are more has no counterpart.
        """
        zone, shift = self.days.zone, self._shift
        if unit != "hour":
            days = self.earlier_first_days(unit)
            return tuple(midnight(day, zone) for day in days)
        begun = [moved(one, unit, shift, zone) for one in self.buckets(unit)]
        end = midnight(self.days.last - timedelta(days=shift - 1), zone)
        return tuple(accumulate((*begun, end), max))

    def first_days(self, unit: Unit) -> tuple[date, ...]:
        """As `starts`, in days."""
        begun = [one.first for one in self.buckets(unit)]
        return (*begun, self.days.last + timedelta(days=1))

    def earlier_first_days(self, unit: Unit) -> tuple[date, ...]:
        """As `earlier_starts`, in days; beside finer times all go by days."""
        begun = [day - timedelta(days=self._shift) for day in self.first_days(unit)]
        is_alone = [one.is_time for one in self.dimensions].count(True) == 1
        if self.earlier is None or not is_alone:
            return tuple(begun)
        if unit == "month" and self.compare != "previous":
            return held_against(cut(self.earlier, unit), len(begun) - 1)
        if unit == "week":
            begun[-1] = max(begun[-1], self.earlier.last + timedelta(days=1))
        return tuple(begun)

    def url(self, path: str = "/report", **other: object) -> str:
        """Its address, with other fields if they are given."""
        asked = replace(self, **other) if other else self  # type: ignore[arg-type]
        return f"{path}?{urlencode(list(asked.parameters()))}"

    def parameters(self) -> Iterator[tuple[str, str]]:
        """What stands in its address."""
        if self.period:
            yield "period", self.period
        else:
            yield "from", f"{self.days.first}"
            yield "to", f"{self.days.last}"
        yield "zone", self.days.zone
        yield "by", ",".join(self.by)
        if self.basis != "click":
            yield "basis", self.basis
        if self.compare:
            yield "compare", self.compare
        yield "sort", self.sort
        if self.columns != default_columns(self.partner):
            yield "columns", ",".join(self.columns)
        if self.hour:
            yield "hour", self.hour.label
        for name, values in self.filters.items():
            for value in values:
                yield name, value


@dataclass(frozen=True, slots=True)
class ReportRow:
    """
    One row: a key for each dimension, and the measures by name.

    A key is None where clicks have no such thing. A share or a price is None where it
    is divided by nothing; `before` is what was in the days that it is compared with.
    """

    keys: tuple[str | None, ...]
    values: Mapping[str, int | Decimal | None]
    before: Mapping[str, int | Decimal | None] = field(default_factory=dict)
    currency: str = ""

    def change(self, name: str) -> Decimal | None:
        """
        By which share of what it was before a measure is more; None where that was 0.

        A loss of 10 that became one of 5 is more by half.
        """
        value, before = self.values[name], self.before.get(name)
        if value is None or not before:
            return None
        return Decimal(value - before) / abs(Decimal(before))


@dataclass(frozen=True, slots=True)
class ReportHead:
    """
    What is said once: the totals of all rows, how many these are, the money.

    `unrated` is a currency that the catalog has no rate for: its sums are left out.
    `clicks_from` is the first day whose clicks are there, where earlier ones are asked.
    """

    totals: ReportRow
    count: int
    currency: str
    is_converted: bool
    unrated: str = ""
    clicks_from: date | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A report as a page shows it: no more than the first rows."""

    head: ReportHead
    rows: Sequence[ReportRow]


def over_time(
    query: ReportQuery, rows: Iterable[ReportRow]
) -> list[tuple[Bucket, ReportRow | None]]:
    """
    Every hour, day, week or month of the report with its row, None where it has none.

    Only of a report by time alone; of any other there is nothing.
    """
    if len(query.by) != 1 or not DIMENSIONS[query.by[0]].is_time:
        return []
    known = {row.keys[0]: row for row in rows}
    unit = cast("Unit", query.by[0])
    return [(one, known.get(one.label)) for one in query.buckets(unit)]


def dimensions_for(partner: str | None) -> tuple[str, ...]:
    """Those that a partner may ask for, or staff."""
    return tuple(
        one.name for one in DIMENSIONS.values() if partner is None or not one.is_private
    )


def measures_for(partner: str | None) -> tuple[str, ...]:
    """Likewise."""
    return tuple(
        one.name for one in MEASURES.values() if partner is None or not one.is_private
    )


def default_columns(partner: str | None) -> tuple[str, ...]:
    """What a report shows when nobody says."""
    known = measures_for(partner)
    return tuple(name for name in DEFAULT_COLUMNS if name in known)


def default_sort(by: Sequence[str], columns: Sequence[str]) -> str:
    """Times in their order, everything else by what it has most of."""
    if by and DIMENSIONS[by[0]].is_time:
        return by[0]
    return f"-{columns[0]}"


def reversed_sort(query: ReportQuery, name: str) -> str:
    """How a click on that heading sorts: measures begin with the largest."""
    first = name if name in DIMENSIONS else f"-{name}"
    other = f"-{name}" if name in DIMENSIONS else name
    return other if query.sort == first else first


def _span_of(days: Days, hour: Bucket | None) -> Span:
    """The hours of a day end where the next begins."""
    if hour is None:
        return days.span
    later = [
        one.starts_at for one in cut(days, "hour") if one.starts_at > hour.starts_at
    ]
    return hour.starts_at, min(later, default=days.span[1])
