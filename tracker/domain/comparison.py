"""Which days a report is compared with, and what of them is held against what."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

from tracker.domain.calendar import Bucket, Days

Compare = Literal["", "previous", "month", "year"]


def earlier_days(days: Days, compare: Compare) -> Days:
    """
    As many days just before, or those of the same name in another month or year.

    Whole months are compared with whole months, however many days these have.
    """
    if compare == "previous":
        return days.back(len(days))
    months = 1 if compare == "month" else 12
    last = _months_back(days.last, months)
    if days.last.month != (days.last + timedelta(days=1)).month and days.first.day == 1:
        last = _end_of_month(last)
    return Days(_months_back(days.first, months), last, days.zone)


def held_against(earlier: Sequence[Bucket], count: int) -> tuple[date, ...]:
    """Where so many of them begin and the last one ends; what lacks is empty."""
    held = earlier[:count]
    end = held[-1].last + timedelta(days=1)
    begun = [one.first for one in held]
    return (*begun, *[end] * (count + 1 - len(held)))


def _months_back(day: date, months: int) -> date:
    """The same day of that month, or its last where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    first = date(year, month + 1, 1)
    return min(first + timedelta(days=day.day - 1), _end_of_month(first))


def _end_of_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
