"""Figures: the report of any days by any dimensions, and the overview."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import get_args

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.console.api.calls import Call, Parameter, answer, one_of
from tracker.console.pages import runtime_of
from tracker.console.report_files import show_json
from tracker.domain.comparison import Compare
from tracker.domain.concern import Concern
from tracker.domain.person import Permission
from tracker.domain.report import DIMENSIONS, Basis, ReportRow
from tracker.domain.report_reading import PERIODS, read_query
from tracker.flow.attention import list_concerns
from tracker.flow.overview import look_over

Value = int | str | None
"""As JSON has it: decimals are texts."""


class Between(msgspec.Struct, frozen=True):
    """Days, both included."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """
    A report: totals of all rows, and the rows.

    A row has its dimensions and its measures by name; one that is compared has each
    measure a second time, as `…_before`. What nothing can be divided by is null.
    """

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    zone: str
    basis: str
    by: Sequence[str]
    compared_with: Between | None
    currency: str
    is_converted: bool
    without_rate: str | None
    count: int
    totals: Mapping[str, Value]
    rows: Sequence[Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class Earning:
    """One row of the overview: whose, and the measures by name."""

    keys: Sequence[str | None]
    values: Mapping[str, int | Decimal | None]
    before: Mapping[str, int | Decimal | None]
    currency: str


@dataclass(frozen=True, slots=True)
class Glance:
    """What is earning, and what needs attention."""

    days: Between
    zone: str
    totals: Earning
    series: Sequence[Earning]
    partners: Sequence[Earning]
    offers: Sequence[Earning]
    concerns: Sequence[Concern]


async def overview(request: Request) -> Response:
    """The figures of the first page."""
    runtime, now = runtime_of(request), datetime.now(UTC)
    period = request.query_params.get("period", "7d")
    asked = [("period", period), ("compare", "previous")]
    read = read_query(asked, runtime.catalog, now=now, partner=None)
    if read.faults:
        said = "; ".join(f"{one.parameter}: {one.sentence}" for one in read.faults)
        raise HTTPException(400, said)
    found = await look_over(runtime, read.query, now)
    days = read.query.days
    return answer(
        Glance(
            Between(days.first, days.last),
            str(days.zone),
            _earning(found.totals),
            [_earning(row) for _, row in found.series if row],
            [_earning(row) for row in found.partners.rows],
            [_earning(row) for row in found.offers.rows],
            found.concerns,
        )
    )


async def attention(request: Request) -> Response:
    """What needs attention now."""
    return answer(await list_concerns(runtime_of(request), datetime.now(UTC)))


def _earning(row: ReportRow) -> Earning:
    return Earning(row.keys, row.values, row.before, row.currency)


_PERIOD = Parameter("period", "Days that end with today.", rules=one_of(PERIODS))
_DAY = {"format": "date"}
_REPORT = (
    Parameter("from", "The first day, in the report's zone.", rules=_DAY),
    Parameter("to", "The last day; it is included.", rules=_DAY),
    _PERIOD,
    Parameter("zone", "A zone by its name: Europe/Paris."),
    Parameter(
        "by",
        "Up to three dimensions, each by itself or with commas between; the day unless"
        " said, and nothing but the totals where it is empty.",
        is_repeated=True,
        may_be_empty=True,
    ),
    Parameter("basis", "Whose time counts.", rules=one_of(get_args(Basis))),
    Parameter(
        "compare",
        "The days before, or the same days earlier.",
        rules=one_of(filter(None, get_args(Compare))),
    ),
    Parameter("sort", "A column; with - before it the largest first."),
    Parameter("columns", "Measures, likewise.", is_repeated=True),
    Parameter("hour", "One hour of the days."),
    *(
        Parameter(
            name,
            f"Only this {name}.",
            is_repeated=True,
            is_for_staff=one.is_private,
            may_be_empty=True,
        )
        for name, one in DIMENSIONS.items()
        if not one.is_time
    ),
)

CALLS = (
    Call(
        "GET",
        "/report",
        show_json,
        Permission.OWN,
        "The report; a partner's has its own figures, and no revenue",
        answer=Figures,
        parameters=_REPORT,
    ),
    Call(
        "GET",
        "/overview",
        overview,
        Permission.SEE,
        "What is earning and what is broken, at one look",
        answer=Glance,
        parameters=(_PERIOD,),
    ),
    Call(
        "GET",
        "/attention",
        attention,
        Permission.SEE,
        "What needs attention now, the most urgent first",
        answer=list[Concern],
    ),
)
