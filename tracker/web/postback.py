"""`/postback` and `/postback/{advertiser}`: what advertisers' servers call."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from tracker.domain.advertiser import Reply
from tracker.domain.call import Call
from tracker.domain.dialect import Dialect
from tracker.domain.errors import TooManyFailuresError
from tracker.domain.identity import new_postback_id
from tracker.domain.members import Members, flattened, read_json, selected
from tracker.domain.outcome import Outcome, Reason
from tracker.domain.postback import (
    KEPT_OF_A_LARGE_ONE,
    MAX_BYTES,
    MAX_PARAMETERS,
    Postback,
    clean,
    conceal,
)
from tracker.domain.reply import fill_reply
from tracker.domain.signature import HEADER
from tracker.domain.vocabulary import Vocabulary
from tracker.flow.postback import accept_postback
from tracker.logs import mask
from tracker.runtime import Runtime
from tracker.web import parts
from tracker.web.answer import answer
from tracker.web.client import client_address, header
from tracker.web.query import read_pairs

PREFIX = parts.PREFIX
METHODS = ("GET", "POST")

Pairs = list[tuple[str, str]]

_SIGNATURE = HEADER.lower().encode()

UNREAD = "(unread body)"
"""Under this name a body that could not be read is kept, as far as it goes."""


async def receive_postback(
    runtime: Runtime, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answers a postback: truly, at once, and with a stable reason."""
    body = await _body(scope, receive)
    postback, call = await read_postback(runtime, scope, body)
    dialect = runtime.catalog.dialect(postback.route)
    speaker = dialect.of(postback.parameters).speaker
    reply = speaker.reply if speaker else Reply()
    try:
        outcome = await accept_postback(runtime, postback, call)
    except TooManyFailuresError as error:
        await _refuse(send, error, reply)
    else:
        await _answer(send, outcome, reply, postback.parameters)


async def _body(scope: Scope, receive: Receive) -> bytes:
    """
    As much of the body as tells whether it is too large.

    Raises ClientDisconnect for one that was cut off: half an amount is no amount.
    """
    body, is_over = b"", not _has_body(scope)
    while not is_over and len(body) <= MAX_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        is_over = not message.get("more_body", False)
    return body


def _has_body(scope: Scope) -> bool:
    """HTTP/1.1 announces one (RFC 9112, 6.3)."""
    names = dict(scope["headers"])
    return b"content-length" in names or b"transfer-encoding" in names


async def read_postback(
    runtime: Runtime, scope: Scope, body: bytes
) -> tuple[Postback, Call]:
    """What is kept of the request, and what it was on the wire, which is not."""
    route = _route(scope["path"])
    dialect = runtime.catalog.dialect(route)
    pairs, fault = await _parameters(scope, body, dialect)
    if dialect.parts:
        pairs = parts.parts_of(scope, dialect.parts) + parts.without_parts(pairs)
    vocabulary = dialect.of(pairs).vocabulary
    parameters, digest = conceal(pairs, vocabulary, runtime.hasher, _bearer(scope))
    now = datetime.now(UTC)
    postback = Postback(
        id=new_postback_id(now),
        received_at=now,
        method=scope["method"],
        path=mask(clean(_path(scope, dialect, vocabulary)))[:1024],
        address=client_address(scope, runtime.settings.trusted_proxies),
        route=route,
        parameters=parameters,
        token_digest=digest,
        fault=fault,
    )
    return postback, _call(runtime, scope, body, route, pairs)


def _call(
    runtime: Runtime, scope: Scope, body: bytes, route: str | None, pairs: Pairs
) -> Call:
    path = scope.get("raw_path") or scope["path"].encode()
    return Call(
        origin=runtime.settings.base_url.rstrip("/"),
        path=path.decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        body=body,
        header=header(scope, _SIGNATURE),
        route=route,
        parameters=pairs,
        headers=scope["headers"],
    )


def _path(scope: Scope, dialect: Dialect, vocabulary: Vocabulary) -> str:
    """The path to be kept: a secret in it is one in every place."""
    if dialect.parts:
        return parts.conceal_path(scope, vocabulary)
    path: str = scope["path"]
    return path


