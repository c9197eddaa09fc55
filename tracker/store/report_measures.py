"""What the measures of a report are made of: sums, and formulas of these."""

from collections.abc import Callable, Mapping

from psycopg import sql

from tracker.domain.report import ReportQuery
from tracker.store.pieces import SQL, Piece

COUNTS = (
    "clicks", "uniques", "bots", "refused", "other", "pending", "approved", "rejected",
)  # fmt: skip
SUMS = ("amount", "revenue", "payout", "approved_revenue", "approved_payout")

_FORMULAS: Mapping[str, sql.SQL] = {
    "unique": SQL("{uniques}"),
    "conversions": SQL("({pending} + {approved})"),
    "profit": SQL("({revenue} - {payout})"),
    "margin": SQL("({revenue} - {payout}) / nullif({revenue}, 0)"),
    "cr": SQL("({pending} + {approved}) / nullif({clicks}, 0)"),
    "epc": SQL("{payout} / nullif({clicks}, 0)"),
    "rpc": SQL("{revenue} / nullif({clicks}, 0)"),
}
"""Of sums: the same for a row, for the totals, and for the days of a comparison."""

_MADE_OF = {
    "unique": ("uniques",),
    "conversions": ("pending", "approved"),
    "profit": ("revenue", "payout"),
    "margin": ("revenue", "payout"),
    "cr": ("pending", "approved", "clicks"),
    "epc": ("payout", "clicks"),
    "rpc": ("revenue", "clicks"),
}


def needed(query: ReportQuery) -> list[str]:
    """The sums that its columns and its order are made of."""
    asked = (*query.columns, query.sort.removeprefix("-"))
    pieces = {one for name in asked for one in _MADE_OF.get(name, (name,))}
    return [name for name in (*COUNTS, *SUMS) if name in pieces]


def measure(name: str, called: Callable[[str], str] = str) -> Piece:
    """Of the sums; `called` says what each of these is called."""
    base = {one: sql.Identifier(called(one)) for one in (*COUNTS, *SUMS)}
    return base[name] if name in base else _FORMULAS[name].format(**base)


def before(name: str) -> str:
    """The column of the same measure in the days it is compared with."""
    return f"{name}_before"
