"""
Slices of time that ids name: the first five characters of a click id.

Ids sort by time, so the clicks of a slice are one range of ids, and what is counted
by its beginning can be counted again by that range.
"""

from datetime import datetime, timedelta

from tracker.domain import base32
from tracker.domain.identity import milliseconds, moment

SLICE_LENGTH = 5
"""Of 40 bits of milliseconds, 25 are left: a slice is 32.768 seconds."""

SLICE = timedelta(milliseconds=1 << 15)


def slice_at(now: datetime) -> str:
    """The slice that a time lies in."""
    return base32.encode(milliseconds(now).to_bytes(5, "big"))[:SLICE_LENGTH]


def start_of(text: str) -> datetime:
    """When a slice begins."""
    return moment(int.from_bytes(base32.decode(text.ljust(8, "0")), "big"))
