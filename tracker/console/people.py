"""`/people`: who uses the console, as an admin decides it."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import (
    Endpoint,
    Page,
    form_of,
    page,
    personal,
    runtime_of,
    see,
)
from tracker.console.session import actor_of
from tracker.domain.errors import RefusedChangeError
from tracker.domain.person import Permission, Role
from tracker.flow.entry import end_sessions, revoke_token
from tracker.flow.people import (
    change_standing,
    end_person,
    invitation_url,
    invite_person,
    known_standing,
    reset_password,
    revoke_invitation,
)
from tracker.store.people import KnownPerson

_DONE = {
    "invited": "Pass the link below on: it serves once.",
    "revoked": "It serves no more.",
    "changed": "Done; who it is about has to sign in again.",
    "ended": "Nobody gets in by that name any more.",
}


async def show_people(request: Request) -> Response:
    """Everybody, the links that wait for somebody, and all tokens."""
    return await _people(request, {})


async def invite(request: Request) -> Response:
    """A link by which somebody new chooses a password."""
    runtime, form = runtime_of(request), await form_of(request)
    try:
        role, partner = form.get("role", ""), form.get("partner", "").strip()
        standing = await known_standing(runtime, role, partner)
        await invite_person(runtime, form.get("name", ""), standing, actor_of(request))
    except RefusedChangeError as error:
        return await _people(request, form, str(error))
    return see("/people?did=invited#links")


async def take_back(request: Request) -> Response:
    """A link that nobody has used."""
    number = request.path_params["id"]
    await revoke_invitation(runtime_of(request), number, actor_of(request))
    return see("/people?did=revoked")


async def revoke_any_token(request: Request) -> Response:
    """Anybody's; from then on nothing gets in by it."""
    number = request.path_params["id"]
    await revoke_token(runtime_of(request), number, None, actor_of(request))
    return see("/people?did=revoked#tokens")


async def show_person(request: Request) -> Response:
    """One person: the role, the sessions, the tokens."""
    return await _person(request, await _asked(request))


async def change_role(request: Request) -> Response:
    """Another role, from the next page on."""
    person, form = await _asked(request), await form_of(request)
    role, partner = form.get("role", ""), form.get("partner", "").strip()
    try:
        await change_standing(
            runtime_of(request), person.id, role, partner, actor_of(request)
        )
    except RefusedChangeError as error:
        return await _person(request, person, str(error))
    return see(f"/people/{person.id}?did=changed")


async def reset(request: Request) -> Response:
    """A link by which somebody chooses another password."""
    person = await _asked(request)
    try:
        await reset_password(runtime_of(request), person, actor_of(request))
    except RefusedChangeError as error:
        return await _person(request, person, str(error))
    return see("/people?did=invited#links")


async def end(request: Request) -> Response:
    """Nobody gets in by that name any more, nor by a token of theirs."""
    person = await _asked(request)
    try:
        await end_person(runtime_of(request), person.id, actor_of(request))
    except RefusedChangeError as error:
        return await _person(request, person, str(error))
    return see("/people?did=ended")


async def sign_out_everywhere(request: Request) -> Response:
    """All sessions of somebody."""
    person = await _asked(request)
    await end_sessions(runtime_of(request), person.id, person.name, actor_of(request))
    return see(f"/people/{person.id}?did=changed")


async def _asked(request: Request) -> KnownPerson:
    return await runtime_of(request).people.get(request.path_params["id"])


async def _people(
    request: Request, said: Mapping[str, str], refused: str = ""
) -> Response:
    runtime = runtime_of(request)
    invitations = await runtime.people.list_invitations()
    return page(
        request,
        "people.html",
        status=422 if refused else 200,
        done=_done(request),
        refused=refused,
        said=said,
        roles=list(Role),
        people=await runtime.people.list_people(),
        links=[(one, invitation_url(runtime, one)) for one in invitations],
        tokens=await runtime.tokens.list_tokens(None),
    )


async def _person(request: Request, person: KnownPerson, refused: str = "") -> Response:
    runtime = runtime_of(request)
    return page(
        request,
        "person.html",
        status=409 if refused else 200,
        done=_done(request),
        refused=refused,
        one=person,
        roles=list(Role),
        sessions=await runtime.sessions.list_sessions(person.id),
        tokens=await runtime.tokens.list_tokens(person.id),
    )


def _done(request: Request) -> str:
    return _DONE.get(request.query_params.get("did", ""), "")


def _act(path: str, endpoint: Endpoint) -> Page:
    return personal(path, endpoint, needs=Permission.ADMINISTER)


PAGES = (
    Page("/people", show_people, needs=Permission.ADMINISTER, takes_token=False),
    _act("/people", invite),
    _act("/people/links/{id:int}/revoke", take_back),
    _act("/people/tokens/{id:int}/revoke", revoke_any_token),
    Page(
        "/people/{id:int}", show_person, needs=Permission.ADMINISTER, takes_token=False
    ),
    _act("/people/{id:int}/role", change_role),
    _act("/people/{id:int}/reset", reset),
    _act("/people/{id:int}/sessions/end", sign_out_everywhere),
    _act("/people/{id:int}/end", end),
)
