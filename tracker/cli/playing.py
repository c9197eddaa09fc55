# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""The command that plays the main job through, against a sandbox that runs."""

from typing import Annotated

import typer

from tracker.cli.tracing import trace_id


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
    from tracker.cli.demo import demo as play
    from tracker.cli.joining import own_settings, read_sandbox_token
    from tracker.program import program

    settings = own_settings()
    token = read_sandbox_token(settings.data_dir)
    summary = play(base_url or settings.base_url, token, clicks)
    if summary.click_id:
        print(f"\n{program()} trace {summary.click_id}\n")
        trace_id(summary.click_id)
