"""Who uses the console, and what each may do."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from unicodedata import normalize

from tracker.domain.errors import RefusedChangeError
from tracker.domain.number import read_number

MIN_PASSWORD = 12
MAX_PASSWORD = 200
"""Characters. Length is what helps; no sign is asked for."""

_TELLING = 4
"""Characters of a name that a password must not begin with; any may with fewer."""

MAX_NAME = 80
MAX_TOKEN_DAYS = 366

IDLE = timedelta(hours=12)
LONGEST = timedelta(days=7)
"""A session ends when nothing was asked for so long, and after so long in any case."""

INVITATION = timedelta(days=3)
RESET = timedelta(hours=24)
"""How long a link serves that lets somebody choose a password."""


class Permission(StrEnum):
    """What a page, an action or a token is for; a token's scopes are these words."""

    OWN = "own"
    """See what belongs to one partner; staff see all of it."""

    SEE = "see"
    """See everything but people."""

    ACT = "act"
    """Release, approve, reject, adjust, retry, replay, resume, send a test."""

    EDIT = "edit"
    """Put another catalog in force."""

    ADMINISTER = "administer"
    """Invite, change and end people and their tokens; read the audit log."""


class Role(StrEnum):
    """What an admin gives a person."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    PARTNER = "partner"


_VIEWER = frozenset({Permission.OWN, Permission.SEE})
_OPERATOR = _VIEWER | {Permission.ACT, Permission.EDIT}

GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.PARTNER: frozenset({Permission.OWN}),
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.ADMIN: _OPERATOR | {Permission.ADMINISTER},
}


@dataclass(frozen=True, slots=True)
class Person:
    """
    Whoever asks, as far as it matters here.

    `partner` is the key of the one partner that a person of that role belongs to,
    None for staff. `permissions` may be fewer than the role's: those of a token.
    """

    id: int
    name: str
    role: Role
    partner: str | None
    permissions: frozenset[Permission]

    @property
    def scope(self) -> str | None:
        """The one partner that it may see; None for staff, who may see all."""
        return (self.partner or "") if self.role is Role.PARTNER else None

    def may(self, permission: Permission) -> bool:
        """Whether that is granted."""
        return permission in self.permissions

    def may_give(self, wanted: Collection[Permission]) -> bool:
        """Whether nobody would get more by it than who gives it has here and now."""
        return self.permissions.issuperset(wanted)


@dataclass(frozen=True, slots=True)
class Actor:
    """
    Who does something, as the audit log has it; `address` is "" where there is none.

    `id` is None for a stranger, and on the command line.
    """

    name: str
    address: str = ""
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What an admin gives: a role, and of that of a partner, which."""

    role: Role
    partner: str | None = None


def read_name(text: str) -> str:
    """
    The name that somebody signs in by; an address of e-mail is a good one.

    It is the same in any case. RefusedChangeError for one that could be taken for
    another, or is too long.
    """
    name = spell_name(text)
    if not name or len(name) > MAX_NAME:
        raise RefusedChangeError(f"A name has 1 to {MAX_NAME} characters.")
    if not name.isascii() or not name.isprintable() or " " in name:
        raise RefusedChangeError("A name has letters, digits and signs, no blanks.")
    return name


def spell_name(text: str) -> str:
    """A name is the same in any case."""
    return normalize("NFKC", text.replace("\0", "")).strip().lower()


def read_password(text: str, name: str) -> str:
    """The password as it is hashed; RefusedChangeError for one that is guessed."""
    password = spell_password(text)
    if len(password) < MIN_PASSWORD:
        raise RefusedChangeError(f"A password has at least {MIN_PASSWORD} characters.")
    if len(password) > MAX_PASSWORD:
        raise RefusedChangeError(f"A password has at most {MAX_PASSWORD} characters.")
    begins = len(name) >= _TELLING and password.lower().startswith(name)
    if begins or len(set(password)) < MIN_PASSWORD // 3:
        raise RefusedChangeError("This password would be guessed.")
    return password


def spell_password(text: str) -> str:
    """One spelling for what keyboards spell in several; half a character is none."""
    return normalize("NFKC", text.encode(errors="replace").decode())


def read_standing(role: str, partner: str, partners: Collection[str]) -> Standing:
    """RefusedChangeError unless there is such a role, and its partner."""
    if role not in set(Role):
        raise RefusedChangeError(f"A role is one of {', '.join(Role)}.")
    if role != Role.PARTNER:
        return Standing(Role(role))
    if partner not in partners:
        raise RefusedChangeError("The catalog in force has no partner of that key.")
    return Standing(Role.PARTNER, partner)


def read_scopes(given: Iterable[str], person: Person) -> frozenset[Permission]:
    """What a token is for: RefusedChangeError for more than its person may."""
    wanted = set(given)
    if not wanted:
        raise RefusedChangeError("A token is for something: choose a scope.")
    if not wanted <= person.permissions:
        raise RefusedChangeError("A token may no more than who makes it.")
    return frozenset(map(Permission, wanted))


def granted(role: Role, scopes: Iterable[str]) -> frozenset[Permission]:
    """What a token may now, though the role was more when it was made."""
    return GRANTS[role] & {Permission(one) for one in scopes if one in set(Permission)}


def read_lifetime(text: str) -> timedelta:
    """Days that a token is to serve."""
    days = read_number(text, MAX_TOKEN_DAYS)
    if not days:
        raise RefusedChangeError(f"A token serves 1 to {MAX_TOKEN_DAYS} days.")
    return timedelta(days=days)
