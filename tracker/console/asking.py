"""What a log is asked for: its filters and its place, all of it in the URL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request

from tracker.domain.catalog import Catalog
from tracker.domain.click import SUBS
from tracker.domain.postback import clean
from tracker.store.paging import Place

MAX_VALUE = 512
MAX_LISTED = 500
"""So many keys are offered to choose from; more of them are typed."""

_ONE_DAY = timedelta(days=1)
_PLACES = ("before", "after")


@dataclass(frozen=True, slots=True)
class Field:
    """
    A filter as a form has it: a text, a day, or one of some words.

    `is_open` lets something else be typed than what is listed.
    """

    name: str
    label: str
    choices: Sequence[str] = ()
    is_open: bool = False
    kind: str = "text"


DAYS = (Field("from", "From", kind="date"), Field("to", "To", kind="date"))
LABEL = (Field("label", "Label", SUBS), Field("value", "is"))


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters that a log has, with what was asked of each; "" for nothing."""

    path: str
    fields: Sequence[Field]
    values: Mapping[str, str]
    place: Place
    since: datetime | None = None
    until: datetime | None = None

    def get(self, name: str) -> str | None:
        """What was asked of one; None where it is open."""
        return self.values.get(name) or None

    @property
    def label(self) -> tuple[str, str] | None:
        """A label of clicks and its value, where both were named."""
        name, value = self.get("label"), self.get("value")
        return (name, value) if name and value else None

    @property
    def is_filtered(self) -> bool:
        """Whether anything was asked for."""
        return any(self.values.values())

    def link(self, **changed: str) -> str:
        """The same log with other filters, from its first page on."""
        return self._link({**self.values, **changed})

    def older(self, cursor: str) -> str:
        """Behind that cursor; "" where there is none."""
        return self._link({**self.values, "before": cursor}) if cursor else ""

    def newer(self, cursor: str) -> str:
        """Before it, likewise."""
        return self._link({**self.values, "after": cursor}) if cursor else ""

    @property
    def tail(self) -> str:
        """Where what comes new is told."""
        return self._link(dict(self.values), f"{self.path}/tail")

    def _link(self, values: Mapping[str, str], path: str = "") -> str:
        query = urlencode({name: one for name, one in values.items() if one})
        return f"{path or self.path}{'?' if query else ''}{query}"


def read_asked(request: Request, path: str, fields: Sequence[Field]) -> Asked:
    """What the URL asks for; HTTPException with 400 where it cannot be understood."""
    given = request.query_params
    values = {one.name: _text(given.get(one.name, "")) for one in fields}
    _spread_label(values, given)
    for one in fields:
        if one.choices and not one.is_open and values[one.name]:
            _choose(one, values[one.name])
    first, last = _day(values, "from"), _day(values, "to")
    older, newer = (_text(given.get(name, "")) for name in _PLACES)
    return Asked(
        path,
        fields,
        values,
        Place(older_than=older, newer_than="" if older else newer),
        since=_midnight(first) if first else None,
        until=_midnight(last + _ONE_DAY) if last else None,
    )


def partner_field(catalog: Catalog) -> Field:
    """A partner by its key."""
    return Field("partner", "Partner", _listed(catalog.partners), is_open=True)


def offer_field(catalog: Catalog, own: str | None) -> Field:
    """An offer; a partner is told of those only that it may promote."""
    offers = catalog.offers
    if own is not None:
        partner = catalog.partners.get(own)
        offers = {
            key: one
            for key, one in offers.items()
            if partner and partner.may_promote(key)
        }
    return Field("offer", "Offer", _listed(offers), is_open=True)


def advertiser_field(catalog: Catalog) -> Field:
    """An advertiser, likewise."""
    choices = _listed(catalog.advertisers)
    return Field("advertiser", "Advertiser", choices, is_open=True)


def bad_request(said: str) -> HTTPException:
    """What was asked for cannot be understood."""
    return HTTPException(400, said)


def _listed(keys: Mapping[str, object]) -> Sequence[str]:
    return sorted(keys) if len(keys) <= MAX_LISTED else ()


def _text(value: str) -> str:
    """What Postgres could not compare with anything is no filter either."""
    return clean(value.strip())[:MAX_VALUE]


def _spread_label(values: dict[str, str], given: Mapping[str, str]) -> None:
    """`sub3=x` says the same as `label=sub3&value=x`, and is easier to write."""
    named = [name for name in SUBS if "label" in values and given.get(name)]
    if len(named) > 1:
        raise bad_request("A log is filtered by one label at a time.")
    for name in named:
        values |= {"label": name, "value": _text(given[name])}


def _choose(field: Field, value: str) -> None:
    if value not in field.choices:
        words = ", ".join(field.choices)
        raise bad_request(f"{field.name}: {value[:40]!r} is none of {words}")


def _day(values: Mapping[str, str], name: str) -> date | None:
    text = values.get(name)
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise bad_request(
            f"{name}: {text[:40]!r} is no day, as 2026-11-22 is"
        ) from None
    if not _FIRST <= day < _LAST:
        raise bad_request(f"{name}: {text[:40]!r} is out of range")
    return day


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


_FIRST, _LAST = date(2024, 1, 1), date(2058, 1, 1)
"""Ids have no other times."""
