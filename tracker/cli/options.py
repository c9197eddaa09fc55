"""Options that several commands share."""

import getpass
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGE = re.compile(r"(\d{1,6})([smhd])", re.ASCII)


def read_since(text: str) -> datetime:
    """
    A time, or how long ago: `90m`, `24h`, `7d`, `2026-11-22`, `2026-11-22T10:00`.

    Without an offset it is UTC.
    """
    age = _AGE.fullmatch(text)
    if age:
        return datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write 90m, 24h, 7d or 2026-11-22T10:00") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def operator_name(by: str | None) -> str:
    """Who is written down as having changed something."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise typer.BadParameter("say who you are, with --by") from None


AsJson = Annotated[
    bool,
    typer.Option("--json", help="For machines: one JSON object a line for each row."),
]
AsDocument = Annotated[
    bool, typer.Option("--json", help="For machines: one JSON document.")
]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="The most rows.")]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=read_since,
        metavar="WHEN",
        help="Not before: 90m, 24h or 7d ago, or 2026-11-22T10:00 (UTC).",
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        parser=read_since, metavar="WHEN", help="Before then; written like --since."
    ),
]
By = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Who does it; else the system's user name."),
]
PartnerKey = Annotated[
    str | None, typer.Option("--partner", metavar="KEY", help="Only this partner's.")
]
