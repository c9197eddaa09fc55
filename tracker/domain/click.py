"""A click: one visit through a tracked link, and where it is sent."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from tracker.domain import deeplink
from tracker.domain.catalog import Catalog
from tracker.domain.click_id import ClickClass, ClickId
from tracker.domain.macros import (
    BASE_URL,
    CLICK_PARAMETER,
    Template,
    expand_url,
    parse_template,
)
from tracker.domain.offer import Offer, Schedule
from tracker.domain.partner import Partner
from tracker.domain.targeting import Targeting, choose
from tracker.domain.value import Value
from tracker.domain.visitor import CountryOf, Visitor, identity_of

SUBS = tuple(f"sub{number}" for number in range(1, 11))
AD_IDS = ("gclid", "gbraid", "wbraid", "fbclid", "ttclid", "msclkid")

MASK = "***"

MAX_VALUE = 512
"""Characters kept of a label, a parameter, a user agent; the rest is cut."""

MAX_REFERRER = 1024
MAX_PARAMETERS = 32
"""Parameters kept besides the labels and the ad-platform ids."""

OWN_PARAMETERS = frozenset({*SUBS, *AD_IDS, deeplink.PARAMETER, deeplink.SIGNATURE})


class ClickReason(StrEnum):
    """Why a click was refused, its deep link not followed, or nothing known of it."""

    NONE = ""
    OFFER_PAUSED = "offer_paused"
    PARTNER_PAUSED = "partner_paused"
    CAPPED = "capped"
    OFFER_NOT_STARTED = "offer_not_started"
    OFFER_ENDED = "offer_ended"
    NOT_TARGETED = "not_targeted"
    BAD_DEEPLINK = "bad_deeplink"
    DEEPLINK_NOT_LISTED = "deeplink_not_listed"
    BAD_DEEPLINK_SIGNATURE = "bad_deeplink_signature"
    ERASED = "erased"


class Visit(Value, frozen=True):
    """
    A request for a tracked link, as it arrived.

    `query` holds decoded names and values; of a repeated name the first counts.
    """

    partner: str
    offer: str
    query: Mapping[str, str] = {}
    address: str = ""
    user_agent: str = ""
    referrer: str = ""
    language: str = ""
    click_class: ClickClass = ClickClass.VISIT


class Click(Value, frozen=True):
    """
    What is kept of a visit.

    Partner, offer, class and time are in the id. `subs` are the ten labels in
    order, "" where there is none. `route` is why it was sent to its destination and
    to no other, "" where there is only one.
    """

    id: ClickId
    catalog_version: int
    subs: tuple[str, ...] = ("",) * len(SUBS)
    ad_ids: Mapping[str, str] = {}
    params: Mapping[str, str] = {}
    address: str = ""
    user_agent: str = ""
    referrer: str = ""
    language: str = ""
    destination: str = ""
    reason: str = ClickReason.NONE
    route: str = ""

    @property
    def is_erased(self) -> bool:
        """Whether nothing but its id is left of it."""
        return self.reason == ClickReason.ERASED

    def labels(self) -> dict[str, str]:
        """The macros that only the record of the click can fill."""
        return dict(zip(SUBS, self.subs, strict=True)) | dict(self.ad_ids)


class Plan(Value, frozen=True):
    """
    What a visit asks for, once the catalog has been asked.

    `landing` is where its visitor goes unless a deep link says otherwise, and `route`
    why. `is_repeated` says that the same visitor was there a moment ago.
    """

    visit: Visit
    catalog: Catalog
    partner: Partner
    offer: Offer
    landing: Template
    refusal: ClickReason
    route: str = ""
    is_repeated: bool = False

    @property
    def click_class(self) -> ClickClass:
        """The class that goes into the id of the click."""
        if self.refusal:
            return ClickClass.REFUSED
        return ClickClass.REPEATED if self.is_repeated else self.visit.click_class

    @property
    def identity(self) -> bytes:
        """The same whenever this visitor follows this link."""
        numbers = (self.partner.number, self.offer.number)
        who = identity_of(self.visit.address, self.visit.user_agent)
        return b"".join([n.to_bytes(3) for n in numbers]) + who


def plan_visit(visit: Visit, catalog: Catalog, *, now: datetime) -> Plan:
    """
    Where a visit leads that no targeting has been asked about yet.

    Raises UnknownLinkError for a link that the catalog does not list.
    """
    partner, offer = catalog.link(visit.partner, visit.offer)
    refusal = _refusal(partner, offer, now)
    plan = Plan(visit, catalog, partner, offer, parse_template(offer.url), refusal)
    return refuse(plan, refusal) if refusal else plan


def refuse(plan: Plan, reason: ClickReason) -> Plan:
    """The same visit, sent to the fallback of its offer instead, or of the catalog."""
    url = plan.offer.fallback_url or plan.catalog.fallback_url or ""
    return plan.but(landing=parse_template(url), refusal=reason)


def aim(plan: Plan, targeting: Targeting, country_of: CountryOf) -> Plan:
    """The plan for this visitor: one of the offer's destinations, or its fallback."""
    visit = plan.visit
    visitor = Visitor(visit.address, visit.user_agent, visit.language, country_of)
    choice = choose(targeting, visitor)
    if choice.url is not None:
        return plan.but(landing=parse_template(choice.url), route=choice.why)
    return refuse(plan, ClickReason.NOT_TARGETED).but(route=choice.why)