def _bearer(scope: Scope) -> str:
    """The token of the Authorization header; other schemes are not for us."""
    scheme, _, token = header(scope, b"authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _route(path: str) -> str | None:
    name = clean(path).removeprefix(PREFIX).strip("/").split("/")[0]
    return name[:64] or None


async def _parameters(
    scope: Scope, body: bytes, dialect: Dialect
) -> tuple[Pairs, Reason]:
    """Query and body are equal: what either says was said."""
    query = scope["query_string"]
    if len(query) + len(body) > MAX_BYTES:
        return read_pairs(_beginning(query + b"&" + body)), Reason.TOO_LARGE
    sent = _form(query) + await _body_parameters(scope, body, dialect)
    pairs = _unpacked(sent, dialect)
    if len(pairs) > MAX_PARAMETERS:
        return pairs[:MAX_PARAMETERS], Reason.TOO_LARGE
    return pairs, Reason.NONE


async def _body_parameters(scope: Scope, body: bytes, dialect: Dialect) -> Pairs:
    if not body:
        return []
    kind = header(scope, b"content-type").lower()
    try:
        if "multipart" in kind:
            return await _multipart(scope, body)
        if "json" in kind or body.lstrip()[:1] in {b"{", b"["}:
            return _read_tree(read_json(body), dialect)
    except (ValueError, RecursionError, KeyError, MultiPartException):
        return [(UNREAD, _beginning(body))]
    return _form(body)


def _read_tree(tree: Any, dialect: Dialect) -> Pairs:
    """All its members, and what the dialect chooses of its lists."""
    pairs = islice(flattened("", tree, dialect.columns), MAX_PARAMETERS + 1)
    return [*pairs, *selected(tree, dialect.selectors)]


def _unpacked(pairs: Pairs, dialect: Dialect) -> Pairs:
    """Where the dialect names members of a parameter, these stand in its place."""
    if not dialect.heads:
        return pairs
    return [found for pair in pairs for found in _members_of(pair, dialect)]


def _members_of(pair: tuple[str, str], dialect: Dialect) -> Pairs:
    """Those of JSON text; what is none stays as it is."""
    name, text = pair
    if name.lower() not in dialect.heads or text.lstrip()[:1] not in {"{", "["}:
        return [pair]
    try:
        return _read_tree(Members([(name, read_json(text))]), dialect)
    except (ValueError, RecursionError):
        return [pair]


def _beginning(data: bytes) -> str:
    """Masked before it is cut: half a token would not be known for one."""
    return mask(data.decode(errors="replace"))[:KEPT_OF_A_LARGE_ONE]


def _form(data: bytes) -> Pairs:
    return read_pairs(data.decode(errors="replace"))


async def _multipart(scope: Scope, body: bytes) -> Pairs:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        Headers(scope=scope), chunks(), max_files=0, max_fields=MAX_PARAMETERS + 1
    )
    form = await parser.parse()
    return [
        (name, value) for name, value in form.multi_items() if isinstance(value, str)
    ]


async def _refuse(send: Send, error: TooManyFailuresError, reply: Reply) -> None:
    """In place of an answer that would say what was not proven."""
    sentence = "Too many calls from this address failed; send it again later."
    said = {"status": "failed", "reason": sentence}
    body, content_type = _worded(reply.failure, said, reply)
    after = [(b"retry-after", b"%d" % error.seconds)]
    await answer(send, 200 if reply.always_200 else 429, body, content_type, after)


async def _answer(
    send: Send, outcome: Outcome, reply: Reply, sent: Sequence[tuple[str, str]] = ()
) -> None:
    is_good = outcome.http_status < 300  # noqa: PLR2004 - the 2xx
    status = 200 if reply.always_200 else outcome.http_status
    said = {
        "status": outcome.verdict,
        "reason": outcome.reason,
        "conversion_id": outcome.conversion_id,
        "postback_id": outcome.postback_id,
    }
    template = reply.body if is_good else reply.failure
    await answer(send, status, *_worded(template, said, reply, sent))


def _worded(
    template: str | None,
    said: Mapping[str, str | None],
    reply: Reply,
    sent: Sequence[tuple[str, str]] = (),
) -> tuple[bytes, str]:
    """In the advertiser's own words if it has any, else as JSON; and its type."""
    if template is None:
        return msgspec.json.encode(said), "application/json"
    text = fill_reply(template, said, reply.content_type, sent)
    return text.encode(), reply.content_type
