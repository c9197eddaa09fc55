"""
A proxy that stands between two processes and spoils what passes.

It takes connections on a port of loopback or on a Unix socket, and passes them on to
another one. `fault` says how it treats all of them from now on, those that are open
included:

    with running_proxy(here, there) as proxy:
        proxy.switch(Fault(latency=0.2))
        proxy.switch(RESET)
        proxy.switch(PASS)
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CHUNK = 65536

Place = tuple[str, int] | Path
"""A host and a port, or the path of a Unix socket."""


@dataclass(frozen=True)
class Fault:
    """
    What happens to everything that passes; several faults may come together.

    `latency` delays each piece by so many seconds. `is_reset` ends connections, new
    ones too, without a goodbye. `is_silent` takes everything and passes nothing on
    until it is over: a peer that hangs. `cut_after` ends a connection so many bytes
    into what is answered on it. `slow_close` keeps a connection that one end has
    closed open towards the other for so many seconds.
    """

    latency: float = 0.0
    is_reset: bool = False
    is_silent: bool = False
    cut_after: int | None = None
    slow_close: float = 0.0


PASS = Fault()
RESET = Fault(is_reset=True)
SILENCE = Fault(is_silent=True)


class FaultProxy:
    """Lives in one event loop; `running_proxy` gives it one of its own."""

    def __init__(self, here: Place, there: Place) -> None:
        self.here, self._there = here, there
        self.fault = PASS
        self._switched = asyncio.Event()
        self._connections: set[Connection] = set()

    async def open(self):
        if isinstance(self.here, Path):
            self._server = await asyncio.start_unix_server(self._take, self.here)
        else:
            self._server = await asyncio.start_server(self._take, *self.here)
            self.here = self._server.sockets[0].getsockname()

    async def close(self):
        self._server.close()
        self.switch(RESET)
        while self._connections:
            await asyncio.sleep(0.001)

    def switch(self, fault: Fault) -> None:
        """From now on; what waits in a silence that is over goes on."""
        self.fault = fault
        self._switched.set()
        self._switched = asyncio.Event()
        for connection in list(self._connections):
            connection.start_counting()
            if fault.is_reset:
                connection.reset()

    async def delay(self):
        """As long as a piece has to wait now."""
        await asyncio.sleep(self.fault.latency)
        while self.fault.is_silent:
            await self._switched.wait()

    async def _take(self, reader, writer):
        connection = Connection(self, writer)
        self._connections.add(connection)
        try:
            await connection.run(reader, self._there)
        finally:
            self._connections.discard(connection)


class Connection:
    """One connection through the proxy: two ends, and what passes between them."""

    def __init__(self, proxy: FaultProxy, near: asyncio.StreamWriter) -> None:
        self._proxy, self._near = proxy, near
        self._far: asyncio.StreamWriter | None = None
        self._answered = 0

    async def run(self, near_reader, there):
        """Until both ends are closed."""
        try:
            if self._proxy.fault.is_reset:
                self.reset()
                return
            await self._proxy.delay()
            far_reader, self._far = await _connect(there)
            await asyncio.gather(
                self._pass_on(near_reader, self._far, is_answer=False),
                self._pass_on(far_reader, self._near, is_answer=True),
            )
        except OSError:
            pass
        finally:
            for writer in self._ends():
                writer.close()

    def start_counting(self):
        """A cut counts from the moment it is switched on."""
        self._answered = 0

    def reset(self):
        """Both ends see their peer gone at once."""
        for writer in self._ends():
            _forget_what_waits(writer)
            writer.transport.abort()

    def _ends(self):
        return [self._near, self._far] if self._far else [self._near]

    async def _pass_on(self, reader, writer, *, is_answer):
        while piece := await reader.read(CHUNK):
            await self._proxy.delay()
            writer.write(self._cut(piece) if is_answer else piece)
            await writer.drain()
        await asyncio.sleep(self._proxy.fault.slow_close)
        with suppress(OSError):
            writer.write_eof()

    def _cut(self, piece):
        """What may pass of it; the end of the connection where that is not all."""
        limit = self._proxy.fault.cut_after
        self._answered += len(piece)
        if limit is None or self._answered <= limit:
            return piece
        self._near.write(piece[: max(0, limit - self._answered + len(piece))])
        raise ConnectionResetError("cut")


@contextmanager
def running_proxy(here: Place, there: Place) -> Iterator["Switch"]:
    """In a thread of its own, for an attack that runs outside any event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    proxy = FaultProxy(here, there)
    asyncio.run_coroutine_threadsafe(proxy.open(), loop).result()
    try:
        yield Switch(proxy, loop)
    finally:
        asyncio.run_coroutine_threadsafe(proxy.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Switch:
    """A proxy in another thread."""

    def __init__(self, proxy: FaultProxy, loop: asyncio.AbstractEventLoop) -> None:
        self._proxy, self._loop = proxy, loop
        self.here = proxy.here

    def switch(self, fault: Fault) -> None:
        """In force when this returns."""

        async def switch():
            self._proxy.switch(fault)

        asyncio.run_coroutine_threadsafe(switch(), self._loop).result()


async def _connect(there):
    if isinstance(there, Path):
        return await asyncio.open_unix_connection(there)
    return await asyncio.open_connection(*there)


def _forget_what_waits(writer):
    """So that TCP ends it with a reset; a Unix socket knows no such thing."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.family != socket.AF_UNIX:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
