"""What an operator should look at, and when it is worth a word."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Room = Literal["catalog", "deliveries", "offers", "quarantine", "report", "stores"]
"""Where more is to be seen of it."""

RISING_FROM = 10
"""So many of a reason in a day are worth a word, if they are more than usual."""

RISING_BY = 2
"""Times as many as on a usual day."""

EXPECTED = 10
"""Of what is this common there is not none by chance: once in 22,000 times."""

NEAR = 90
"""Per cent of a cap that is nearly taken."""


@dataclass(frozen=True, slots=True)
class Concern:
    """
    Something that needs attention, in a sentence.

    `is_urgent` where money or visitors are lost now. `query` narrows the room down.
    """

    said: str
    room: Room
    is_urgent: bool = False
    query: Mapping[str, str] = field(default_factory=dict)


def is_rising(lately: int, usual: float) -> bool:
    """Whether a day brought so much more of something than the days before it."""
    return lately >= RISING_FROM and lately >= RISING_BY * usual


def has_stopped(lately: int, usual: float) -> bool:
    """Whether what usually comes in this time of day does not come at all."""
    return lately == 0 and usual >= EXPECTED
