"""Who looks at the logs: a role, a name, and a partner."""

from tracker.domain.person import Role

PEOPLE = {
    "viewer": (Role.VIEWER, "Vera", None),
    "operator": (Role.OPERATOR, "Olga", None),
    "other operator": (Role.OPERATOR, "Otto", None),
    "bestdeals": (Role.PARTNER, "Bea", "bestdeals"),
    "rival": (Role.PARTNER, "Rita", "rival"),
}
