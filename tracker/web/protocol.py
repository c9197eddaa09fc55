"""
HTTP as uvicorn speaks it, with a patience of our own for what senders put in a URL.

httptools refuses a URL that is longer than 64 KB, or has a blank or a raw byte beyond
ASCII in it, before an application sees it: a visitor would meet an error, and a
postback would leave no trace. Mended here, the one arrives, and the other is judged.
"""

import re
from collections import deque

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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


class ForgivingProtocol(HttpToolsProtocol):
    """Reads what can be understood of a URL."""

    _is_receiving = False
    _has_head = False
    _unfinished = 0

    def data_received(self, data: bytes) -> None:
        """
        At the start of a request, its URL is made one that httptools reads.

        Nowhere else: a body is as long as its head has said, and a byte more of it
        would be the first of the next request.
        """
        was_receiving = self._is_receiving
        is_sound = was_receiving or _SOUND_LINE.match(data)
        super().data_received(data if is_sound else _mended(data))
        if was_receiving and self._is_receiving:
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

    def _bound(self, received: int) -> None:
        self._unfinished += received
        if self._has_head and self._unfinished > MAX_REQUEST:
            self.transport.close()
        elif not self._has_head and self._unfinished > MAX_HEAD:
            self.send_400_response("There are more headers than anybody needs.")


def _mended(data: bytes) -> bytes:
    found = _REQUEST_LINE.match(data)
    if found is None:
        return data
    target = _NEVER_RAW.sub(_percent_encoded, found[2])
    return b"%b %b %b%b" % (found[1], target, found[3], data[found.end() :])


def _percent_encoded(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]
