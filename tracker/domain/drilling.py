"""What a click on a row of a report asks next: more of it, alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast
from urllib.parse import urlencode

from tracker.domain.calendar import Days, Unit
from tracker.domain.report import (
    DIMENSIONS,
    ReportQuery,
    default_sort,
    dimensions_for,
)

_DRILLED = ("partner", "offer", "goal", "country", "device", "sub1", "day")
"""What is asked next of a row, the first of these that it does not say already."""


def drill(query: ReportQuery, keys: Sequence[str | None]) -> ReportQuery | None:
    """What a click on a row asks: more of it alone. None for a row that has nothing."""
    if not keys or None in keys:
        return None
    told = dict(zip(query.by, cast("Sequence[str]", keys), strict=True))
    times = tuple(key for name, key in told.items() if DIMENSIONS[name].is_time)
    own = {name: (k,) for name, k in told.items() if not DIMENSIONS[name].is_time}
    narrowed = _narrowed(query, times)
    return replace(narrowed, filters={**narrowed.filters, **own})


class Drills:
    """Where `drill` leads from many rows: what they share is written once."""

    def __init__(self, query: ReportQuery) -> None:
        self._query = query
        self._shared: dict[tuple[str, ...], str] = {}
        self._is_time = [one.is_time for one in query.dimensions]

    def url(self, keys: Sequence[str | None]) -> str:
        """The address for the row of these keys; "" where there is nothing more."""
        known = [key for key in keys if key is not None]
        if not known or len(known) < len(keys):
            return ""
        told = list(zip(self._query.by, known, self._is_time, strict=True))
        times = tuple(key for _, key, is_time in told if is_time)
        if times not in self._shared:
            self._shared[times] = _narrowed(self._query, times).url()
        own = [(name, key) for name, key, is_time in told if not is_time]
        shared = self._shared[times]
        return f"{shared}&{urlencode(own)}" if own else shared


def _narrowed(query: ReportQuery, times: Sequence[str]) -> ReportQuery:
    """The query in those times, without what a row says of its own."""
    by = next_dimension(query, query.by)
    units = [cast("Unit", one.name) for one in query.dimensions if one.is_time]
    narrowed = query
    for unit, label in zip(units, times, strict=True):
        narrowed = _narrow(narrowed, unit, label)
    kept = {name: own for name, own in query.filters.items() if name not in query.by}
    sort = default_sort(by, query.columns)
    return replace(narrowed, by=by, sort=sort, filters=kept)


def next_dimension(query: ReportQuery, done: Sequence[str]) -> tuple[str, ...]:
    """The first that the query does not hold fast and that was not just looked at."""
    known = dimensions_for(query.partner)
    taken = {*done, *query.filters}
    return tuple(name for name in _DRILLED if name in known and name not in taken)[:1]


def _narrow(query: ReportQuery, unit: Unit, label: str) -> ReportQuery:
    bucket = next(one for one in query.buckets(unit) if one.label == label)
    days = Days(bucket.first, bucket.last, query.days.zone)
    hour = bucket if unit == "hour" else query.hour
    return replace(query, days=days, period="", hour=hour)
