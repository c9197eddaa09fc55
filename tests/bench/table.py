"""The table that a benchmark prints: figures, what they must reach, and whether."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["", "beyond", "reached", "within spread", "short", "n/a"]

_DIGITS = {"×": ".2f", " ms": ",.1f", " s": ",.1f"}


@dataclass(frozen=True)
class Bound:
    """What a figure must reach, and, where one is named, what would be better still."""

    reach: float
    beyond: float | None
    unit: str
    is_most: bool

    def judge(self, value, spread=()) -> Verdict:
        """A figure falls short only if its whole spread does."""
        if self.beyond is not None and self._holds(value, self.beyond):
            return "beyond"
        if self._holds(value, self.reach):
            return "reached"
        is_near = any(self._holds(one, self.reach) for one in spread)
        return "within spread" if is_near else "short"

    def show(self, value):
        return f"{value:{_DIGITS.get(self.unit, ',.0f')}}{self.unit}"

    def limits(self):
        """Both limits, as they stand in the table."""
        return self._limit(self.reach), self._limit(self.beyond)

    def _limit(self, limit):
        sign = "≤" if self.is_most else "≥"
        return "" if limit is None else f"{sign} {limit:,g}{self.unit}"

    def _holds(self, value, limit):
        return value <= limit if self.is_most else value >= limit


def at_most(reach, beyond=None, unit=""):
    return Bound(reach, beyond, unit, is_most=True)


def at_least(reach, beyond=None, unit=""):
    return Bound(reach, beyond, unit, is_most=False)


@dataclass(frozen=True)
class Row:
    """A figure, what it must reach, what would be better still, and a remark."""

    what: str
    figure: str
    reach: str = ""
    beyond: str = ""
    verdict: Verdict = ""
    remark: str = ""


def judged(what, value, bound, remark=""):
    """A row with its verdict."""
    verdict = bound.judge(value)
    return Row(what, bound.show(value), *bound.limits(), verdict, remark)


def not_applicable(what, bound, why):
    return Row(what, "n/a", *bound.limits(), "n/a", why)


def kept(what, found, total, lost=0):
    """
    Rows found in a store beside the requests that were answered well.

    A generator that hangs up when its time is over leaves requests on their way:
    these may be found, and nobody was told so. `lost` are those that the server says
    it answered without a store's word for them.
    """
    answered = total.requests - total.errors
    is_kept = answered <= found <= answered + total.cut_off and not lost
    remark = f"{answered:,} answered, {total.errors} errors"
    if total.cut_off:
        remark += f"; up to {total.cut_off:,} hung up on when a round ended"
    if lost:
        remark += f"; {lost:,} counted lost"
    return Row(
        what, f"{found:,}", verdict="reached" if is_kept else "short", remark=remark
    )


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
