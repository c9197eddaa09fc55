"""The table that a benchmark prints."""

import statistics
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Ratio:
    """Ratios of alternating rounds; the median is quoted, the spread is shown."""

    rounds: tuple[float, ...]

    @property
    def median(self):
        return statistics.median(self.rounds)

    def __str__(self):
        return f"{self.median:.2f}× ({min(self.rounds):.2f}–{max(self.rounds):.2f})"


@dataclass(frozen=True)
class Row:
    """A figure, what it must reach, what would be better still, and a remark."""

    what: str
    figure: str
    reach: str = ""
    beyond: str = ""
    verdict: Literal["", "reached", "beyond", "short"] = ""
    remark: str = ""


def judge(value, reach, beyond, *, less_is_better, spread=()):
    """A figure falls short only if its whole spread does."""
    best = [value, *spread]
    best = min(best) if less_is_better else max(best)
    if _holds(value, beyond, less_is_better):
        return "beyond"
    return "reached" if _holds(best, reach, less_is_better) else "short"


def render(rows):
    """As a table of Markdown."""
    lines = [
        "| what | figure | reach | beyond | verdict | remark |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.what} | {row.figure} | {row.reach} | {row.beyond} | {row.verdict}"
        f" | {row.remark} |"
        for row in rows
    ]
    return "\n".join(lines)


def _holds(value, bound, less_is_better):
    return value <= bound if less_is_better else value >= bound
