"""What differs between two texts, line by line."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from typing import Literal

MOST_COMPARED = 3_000
"""Lines of each text that are matched; of longer stretches all counts as changed."""

MOST_SHOWN = 2_000

MOST_PAIRS = 100
"""In so many ways may a line be matched; commoner ones follow their neighbours."""

Kind = Literal["same", "gone", "new", "gap"]


@dataclass(frozen=True, slots=True)
class Line:
    """
    A line of either text, or of both, with its number there; both count from 1.

    A `gap` stands for lines that are the same, and are too far from any other.
    """

    kind: Kind
    old: int | None = None
    new: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """The lines to show, how many there are of each kind, and whether all are shown."""

    lines: Sequence[Line]
    gone: int
    added: int

    @property
    def is_empty(self) -> bool:
        """Whether the texts are the same."""
        return not self.gone and not self.added

    @property
    def is_cut(self) -> bool:
        """Whether there is more than is shown."""
        shown = sum(line.kind in {"gone", "new"} for line in self.lines)
        return shown < self.gone + self.added


Step = tuple[str, int, int, int, int]


def compare(old: Sequence[str], new: Sequence[str], *, around: int = 3) -> Difference:
    """What was taken from the old lines and put into the new, with some around it."""
    steps = match_lines(old, new)
    changed = [step for step in steps if step[0] != "equal"]
    return Difference(
        list(islice(_lines(old, new, steps, around), MOST_SHOWN)),
        gone=sum(step[2] - step[1] for step in changed),
        added=sum(step[4] - step[3] for step in changed),
    )


def match_lines(old: Sequence[str], new: Sequence[str]) -> list[Step]:
    """As `SequenceMatcher` has them, which is not shown what both ends share."""
    before = _same(old, new)
    after = _same(old[before:][::-1], new[before:][::-1])
    left, right = old[before : len(old) - after], new[before : len(new) - after]
    middle = [
        (tag, a + before, b + before, c + before, d + before)
        for tag, a, b, c, d in _matched(left, right)
    ]
    ends = (len(old) - after, len(old), len(new) - after, len(new))
    return [
        *([("equal", 0, before, 0, before)] if before else []),
        *middle,
        *([("equal", *ends)] if after else []),
    ]


def _matched(old: Sequence[str], new: Sequence[str]) -> Sequence[Step]:
    if not old and not new:
        return []
    if max(len(old), len(new)) > MOST_COMPARED:
        return [("replace", 0, len(old), 0, len(new))]
    there, here = Counter(old), Counter(new)
    common = {line for line in there if there[line] * here[line] > MOST_PAIRS}
    matcher = SequenceMatcher(common.__contains__, old, new, autojunk=False)
    return matcher.get_opcodes()


def _same(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines are the same at the beginning."""
    for number, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return number
    return min(len(one), len(other))


def _lines(
    old: Sequence[str], new: Sequence[str], steps: Sequence[Step], around: int
) -> Iterator[Line]:
    for place, (tag, a, b, c, d) in enumerate(steps):
        if tag == "equal":
            is_first, is_last = place == 0, place == len(steps) - 1
            if is_first and is_last:
                return
            first, last = 0 if is_first else around, 0 if is_last else around
            yield from _unchanged(old, (a, b, c), first, last)
        else:
            yield from (Line("gone", old=n + 1, text=old[n]) for n in range(a, b))
            yield from (Line("new", new=n + 1, text=new[n]) for n in range(c, d))


def _unchanged(
    old: Sequence[str], place: tuple[int, int, int], first: int, last: int
) -> Iterator[Line]:
    """The first and the last few of lines that are the same."""
    begin, end, other = place
    if end - begin <= first + last:
        first, last = end - begin, 0
    for n in range(begin, begin + first):
        yield Line("same", n + 1, n + 1 - begin + other, old[n])
    if end - begin > first + last:
        yield Line("gap")
    for n in range(end - last, end):
        yield Line("same", n + 1, n + 1 - begin + other, old[n])
