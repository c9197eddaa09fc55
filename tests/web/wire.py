"""What no client library would send, byte for byte, and what comes back."""

import asyncio
from contextlib import asynccontextmanager, suppress

import uvicorn

from tracker.web.answer import answer
from tracker.web.protocol import ForgivingProtocol

HOST = b"Host: t\r\n"


class Heard:
    """
    An application that keeps what it was asked, and answers with the path.

    Of `/unread` it never reads the body; to `/held` it answers when it is `let_go`.
    """

    def __init__(self):
        self.requests = []
        self.let_go = asyncio.Event()
        self.cut_off = 0

    async def __call__(self, scope, receive, send):
        path = scope["path"]
        if path != "/unread":
            body = await self._read(receive)
            if body is None:
                return
            self.requests.append((scope["method"], path, body, scope["headers"]))
        if path == "/held":
            await self.let_go.wait()
        await answer(send, 200, path.encode())

    async def _read(self, receive):
        body, is_over = b"", False
        while not is_over:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.cut_off += 1
                return None
            body += message["body"]
            is_over = not message["more_body"]
        return body

    @property
    def paths(self):
        return [path for _, path, _, _ in self.requests]


class Line:
    """One connection, and the answers that come on it."""

    def __init__(self, reader, writer):
        self._reader, self.writer = reader, writer

    async def say(self, *parts):
        self.writer.write(b"".join(parts))
        await self.writer.drain()

    async def answer(self):
        """Status and body of the next answer; None when there is none any more."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        status = int(head.split()[1])
        fields = dict(
            line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line
        )
        length = int(fields.get(b"content-length", b"0"))
        return status, (await self._reader.readexactly(length)).decode()

    async def answers(self, *parts):
        """Every answer until the server hangs up."""
        if parts:
            with suppress(ConnectionError):
                await self.say(*parts)
        found = []
        while (one := await self.answer()) is not None:
            found.append(one)
        return found


@asynccontextmanager
async def served(app, protocol=ForgivingProtocol):
    """A server of one application; opens a `Line` each time it is called."""
    config = uvicorn.Config(
        app, port=0, http=protocol, ws="none", lifespan="off", log_config=None,
        access_log=False,
    )  # fmt: skip
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    writers = []

    async def call():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return Line(reader, writer)

    try:
        yield call
    finally:
        for writer in writers:
            with suppress(ConnectionError):
                writer.close()
                await writer.wait_closed()
        server.force_exit = True
        await server.shutdown()
