"""
What a browser carries: the cookie of a session, and the token of its forms.

Where the console has https, cookies have the prefix `__Host-`: no other host, no
other path and no plain connection can set or read them.
"""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import runtime_of
from tracker.domain.badge import Purpose, mark_of
from tracker.domain.person import LONGEST, Actor
from tracker.flow.entry import Visitor
from tracker.web.client import client_address

SESSION_COOKIE = "tracker_session"
BROWSER_COOKIE = "tracker_browser"
_A_YEAR = 365 * 24 * 3600


def session_of(request: Request) -> str:
    """The secret of the session that the cookie names; "" without one of ours."""
    said = request.cookies.get(_cookie(request, SESSION_COOKIE), "")
    return runtime_of(request).badges.read(Purpose.SESSION, said) if said else ""


def visitor_of(request: Request) -> Visitor:
    """Where somebody asks from, and whether the browser was here before."""
    said = request.cookies.get(_cookie(request, BROWSER_COOKIE), "")
    mark = runtime_of(request).badges.read(Purpose.KNOWN_BROWSER, said)
    agent = request.headers.get("user-agent", "")
    return Visitor(address_of(request), agent, mark)


def address_of(request: Request) -> str:
    """Behind a proxy the address that it tells; "" where there is none."""
    trusted = runtime_of(request).settings.trusted_proxies
    return client_address(request.scope, trusted)


def actor_of(request: Request) -> Actor:
    """Who does what is done here, for the audit log."""
    person = request.state.person
    if person is None:
        return Actor("stranger", address_of(request))
    return Actor(person.name, address_of(request), person.id)


def carry_session(request: Request, answer: Response, secret: str, name: str) -> None:
    """The browser is signed in from now on, and is known by that name."""
    badges = runtime_of(request).badges
    signed = badges.sign(Purpose.SESSION, secret)
    _set(request, answer, SESSION_COOKIE, signed, int(LONGEST.total_seconds()))
    known = badges.sign(Purpose.KNOWN_BROWSER, mark_of(name))
    _set(request, answer, BROWSER_COOKIE, known, _A_YEAR)


def drop_session(request: Request, answer: Response) -> None:
    """The browser is signed in no more."""
    _set(request, answer, SESSION_COOKIE, "", 0)


def is_https(request: Request) -> bool:
    """By where people find the console, since a proxy may speak it for us."""
    return urlsplit(runtime_of(request).settings.console_url).scheme == "https"


def _cookie(request: Request, name: str) -> str:
    return f"__Host-{name}" if is_https(request) else name


def _set(
    request: Request, answer: Response, name: str, value: str, seconds: int
) -> None:
    answer.set_cookie(
        _cookie(request, name),
        value,
        max_age=seconds,
        path="/",
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )
