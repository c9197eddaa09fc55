"""
The statement of a report, put together of what a person chose and of nothing else.

Its branches are the *facts*; these are summed once more, for each row and for the
totals at the same time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from psycopg import sql

from tracker.domain.catalog import Catalog
from tracker.domain.report import DIMENSIONS, MEASURES, ReportQuery
from tracker.store.pieces import SQL, Parameters, Piece, each, listed
from tracker.store.report_branches import Branches, Summed, Window
from tracker.store.report_measures import COUNTS, before, measure

_TRUE = SQL("true")
_NUMBERED_KEYS = ("partner", "offer")

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

_NAMED = SQL("""
  left join catalog_numbers as {alias}
         on {alias}.kind = {kind} and {alias}.number = {raw}""")
_NAME = SQL("coalesce({alias}.key, '#' || {raw})")


@dataclass(frozen=True, slots=True)
class Money:
    """In what sums are said, and what one unit of each currency is worth in it."""

    currency: str
    rates: Mapping[str, Decimal]


class Statement:
    """Of one query under one catalog; `summed` says how far days are summed."""

    def __init__(self, query: ReportQuery, catalog: Catalog, summed: Summed) -> None:
        self.parameters = Parameters()
        self._add = self.parameters.add
        self._query = query
        self._branches = Branches(query, catalog, summed, self.parameters)
        self._raw = self._branches.raw
        self._keys = [sql.Identifier(f"key{n}") for n in range(len(query.by))]

    def report(self, money: Money, limit: int | None) -> sql.Composed:
        """Totals and rows; the totals come first, and are of all rows."""
        sets = SQL("({}), ").format(listed(self._raw)) if self._raw else SQL("")
        return _REPORT.format(
            branches=SQL(" union all ").join(self._branches.all()),
            raw=each(self._raw),
            is_total=self._is_total,
            sums=listed(self._sums()),
            currency=self._add(money.currency),
            currencies=self._add(list(money.rates)),
            rates=self._add(list(money.rates.values())),
            sets=sets,
            something=self._something(),
            names=each(self._names()),
            columns=listed(self._columns()),
            joins=SQL("").join(self._joins()),
            counterparts=self._counterparts(),
            order=self._order(),
            limit=self._add(limit),
        )

    @property
    def _is_total(self) -> Piece:
        return SQL("(grouping({}) = 1)").format(*self._raw[:1]) if self._raw else _TRUE

    def _names(self) -> Iterable[Piece]:
        for key, named in zip(self._keys, self._named(), strict=True):
            yield SQL("{} as {}").format(named, key)

    def _named(self) -> Iterable[Piece]:
        for name, raw in zip(self._query.by, self._raw, strict=True):
            if name == "advertiser":
                yield SQL("({}::text[])[{}]").format(
                    self._add(self._branches.advertisers), raw
                )
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
            for name in self._branches.needed
        ]
        return SQL("({})").format(SQL(" or ").join(summed))

    def _sums(self) -> Iterable[Piece]:
        for window in self._branches.windows:
            which = self._which(window)
            for name in self._branches.needed:
                summed = self._sum(name).format(
                    sql.Identifier(name), is_total=self._is_total, which=which
                )
                known = before(name) if window.is_earlier else name
                yield SQL("{} as {}").format(summed, sql.Identifier(known))

    def _which(self, window: Window) -> Piece:
        if not self._query.compare:
            return SQL("")
        earlier = sql.Literal(window.is_earlier)
        return SQL(" filter (where is_earlier = {})").format(earlier)

    def _sum(self, name: str) -> sql.SQL:
        """Of one currency a sum is exact; of several it is what these are worth."""
        if name in COUNTS:
            return SQL("coalesce(sum({0}){which}, 0)")
        if "currency" not in self._query.by:
            return SQL("coalesce(sum({0} * rate){which}, 0)")
        return SQL(
            "coalesce(case when {is_total} then sum({0} * rate){which}"
            " else sum({0}){which} end, 0)"
        )

    def _columns(self) -> Iterable[Piece]:
        for name in self._query.columns:
            yield SQL("{} as {}").format(measure(name), sql.Identifier(name))
            if self._query.compare:
                earlier = sql.Identifier(before(name))
                yield SQL("{} as {}").format(measure(name, before), earlier)

    def _counterparts(self) -> Piece:
        """Days that the earlier month had more are in its totals, and in no row."""
        times = [
            SQL("{} < {}").format(
                raw, self._add(len(self._branches.windows[0].starts[name]))
            )
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
        return listed([ordered, *self._named()])

    def _ordered(self, name: str) -> Piece:
        if name in self._query.by:
            return list(self._named())[self._query.by.index(name)]
        if "currency" in self._query.by and MEASURES[name].is_money:
            return SQL("({}) * worth").format(measure(name))
        return measure(name)
