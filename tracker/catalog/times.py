"""Spans of time, moments and time zones, as partners.yaml has them."""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field

from tracker.catalog.faults import suggest
from tracker.catalog.scalars import from_text, schema
from tracker.domain.outbound import MAX_DELAY

MAX_WINDOW = timedelta(days=366)
MAX_DEDUP = timedelta(days=30)

_DURATION = re.compile(r"(\d{1,9})\s?([smhd])", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """`30d`, `12h`, `90m`, `45s`; at most 366 days."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError("must be a time such as 30d, 12h, 90m or 45s")
    if int(found[1]) > MAX_WINDOW.total_seconds():
        raise ValueError("must be at most 366d")
    duration = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if duration > MAX_WINDOW:
        raise ValueError("must be at most 366d")
    return duration


def parse_window(text: str) -> timedelta:
    """A duration above zero."""
    window = parse_duration(text)
    if not window:
        raise ValueError("must be more than zero; 30d is usual")
    return window


def parse_dedup(text: str) -> timedelta:
    """A duration above zero, and short enough for a store in memory."""
    window = parse_duration(text)
    if not timedelta() < window <= MAX_DEDUP:
        raise ValueError("must be more than zero, and at most 30d")
    return window


def parse_delay(text: str) -> timedelta:
    """A duration of three days at most: longer than that nothing may be owed."""
    delay = parse_duration(text)
    if delay > MAX_DELAY:
        raise ValueError(f"must be at most {MAX_DELAY.days}d")
    return delay


def parse_moment(text: str) -> datetime:
    """`2026-12-01T00:00`, or a day for its beginning; whose time zone comes later."""
    if not _MOMENT.fullmatch(text):
        raise ValueError(
            "must be a time such as 2026-12-01T00:00, or a day; it is in the offer's"
            " time zone"
        )
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such day or time") from None


def parse_end(text: str) -> datetime:
    """Likewise; a day for its end."""
    moment = parse_moment(text)
    return moment if ":" in text else moment + timedelta(days=1)


def check_timezone(text: str) -> str:
    """A name of the IANA database."""
    if not _is_timezone(text):
        near = suggest(text, available_timezones())
        raise ValueError(
            f"no such time zone{near or '; write one such as Europe/Paris'}"
        )
    return text


@lru_cache(maxsize=1024)
def _is_timezone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        return False
    return True


Duration = Annotated[timedelta, from_text(parse_duration), schema("string", "12h")]
Delay = Annotated[timedelta, from_text(parse_delay), schema("string", "10m")]
Window = Annotated[timedelta, from_text(parse_window), schema("string", "30d")]
Dedup = Annotated[timedelta, from_text(parse_dedup), schema("string", "10m")]
Moment = Annotated[
    datetime, from_text(parse_moment), schema("string", "2026-12-01T00:00")
]
End = Annotated[datetime, from_text(parse_end), schema("string", "2026-12-24T18:00")]
Timezone = Annotated[str, Field(max_length=64), AfterValidator(check_timezone)]
