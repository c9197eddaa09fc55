"""Who uses the console, and what was done in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.console.api.calls import (
    CURSOR,
    LIMIT,
    Call,
    Parameter,
    answer,
    answer_list,
    limit_of,
)
from tracker.console.pages import person_of, runtime_of
from tracker.domain.number import read_number
from tracker.domain.person import Permission
from tracker.domain.postback import clean
from tracker.store.audit import NEWEST, NotedDeed
from tracker.store.people import KnownPerson
from tracker.store.sessions import Token


@dataclass(frozen=True, slots=True)
class Me:
    """Whose the token is, and what it may."""

    name: str
    role: str
    partner: str | None
    scopes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ListedPerson:
    """A person, without what proves it."""

    id: int
    name: str
    role: str
    partner: str | None
    created_at: datetime
    signed_in_at: datetime | None
    ended_at: datetime | None


async def me(request: Request) -> Response:
    """Who asks."""
    one = person_of(request)
    return answer(Me(one.name, one.role, one.partner, sorted(one.permissions)))


async def people(request: Request) -> Response:
    """Everybody."""
    found = await runtime_of(request).people.list_people()
    return answer([_listed(one) for one in found])


async def tokens(request: Request) -> Response:
    """Everybody's that still serve."""
    return answer(await runtime_of(request).tokens.list_tokens(None))


async def audit(request: Request) -> Response:
    """The newest first."""
    said, limit = request.query_params, limit_of(request)
    deeds = await runtime_of(request).audit.list_deeds(
        who=clean(said.get("who", "").strip()),
        action=clean(said.get("action", "").strip()),
        before=_before(said.get("cursor", "")),
        limit=limit + 1,
    )
    shown = deeds[:limit]
    return answer_list(shown, str(shown[-1].id) if len(deeds) > limit else "")


def _before(text: str) -> int:
    place = read_number(text, NEWEST) if text else NEWEST
    if place is None:
        raise HTTPException(400, f"{text[:40]!r} is no place in this log")
    return place


def _listed(one: KnownPerson) -> ListedPerson:
    return ListedPerson(
        one.id,
        one.name,
        one.role,
        one.partner,
        one.created_at,
        one.signed_in_at,
        one.ended_at,
    )


CALLS = (
    Call("GET", "/me", me, Permission.OWN, "Who you are here", answer=Me),
    Call(
        "GET",
        "/people",
        people,
        Permission.ADMINISTER,
        "Everybody who uses the console",
        answer=list[ListedPerson],
    ),
    Call(
        "GET",
        "/tokens",
        tokens,
        Permission.ADMINISTER,
        "Tokens that still serve, without what they prove themselves by",
        answer=list[Token],
    ),
    Call(
        "GET",
        "/audit",
        audit,
        Permission.ADMINISTER,
        "Who did what, the newest first",
        answer=NotedDeed,
        parameters=(
            Parameter("who", "A name."),
            Parameter("action", "The word of what was done."),
            CURSOR,
            LIMIT,
        ),
        is_list=True,
    ),
)
