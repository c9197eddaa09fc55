"""
Regular expressions that strangers' text is looked through with.

One that repeats what repeats, `(a+)+`, may try for hours with thirty characters; so
may alternatives that begin alike inside of a repetition, and many repetitions in a
row. They are refused when the file is checked, and some with them that do no harm.
"""

import re
from collections.abc import Iterator
from math import prod
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from tracker.domain.dialect import MAX_EXTRACTED

MAX_WAYS = 4 * (MAX_EXTRACTED + 1) ** 3
"""In so many ways a pattern may be tried: some tenths of a second at the worst."""

_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)
_BEGINNINGS = (_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING)

Step = tuple[Any, Any]


def check_quick(text: str) -> str:
    """A pattern that cannot take long, whatever it is held against."""
    try:
        re.compile(text)
        steps = list(_steps(_parser.parse(text)))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    if any(_is_open_within(step) for step in steps):
        raise ValueError(
            "repeats what repeats or chooses itself, as (a+)+ and (a|b)* do: it may"
            " take for ever; write [ab]* for (a|b)*"
        )
    if _ways(steps) > MAX_WAYS:
        raise ValueError(
            "repeats without an end too often: three times are possible in a pattern"
            " that begins with ^, two in another"
        )
    return text


def _steps(tree: Any) -> Iterator[Step]:
    """Every step of a parsed pattern, those inside of others included."""
    for step in tree:
        yield step
        for inner in _inside(step[1]):
            yield from _steps(inner)


def _inside(argument: Any) -> Iterator[Any]:
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for part in argument:
            yield from _inside(part)


def _is_open_within(step: Step) -> bool:
    """Whether what it repeats may come in more than one way."""
    kind, argument = step
    if kind not in _REPEATS or argument[1] <= 1:
        return False
    return any(_choices(inner) > 1 for inner in _steps(argument[2]))


def _ways(steps: list[Step]) -> int:
    """How often it may be tried, for the longest text."""
    kind, argument = steps[0] if steps else (None, None)
    is_anchored = kind is _constants.AT and argument in _BEGINNINGS
    starts = 1 if is_anchored else MAX_EXTRACTED + 1
    return starts * prod(_choices(step) for step in steps)


def _choices(step: Step) -> int:
    """In how many ways one step can be taken."""
    kind, argument = step
    if kind in _REPEATS:
        return int(min(argument[1] - argument[0], MAX_EXTRACTED)) + 1
    return len(argument[1]) if kind is _constants.BRANCH else 1
