"""
Days of a time zone as moments: windows, and what they are cut into.

A day begins at its first moment and ends where the next one begins, so that one of 23
or 25 hours is a day like any other. All moments are UTC; here alone zones are known.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

Unit = Literal["hour", "day", "week", "month"]

QUARTER = timedelta(minutes=15)
"""Every zone of today is so many of these from UTC, and so is where its clocks jump."""

_DAY = timedelta(days=1)

Span = tuple[datetime, datetime]
"""From its first moment to the first one after it."""


@dataclass(frozen=True, slots=True)
class Days:
    """From the first day to the last, both included, as a zone has them."""

    first: date
    last: date
    zone: str

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def span(self) -> Span:
        """The moments of these days."""
        return midnight(self.first, self.zone), midnight(self.last + _DAY, self.zone)

    def back(self, days: int) -> "Days":
        """As many days, so many days earlier."""
        shift = timedelta(days=days)
        return Days(self.first - shift, self.last - shift, self.zone)


@dataclass(frozen=True, slots=True)
class Bucket:
    """
    An hour, a day, a week or a month, as far as it is in a window.

    `first` and `last` are its days. `label` is what it is called: a day by its date, a
    week by its Monday, a month without a day, an hour with its distance from UTC, by
    which two of one name are told apart.
    """

    label: str
    starts_at: datetime
    first: date
    last: date


def midnight(day: date, zone: str) -> datetime:
    """The first moment of a day, also where clocks skip midnight or strike it twice."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def day_of(moment: datetime, zone: str) -> date:
    """The day that it is then."""
    return moment.astimezone(ZoneInfo(zone)).date()


@lru_cache(64)
def cut(days: Days, unit: Unit) -> tuple[Bucket, ...]:
    """All of its hours, days, weeks or months, in order."""
    if unit == "hour":
        return tuple(_hours(days))
    every = [days.first + timedelta(days=n) for n in range(len(days))]
    firsts = [day for day in every if day == days.first or _begins(day, unit)]
    ends = [*firsts[1:], days.last + _DAY]
    return tuple(
        Bucket(_name(day, unit), midnight(day, days.zone), day, end - _DAY)
        for day, end in zip(firsts, ends, strict=True)
    )


def moved(bucket: Bucket, unit: Unit, days: int, zone: str) -> datetime:
    """When its counterpart begins so many days earlier, by the same clock."""
    shift = timedelta(days=days)
    if unit != "hour":
        return midnight(bucket.first - shift, zone)
    local = bucket.starts_at.astimezone(ZoneInfo(zone))
    return (local - shift).astimezone(UTC)


def whole_days(span: Span, zone: str, before: date) -> Days | None:
    """The days of a zone that lie within a span and are over; None for none."""
    start, end = span
    first = day_of(start, zone)
    if midnight(first, zone) < start:
        first += _DAY
    last = min(day_of(end, zone), before) - _DAY
    return Days(first, last, zone) if first <= last else None


def edges(span: Span, days: Days | None) -> tuple[Span, ...]:
    """What is left of a span beside those days."""
    if days is None:
        return (span,)
    inner = days.span
    return tuple(
        one for one in ((span[0], inner[0]), (inner[1], span[1])) if one[0] < one[1]
    )


def _begins(day: date, unit: Unit) -> bool:
    if unit == "month":
        return day.day == 1
    return unit == "day" or day.weekday() == 0


def _name(day: date, unit: Unit) -> str:
    if unit == "month":
        return f"{day:%Y-%m}"
    monday = day - timedelta(days=day.weekday())
    return f"{monday if unit == 'week' else day:%Y-%m-%d}"


def _hours(days: Days) -> list[Bucket]:
    """A clock that is put back, if only by half an hour, begins an hour of its own."""
    start, end = days.span
    zone = ZoneInfo(days.zone)
    quarters = [start + n * QUARTER for n in range(int((end - start) / QUARTER))]
    locals_ = [moment.astimezone(zone) for moment in quarters]
    begun = [locals_[0]] + [
        after
        for before, after in pairwise(locals_)
        if (before.hour, before.utcoffset()) != (after.hour, after.utcoffset())
    ]
    return [_hour(moment) for moment in begun]


def _hour(local: datetime) -> Bucket:
    label = local.replace(minute=0).isoformat(timespec="minutes")
    return Bucket(label, local.astimezone(UTC), local.date(), local.date())
