"""What a call was on the wire: signatures are made of this, and of nothing else."""

from collections.abc import Sequence

from tracker.domain.value import Value


class Call(Value, frozen=True):
    """
    A call as it came; it is looked at while it arrives, and never kept.

    `route` is the advertiser named in the path. `parameters` are those of query and
    body, decoded, in the order they came. `header` is the one with a signature of our
    kind, `headers` are all of them, their names in lower case.
    """

    origin: str
    path: str
    query: str
    body: bytes = b""
    header: str = ""
    route: str | None = None
    parameters: Sequence[tuple[str, str]] = ()
    headers: Sequence[tuple[bytes, bytes]] = ()

    def sent(self, name: str) -> set[str]:
        """The values of a parameter, whose name is in lower case."""
        return {value for known, value in self.parameters if known.lower() == name}

    def sent_header(self, name: str) -> set[str]:
        """Those of a header."""
        wanted = name.encode()
        return {value.decode("latin-1") for key, value in self.headers if key == wanted}
