# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""The commands that run a tracker: all of it, or one process of it."""

import asyncio
import os
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import AsDocument

if TYPE_CHECKING:
    from tracker.settings import Settings


def up(
    *,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Serve a shop and an inbox to try it on.")
    ] = False,
) -> None:
    """
    Run everything: stores that are not set, migrations, web and worker.

    Until Ctrl-C or SIGTERM; what is in flight is finished first.
    """
    from tracker.settings import load_settings
    from tracker.supervisor import up as run_everything

    run_everything(load_settings(os.environ, needs=()), sandbox=sandbox)


def serve() -> None:
    """Run a web process, on stores and keys that are set."""
    import uvloop

    from tracker.cli.server import serve_until_stopped

    uvloop.run(serve_until_stopped(_server_settings()))


def worker() -> None:
    """Run a worker process: click log, deliveries, catalog, partitions."""
    import uvloop

    uvloop.run(_work(_server_settings()))


def console() -> None:
    """Run the console, on stores and keys that are set."""
    import uvloop

    from tracker.cli.server import serve_console_until_stopped

    uvloop.run(serve_console_until_stopped(_server_settings()))


def migrate(*, as_json: AsDocument = False) -> None:
    """Bring the database to the schema of this version."""
    from tracker.cli.joining import joined_settings, run
    from tracker.cli.output import print_json
    from tracker.store.migrations import migrate as apply_migrations

    settings = joined_settings("database_url")
    applied = run(apply_migrations(settings.database_conninfo))
    if as_json:
        print_json({"applied": applied})
    else:
        print("\n".join(applied) or "nothing to apply")


def _server_settings() -> "Settings":
    """Logs, the data directory and the parent are seen to, too."""
    from tracker.logs import configure_logs
    from tracker.settings import load_settings
    from tracker.supervisor import watch_parent

    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.parent_fd is not None:
        watch_parent(settings.parent_fd)
    return settings


async def _work(settings: "Settings") -> None:
    from tracker.cli.server import on_signals
    from tracker.flow.start import start
    from tracker.runtime import open_runtime
    from tracker.worker import run_worker

    stop = asyncio.Event()
    on_signals(stop.set)
    async with open_runtime(settings) as runtime:
        await start(runtime)
        await run_worker(runtime, stop)
