"""An admin decides who uses the console, and each chooses a password."""

import secrets
from datetime import datetime, timedelta

import structlog

from tracker.domain.badge import Purpose
from tracker.domain.errors import NotFoundError, RefusedChangeError
from tracker.domain.person import (
    INVITATION,
    RESET,
    Actor,
    Role,
    Standing,
    read_name,
    read_password,
    read_standing,
    spell_password,
)
from tracker.passwords import Passwords
from tracker.runtime import Runtime
from tracker.store.audit import Deed
from tracker.store.people import Invitation, KnownPerson, PeopleStore

log = structlog.get_logger()

FIRST_ADMIN = "admin"

_SERVES_NO_MORE = "This link serves no more: ask for another."


async def note_action(
    runtime: Runtime, actor: Actor, action: str, about: str = "", detail: str = ""
) -> None:
    """One more line of the audit log, about something that has been done."""
    await runtime.audit.insert(Deed(actor, action, about, detail))


async def make_first_admin(people: PeopleStore, passwords: Passwords) -> str:
    """The password of a new admin, which nobody else ever sees; "" if there is one."""
    if await people.has_admin():
        return ""
    password = secrets.token_urlsafe(15)
    hashed = await passwords.hash(password)
    deed = Deed(Actor("tracker up"), "person.added", FIRST_ADMIN, Role.ADMIN)
    is_made = await people.insert_first_admin(FIRST_ADMIN, hashed, deed)
    return password if is_made else ""


async def add_person(
    runtime: Runtime, name: str, standing: Standing, password: str, by: Actor
) -> int:
    """Somebody whose password is chosen by whoever adds them."""
    name = read_name(name)
    hashed = await runtime.passwords.hash(read_password(password, name))
    deed = Deed(by, "person.added", name, _words(standing))
    person_id = await runtime.people.insert(name, standing, hashed, deed)
    log.info("person.added", person=name, role=standing.role, by=by.name)
    return person_id


async def invite_person(
    runtime: Runtime, name: str, standing: Standing, by: Actor
) -> str:
    """The link by which a new person chooses a password; it is to be passed on."""
    name = read_name(name)
    if await _is_active(runtime, name):
        raise RefusedChangeError("This name is taken.")
    deed = Deed(by, "person.invited", name, _words(standing))
    return await _invite(runtime, name, standing, INVITATION, deed)


async def reset_password(runtime: Runtime, person: KnownPerson, by: Actor) -> str:
    """
    The link by which a person chooses another password; the old one still serves.

    It is for the role that is known of the person, and serves nobody of another.
    """
    if person.ended_at is not None:
        raise RefusedChangeError("This person was ended; invite them again.")
    standing = Standing(person.role, person.partner)
    deed = Deed(by, "password.reset", person.name)
    return await _invite(runtime, person.name, standing, RESET, deed, person.id)


async def revoke_invitation(runtime: Runtime, invitation_id: int, by: Actor) -> None:
    """A link that was passed on to the wrong person."""
    invited = await runtime.people.get_invitation(invitation_id)
    deed = Deed(by, "link.revoked", invited.name, f"link {invited.id}")
    await runtime.people.revoke_invitation(invited.id, deed)


async def open_invitation(runtime: Runtime, token: str) -> Invitation:
    """The invitation of a link; NotFoundError for one that is not ours, or was used."""
    signed = runtime.badges.read(Purpose.INVITATION, token)
    if not signed:
        raise NotFoundError(_SERVES_NO_MORE)
    invited = await runtime.people.get_invitation(int(signed.partition("-")[0]))
    if signed != _signed(invited):
        raise NotFoundError(_SERVES_NO_MORE)
    return invited


async def accept_invitation(
    runtime: Runtime, token: str, password: str, address: str
) -> str:
    """The name of who has chosen a password by this link, which serves once."""
    invited = await open_invitation(runtime, token)
    hashed = await runtime.passwords.hash(read_password(password, invited.name))
    actor = Actor(invited.name, address, invited.person_id)
    deed = Deed(actor, "password.chosen", invited.name, f"by link {invited.id}")
    await runtime.people.use_invitation(invited.id, hashed, deed)
    log.info("password.changed", person=invited.name)
    return invited.name


async def change_password(
    runtime: Runtime, old: str, new: str, by: Actor, *, now: datetime
) -> None:
    """
    One's own; all sessions end. RefusedChangeError unless the old one is right.

    TooManyFailuresError after too many tries: a session that somebody else has got at
    must not tell them the password.
    """
    person = await runtime.people.get_named(by.name)
    runtime.attempts.begin("me", person.name, now, is_known=True)
    if not await runtime.passwords.fits(spell_password(old), person.password_hash):
        raise RefusedChangeError("The password you have now is another one.")
    runtime.attempts.forgive("me", person.name, is_known=True)
    hashed = await runtime.passwords.hash(read_password(new, person.name))
    deed = Deed(by, "password.changed", person.name)
    await runtime.people.set_password(person.id, hashed, deed)
    log.info("password.changed", person=person.name)


async def change_standing(
    runtime: Runtime, person_id: int, role: str, partner: str, by: Actor
) -> None:
    """Another role; whoever has it signs in again."""
    person = await runtime.people.get(person_id)
    standing = await known_standing(runtime, role, partner, person)
    deed = Deed(by, "person.changed", person.name, _words(standing))
    await runtime.people.set_standing(person_id, standing, deed)
    log.info("person.changed", person=person.name, role=standing.role, by=by.name)


async def end_person(runtime: Runtime, person_id: int, by: Actor) -> None:
    """Sessions and tokens end with it; what was done stays in the audit log."""
    person = await runtime.people.get(person_id)
    await runtime.people.end(person_id, Deed(by, "person.ended", person.name))
    log.info("person.ended", person=person.name, by=by.name)


async def known_standing(
    runtime: Runtime, role: str, partner: str, person: KnownPerson | None = None
) -> Standing:
    """A partner that the catalog no longer has may stay with whoever has it."""
    kept = {person.partner} if person and person.partner else set()
    return read_standing(role, partner, set(runtime.catalog.partners) | kept)


def invitation_url(runtime: Runtime, invitation: Invitation) -> str:
    """Where the invited person chooses a password."""
    token = runtime.badges.sign(Purpose.INVITATION, _signed(invitation))
    return f"{runtime.settings.console_url}/invitations/{token}"


def _signed(invitation: Invitation) -> str:
    """With its moment: a database that was restored gives numbers out again."""
    return f"{invitation.id}-{invitation.created_at.timestamp():.6f}"


async def _invite(  # noqa: PLR0913, PLR0917 - what a link is
    runtime: Runtime,
    name: str,
    standing: Standing,
    lifetime: timedelta,
    deed: Deed,
    person_id: int | None = None,
) -> str:
    invited = {
        "name": name,
        "role": standing.role,
        "partner": standing.partner,
        "person_id": person_id,
        "made_by": deed.actor.name,
        "lifetime": lifetime,
    }
    made = await runtime.people.insert_invitation(invited, deed)
    log.info("person.invited", person=name, by=deed.actor.name)
    return invitation_url(runtime, made)


async def _is_active(runtime: Runtime, name: str) -> bool:
    try:
        person = await runtime.people.get_named(name)
    except NotFoundError:
        return False
    return person.ended_at is None


def _words(standing: Standing) -> str:
    return " ".join(filter(None, (standing.role, standing.partner)))
