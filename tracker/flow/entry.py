"""Somebody signs in, or a program proves itself; and both are let go again."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from tracker.domain.badge import is_mark_of
from tracker.domain.errors import (
    NotFoundError,
    RefusedChangeError,
    TooManyFailuresError,
)
from tracker.domain.neighbourhood import neighbourhood_of
from tracker.domain.person import (
    MAX_NAME,
    MAX_PASSWORD,
    Actor,
    Person,
    read_lifetime,
    read_scopes,
    spell_name,
    spell_password,
)
from tracker.metrics import SIGN_INS
from tracker.runtime import Runtime
from tracker.store.audit import Deed
from tracker.store.people import KnownPerson

log = structlog.get_logger()

TOKEN_PREFIX = "tracker_"  # noqa: S105 - how a token is known for one where it leaked
MAX_AGENT = 512
MAX_TOKEN_NAME = 80


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where somebody asks from; `mark` is of the name that the browser knows."""

    address: str
    agent: str = ""
    mark: str = ""


async def sign_in(
    runtime: Runtime, name: str, password: str, visitor: Visitor, *, now: datetime
) -> str:
    """
    A new session's secret, for who has that password.

    RefusedChangeError otherwise, and never why: an unknown name costs one hash, as a
    wrong password does. TooManyFailuresError after too many tries.
    """
    name = spell_name(name)[: MAX_NAME + 1]
    place, is_known = neighbourhood_of(visitor.address), is_mark_of(visitor.mark, name)
    _begin(runtime, place, name, now, is_known=is_known)
    person = await _find(runtime, name)
    if not await _fits(runtime, person, password):
        await _note_failure(runtime, name, visitor)
        raise RefusedChangeError("The name or the password is wrong.")
    assert person is not None  # noqa: S101 - no password fits nobody
    secret = await _open_session(runtime, person, password, visitor)
    runtime.attempts.forgive(place, name, is_known=is_known)
    return secret


async def end_session(
    runtime: Runtime, person_id: int, session_id: str, by: Actor
) -> None:
    """One of a person's; from then on it lets nobody in."""
    deed = Deed(by, "session.ended", by.name)
    await runtime.sessions.delete(person_id, session_id, deed)


async def end_sessions(runtime: Runtime, person_id: int, name: str, by: Actor) -> None:
    """All of a person's."""
    await runtime.sessions.delete_all(person_id, Deed(by, "sessions.ended", name))


async def make_token(
    runtime: Runtime,
    person: Person,
    said: Mapping[str, str],
    scopes: Iterable[str],
    by: Actor,
) -> str:
    """A new token, which is never shown again; it may no more than who makes it."""
    name = said.get("name", "").strip()
    if not 1 <= len(name) <= MAX_TOKEN_NAME or not name.isprintable():
        raise RefusedChangeError(f"A name has 1 to {MAX_TOKEN_NAME} characters.")
    allowed = sorted(read_scopes(scopes, person))
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    made = {
        "person_id": person.id,
        "name": name,
        "scopes": allowed,
        "lifetime": read_lifetime(said.get("days", "")),
    }
    deed = Deed(by, "token.made", name, " ".join(allowed))
    await runtime.tokens.insert(token, made, deed)
    log.info("token.made", of=person.name, scopes=allowed)
    return token


async def revoke_token(
    runtime: Runtime, token_id: int, person_id: int | None, by: Actor
) -> None:
    """A person's own; where `person_id` is None, anybody's."""
    deed = Deed(by, "token.revoked", str(token_id))
    await runtime.tokens.revoke(token_id, person_id, deed)


def _begin(
    runtime: Runtime, place: str, name: str, now: datetime, *, is_known: bool
) -> None:
    try:
        runtime.attempts.begin(place, name, now, is_known=is_known)
    except TooManyFailuresError:
        SIGN_INS.labels("throttled").inc()
        raise


async def _find(runtime: Runtime, name: str) -> KnownPerson | None:
    try:
        person = await runtime.people.get_named(name)
    except NotFoundError:
        return None
    return person if person.ended_at is None else None


async def _fits(runtime: Runtime, person: KnownPerson | None, password: str) -> bool:
    spelled = spell_password(password[: MAX_PASSWORD + 1])
    stored = person.password_hash if person else None
    return await runtime.passwords.fits(spelled, stored)


async def _note_failure(runtime: Runtime, name: str, visitor: Visitor) -> None:
    SIGN_INS.labels("refused").inc()
    log.warning("person.refused", address=visitor.address)
    actor = Actor(name or "nobody", visitor.address)
    await runtime.audit.insert(Deed(actor, "sign_in.refused"))


async def _open_session(
    runtime: Runtime, person: KnownPerson, password: str, visitor: Visitor
) -> str:
    secret = secrets.token_urlsafe(32)
    opened = {
        "person_id": person.id,
        "password_hash": await _up_to_date(runtime, person, password),
        "address": visitor.address,
        "agent": visitor.agent[:MAX_AGENT],
    }
    actor = Actor(person.name, visitor.address, person.id)
    await runtime.sessions.insert(secret, opened, Deed(actor, "sign_in.accepted"))
    SIGN_INS.labels("accepted").inc()
    log.info("person.signed_in", person=person.name, address=visitor.address)
    return secret


async def _up_to_date(runtime: Runtime, person: KnownPerson, password: str) -> str:
    """A password that was hashed more cheaply is hashed again, now that it is here."""
    stored = person.password_hash
    if not runtime.passwords.is_outdated(stored):
        return stored
    renewed = await runtime.passwords.hash(spell_password(password))
    await runtime.people.rehash(person.id, stored, renewed)
    return renewed
