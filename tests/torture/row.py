"""What a row of the table is: an attack, and what it found."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Scale:
    """All of an attack, or the part of it that `make test` has time for."""

    is_full: bool
    seed: int

    def pick(self, full, brief):
        return full if self.is_full else brief


@dataclass(frozen=True)
class Finding:
    """A figure; `holds` is None for one that is told and not demanded."""

    what: str
    figure: str
    holds: bool | None = None


@dataclass(frozen=True)
class Row:
    number: int
    attack: str
    run: Callable[[Scale], Iterable[Finding]]


def must(what, figure, holds):
    """A figure that the promise stands or falls by."""
    return Finding(what, str(figure), bool(holds))


def told(what, figure):
    """A figure that belongs to the picture."""
    return Finding(what, str(figure))


def find_rows() -> Iterator[Row]:
    """Every `row_….py` of this folder has one, named ROW."""
    here = Path(__file__).parent
    for folder in (here.parent, here):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    for file in sorted(here.glob("row_*.py")):
        yield import_module(file.stem).ROW
