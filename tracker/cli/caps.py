# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""`tracker caps`: what has been taken of every cap, and what is left."""

from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import AsJson

if TYPE_CHECKING:
    from tracker.flow.cap import ListedCap

COLUMNS = ("cap", "taken", "until (UTC)", "beyond it", "")


def list_caps(
    *,
    only_reached: Annotated[
        bool, typer.Option("--reached", help="Only those that have no room now.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List every cap of the catalog in force: its limit, and what is taken of it."""
    from tracker.cli.joining import run
    from tracker.cli.output import print_list

    listed = [one for one in run(_list()) if one.is_reached or not only_reached]
    print_list(listed, COLUMNS, _cells, as_json=as_json, folds={"cap"})


async def _list() -> "list[ListedCap]":
    from datetime import UTC, datetime

    from tracker.cli.joining import open_tracker_in_force
    from tracker.flow.cap import list_caps

    async with open_tracker_in_force() as runtime:
        return await list_caps(runtime, datetime.now(UTC))


def _cells(one: "ListedCap") -> tuple[str, ...]:
    from tracker.cli.output import short_time

    until = short_time(one.ends_at) if one.ends_at else "ever"
    beyond = f"{one.then}, {one.clicks}"
    reached = "reached" if one.is_reached else ""
    return (one.cap, f"{one.taken:f}", until, beyond, reached)
