"""Who looks at the logs: a role, a name, and a partner."""

from tracker.domain.person import Role

PEOPLE = {
    "viewer": (Role.VIEWER, "vera", None),
    "admin": (Role.ADMIN, "anna", None),
    "operator": (Role.OPERATOR, "olga", None),
    "other operator": (Role.OPERATOR, "otto", None),
    "bestdeals": (Role.PARTNER, "bea", "bestdeals"),
    "rival": (Role.PARTNER, "rita", "rival"),
}
