"""`/me`: what somebody decides alone: the password, the sessions, the own tokens."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import (
    Endpoint,
    Page,
    form_of,
    page,
    person_of,
    personal,
    runtime_of,
    see,
)
from tracker.console.session import actor_of, session_of
from tracker.domain.errors import RefusedChangeError
from tracker.domain.person import MAX_TOKEN_DAYS, MIN_PASSWORD, Permission
from tracker.flow.entry import end_session, end_sessions, make_token, revoke_token
from tracker.flow.people import change_password
from tracker.store.sessions import hash_of


async def show_me(request: Request) -> Response:
    """Who I am here, and by what I get in."""
    return await _me(request)


async def set_password(request: Request) -> Response:
    """By the one that I have; then I sign in by the new one, everywhere."""
    form = await form_of(request)
    new = form.get("new", "")
    if new != form.get("again", ""):
        return await _me(request, refused="The two passwords differ.")
    try:
        await change_password(
            runtime_of(request),
            form.get("old", ""),
            new,
            actor_of(request),
            now=datetime.now(UTC),
        )
    except RefusedChangeError as error:
        return await _me(request, refused=str(error))
    return see("/sign-in?chosen=1")


async def end_own_session(request: Request) -> Response:
    """One of mine: a browser that I left somewhere."""
    session_id, me = request.path_params["id"], person_of(request)
    await end_session(runtime_of(request), me.id, session_id, actor_of(request))
    return see("/me")


async def end_own_sessions(request: Request) -> Response:
    """All of mine, this one as well."""
    me = person_of(request)
    await end_sessions(runtime_of(request), me.id, me.name, actor_of(request))
    return see("/sign-in")


async def make_own_token(request: Request) -> Response:
    """A token, on the one page that ever shows it."""
    form, me = await form_of(request), person_of(request)
    scopes = map(str, (await request.form()).getlist("scope"))
    try:
        token = await make_token(
            runtime_of(request), me, form, scopes, actor_of(request)
        )
    except RefusedChangeError as error:
        return await _me(request, refused=str(error))
    return await _me(request, token=token)


async def revoke_own_token(request: Request) -> Response:
    """One of mine; from then on nothing gets in by it."""
    number, me = request.path_params["id"], person_of(request)
    await revoke_token(runtime_of(request), number, me.id, actor_of(request))
    return see("/me")


async def _me(request: Request, *, refused: str = "", token: str = "") -> Response:
    runtime, me = runtime_of(request), person_of(request)
    return page(
        request,
        "me.html",
        status=422 if refused else 200,
        refused=refused,
        token=token,
        sessions=await runtime.sessions.list_sessions(me.id),
        this=hash_of(session_of(request)).hex(),
        tokens=await runtime.tokens.list_tokens(me.id),
        scopes=[one for one in Permission if one in me.permissions],
        least=MIN_PASSWORD,
        longest=MAX_TOKEN_DAYS,
    )


def _act(path: str, endpoint: Endpoint) -> Page:
    return personal(path, endpoint, needs=Permission.OWN)


PAGES = (
    Page("/me", show_me, needs=Permission.OWN, takes_token=False),
    _act("/me/password", set_password),
    _act("/me/sessions/end", end_own_sessions),
    _act("/me/sessions/{id}/end", end_own_session),
    _act("/tokens", make_own_token),
    _act("/tokens/{id:int}/revoke", revoke_own_token),
)
