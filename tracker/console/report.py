"""`/report`: what is earning, by anything; its files have the same address."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.formats import NOTHING, money, number, percent
from tracker.console.pages import Page, page, runtime_of, see
from tracker.console.report_files import read_report, show_csv, show_json
from tracker.domain.catalog import Catalog
from tracker.domain.drilling import Drills
from tracker.domain.errors import TooLongError
from tracker.domain.link import list_offers
from tracker.domain.money import to_minor_unit
from tracker.domain.offer import Status
from tracker.domain.person import Permission
from tracker.domain.report import (
    DIMENSIONS,
    MEASURES,
    MOST_DIMENSIONS,
    MOST_ROWS,
    Dimension,
    Measure,
    Report,
    ReportQuery,
    ReportRow,
    dimensions_for,
    measures_for,
    over_time,
    reversed_sort,
)
from tracker.domain.report_reading import (
    PERIODS,
    ReadQuery,
    list_zones,
)
from tracker.domain.traffic import COUNTED_TRAFFIC, DEVICES

_BAD, _TOO_LONG = 400, 503

COMPARISONS = {
    "": "Nothing",
    "previous": "The days before",
    "month": "The month before",
    "year": "The year before",
}
_FORM = ("add", "value")
"""Of the form, for one more filter; no address keeps them."""


async def show_report(request: Request) -> Response:
    """The page; a form that adds a filter is sent on to the address that has it."""
    asked = read_report(request, leave_out=_FORM)
    if "add" in request.query_params:
        return see(_added(request, asked.query) if not asked.faults else _tidy(request))
    if asked.faults:
        return _empty(request, asked, _BAD)
    runtime = runtime_of(request)
    try:
        report = await runtime.analysis.get(asked.query, runtime.catalog)
    except TooLongError:
        return _empty(request, asked, _TOO_LONG)
    return _filled(request, asked, report)


def _empty(request: Request, asked: ReadQuery, status: int) -> Response:
    """The form alone, with what was wrong with it."""
    return page(
        request,
        "report.html",
        status=status,
        report=None,
        is_too_long=status == _TOO_LONG,
        **_page_of(runtime_of(request).catalog, asked),
    )


def _filled(request: Request, asked: ReadQuery, report: Report) -> Response:
    drills = Drills(asked.query)
    return page(
        request,
        "report.html",
        report=report,
        rows=[_Shown(asked.query, row, drills.url(row.keys)) for row in report.rows],
        totals=_Shown(asked.query, report.head.totals, ""),
        series=over_time(asked.query, report.rows),
        now=datetime.now(UTC),
        is_too_long=False,
        **_page_of(runtime_of(request).catalog, asked),
    )


# -------------------------------------------------------------------------- the query


def _added(request: Request, query: ReportQuery) -> str:
    """The address with one more value of a filter; an empty one is what has none."""
    name = request.query_params["add"]
    url = query.url()
    if not name:
        return url
    value = request.query_params.get("value", "").strip()
    return f"{url}&{urlencode({name: value})}"


def _tidy(request: Request) -> str:
    """What was asked, and what is wrong with it, without the fields of the form."""
    pairs = request.query_params.multi_items()
    return f"/report?{urlencode([one for one in pairs if one[0] not in _FORM])}"


# --------------------------------------------------------------------------- the page


class _Shown:
    """A row as it is written on a page."""

    def __init__(self, query: ReportQuery, row: ReportRow, address: str) -> None:
        self.address = address
        self.keys = [
            (DIMENSIONS[name].label, _key(name, key))
            for name, key in zip(query.by, row.keys, strict=False)
        ]
        self.cells = [_Cell(one, row) for one in query.measures]


class _Cell:
    """A measure of a row, and by how much it differs from the earlier days."""

    def __init__(self, measure: Measure, row: ReportRow) -> None:
        value = row.values[measure.name]
        self.label = measure.label
        self.text = _text(measure, value, row.currency)
        self.before = self.change = self.direction = ""
        if row.before:
            earlier = row.before[measure.name]
            self.before = _text(measure, earlier, row.currency)
            self.change = _spelled_change(row.change(measure.name))
            self.direction = {"+": "up", "-": "down"}.get(self.change[:1], "")


def _key(name: str, key: str | None) -> str:
    if key is None:
        return NOTHING
    if not key:
        return "(empty)"
    return key.replace("T", " ") if name == "hour" else key


def _text(measure: Measure, value: int | Decimal | None, currency: str) -> str:
    if value is None:
        return NOTHING
    if measure.kind == "share":
        return percent(Decimal(value))
    if measure.kind == "money":
        return money(to_minor_unit(Decimal(value), currency))
    return number(value)


def _spelled_change(more: Decimal | None) -> str:
    """In per cent of what was, or how many times that; nothing where nothing was."""
    if more is None:
        return ""
    times = more + 1
    return f"{more * 100:+,.1f} %" if times < _MANY else f"× {times:,.0f}"  # noqa: RUF001 - a sign


def _page_of(catalog: Catalog, asked: ReadQuery) -> dict[str, Any]:
    """What the page says beside its figures."""
    query = asked.query
    return {
        "asked": asked,
        "query": query,
        "periods": PERIODS,
        "comparisons": COMPARISONS,
        "zones": list_zones(),
        "dimensions": [DIMENSIONS[name] for name in dimensions_for(query.partner)],
        "filterable": list(_filterable(query)),
        "known": _known_values(catalog, query.partner),
        "measures": [MEASURES[name] for name in measures_for(query.partner)],
        "chosen": (*query.by, "", "", "")[:MOST_DIMENSIONS],
        "chips": list(_chips(query)),
        "heads": [
            *(_Head(query, one) for one in query.dimensions),
            *(_Head(query, one) for one in query.measures),
        ],
        "csv": query.url("/report.csv"),
        "json": query.url("/report.json"),
        "scales": _scales(query),
        "most": MOST_ROWS,
    }


class _Head:
    """A heading: what it means, how a click on it sorts, and how it is sorted now."""

    def __init__(self, query: ReportQuery, of: Dimension | Measure) -> None:
        self.label = of.label
        self.is_measure = isinstance(of, Measure)
        self.formula = of.formula if isinstance(of, Measure) else ""
        self.address = query.url(sort=reversed_sort(query, of.name))
        self.sorted = {of.name: "ascending", f"-{of.name}": "descending"}.get(
            query.sort, ""
        )


def _filterable(query: ReportQuery) -> Iterator[Dimension]:
    names = dimensions_for(query.partner)
    return (DIMENSIONS[name] for name in names if not DIMENSIONS[name].is_time)


def _chips(query: ReportQuery) -> Iterator[tuple[str, str, str]]:
    """Each value of a filter, and the address without it."""
    if query.hour:
        yield "Hour", _key("hour", query.hour.label), query.url(hour=None)
    for name, values in query.filters.items():
        for value in values:
            rest = tuple(one for one in values if one != value)
            filters = {**query.filters, name: rest}
            kept = {one: own for one, own in filters.items() if own}
            yield DIMENSIONS[name].label, _key(name, value), query.url(filters=kept)


def _known_values(catalog: Catalog, partner: str | None) -> Sequence[str]:
    """What a filter is likely to be, offered while somebody writes it."""
    known: Sequence[str] = (*catalog.partners, *catalog.advertisers, *catalog.offers)
    if partner is not None:
        sender = catalog.partners.get(partner)
        known = [one.key for one in list_offers(catalog, sender)] if sender else []
    return sorted({*known, *Status, *DEVICES, *COUNTED_TRAFFIC})[:_MOST_OFFERED]


def _scales(query: ReportQuery) -> dict[str, str]:
    """What is drawn over time: a count, measured on the left, a sum on the right."""
    counts = [one.name for one in query.measures if one.kind == "count"]
    sums = [one.name for one in query.measures if one.kind == "money"]
    left, right = dict.fromkeys(counts[:1], "left"), dict.fromkeys(sums[:1], "right")
    return {**left, **right}


_MOST_OFFERED = 1000
_MANY = 10


PAGES = (
    Page("/report", show_report, needs=Permission.OWN),
    Page("/report.csv", show_csv, needs=Permission.OWN),
    Page("/report.json", show_json, needs=Permission.OWN),
)
