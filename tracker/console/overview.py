"""`/`: what is earning and what is broken, at one look."""

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import Page, page, person_of, runtime_of, see
from tracker.domain.calendar import day_of
from tracker.domain.concern import Concern
from tracker.domain.drilling import drill
from tracker.domain.person import Permission
from tracker.domain.report import MEASURES, ReportQuery, ReportRow
from tracker.domain.report_reading import read_query
from tracker.flow.overview import FIGURES, LINES, TOP, look_over

PERIODS = (
    ("today", "Today"),
    ("yesterday", "Yesterday"),
    ("7d", "7 days"),
    ("30d", "30 days"),
)
"""What the page offers; every other one is a report."""

USUAL = "7d"

SCALES = {"clicks": "left", "revenue": "right"}
"""What is drawn, and on which side it is measured."""

_ROOMS = {
    "catalog": "/catalog",
    "deliveries": "/deliveries",
    "offers": "/catalog",
    "quarantine": "/quarantine",
    "report": "/report",
}


async def show_overview(request: Request) -> Response:
    """The first page of staff; that of a partner is its report."""
    if not person_of(request).may(Permission.SEE):
        return see("/report")
    runtime, now = runtime_of(request), datetime.now(UTC)
    period = request.query_params.get("period", USUAL)
    known = period if period in dict(PERIODS) else USUAL
    asked = [("period", known), ("compare", "previous")]
    query = read_query(asked, runtime.catalog, now=now, partner=None).query
    found = await look_over(runtime, query, now)
    return page(
        request,
        "overview.html",
        found=found,
        period=known,
        periods=PERIODS,
        figures=FIGURES,
        lines=[MEASURES[one] for one in LINES],
        scales=SCALES,
        now=now,
        goes_on=query.days.last >= day_of(now, query.days.zone),
        measures=MEASURES,
        top=TOP,
        leads_to=_leads_to,
        room=_room,
    )


def _room(concern: Concern) -> str:
    """Where more is to be seen of a concern; "" where the sentence says it all."""
    address = _ROOMS.get(concern.room, "")
    return f"{address}?{urlencode(concern.query)}" if concern.query else address


def _leads_to(query: ReportQuery, name: str, row: ReportRow) -> str:
    """The report of a row alone; of one that has no key, that of all."""
    asked = replace(query, by=(name,))
    return (drill(asked, row.keys) or asked).url()


PAGES = (Page("/", show_overview, needs=Permission.OWN),)
