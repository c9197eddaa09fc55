"""
HTTP as uvicorn speaks it, with a patience of our own for what senders put in a URL.

httptools refuses a URL that is longer than 64 KB, or has a blank or a raw byte beyond
ASCII in it, before an application sees it: a visitor would meet an error, and a
postback would leave no trace. Mended here, the one arrives, and the other is judged.
"""

import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_URL = 60_000
"""Bytes of a URL that are read; the rest is cut."""

MAX_HEADERS = 64 * 1024
"""Bytes of headers that are taken in."""

_REQUEST_LINE = re.compile(rb"(GET|HEAD|POST) (/[^\r\n]*) (HTTP/1\.[01]\r?\n)")
_NEVER_RAW = re.compile(rb"[^\x21-\x7e]")


class ForgivingProtocol(HttpToolsProtocol):
    """Reads what can be understood of a URL."""

    def data_received(self, data: bytes) -> None:
        """At the start of a request, its URL is made one that httptools reads."""
        is_idle = self.cycle is None or self.cycle.response_complete
        super().data_received(_mended(data) if is_idle else data)

    def on_message_begin(self) -> None:
        """Every request has its own allowance."""
        super().on_message_begin()
        self._header_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Beyond the allowance raises ValueError, which is answered with 400."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADERS:
            raise ValueError("more headers than anybody needs")
        super().on_header(name, value)

    def on_url(self, url: bytes) -> None:
        """A piece of the URL; it may come in several."""
        super().on_url(url[: MAX_URL - len(self.url)])


def _mended(data: bytes) -> bytes:
    found = _REQUEST_LINE.match(data)
    if found is None or not _NEVER_RAW.search(found[2]):
        return data
    target = _NEVER_RAW.sub(_percent_encoded, found[2])
    return b"%b %b %b%b" % (found[1], target, found[3], data[found.end() :])


def _percent_encoded(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]
