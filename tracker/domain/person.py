"""Who uses the console, and what each may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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

    def may(self, permission: Permission) -> bool:
        """Whether that is granted."""
        return permission in self.permissions
