"""HTTP as uvicorn speaks it, with one bound of our own."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_URL = 60_000
"""
Bytes of a URL that are read.

httptools counts places in a URL with 16 bits and refuses what is longer, so that a
visitor would see an error, and a postback would leave no trace. Cut here, the one
arrives, and the other is found too large and kept.
"""


class BoundedProtocol(HttpToolsProtocol):
    """Reads the beginning of a URL, however long it is."""

    def on_url(self, url: bytes) -> None:
        """A piece of the URL; it may come in several."""
        super().on_url(url[: MAX_URL - len(self.url)])
