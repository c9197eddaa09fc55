"""
HTTP as uvicorn speaks it, with a patience of our own for what senders put in a URL.

httptools refuses a URL that is longer than 64 KB, or has a blank or a raw byte beyond
ASCII in it, before an application sees it: a visitor would meet an error, and a
postback would leave no trace. Mended here, the one arrives, and the other is judged.
"""

import asyncio
import re
from collections import deque
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tracker.web.answer import answer

MAX_URL = 60_000
"""Bytes of a URL that are read; the rest is cut."""

MAX_HEAD = 64 * 1024
"""Bytes of a head, its URL aside, that are taken in before its end has come."""

MAX_REQUEST = 2 * 1024 * 1024
"""Bytes of a whole request, its URL aside, before its sender is hung up on."""

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
        if not self._waiting:
            super().resume_reading()


class ForgivingProtocol(HttpToolsProtocol):
    """
    Reads what can be understood of a URL, and answers in order.

    Of a request that is refused, whatever came before it on the connection is
    answered first: its answer would be taken for that of another.
    """

    _is_receiving = False
    _has_head = False
    _unfinished = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody calls."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio reads it
        """Who has said all that it wants to say is answered, and then hung up on."""
        if self._is_receiving or not self._is_answering():
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
        is_sound = self._is_receiving or _SOUND_LINE.match(data)
        super().data_received(data if is_sound else _mended(data))
        if self._is_receiving and self.scope is before:
            self._bound(len(data))
        else:
            self._unfinished = 0

    def on_message_begin(self) -> None:
        """A request has begun."""
        super().on_message_begin()
        self._is_receiving, self._has_head = True, False

    def on_url(self, url: bytes) -> None:
        """A piece of the URL; it may come in several."""
        self.url += url[: MAX_URL - len(self.url)]
        self._unfinished -= len(url)

    def on_headers_complete(self) -> None:
        """The request is answered from now on; what it says later is no header."""
        super().on_headers_complete()
        self._has_head = True
        self.headers = _UNHEARD  # type: ignore[assignment]  # it forgets at once

    def on_message_complete(self) -> None:
        """The request is here to its last byte."""
        super().on_message_complete()
        self._is_receiving = False

    def _unsupported_upgrade_warning(self) -> None:
        """It is answered as it is; what follows it may be of another protocol."""
        if self._is_answering():
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _is_answering(self) -> bool:
        """Whether the newest request that is to be answered is not yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _bound(self, received: int) -> None:
        self._unfinished += received
        if self._has_head and self._unfinished > MAX_REQUEST:
            self._refuse(413, "There is more than anybody needs.")
        elif not self._has_head and self._unfinished > MAX_HEAD:
            self._refuse(400, "There are more headers than anybody needs.")

    def _refuse(self, status: int, sentence: str) -> None:
        """The last that is said on this connection."""
        is_begun = self._is_receiving and self._has_head
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


def _mended(data: bytes) -> bytes:
    found = _REQUEST_LINE.match(data)
    if found is None:
        return data
    target = _NEVER_RAW.sub(_percent_encoded, found[2])
    return b"%b %b %b%b" % (found[1], target, found[3], data[found.end() :])


def _percent_encoded(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]
