"""
`/c/{partner}/{offer}`: the one endpoint that visitors see.

The hot path: it reads what it needs of the request itself, and answers itself.
"""

from collections.abc import Mapping
from urllib.parse import quote

from starlette.types import Scope, Send

from tracker.domain.click import OWN_PARAMETERS, Visit
from tracker.domain.click_id import ClickClass
from tracker.domain.errors import UnknownLinkError
from tracker.flow.redirect import redirect_visitor
from tracker.logs import MASK, mask_url, names_secret
from tracker.runtime import Runtime
from tracker.web.client import client_address
from tracker.web.query import read_pairs

PREFIX = "/c/"
METHODS = ("GET", "HEAD")

MAX_QUERY = 16 * 1024
"""Bytes of a query that are read; the visitor arrives whatever stands behind."""

HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex, nofollow"),
)

_HEAD = (*HEADERS, (b"content-length", b"0"))
_BODY = {"type": "http.response.body", "body": b""}

_PREFETCHING = frozenset((b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"))
_PREFETCH_WORDS = (b"prefetch", b"prerender", b"preview")
_URL_PUNCTUATION = "!#$%&'()*+,/:;=?@[]~"


async def redirect(runtime: Runtime, scope: Scope, send: Send) -> None:
    """A 302 to where the visitor is to go."""
    location = await redirect_visitor(runtime, read_visit(runtime, scope))
    headers = [*_HEAD, (b"location", _ascii(location))]
    await send({"type": "http.response.start", "status": 302, "headers": headers})
    await send(_BODY)


def read_visit(runtime: Runtime, scope: Scope) -> Visit:
    """The visit in a request; raises UnknownLinkError for a path of another shape."""
    partner, slash, offer = scope["path"].removeprefix(PREFIX).partition("/")
    if not slash or "/" in offer:
        raise UnknownLinkError("a tracked link is /c/PARTNER/OFFER")
    headers = dict(scope["headers"])
    return Visit(
        partner=partner,
        offer=offer,
        query=_concealed(
            read_query(scope["query_string"][:MAX_QUERY].decode("latin-1"))
        ),
        address=client_address(scope, runtime.settings.trusted_proxies),
        user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
        referrer=mask_url(headers.get(b"referer", b"").decode("latin-1")),
        language=headers.get(b"accept-language", b"").decode("latin-1"),
        click_class=_click_class(scope["method"], headers),
    )


def read_query(query: str) -> dict[str, str]:
    """Of a repeated name the first counts."""
    return dict(reversed(read_pairs(query)))


def _concealed(query: dict[str, str]) -> dict[str, str]:
    """What strangers' links carry besides our own parameters may be a secret."""
    if OWN_PARAMETERS.issuperset(query):
        return query
    for name in query.keys() - OWN_PARAMETERS:
        if names_secret(name):
            query[name] = MASK
    return query


def _click_class(method: str, headers: Mapping[bytes, bytes]) -> ClickClass:
    if method == "HEAD":
        return ClickClass.HEAD
    if _PREFETCHING.isdisjoint(headers):
        return ClickClass.VISIT
    purposes = [headers[name].lower() for name in _PREFETCHING if name in headers]
    if any(word in purpose for word in _PREFETCH_WORDS for purpose in purposes):
        return ClickClass.PREFETCH
    return ClickClass.VISIT


def _ascii(location: str) -> bytes:
    """What a template holds beyond ASCII, encoded, and nothing encoded twice."""
    if location.isascii() and location.isprintable() and " " not in location:
        return location.encode()
    return quote(location, safe=_URL_PUNCTUATION).encode()
