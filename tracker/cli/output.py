# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""What commands print: tables for people, JSON for machines, refusals on stderr."""

import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from tracker.domain.errors import StoreUnavailableError, TrackerError

if TYPE_CHECKING:
    from rich.console import Console

Row = TypeVar("Row")

UNREADABLE = "\ufffd"


def print_json(value: Any) -> None:
    """One document on one line; dataclasses, times and decimals included."""
    import msgspec

    print(msgspec.json.encode(value).decode())


def print_list(
    rows: Sequence[Row],
    columns: Sequence[str],
    cells: Callable[[Row], Sequence[str]],
    *,
    as_json: bool,
    folds: Collection[str] = (),
) -> None:
    """One object a line, or a table; where there is nothing, stderr says so."""
    if as_json:
        for row in rows:
            print_json(row)
    elif rows:
        print_table(columns, map(cells, rows), folds=folds)
    else:
        print("nothing to list", file=sys.stderr)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    folds: Collection[str] = (),
) -> None:
    """A table that fits 80 columns, if it may break what stands in those of `folds`."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=name not in folds, overflow="fold")
    for row in rows:
        table.add_row(*(Text(readable(cell)) for cell in row))
    print_rich(table)


def print_lines(pairs: Iterable[tuple[str, str]]) -> None:
    """What each line is about, and what is said of it; no line is longer than 80."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, text in pairs:
        table.add_row(Text(readable(name)), Text(readable(text)))
    print_rich(table)


def print_rich(what: Any) -> None:
    """In colour where a terminal wants it; no line ends in blanks."""
    console = _console()
    with console.capture() as captured:
        console.print(what)
    for line in captured.get().splitlines():
        print(line.rstrip())


def refuse(message: object) -> None:
    """One sentence for people, where it cannot be taken for output."""
    print(f"tracker: {message}", file=sys.stderr)


async def each(ids: Iterable[str], change: Callable[[str], Awaitable[None]]) -> None:
    """Do it to each; those that are refused do not keep the others from it."""
    refused = 0
    for one in ids:
        try:
            await change(one)
        except StoreUnavailableError:
            raise
        except TrackerError as error:
            refused += 1
            refuse(error)
    if refused:
        raise typer.Exit(1)


def readable(text: str) -> str:
    """
    What a stranger sent, without what would move a cursor or change a colour.

    Line ends become blanks: a value has one line.
    """
    plain = text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    return "".join(c if c.isprintable() else UNREADABLE for c in plain)


def short_time(moment: datetime) -> str:
    """`11-22 10:04`, in UTC like everything."""
    return f"{moment:%m-%d %H:%M}"


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)