def fallback_of(catalog: Catalog) -> str:
    """Where visitors of a link that is not listed go; "" for nowhere."""
    return expand_url(parse_template(catalog.fallback_url or ""), {}, catalog.secrets)


def without_secrets(click: Click, plan: Plan) -> Click:
    """The click as it may be kept: the catalog's secrets go to the visitor alone."""
    destination = click.destination
    for name in plan.landing.secrets - {BASE_URL}:
        value = plan.catalog.secrets.get(name, "")
        for spelled in filter(None, (value, quote(value, safe=""))):
            destination = destination.replace(spelled, MASK)
    return click.but(destination=destination)


def draw_click(
    plan: Plan, click_id: ClickId, seal: deeplink.Seal, *, now: datetime
) -> Click:
    """The click of a visit, with the URL its visitor is sent to ("" for nowhere)."""
    visit, query = plan.visit, plan.visit.query
    subs = tuple([_kept(query[name]) if name in query else "" for name in SUBS])
    ad_ids = {name: _kept(query[name]) for name in AD_IDS if query.get(name)}
    labels = dict(zip(SUBS, subs, strict=True)) | ad_ids
    landing = _landing(plan, click_id, labels, now)
    destination, reason = _destination(plan, landing, seal)
    return Click(
        id=click_id,
        catalog_version=plan.catalog.version,
        subs=subs,
        ad_ids=ad_ids,
        params=_other_parameters(query),
        address=visit.address,
        user_agent=_kept(visit.user_agent),
        referrer=_kept(visit.referrer, MAX_REFERRER),
        language=_kept(visit.language),
        destination=destination,
        reason=reason,
        route=plan.route,
    )


def _refusal(partner: Partner, offer: Offer, now: datetime) -> ClickReason:
    if partner.is_paused:
        return ClickReason.PARTNER_PAUSED
    if offer.is_paused:
        return ClickReason.OFFER_PAUSED
    return _untimely(offer.schedule, now) if offer.schedule else ClickReason.NONE


def _untimely(schedule: Schedule, now: datetime) -> ClickReason:
    if schedule.starts and now < schedule.starts:
        return ClickReason.OFFER_NOT_STARTED
    is_over = schedule.ends is not None and now >= schedule.ends
    return ClickReason.OFFER_ENDED if is_over else ClickReason.NONE


def _landing(
    plan: Plan, click_id: ClickId, labels: Mapping[str, str], now: datetime
) -> str:
    values = {
        **labels,
        "click_id": click_id,
        "partner": plan.partner.key,
        "offer": plan.offer.key,
    }
    if "clicked_at" in plan.landing.macros:
        values["clicked_at"] = now.isoformat(timespec="milliseconds")
    for name in plan.landing.asked:
        values[name] = _asked(plan, name)
    return expand_url(plan.landing, values, plan.catalog.secrets)


def _asked(plan: Plan, name: str) -> str:
    """The value of a macro that few URLs ask for."""
    visit = plan.visit
    if name.startswith(CLICK_PARAMETER):
        return _kept(visit.query.get(name.removeprefix(CLICK_PARAMETER), ""))
    known = {
        "ip": visit.address,
        "user_agent": visit.user_agent,
        "referrer": visit.referrer,
        "language": visit.language,
        "partner_name": plan.partner.name,
        "offer_name": plan.offer.name,
    }
    return _kept(known.get(name, ""))


def _destination(
    plan: Plan, landing: str, seal: deeplink.Seal
) -> tuple[str, ClickReason]:
    wanted = plan.visit.query.get(deeplink.PARAMETER)
    if plan.refusal or not wanted:
        return landing, plan.refusal
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
    if OWN_PARAMETERS.issuperset(query):
        return {}
    others = [name for name in query if name not in OWN_PARAMETERS][:MAX_PARAMETERS]
    return {_kept(name, 64): _kept(query[name]) for name in others if query[name]}


def _kept(value: str, length: int = MAX_VALUE) -> str:
    """Cut to its bound; Postgres keeps no NUL, so a mark stands in its place."""
    if len(value) <= length and "\0" not in value:
        return value
    return value[:length].replace("\0", "\ufffd")
