# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""The command that plays through the main job against a running sandbox."""

from typing import Annotated

import typer


def demo(
    *,
    clicks: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many visitors to send.")
    ] = 200,
    base_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the tracker listens; else as set."),
    ] = None,
) -> None:
    """Send clicks and postbacks to a running sandbox, and tell what became of them."""
    from tracker.cli.demo import run_demo

    run_demo(clicks=clicks, base_url=base_url)
