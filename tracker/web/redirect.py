"""`/c/{partner}/{offer}`: the one endpoint that visitors see."""

from urllib.parse import parse_qsl, quote

from starlette.responses import Response
from starlette.types import Scope

from tracker.domain.click import Visit
from tracker.domain.click_id import ClickClass
from tracker.domain.errors import UnknownLinkError
from tracker.flow.redirect import redirect_visitor
from tracker.runtime import Runtime
from tracker.web.client import client_address, header

PREFIX = "/c/"
METHODS = ("GET", "HEAD")

MAX_QUERY = 16 * 1024
"""Bytes of a query that are read; the visitor arrives whatever stands behind."""

HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
}

_PREFETCHING = (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz")
_PREFETCH_WORDS = ("prefetch", "prerender", "preview")
_URL_PUNCTUATION = "!#$%&'()*+,/:;=?@[]~"


async def redirect(runtime: Runtime, scope: Scope) -> Response:
    """A 302 to where the visitor is to go."""
    location = await redirect_visitor(runtime, read_visit(runtime, scope))
    return Response(status_code=302, headers={**HEADERS, "location": _ascii(location)})


def read_visit(runtime: Runtime, scope: Scope) -> Visit:
    """The visit in a request; raises UnknownLinkError for a path of another shape."""
    partner, slash, offer = scope["path"].removeprefix(PREFIX).partition("/")
    if not slash or "/" in offer:
        raise UnknownLinkError("a tracked link is /c/PARTNER/OFFER")
    return Visit(
        partner=partner,
        offer=offer,
        query=_query(scope["query_string"][:MAX_QUERY]),
        address=client_address(scope, runtime.settings.trusted_proxies),
        user_agent=header(scope, b"user-agent"),
        referrer=header(scope, b"referer"),
        language=header(scope, b"accept-language"),
        click_class=_click_class(scope),
    )


def _query(query_string: bytes) -> dict[str, str]:
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    # Of a repeated name the first counts.
    return dict(reversed(pairs))


def _click_class(scope: Scope) -> ClickClass:
    if scope["method"] == "HEAD":
        return ClickClass.HEAD
    purposes = [header(scope, name).lower() for name in _PREFETCHING]
    if any(word in purpose for word in _PREFETCH_WORDS for purpose in purposes):
        return ClickClass.PREFETCH
    return ClickClass.VISIT


def _ascii(location: str) -> str:
    """What a template holds beyond ASCII, encoded, and nothing encoded twice."""
    return quote(location, safe=_URL_PUNCTUATION)
