"""A web process, or the console: uvicorn, told to stop by us."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp

from tracker.console.app import create_console
from tracker.domain.errors import SettingsError
from tracker.settings import Settings, variable
from tracker.web.app import create_app, create_internal_app
from tracker.web.protocol import ForgivingProtocol, find_places

FINISHING_SECONDS = 15
"""How long requests in flight may take when the server is asked to stop."""

_USUAL: dict[str, Any] = {
    "ws": "none",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "date_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": FINISHING_SECONDS,
}


class Server(uvicorn.Server):
    """Leaves signals to us, so that a stop we asked for ends with status 0."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_open = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """The lifespan is open, and the port, when `is_open` is set."""
        await super().startup(sockets)
        self.is_open.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing to capture: `on_signals` has them."""
        yield


async def serve_until_stopped(settings: Settings) -> None:
    """Until SIGINT or SIGTERM; requests in flight are then finished."""
    ForgivingProtocol.places = find_places()
    app = create_app(settings)
    public = Server(_config(app, settings.host, settings.port, lifespan="on"))
    if settings.internal_port is None:
        on_signals(lambda: _stop([public]))
        await public.serve()
        return
    shown = create_internal_app(app)
    internal = Server(_config(shown, settings.host, settings.internal_port))
    on_signals(lambda: _stop([public, internal]))
    await asyncio.gather(public.serve(), _serve_after(public, internal))


async def serve_console_until_stopped(settings: Settings) -> None:
    """The console, likewise; SettingsError where its port is 0."""
    if not settings.console_port:
        raise SettingsError(f"{variable('console_port')}: is 0, which means none")
    app = create_console(settings)
    console = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.console_port,
        lifespan="on",
        **_USUAL,
    )
    server = Server(console)

    def stop() -> None:
        """A tail has no end of its own, and would be waited for."""
        app.state.tails.close()
        _stop([server])

    on_signals(stop)
    await server.serve()


def on_signals(stop: Callable[[], None]) -> None:
    """What is done when the process is asked to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


async def _serve_after(public: Server, internal: Server) -> None:
    """What the internal one shows, the lifespan of the public one opens."""
    await public.is_open.wait()
    await internal.serve()


def _config(
    app: ASGIApp, host: str, port: int, *, lifespan: Literal["on", "off"] = "off"
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=ForgivingProtocol,
        lifespan=lifespan,
        **_USUAL,
    )


def _stop(servers: Sequence[Server]) -> None:
    """A second signal no longer waits for requests in flight."""
    for server in servers:
        server.force_exit = server.should_exit
        server.should_exit = True
