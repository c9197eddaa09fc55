# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""`tracker rollups`: what reports read, counted again."""

import sys

import typer

from tracker.cli.options import AsDocument

app = typer.Typer(
    no_args_is_help=True,
    help="What reports read: clicks and conversions by quarter of an hour.",
)


@app.callback()
def _rollups() -> None:
    """There is one command so far, and it has a name all the same."""


@app.command()
def rebuild(*, as_json: AsDocument = False) -> None:
    """
    Count clicks and conversions again, while the tracker works.

    Days that retention has dropped stay as they were counted.
    """
    from tracker.cli.joining import run
    from tracker.cli.output import print_json

    days = run(_rebuild())
    if as_json:
        print_json({"days": days})
    else:
        print(f"counted again: {days} days of clicks, and all conversions")


async def _rebuild() -> int:
    from tracker.cli.joining import open_tracker_in_force
    from tracker.flow.rollup import rebuild

    days = 0
    async with open_tracker_in_force() as runtime:
        async for day in rebuild(runtime):
            days += 1
            if sys.stderr.isatty():
                print(f"{day}", end="\r", file=sys.stderr)
    return days
