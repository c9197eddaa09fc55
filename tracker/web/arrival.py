"""A postback as somebody wrote it down, read as if it arrived."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tracker.domain.call import Call
from tracker.domain.errors import NotFoundError
from tracker.domain.postback import Postback
from tracker.domain.value import Value
from tracker.runtime import Runtime
from tracker.web.postback import PREFIX, read_postback

if TYPE_CHECKING:
    from starlette.types import Scope


class Arrival(Value, frozen=True):
    """
    What is known of a call: a URL or its path, and what came with it.

    Without a method it is a POST where there is a body. `headers` are `Name: value`.
    """

    url: str
    method: str = ""
    body: str = ""
    headers: Sequence[str] = ()
    address: str = ""


async def read_arrival(runtime: Runtime, arrival: Arrival) -> tuple[Postback, Call]:
    """
    What the endpoint would make of it.

    Raises NotFoundError for a URL that leads to another endpoint.
    """
    # A macro such as #AMOUNT# is no fragment: nothing of what was sent may be lost.
    try:
        url = urlsplit(arrival.url.strip().replace("#", "%23"))
    except ValueError as error:
        raise NotFoundError(f"that is no URL: {error}") from error
    path = unquote(url.path)
    if path != PREFIX and not path.startswith(f"{PREFIX}/"):
        raise NotFoundError(
            f"{url.path or '/'} is no postback: its path begins with {PREFIX}"
        )
    body = arrival.body.encode()
    scope: Scope = {
        "type": "http",
        "method": (arrival.method or ("POST" if body else "GET")).upper(),
        "path": path,
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "headers": [_header(one) for one in arrival.headers if one.strip()],
        "client": (arrival.address.strip(), 0),
    }
    return await read_postback(runtime, scope, body)


def _header(line: str) -> tuple[bytes, bytes]:
    name, _, value = line.partition(":")
    return name.strip().lower().encode(), value.strip().encode()
