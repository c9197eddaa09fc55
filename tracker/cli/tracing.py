# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""`tracker trace`: the whole story of a click, by any id that belongs to it."""

from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import AsDocument

if TYPE_CHECKING:
    from tracker.flow.trace import Trace


def trace_id(
    asked: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A click id, or pb_…, cv_… or dl_… of its story."
        ),
    ],
    *,
    as_json: AsDocument = False,
) -> None:
    """
    Tell the whole story of a click: postbacks, decisions, changes, deliveries.

    By its own id, or by that of a postback, a conversion or a delivery.
    """
    from tracker.cli.joining import run
    from tracker.cli.output import print_json
    from tracker.cli.story import print_story, trace_document
    from tracker.flow.conclusion import conclude
    from tracker.flow.story import tell

    found = run(_trace(asked.strip()))
    if as_json:
        print_json(trace_document(found))
    else:
        print_story(tell(found), conclude(found))


async def _trace(asked: str) -> "Trace":
    from tracker.cli.joining import open_tracker
    from tracker.flow.trace import trace

    async with open_tracker() as runtime:
        return await trace(runtime, asked)
