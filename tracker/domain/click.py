"""A click: one visit through a tracked link, and where it is sent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from tracker.domain import deeplink
from tracker.domain.catalog import Catalog, Offer, Partner
from tracker.domain.click_id import ClickClass, ClickId
from tracker.domain.macros import expand_url, parse_template

SUBS = tuple(f"sub{number}" for number in range(1, 11))
AD_IDS = ("gclid", "gbraid", "wbraid", "fbclid", "ttclid", "msclkid")

MAX_VALUE = 512
"""Characters kept of a label, a parameter, a user agent; the rest is cut."""

MAX_REFERRER = 1024
MAX_PARAMETERS = 32
"""Parameters kept besides the labels and the ad-platform ids."""

_OURS = frozenset({*SUBS, *AD_IDS, deeplink.PARAMETER, deeplink.SIGNATURE})


class ClickReason(StrEnum):
    """Why a click was refused, or why its deep link was not followed."""

    NONE = ""
    OFFER_PAUSED = "offer_paused"
    PARTNER_PAUSED = "partner_paused"
    BAD_DEEPLINK = "bad_deeplink"
    DEEPLINK_NOT_LISTED = "deeplink_not_listed"
    BAD_DEEPLINK_SIGNATURE = "bad_deeplink_signature"


@dataclass(frozen=True, slots=True)
class Visit:
    """
    A request for a tracked link, as it arrived.

    `query` holds decoded names and values; of a repeated name the first counts.
    """

    partner: str
    offer: str
    query: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    user_agent: str = ""
    referrer: str = ""
    language: str = ""
    click_class: ClickClass = ClickClass.VISIT


@dataclass(frozen=True, slots=True)
class Click:
    """
    What is kept of a visit.

    Partner, offer, class and time are in the id. `subs` are the ten labels in
    order, "" where there is none.
    """

    id: ClickId
    catalog_version: int
    subs: tuple[str, ...] = ("",) * len(SUBS)
    ad_ids: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    user_agent: str = ""
    referrer: str = ""
    language: str = ""
    destination: str = ""
    reason: str = ClickReason.NONE

    def labels(self) -> dict[str, str]:
        """The macros that only the record of the click can fill."""
        return dict(zip(SUBS, self.subs, strict=True)) | dict(self.ad_ids)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a visit asks for, once the catalog has been asked."""

    visit: Visit
    catalog: Catalog
    partner: Partner
    offer: Offer
    refusal: ClickReason

    @property
    def click_class(self) -> ClickClass:
        """The class that goes into the id of the click."""
        return ClickClass.REFUSED if self.refusal else self.visit.click_class


def plan_visit(visit: Visit, catalog: Catalog) -> Plan:
    """Raises UnknownLinkError for a link that the catalog does not list."""
    partner, offer = catalog.link(visit.partner, visit.offer)
    return Plan(visit, catalog, partner, offer, _refusal(partner, offer))


def fallback_of(catalog: Catalog) -> str:
    """Where visitors of a link that is not listed go; "" for nowhere."""
    return _filled(catalog.fallback_url or "", {}, catalog)


def draw_click(
    plan: Plan, click_id: ClickId, seal: deeplink.Seal, *, now: datetime
) -> Click:
    """The click of a visit, with the URL its visitor is sent to ("" for nowhere)."""
    query = plan.visit.query
    subs = _kept_items([(name, query[name]) for name in SUBS if name in query])
    ad_ids = _kept_items([(name, query[name]) for name in AD_IDS if name in query])
    values = {**_macros(plan, click_id, now), **subs, **ad_ids}
    destination, reason = _destination(plan, values, seal)
    return Click(
        id=click_id,
        catalog_version=plan.catalog.version,
        subs=tuple([subs.get(name, "") for name in SUBS]),
        ad_ids=ad_ids,
        params=_other_parameters(query),
        address=plan.visit.address,
        user_agent=_kept(plan.visit.user_agent),
        referrer=_kept(plan.visit.referrer, MAX_REFERRER),
        language=_kept(plan.visit.language),
        destination=destination,
        reason=reason,
    )


def _refusal(partner: Partner, offer: Offer) -> ClickReason:
    if partner.is_paused:
        return ClickReason.PARTNER_PAUSED
    return ClickReason.OFFER_PAUSED if offer.is_paused else ClickReason.NONE


def _macros(plan: Plan, click_id: ClickId, now: datetime) -> dict[str, str]:
    return {
        "click_id": click_id,
        "partner": plan.partner.key,
        "offer": plan.offer.key,
        "clicked_at": now.isoformat(timespec="milliseconds"),
    }


def _destination(
    plan: Plan, values: Mapping[str, str], seal: deeplink.Seal
) -> tuple[str, ClickReason]:
    if plan.refusal:
        fallback = plan.offer.fallback_url or plan.catalog.fallback_url or ""
        return _filled(fallback, values, plan.catalog), plan.refusal
    landing = _filled(plan.offer.url, values, plan.catalog)
    wanted = plan.visit.query.get(deeplink.PARAMETER)
    if not wanted:
        return landing, ClickReason.NONE
    reason = _deeplink_refusal(wanted, plan, seal)
    return (landing, reason) if reason else (_deep(landing, wanted), reason)


def _deeplink_refusal(wanted: str, plan: Plan, seal: deeplink.Seal) -> ClickReason:
    host = deeplink.host_of(wanted)
    signature = plan.visit.query.get(deeplink.SIGNATURE, "")
    if not host:
        return ClickReason.BAD_DEEPLINK
    if host in plan.offer.deeplinks:
        return ClickReason.NONE
    if not signature:
        return ClickReason.DEEPLINK_NOT_LISTED
    if not seal.holds(plan.partner.key, plan.offer.key, wanted, signature):
        return ClickReason.BAD_DEEPLINK_SIGNATURE
    return ClickReason.NONE


def _filled(template: str, values: Mapping[str, str], catalog: Catalog) -> str:
    return expand_url(parse_template(template), values, catalog.secrets)


def _deep(landing: str, wanted: str) -> str:
    """
    The wanted page with the query of the offer's URL, which wins.

    `https://shop.example/?cid=1` and `https://shop.example/shoes?cid=9&size=42`
    make `https://shop.example/shoes?size=42&cid=1`.
    """
    ours, theirs = urlsplit(landing), urlsplit(wanted)
    names = {name for name, _ in parse_qsl(ours.query, keep_blank_values=True)}
    query = [
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, value in parse_qsl(theirs.query, keep_blank_values=True)
        if name not in names
    ]
    if ours.query:
        query.append(ours.query)
    path = _quoted(theirs.path) or "/"
    return urlunsplit(
        (theirs.scheme, theirs.netloc, path, "&".join(query), _quoted(theirs.fragment))
    )


def _quoted(part: str) -> str:
    return quote(part, safe="/%:@!$&'()*+,;=-._~")


def _other_parameters(query: Mapping[str, str]) -> dict[str, str]:
    others = [(name, value) for name, value in query.items() if name not in _OURS]
    return _kept_items(others[:MAX_PARAMETERS])


def _kept_items(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {_kept(name, 64): _kept(value) for name, value in items if value}


def _kept(value: str, length: int = MAX_VALUE) -> str:
    """Cut to its bound; Postgres keeps no NUL, so a mark stands in its place."""
    if len(value) <= length and "\0" not in value:
        return value
    return value[:length].replace("\0", "\ufffd")
