# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""The commands that run a tracker: all of it, or one process of it."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracker.cli.options import AsDocument

if TYPE_CHECKING:
    import uvicorn

    from tracker.settings import Settings

FINISHING_SECONDS = 15
"""How long requests in flight may take when the server is asked to stop."""


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

    uvloop.run(_serve(_server_settings()))


def worker() -> None:
    """Run a worker process: click log, deliveries, catalog, partitions."""
    import uvloop

    uvloop.run(_work(_server_settings()))


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
    from tracker.logs import configure_logs
    from tracker.settings import load_settings
    from tracker.supervisor import watch_parent

    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    if settings.parent_fd is not None:
        watch_parent(settings.parent_fd)
    return settings


async def _serve(settings: "Settings") -> None:
    from tracker.web.app import create_app, create_internal_app

    app = create_app(settings)
    public = _server(app, settings.host, settings.port, lifespan="on")
    running, servers = [public.serve()], [public]
    if settings.internal_port is not None:
        internal = create_internal_app(app)
        server = _server(internal, settings.host, settings.internal_port)
        running.append(_serve_after(public, server))
        servers.append(server)
    _on_signals(lambda: _stop(servers))
    await asyncio.gather(*running)


async def _work(settings: "Settings") -> None:
    from tracker.flow.catalog import open_catalog
    from tracker.runtime import open_runtime
    from tracker.worker import run_worker

    stop = asyncio.Event()
    _on_signals(stop.set)
    async with open_runtime(settings) as runtime:
        await open_catalog(runtime)
        await run_worker(runtime, stop)


async def _serve_after(first: "uvicorn.Server", then: "uvicorn.Server") -> None:
    """What the second one shows, the lifespan of the first one opens."""
    while not (first.started or first.should_exit):
        await asyncio.sleep(0.05)
    await then.serve()


def _server(app: Any, host: str, port: int, lifespan: Any = "off") -> "uvicorn.Server":
    import uvicorn

    class Server(uvicorn.Server):
        """Leaves signals to us, so that a stop we asked for ends with status 0."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=FINISHING_SECONDS,
    )
    return Server(config)


def _stop(servers: Sequence["uvicorn.Server"]) -> None:
    """A second signal no longer waits for requests in flight."""
    for server in servers:
        server.force_exit = server.should_exit
        server.should_exit = True


def _on_signals(stop: Any) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
