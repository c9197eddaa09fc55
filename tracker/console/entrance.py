"""Who is let in: by a session's cookie, or by a token."""

import re
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import form_of, runtime_of, see
from tracker.console.problems import API, refuse
from tracker.console.session import session_of
from tracker.domain.errors import NotFoundError
from tracker.domain.number import read_number
from tracker.domain.person import Permission, Person

SIGN_IN = "/sign-in"
MAX_STRANGERS_FORM = 16_384
"""Bytes of a form that somebody may send who is not signed in."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = re.compile(r"/(?![/\\])[\x21-\x7e]*")
_MAX_NEXT = 2000
_BEARER = "bearer "


async def admit(
    request: Request, needs: Permission | None, *, takes_token: bool = True
) -> Response | None:
    """
    None to let the request through, with `request.state.person` who asks.

    Otherwise the answer: a stranger is shown where to sign in, anybody else that this
    is not theirs. What changes something must come from a page of ours.
    """
    request.state.person, request.state.csrf = None, ""
    if needs is None:
        return _admit_stranger(request)
    person = await identify(request)
    if person is None:
        return _to_sign_in(request)
    request.state.person = person
    if is_by_token(request):
        return _refuse_person(request, person, needs, is_open=takes_token)
    request.state.csrf = runtime_of(request).badges.form_token(session_of(request))
    refused = _refuse_person(request, person, needs, is_open=True)
    return refused or await _refuse_form(request)


async def identify(request: Request) -> Person | None:
    """
    Who asks; None for a stranger.

    Whoever shows a token is judged by it alone, whatever cookie comes along.
    """
    runtime = runtime_of(request)
    try:
        if is_by_token(request):
            return await runtime.tokens.get_person(_bearer(request))
        session = session_of(request)
        return await runtime.sessions.get_person(session) if session else None
    except NotFoundError:
        return None


def is_by_token(request: Request) -> bool:
    """Whether a program asks: no browser sends such a header by itself."""
    return request.headers.get("authorization", "").lower().startswith(_BEARER)


def safe_next(path: str) -> str:
    """Where to go after signing in: a page of ours, and no other host's."""
    is_ours = len(path) <= _MAX_NEXT and _OURS.fullmatch(path) is not None
    return path if is_ours and not path.startswith(SIGN_IN) else "/"


def _bearer(request: Request) -> str:
    return request.headers["authorization"][len(_BEARER) :].strip()


def _admit_stranger(request: Request) -> Response | None:
    """There is no session yet whose token a form could have: its origin must do."""
    if request.method in _READS:
        return None
    if not _is_from_here(request):
        return _not_from_here(request)
    length = request.headers.get("content-length", "")
    if read_number(length, MAX_STRANGERS_FORM) is None:
        return refuse(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too much.")
    return None


def _refuse_person(
    request: Request, person: Person, needs: Permission, *, is_open: bool
) -> Response | None:
    if not is_open:
        said = "This takes a person who is signed in, not a token."
        return refuse(request, HTTPStatus.FORBIDDEN, said)
    if not person.may(needs):
        said = f"This takes the permission “{needs}”, which you have not."
        return refuse(request, HTTPStatus.FORBIDDEN, said)
    return None


async def _refuse_form(request: Request) -> Response | None:
    """A form of another site, or of another session, does nothing here."""
    if request.method in _READS:
        return None
    if not _is_from_here(request):
        return _not_from_here(request)
    said = request.headers.get("x-csrf-token") or (await form_of(request)).get("csrf")
    session = session_of(request)
    if said and runtime_of(request).badges.is_form_token(session, said):
        return None
    return _not_from_here(request)


def _not_from_here(request: Request) -> Response:
    said = "This form was not made for your session: load the page again."
    return refuse(request, HTTPStatus.FORBIDDEN, said)


def _is_from_here(request: Request) -> bool:
    """What browsers say of where a form stood; what is not a browser says nothing."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    ours = runtime_of(request).settings.console_url
    hosts = {request.headers.get("host", ""), urlsplit(ours).netloc}
    return urlsplit(origin).netloc in hosts


def _to_sign_in(request: Request) -> Response:
    if request.url.path.startswith(API) or is_by_token(request):
        said = "Show a token that still serves: Authorization: Bearer …"
        headers = {"WWW-Authenticate": 'Bearer realm="tracker"'}
        return refuse(request, HTTPStatus.UNAUTHORIZED, said, headers)
    if "hx-request" in request.headers:
        # Part of a page would show the whole page of another.
        said, headers = "Sign in again.", {"HX-Redirect": _sign_in_url(_shown(request))}
        return refuse(request, HTTPStatus.UNAUTHORIZED, said, headers)
    return see(_sign_in_url(_asked(request)))


def _sign_in_url(path: str) -> str:
    wanted = safe_next(path)
    return SIGN_IN if wanted == "/" else f"{SIGN_IN}?next={quote(wanted, safe='/')}"


def _asked(request: Request) -> str:
    """What can be asked again by a link."""
    if request.method not in _READS:
        return "/"
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def _shown(request: Request) -> str:
    """The page that the part was for."""
    shown = urlsplit(request.headers.get("hx-current-url", ""))
    return f"{shown.path}?{shown.query}" if shown.query else shown.path
