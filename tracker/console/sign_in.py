"""`/sign-in`, `/sign-out`, and the links by which somebody chooses a password."""

from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.entrance import SIGN_IN, safe_next
from tracker.console.pages import (
    Page,
    form_of,
    page,
    person_of,
    personal,
    runtime_of,
    see,
)
from tracker.console.session import (
    actor_of,
    address_of,
    carry_session,
    drop_session,
    session_of,
    visitor_of,
)
from tracker.domain.errors import (
    NotFoundError,
    OverloadedError,
    RefusedChangeError,
    StoreUnavailableError,
    TooManyFailuresError,
)
from tracker.domain.person import MIN_PASSWORD, Permission, spell_name
from tracker.flow.entry import end_session, sign_in
from tracker.flow.people import accept_invitation, open_invitation
from tracker.store.sessions import hash_of

_AWAY = "A store does not answer, so nobody can be let in; try again later."
_REFUSALS = (
    RefusedChangeError,
    NotFoundError,
    TooManyFailuresError,
    OverloadedError,
    StoreUnavailableError,
)


async def show_sign_in(request: Request) -> Response:
    """Where somebody says who they are."""
    return _ask(request, {"next": request.query_params.get("next", "")})


async def enter(request: Request) -> Response:
    """A new session for who has the password; otherwise why not, and never more."""
    form = await form_of(request)
    name, password = form.get("name", ""), form.get("password", "")
    runtime, visitor = runtime_of(request), visitor_of(request)
    try:
        secret = await sign_in(runtime, name, password, visitor, now=datetime.now(UTC))
    except _REFUSALS as error:
        return _ask(request, form, error)
    answer = see(safe_next(form.get("next", "")))
    carry_session(request, answer, secret, spell_name(name))
    return answer


async def leave(request: Request) -> Response:
    """The session ends, here and in the store."""
    session_id = hash_of(session_of(request)).hex()
    await end_session(
        runtime_of(request), person_of(request).id, session_id, actor_of(request)
    )
    answer = see(SIGN_IN)
    drop_session(request, answer)
    return answer


async def show_invitation(request: Request) -> Response:
    """Where an invited person chooses a password."""
    invited = await open_invitation(runtime_of(request), request.path_params["token"])
    return _choose(request, invited.name)


async def choose_password(request: Request) -> Response:
    """Once; then that person signs in by it."""
    runtime, form = runtime_of(request), await form_of(request)
    token, password = request.path_params["token"], form.get("password", "")
    invited = await open_invitation(runtime, token)
    if password != form.get("again", ""):
        return _choose(request, invited.name, "The two passwords differ.")
    try:
        await accept_invitation(runtime, token, password, address_of(request))
    except RefusedChangeError as error:
        return _choose(request, invited.name, str(error))
    return see(f"{SIGN_IN}?chosen=1")


def _ask(
    request: Request, said: Mapping[str, str], error: Exception | None = None
) -> Response:
    status, sentence = _refusal(error)
    answer = page(
        request,
        "sign_in.html",
        status=status,
        refused=sentence,
        done="Your password is set: sign in by it."
        if "chosen" in request.query_params
        else "",
        name=said.get("name", "")[:200],
        next=safe_next(said.get("next", "")),
    )
    if isinstance(error, TooManyFailuresError):
        answer.headers["Retry-After"] = str(error.seconds)
    return answer


def _refusal(error: Exception | None) -> tuple[int, str]:
    match error:
        case None:
            return 200, ""
        case TooManyFailuresError():
            return 429, f"Too many tries; wait {error.seconds} seconds."
        case StoreUnavailableError():
            return 503, _AWAY
        case OverloadedError():
            return 503, str(error)
    return 403, str(error)


def _choose(request: Request, name: str, refused: str = "") -> Response:
    return page(
        request,
        "invitation.html",
        status=422 if refused else 200,
        name=name,
        refused=refused,
        least=MIN_PASSWORD,
    )


PAGES = (
    Page(SIGN_IN, show_sign_in, needs=None),
    Page(SIGN_IN, enter, needs=None, methods=("POST",)),
    personal("/sign-out", leave, needs=Permission.OWN),
    Page("/invitations/{token}", show_invitation, needs=None),
    Page("/invitations/{token}", choose_password, needs=None, methods=("POST",)),
)
