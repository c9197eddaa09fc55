# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""`tracker reconcile` and `tracker import`: what networks send as files."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tracker.cli.options import AsDocument, By, operator_name

if TYPE_CHECKING:
    from tracker.flow.importing import Imported
    from tracker.flow.importing import Wanted as Batch
    from tracker.flow.reconciling import Reconciled, Told, Wanted
    from tracker.sheet import Sheet, SheetWriter
    from tracker.store.statements import Found, Total

DIFFERENCES = 1

FOUND_COLUMNS = (
    "kind", "line", "differences", "reason", "click_id", "transaction_id", "goal", "at",
    "status", "amount", "revenue", "currency", "conversion_id", "our_click_id",
    "our_transaction_id", "our_goal", "our_at", "our_status", "our_amount",
    "our_revenue", "postback_id",
)  # fmt: skip
"""Of the file that `reconcile --out` writes."""

ANSWER_COLUMNS = (
    "line", "verdict", "reason", "meaning", "conversion_id", "postback_id"
)  # fmt: skip
"""Of the file that `import --out` writes."""

TABLE = ("kind", "count", "theirs", "ours", "")

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="CSV as networks send it, .gz too; - is stdin."
    ),
]
AdvertiserKey = Annotated[
    str, typer.Option("--advertiser", metavar="KEY", help="Whose file it is.")
]
ColumnWords = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="MEANING=COLUMN,…",
        help="Which column is what, unless it is called so: click_id, transaction_id,"
        " goal, status, amount, currency, revenue, at.",
    ),
]
DecimalMark = Annotated[
    Literal["point", "comma"] | None,
    typer.Option(help="What stands before the cents; else as its postbacks have it."),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--timezone", metavar="NAME", help="Of its times; else the catalog's."
    ),
]
Dates = Annotated[
    str | None,
    typer.Option(
        "--dates", metavar="FORMAT", help="How they are written, like %d/%m/%Y."
    ),
]


def reconcile(  # noqa: PLR0913 - what is compared, how it is written, what is told
    file: File,
    *,
    advertiser: AdvertiserKey,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="DAY", help="Not before; in that time zone."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Before then.")
    ] = None,
    columns: ColumnWords = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="By how much sums may differ.")
    ] = 0.01,
    decimal: DecimalMark = None,
    timezone: Zone = None,
    dates: Dates = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What does not agree, as CSV; - is stdout."),
    ] = None,
    as_json: AsDocument = False,
) -> None:
    """
    Compare a network's own statement with our conversions; nothing is changed.

    Exits with 1 where the two sides do not agree.
    """
    from tracker.cli.joining import run
    from tracker.domain.columns import read_asked
    from tracker.domain.lines import Notation
    from tracker.flow.reconciling import Wanted

    with _file_or_usage():
        notation = Notation(decimal, timezone or "", dates)
        asked, closely = read_asked(columns or ()), Decimal(str(tolerance))
        wanted = Wanted(advertiser, notation, asked, since, until, closely)
        done = run(_reconcile(file, wanted, out))
    _tell(done, as_json=as_json, to_stderr=out == "-")
    if not done.agrees:
        raise typer.Exit(DIFFERENCES)


async def _reconcile(file: str, wanted: "Wanted", out: str | None) -> "Reconciled":
    from tracker.cli.joining import open_tracker_in_force
    from tracker.flow.reconciling import list_found, reconcile
    from tracker.sheet import open_sheet, write_sheet
    from tracker.store.statements import open_comparison

    async with open_tracker_in_force() as runtime:
        conninfo = runtime.settings.database_conninfo
        async with open_comparison(conninfo) as comparison:
            with open_sheet(file) as sheet, progress_of(sheet) as told:
                done = await reconcile(comparison, sheet, wanted, runtime.catalog, told)
            with write_sheet(out, FOUND_COLUMNS) as writer:
                found = list_found(comparison, wanted.advertiser, runtime.rules())
                async for one, reason in found:
                    _write(writer, one, reason)
    return done


