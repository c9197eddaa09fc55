"""Answers of the hot endpoints, given to the server as they are."""

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.types import Send

Headers = Iterable[tuple[bytes, bytes]]


async def answer(
    send: Send,
    status: int,
    body: bytes,
    content_type: str = "text/plain",
    headers: Headers = (),
) -> None:
    """A whole answer; text is UTF-8."""
    described = [
        (b"content-type", _spelled(content_type)),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": described})
    await send({"type": "http.response.body", "body": body})


async def answer_json(
    send: Send, status: int, content: Any, headers: Headers = ()
) -> None:
    """A whole answer, in JSON."""
    body = msgspec.json.encode(content)
    await answer(send, status, body, "application/json", headers)


def _spelled(content_type: str) -> bytes:
    is_bare_text = content_type.startswith("text/") and "charset" not in content_type
    return f"{content_type}{'; charset=utf-8' if is_bare_text else ''}".encode()
