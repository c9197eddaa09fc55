"""How values are written on pages: one way for each kind of them."""

import re
from collections.abc import Container
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

from tracker.domain.money import to_minor_unit
from tracker.domain.spelling import counted
from tracker.logs import mask

NOTHING = "–"  # noqa: RUF001 - a dash
"""Stands where there is no value, or a formula divides by nothing."""

_ROOMS = {"cv_": "conversions", "pb_": "postbacks", "dl_": "deliveries"}
_ALONE = re.compile(r"(?<!\S)((?:cv|pb|dl)_[0-9a-z]{24})(?![^\s,:.])")


def when(at: datetime | None, zone: str = "UTC") -> str | Markup:
    """A time to the second in that zone, as an element that knows it exactly."""
    if at is None:
        return NOTHING
    local = at.astimezone(_zone(zone))
    exact = at.astimezone(UTC).isoformat()
    return Markup('<time datetime="{}" title="{} {}">{}</time>').format(
        exact, exact, zone, local.strftime("%Y-%m-%d %H:%M:%S")
    )


def number(value: int | Decimal | None) -> str:
    """A count, in groups of three digits; an integer has no decimals."""
    return NOTHING if value is None else f"{Decimal(value):,f}"


def money(value: Decimal | None, currency: str = "") -> str:
    """A sum in what its currency can pay, with the currency where it is given."""
    if value is None:
        return NOTHING
    rounded = to_minor_unit(value, currency) if currency else value
    return f"{rounded:,f} {currency}".rstrip()


def percent(value: Decimal | None) -> str:
    """A share of one as per cent, with two decimals."""
    return NOTHING if value is None else f"{value * 100:,.2f} %"


def coded(text: str) -> Markup:
    """A sentence of ours, with what stands between backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def leading(text: str, here: str, rooms: Container[str]) -> Markup:
    """
    A line of a story, in which an id that stands by itself leads to its page.

    That of the page `here` leads nowhere, nor does one whose room is not open.
    """
    return Markup("").join(
        _link(part, rooms) if place % 2 and part != here else escape(part)
        for place, part in enumerate(_ALONE.split(text))
    )


def _link(id_: str, rooms: Container[str]) -> Markup:
    room = _ROOMS[id_[:3]]
    link = Markup('<a href="/{}/{}">{}</a>').format(room, id_, id_)
    return link if room in rooms else escape(id_)


def _zone(name: str) -> tzinfo:
    """One that this machine does not know is shown as UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


FILTERS = {
    "when": when,
    "number": number,
    "money": money,
    "percent": percent,
    "masked": mask,
    "coded": coded,
    "leading": leading,
    "counted": counted,
}
"""The filters of all templates."""
