"""What is wrong with a catalog, and where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tracker.domain.errors import CatalogError

MOST_FAULTS = 1_000
"""A file with more is named so far; nobody reads on."""

_MOST_COMPARED = 500
_MOST_SHOWN = 80


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing to put right; `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class FaultyCatalogError(CatalogError):
    """
    The file cannot be believed.

    The message has one fault a line, in the order of the file; `faults` has them
    as values.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: Sequence[Fault] = tuple(sorted(set(faults))[:MOST_FAULTS])
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True, slots=True)
class Flaw:
    """
    A fault before it is placed.

    `loc` is the way to it through mappings and lists. With `at_key` it is the key
    that is wrong and not its value.
    """

    loc: tuple[str | int, ...]
    message: str
    at_key: bool = False


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'sale'?`, or nothing where no known word is close."""
    close = get_close_matches(word[:100], _candidates(word, list(known)), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _candidates(word: str, known: list[str]) -> list[str]:
    """Few enough to compare a thousand words with: among many, one's neighbours."""
    if len(known) <= _MOST_COMPARED:
        return known
    return [other for other in known if other[:3] == word[:3]][:_MOST_COMPARED]


def shorten(word: str) -> str:
    """No more of a word than a line of a report can hold."""
    return word if len(word) <= _MOST_SHOWN else word[: _MOST_SHOWN - 1] + "…"


def one_of(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
