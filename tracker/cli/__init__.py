"""
`tracker`: the command line, for operators and for machines.

Commands import what they need when they run, so that `--help` is fast. This file
holds the commands' names, and the one table from an error to an exit code.
"""

import sys

import typer

from tracker import __version__
from tracker.cli import (
    caps,
    conversions,
    deliveries,
    editing,
    erasing,
    files,
    playing,
    postback,
    presets,
    quarantine,
    rollups,
    running,
    tracing,
    users,
)
from tracker.domain.errors import StoreUnavailableError, TrackerError

REFUSED = 1
STORE_AWAY = 3

app = typer.Typer(
    name="tracker",
    no_args_is_help=True,
    add_completion=False,
    # A trace with local variables would show secrets.
    pretty_exceptions_enable=False,
    help="Affiliate click tracking and postbacks: fast, durable, explained.",
    epilog="Exit codes: 0 done; 1 refused, not found, faults, or differences; "
    "2 wrong usage; 3 a store does not answer, or nothing runs. With --json, lists "
    "are one JSON object a line, and everything else is one JSON document.",
)

app.command()(running.up)
app.command()(running.serve)
app.command()(running.worker)
app.command()(running.console)
app.command()(running.migrate)
app.command()(editing.check)
app.command()(editing.schema)
app.command()(presets.presets)
app.command()(editing.link)
app.command("trace")(tracing.trace_id)
app.command("caps")(caps.list_caps)
app.add_typer(postback.app, name="postback")
app.add_typer(conversions.app, name="conversions")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(erasing.app, name="erase")
app.add_typer(users.app, name="users")
app.add_typer(rollups.app, name="rollups")
app.command()(files.reconcile)
app.command("import")(files.import_)
app.command()(playing.demo)


@app.callback(invoke_without_command=True)
def _tracker(
    *, version: bool = typer.Option(False, "--version", help="Say which version.")
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """The entry point: an error of ours is one sentence on stderr, and no trace."""
    try:
        app()
    except TrackerError as error:
        print(f"tracker: {error}", file=sys.stderr)
        sys.exit(exit_code_of(error))


def exit_code_of(error: TrackerError) -> int:
    """What a script can tell apart."""
    return STORE_AWAY if isinstance(error, StoreUnavailableError) else REFUSED
