"""
Who is let in, and who no more: invitations, roles and tokens.

A token that administers may give nobody more than it may itself, whatever its person
may: who has got hold of it must not get further by it.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.console.api.calls import Call, Parameter, answer, done, read_body
from tracker.console.pages import person_of, runtime_of
from tracker.console.session import actor_of
from tracker.domain.person import (
    GRANTS,
    MAX_NAME,
    MAX_TOKEN_DAYS,
    Permission,
    Role,
)
from tracker.flow.entry import MAX_TOKEN_NAME, end_sessions, make_token, revoke_token
from tracker.flow.people import (
    change_standing,
    end_person,
    invite_person,
    known_standing,
    reset_password,
    revoke_invitation,
)
from tracker.store.people import Invitation, KnownPerson

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Key = Annotated[str, msgspec.Meta(max_length=512)]
TokenName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TOKEN_NAME)]
Days = Annotated[int, msgspec.Meta(ge=1, le=MAX_TOKEN_DAYS)]


class NewRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role; `partner` is whose, for that of a partner."""

    role: Role
    partner: Key = ""


class Invited(NewRole, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody new."""

    name: Name


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token of one's own is for, and how long it serves."""

    name: TokenName
    scopes: Annotated[list[Permission], msgspec.Meta(min_length=1)]
    days: Days


@dataclass(frozen=True, slots=True)
class Passage:
    """Where a password is chosen, once; whoever has it gets in, so pass it on well."""

    url: str


@dataclass(frozen=True, slots=True)
class MadeToken:
    """Said this once: only its hash is kept."""

    token: str


async def invite(request: Request) -> Response:
    """A link by which somebody new chooses a password."""
    runtime, body = runtime_of(request), await read_body(request, Invited)
    _refuse_more(request, GRANTS[body.role])
    standing = await known_standing(runtime, body.role, body.partner.strip())
    url = await invite_person(runtime, body.name, standing, actor_of(request))
    return answer(Passage(url), 201)


async def invitations(request: Request) -> Response:
    """Without the links: they let in."""
    return answer(await runtime_of(request).people.list_invitations())


async def take_back(request: Request) -> Response:
    """A link that nobody has used."""
    await revoke_invitation(runtime_of(request), _id(request), actor_of(request))
    return done()


async def change_role(request: Request) -> Response:
    """Another role, from the next page on."""
    runtime, body = runtime_of(request), await read_body(request, NewRole)
    _refuse_more(request, GRANTS[body.role])
    partner, by = body.partner.strip(), actor_of(request)
    await change_standing(runtime, _id(request), body.role, partner, by)
    return done()


async def reset(request: Request) -> Response:
    """Who may choose the password of somebody may do all that they may."""
    person = await _asked(request)
    _refuse_more(request, GRANTS[person.role])
    url = await reset_password(runtime_of(request), person, actor_of(request))
    return answer(Passage(url), 201)


async def end(request: Request) -> Response:
    """Nobody gets in by that name any more, nor by a token of theirs."""
    await end_person(runtime_of(request), _id(request), actor_of(request))
    return done()


async def sign_out(request: Request) -> Response:
    """All sessions of somebody."""
    runtime, person = runtime_of(request), await _asked(request)
    await end_sessions(runtime, person.id, person.name, actor_of(request))
    return done()


async def make(request: Request) -> Response:
    """One's own; it may no more than the token that asks for it."""
    runtime, body = runtime_of(request), await read_body(request, NewToken)
    _refuse_more(request, body.scopes)
    said = {"name": body.name, "days": str(body.days)}
    by = actor_of(request)
    token = await make_token(runtime, person_of(request), said, body.scopes, by)
    return answer(MadeToken(token), 201)


async def revoke(request: Request) -> Response:
    """Anybody's; from then on nothing gets in by it."""
    await revoke_token(runtime_of(request), _id(request), None, actor_of(request))
    return done()


def _refuse_more(request: Request, wanted: Collection[Permission]) -> None:
    person = person_of(request)
    if not person.may_give(wanted):
        missing = ", ".join(sorted({*wanted} - person.permissions))
        raise HTTPException(403, f"It may more than this token, which lacks {missing}.")


async def _asked(request: Request) -> KnownPerson:
    return await runtime_of(request).people.get(_id(request))


def _id(request: Request) -> int:
    number: int = request.path_params["id"]
    return number


def _post(  # noqa: PLR0913, PLR0917 - what a call is
    path: str,
    endpoint: Callable[[Request], Awaitable[Response]],
    says: str,
    body: Any = None,
    example: Any = None,
    result: Any = None,
) -> Call:
    return Call(
        "POST",
        path,
        endpoint,
        Permission.ADMINISTER,
        says,
        answer=result,
        parameters=_IDS if "{id" in path else (),
        body=body,
        example=example,
        status=201 if result else 204,
    )


_IDS: Sequence[Parameter] = (Parameter("id", "Its number.", "integer"),)

CALLS = (
    Call(
        "GET",
        "/invitations",
        invitations,
        Permission.ADMINISTER,
        "Links that wait for somebody, without what opens them",
        answer=list[Invitation],
    ),
    _post(
        "/invitations",
        invite,
        "A link by which somebody new chooses a password; it serves three days, once",
        Invited,
        {"name": "ida@agency.example", "role": "viewer"},
        Passage,
    ),
    _post("/invitations/{id:int}/revoke", take_back, "Takes such a link back"),
    _post(
        "/people/{id:int}/role",
        change_role,
        "Gives another role; who has it signs in again",
        NewRole,
        {"role": "partner", "partner": "bestdeals"},
    ),
    _post(
        "/people/{id:int}/reset",
        reset,
        "A link by which somebody chooses another password",
        result=Passage,
    ),
    _post("/people/{id:int}/sign-out", sign_out, "Ends all sessions of somebody"),
    _post("/people/{id:int}/end", end, "Ends somebody, with sessions and tokens"),
    _post(
        "/tokens",
        make,
        "A token of your own, said once; it may no more than what asks for it",
        NewToken,
        {"name": "nightly report", "scopes": ["own", "see"], "days": 90},
        MadeToken,
    ),
    _post("/tokens/{id:int}/revoke", revoke, "Revokes a token, anybody's"),
)
