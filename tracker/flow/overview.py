"""What is earning and what is broken, at one look."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tracker.domain.calendar import Bucket, Unit
from tracker.domain.concern import Concern
from tracker.domain.report import Report, ReportQuery, ReportRow, over_time
from tracker.flow.attention import list_concerns
from tracker.runtime import Runtime

FIGURES = ("clicks", "conversions", "cr", "revenue", "payout", "profit")
"""What stands at the top, beside what it was in the days before."""

LINES = ("clicks", "conversions", "revenue")
"""What stands in the table over time; all of them are figures."""

TOP = 10


@dataclass(frozen=True, slots=True)
class Overview:
    """
    Reports of the same days: in all, over time, and by who earned most.

    `series` has a row for each hour of one day, or for each day of more, and None where
    nothing happened.
    """

    query: ReportQuery
    totals: ReportRow
    series: Sequence[tuple[Bucket, ReportRow | None]]
    partners: Report
    offers: Report
    concerns: Sequence[Concern]


async def look_over(runtime: Runtime, query: ReportQuery, now: datetime) -> Overview:
    """The reports for the days of this query, and what needs attention now."""
    unit: Unit = "hour" if len(query.days) == 1 else "day"
    by_time = replace(query, by=(unit,), columns=FIGURES, sort=unit)
    asked = (by_time, _top(query, "partner"), _top(query, "offer"))
    reports = asyncio.gather(
        *(runtime.analysis.get(one, runtime.catalog) for one in asked)
    )
    (series, partners, offers), concerns = await asyncio.gather(
        reports, list_concerns(runtime, now)
    )
    return Overview(
        query=query,
        totals=series.head.totals,
        series=over_time(by_time, series.rows),
        partners=partners,
        offers=offers,
        concerns=concerns,
    )


def _top(query: ReportQuery, name: str) -> ReportQuery:
    columns = ("clicks", "conversions", "cr", "revenue", "profit")
    return replace(query, by=(name,), columns=columns, sort="-profit", compare="")
