"""
HTTP as uvicorn speaks it, with a patience of our own for what senders put in a URL.

httptools refuses a URL that is longer than 64 KB, or has a blank or a raw byte beyond
ASCII in it, before an application sees it: a visitor would meet an error, and a
postback would leave no trace. Mended here, the one arrives, and the other is judged.

And uvicorn waits for ever for the end of a request. Here a head has ten seconds and a
whole request thirty, and who takes longest makes room when there are too many.
"""

import asyncio
import re
import resource
from collections import deque
from heapq import nsmallest
from operator import attrgetter
from typing import Any, ClassVar

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tracker import metrics
from tracker.web.answer import answer

MAX_URL = 60_000
"""Bytes of a URL that are read; the rest is cut."""

MAX_HEAD = 64 * 1024
"""Bytes of a head, its URL aside, that are taken in before its end has come."""

MAX_REQUEST = 2 * 1024 * 1024
"""Bytes of a whole request, its URL aside, before its sender is hung up on."""

MAX_CONNECTIONS = 10_000
"""Of one process, as far as its limit of open files allows."""

OTHER_FILES = 200
"""Open files that are not callers: stores, logs, the catalog."""

# What comes in a body's trailers nobody has asked for (RFC 9110, 6.5.1).
_UNHEARD: deque[tuple[bytes, bytes]] = deque(maxlen=0)

_SOUND_LINE = re.compile(rb"[A-Z]+ [\x21-\x7e]+ HTTP/1\.[01]\r\n")
_REQUEST_LINE = re.compile(rb"(GET|HEAD|POST) (/[^\r\n]*) (HTTP/1\.[01]\r?\n)")
_NEVER_RAW = re.compile(rb"[^\x21-\x7e]")


class _Flow(FlowControl):
    """Reads on only when no further request waits for its turn already."""

    def __init__(self, transport: asyncio.Transport, waiting: deque[Any]) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """A sender that asks faster than it is answered is slowed down."""
        if self.read_paused and not self._waiting:
            super().resume_reading()


class ForgivingProtocol(HttpToolsProtocol):
    """
    Reads what can be understood of a URL, and answers in order.

    Of a request that is refused, whatever came before it on the connection is
    answered first: its answer would be taken for that of another.

    A connection is looked at every few seconds, so that a request costs no timer.
    """

    head_seconds: ClassVar = 10.0
    request_seconds: ClassVar = 30.0
    look_seconds: ClassVar = 5.0
    places: ClassVar = MAX_CONNECTIONS

    since = 0.0
    _unsent = 0
    _unfinished = 0
    _complete: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody calls."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self.since = self.loop.time()
        self._next_look = self.loop.call_later(self.look_seconds, self._look)
        if len(self.connections) > self.places:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio reads it
        """Who has said all that it wants to say is answered, and then hung up on."""
        if self._is_receiving() or not self._is_answering():
            return False
        self.cycle.keep_alive = False
        return True

    def send_400_response(self, msg: str) -> None:
        """What cannot be read is answered so."""
        self._refuse(400, msg)

    def data_received(self, data: bytes) -> None:
        """
        At the start of a request, its URL is made one that httptools reads.

        Nowhere else: a body is as long as its head has said, and a byte more of it
        would be the first of the next request.
        """
        before = self.scope
        is_sound = before is not self._complete or _SOUND_LINE.match(data)
        super().data_received(data if is_sound else _mended(data))
        if self.scope is not before:
            self.since, self._unfinished = self.loop.time(), 0
        elif before is not self._complete:
            self._bound(len(data))

    def on_url(self, url: bytes) -> None:
        """A piece of the URL; it may come in several."""
        self.url += url[: MAX_URL - len(self.url)]
        self._unfinished -= len(url)

    def on_chunk_header(self) -> None:
        """Nothing that is said behind a chunk is a header of the request."""
        self.headers = _UNHEARD  # type: ignore[assignment]  # it forgets at once

    def on_message_complete(self) -> None:
        """The request is here to its last byte."""
        super().on_message_complete()
        self._complete = self.scope

    def is_its_turn(self) -> bool:
        """Whether the caller is to say something, and not we."""
        return self._is_receiving() or not self._is_answering()

    def hang_up(self, reason: str) -> None:
        """A request that has begun is told so; its sender may send it again."""
        metrics.CONNECTIONS_ENDED.labels(reason).inc()
        if self._is_receiving():
            self._refuse(408, "The request took too long.")
        else:
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """It is answered as it is; what follows it may be of another protocol."""
        if self._is_answering():
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _look(self) -> None:
        """Ends what has taken too long; else looks again later."""
        self._next_look = self.loop.call_later(self.look_seconds, self._look)
        unsent = self.transport.get_write_buffer_size()
        if 0 < self._unsent <= unsent:
            metrics.CONNECTIONS_ENDED.labels("unread").inc()
            self.transport.abort()
        elif self.is_its_turn() and self._is_late():
            self.hang_up("slow")
        self._unsent = unsent

    def _is_late(self) -> bool:
        if not self._is_receiving() and self.timeout_keep_alive_task is not None:
            return False  # between requests, uvicorn looks after it
        patience = self.request_seconds if self._has_head() else self.head_seconds
        return self.loop.time() - self.since > patience

    def _make_room(self) -> None:
        """Those who began first make way for the newest, and some more at once."""
        connections: set[Any] = self.connections
        idle = [one for one in connections if one.is_its_turn()]
        for one in nsmallest(1 + self.places // 16, idle, key=attrgetter("since")):
            one.hang_up("crowded")

    def _is_receiving(self) -> bool:
        """Each request has a scope of its own, from its first byte on."""
        return self.scope is not self._complete

    def _has_head(self) -> bool:
        """A request that has begun to come is known by its path once it can be read."""
        return self._is_receiving() and "path" in self.scope

    def _is_answering(self) -> bool:
        """Whether the newest request that is to be answered is not yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _bound(self, received: int) -> None:
        self._unfinished += received
        if self._has_head() and self._unfinished > MAX_REQUEST:
            self._refuse(413, "There is more than anybody needs.")
        elif not self._has_head() and self._unfinished > MAX_HEAD:
            self._refuse(400, "There are more headers than anybody needs.")

    def _refuse(self, status: int, sentence: str) -> None:
        """The last that is said on this connection."""
        is_begun = self._has_head()
        if self._is_answering() and not is_begun:
            self.cycle.keep_alive = False
        elif is_begun and self.pipeline:
            refusing: Any = _refusing(status, sentence)
            self.pipeline[0] = (self.cycle, refusing)
        elif is_begun and self.cycle.response_started:
            self.transport.close()
        else:
            self._say(status, sentence)

    def _say(self, status: int, sentence: str) -> None:
        head = (
            "content-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(sentence)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + f"{head}{sentence}".encode())
        self.transport.close()


def _refusing(status: int, sentence: str) -> ASGIApp:
    """Takes the place of the application for a request that waits for its turn."""

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"connection", b"close")]
        await answer(send, status, sentence.encode(), headers=headers)

    return refuse


def find_places() -> int:
    """How many callers there is room for, after the limit of open files was raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MAX_CONNECTIONS
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(most - OTHER_FILES, most // 2)


def _mended(data: bytes) -> bytes:
    found = _REQUEST_LINE.match(data)
    if found is None:
        return data
    target = _NEVER_RAW.sub(_percent_encoded, found[2])
    return b"%b %b %b%b" % (found[1], target, found[3], data[found.end() :])


def _percent_encoded(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]
