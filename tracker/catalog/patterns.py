"""
Regular expressions that strangers' text is looked through with.

One that repeats what repeats, `(a+)+`, may try for hours with thirty characters; so
may alternatives that begin alike inside of a repetition, and many repetitions in a
row. They are refused when the file is checked, and some with them that do no harm.
"""

import re
import sys
from collections.abc import Iterator
from functools import partial
from itertools import combinations
from math import prod
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field

from tracker.domain.answer import MAX_SEARCHED
from tracker.domain.dialect import MAX_EXTRACTED
from tracker.domain.own_signature import MAX_CARRIED

_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)
_BEGINNINGS = (_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING)
_CHARACTERS = (
    _constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY,
)  # fmt: skip
_LATIN = frozenset(map(chr, range(256)))

Step = tuple[Any, Any]
Characters = frozenset[str]


class Fork(NamedTuple):
    """A step with several ways; it is clear if the next character says which."""

    ways: int
    is_clear: bool


def check_quick(text: str, length: int = MAX_EXTRACTED) -> str:
    """A pattern that cannot take long, whatever text of that length it is held to."""
    try:
        re.compile(text)
        pattern = _Pattern(_parser.parse(text), length)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    if pattern.repeats_choices:
        raise ValueError(
            "repeats what repeats or chooses itself, as (a+)+ and (a|b)* do: it may"
            " take for ever; write [ab]* for (a|b)*"
        )
    if pattern.tries > 4 * (length + 1) ** 2:
        raise ValueError(
            "repeats too often: in a pattern that begins with ^ two repetitions may"
            " take what follows them too, as .* does, in another one"
        )
    return text


check_pattern = partial(check_quick, length=MAX_SEARCHED)
"""Likewise for what is looked for in an answer."""

check_carried = partial(check_quick, length=MAX_CARRIED)
"""Likewise for what is looked for beside a signature."""


class _Pattern:
    """A parsed pattern, and how often it may be tried for a text of some length."""

    def __init__(self, tree: Any, length: int) -> None:
        self._tree = tree
        self._length = length
        named = {chr(one) for one in _numbers(tree) if one <= sys.maxunicode}
        self._alphabet = _LATIN | {it for one in named for it in one + one.swapcase()}

    @property
    def repeats_choices(self) -> bool:
        """Whether what it repeats may come in more than one way."""
        return any(
            self._choices(inner) > 1
            for kind, argument in _steps(self._tree)
            if kind in _REPEATS and argument[1] > 1
            for inner in _steps(argument[2])
        )

    @property
    def tries(self) -> int:
        """
        How often it may be tried.

        Where a character tells the ways apart no other one is worth trying, so that of
        all such steps only the longest counts. Others multiply; twice, as small ones
        cost more than they have ways.
        """
        kind, argument = self._tree[0] if len(self._tree) else (None, None)
        is_anchored = kind is _constants.AT and argument in _BEGINNINGS
        forks = [*self._forks(self._tree, frozenset())]
        starts = 1 if is_anchored else self._length + 1
        clear = max((one.ways for one in forks if one.is_clear), default=1)
        return starts * clear * prod(2 * one.ways for one in forks if not one.is_clear)

    def _forks(self, steps: Any, after: Characters) -> Iterator[Fork]:
        """Every choice that there is, where `after` may begin what follows."""
        for step in reversed(steps):
            if self._choices(step) > 1:
                yield Fork(self._choices(step), self._is_clear(step, after))
            is_group = step[0] in (_constants.SUBPATTERN, _constants.BRANCH)
            for inner in _inside(step[1]):
                yield from self._forks(inner, after if is_group else self._alphabet)
            after = self._first_of(step, after)

    def _choices(self, step: Step) -> int:
        """In how many ways one step can be taken."""
        kind, argument = step
        if kind in _REPEATS:
            return int(min(argument[1] - argument[0], self._length)) + 1
        return len(argument[1]) if kind is _constants.BRANCH else 1

    def _is_clear(self, step: Step, after: Characters) -> bool:
        kind, argument = step
        if kind in _REPEATS:
            return self._first(argument[2], after).isdisjoint(after)
        firsts = [self._first(one, after) for one in argument[1]]
        return all(one.isdisjoint(other) for one, other in combinations(firsts, 2))

    def _first(self, steps: Any, after: Characters) -> Characters:
        """What may begin a text that the steps are found in."""
        for step in reversed(steps):
            after = self._first_of(step, after)
        return after

    def _first_of(self, step: Step, after: Characters) -> Characters:
        kind, argument = step
        if kind is _constants.AT:
            return after
        if kind in _CHARACTERS:
            return self._taken_by(step)
        if kind is _constants.SUBPATTERN:
            return self._first(argument[3], after)
        if kind is _constants.BRANCH:
            return frozenset().union(*(self._first(one, after) for one in argument[1]))
        if kind in _REPEATS:
            first = self._first(argument[2], after)
            return first if argument[0] else first | after
        return self._alphabet

    def _taken_by(self, step: Step) -> Characters:
        alone = _parser.SubPattern(self._tree.state, [step])
        takes = _compiler.compile(alone, re.IGNORECASE).fullmatch
        return frozenset(filter(takes, self._alphabet))


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


def _numbers(argument: Any) -> Iterator[int]:
    """All numbers in it, those of characters among them."""
    if isinstance(argument, int):
        yield abs(argument)
    elif isinstance(argument, tuple | list | _parser.SubPattern):
        for part in argument:
            yield from _numbers(part)


Pattern = Annotated[str, Field(max_length=500), AfterValidator(check_pattern)]
Extract = Annotated[str, Field(max_length=500), AfterValidator(check_quick)]
Carried = Annotated[str, Field(max_length=500), AfterValidator(check_carried)]