@contextmanager
def _file_or_usage() -> Iterator[None]:
    """A file or column that is not there is wrong usage, and no difference."""
    from tracker.domain.errors import SheetError

    try:
        yield
    except SheetError as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def progress_of(sheet: "Sheet") -> "Iterator[Told]":
    """A bar for a person who waits; nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda _position, _rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    shown = (
        TextColumn("{task.fields[rows]:>12,} rows"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=sheet.size, rows=0)
        yield lambda position, rows: progress.update(
            task, completed=position, rows=rows
        )


def _write(writer: "SheetWriter", found: "Found", reason: str) -> None:
    row = asdict(found)
    row |= {"line": found.number, "our_at": found.converted_at, "reason": reason}
    writer.write(row)


def _tell(done: "Reconciled", *, as_json: bool, to_stderr: bool) -> None:
    from tracker.cli.output import print_json, print_table
    from tracker.domain.finding import KINDS

    if as_json:
        print_json(_document(done))
        return
    with redirect_stdout(sys.stderr) if to_stderr else nullcontext():
        print(f"{done.advertiser}, {_day(done.since)} to {_day(done.until)} (UTC)")
        print(f"{done.lines:,} lines, by {_columns(done.columns)}\n")
        order = {kind: place for place, kind in enumerate(KINDS)}
        totals = sorted(
            done.totals, key=lambda one: (order[one.kind], one.currency or "")
        )
        print_table(TABLE, map(_cells, totals), folds={""})


def _document(done: "Reconciled") -> dict[str, object]:
    from tracker.sheet import plain

    return {
        "advertiser": done.advertiser,
        "from": done.since,
        "to": done.until,
        "lines": done.lines,
        "columns": done.columns,
        "agrees": done.agrees,
        "kinds": [
            {**asdict(one), "theirs": plain(one.theirs), "ours": plain(one.ours)}
            for one in done.totals
        ],
    }


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _cells(one: "Total") -> tuple[str, ...]:
    from tracker.domain.finding import KINDS
    from tracker.sheet import plain

    sums = [
        "" if one_side is None else f"{plain(one_side)} {one.currency or ''}".strip()
        for one_side in (one.theirs, one.ours)
    ]
    return (one.kind, f"{one.count:,}", *sums, KINDS[one.kind])


def import_(  # noqa: PLR0913 - whose file, how it is written, what is told
    file: File,
    *,
    advertiser: AdvertiserKey,
    columns: ColumnWords = None,
    decimal: DecimalMark = None,
    timezone: Zone = None,
    dates: Dates = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What became of each row; - is stdout."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide, and write nothing.")
    ] = False,
    by: By = None,
    as_json: AsDocument = False,
) -> None:
    """
    Judge the rows of a file like postbacks of its advertiser, who vouches for none.

    You do: no other proof is asked for. What was broken off is called again, and goes
    on. Exits with 1 where a row ends in quarantine, or cannot be read.
    """
    from tracker.cli.joining import run
    from tracker.domain.columns import read_asked
    from tracker.domain.lines import Notation
    from tracker.flow.importing import Wanted

    with _file_or_usage():
        wanted = Wanted(
            advertiser=advertiser,
            operator=operator_name(by),
            name=Path(file).name,
            notation=Notation(decimal, timezone or "", dates),
            columns=read_asked(columns or ()),
            is_rehearsal=dry_run,
        )
        imported = run(_import(file, wanted, out))
    _tell_imported(imported, wanted, as_json=as_json, to_stderr=out == "-")
    if not imported.is_clean:
        raise typer.Exit(DIFFERENCES)


async def _import(file: str, wanted: "Batch", out: str | None) -> "Imported":
    from tracker.cli.joining import open_tracker_in_force
    from tracker.domain.outcome import REASONS, Reason
    from tracker.flow.importing import Import
    from tracker.sheet import open_sheet, write_sheet

    meanings = {str(reason): meaning for reason, (_, meaning) in REASONS.items()}
    meanings[Reason.NONE] = ""
    async with open_tracker_in_force() as runtime:
        with open_sheet(file) as sheet, write_sheet(out, ANSWER_COLUMNS) as writer:
            batch = Import(runtime, sheet, wanted)
            with progress_of(sheet) as told:
                async for answer in batch.answers(told):
                    meaning = meanings.get(answer.reason, "")
                    writer.write({**asdict(answer), "meaning": meaning})
    return batch.imported


def _tell_imported(
    imported: "Imported", wanted: "Batch", *, as_json: bool, to_stderr: bool
) -> None:
    from tracker.cli.output import print_json, print_table

    counts = sorted(imported.counts.items())
    if as_json:
        rows = [
            {"verdict": verdict, "reason": reason, "count": count}
            for (verdict, reason), count in counts
        ]
        print_json(
            {
                "advertiser": wanted.advertiser,
                "file": wanted.name,
                "dry_run": wanted.is_rehearsal,
                "rows": imported.counts.total(),
                "columns": imported.columns,
                "verdicts": rows,
            }
        )
        return
    with redirect_stdout(sys.stderr) if to_stderr else nullcontext():
        print(f"{imported.counts.total():,} rows, by {_columns(imported.columns)}\n")
        cells = [(*words, f"{count:,}") for words, count in counts]
        print_table(("verdict", "reason", "count"), cells, folds={"reason"})
        if wanted.is_rehearsal:
            print("\nnothing was written")


def _columns(columns: "Mapping[str, str]") -> str:
    return ", ".join(f"{one}={name}" for one, name in sorted(columns.items()))
