"""`/links`: a tracked link is put together, and shown where it would lead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from tracker.catalog.presets import list_macros
from tracker.console.pages import Page, page, person_of, runtime_of
from tracker.console.wording import Terms, worth
from tracker.domain.catalog import Catalog
from tracker.domain.click import SUBS, Visit
from tracker.domain.errors import RefusedChangeError, UnknownLinkError
from tracker.domain.invitation import Invitation, invite
from tracker.domain.link import (
    AD_PLATFORMS,
    Macro,
    deep_parameters,
    fill_labels,
    find_link,
    list_offers,
    list_partners,
    spell_link,
)
from tracker.domain.offer import Offer
from tracker.domain.partner import Partner
from tracker.domain.person import Permission, Person
from tracker.domain.remedy import CLICK_REASONS
from tracker.domain.spelling import sentence
from tracker.domain.visitor import Device
from tracker.flow.preview import Preview, preview_link
from tracker.runtime import Runtime

MOST_LISTED = 1_000
"""Partners or offers to choose from; more are typed."""

_AGENTS = {
    Device.DESKTOP: "Mozilla/5.0 (Windows NT 10.0)",
    Device.MOBILE: "Mozilla/5.0 (iPhone) Mobile",
    Device.TABLET: "Mozilla/5.0 (iPad)",
    Device.TV: "Mozilla/5.0 (SMART-TV)",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the link's sides, its labels, and for whom it is tried."""

    partner: str
    offer: str
    labels: Mapping[str, str]
    deeplink: str
    is_to_sign: bool
    source: str
    country: str
    device: str
    language: str


@dataclass(frozen=True, slots=True)
class Made:
    """The link, and where it leads; or why there is none."""

    url: str = ""
    refused: str = ""
    preview: Preview | None = None
    why: str = ""
    remedy: str = ""
    terms: Sequence[Terms] = ()
    targeted: bool = False
    invitation: Invitation | None = None


async def show_links(request: Request) -> Response:
    """The form, and once both sides are chosen the link."""
    runtime, person = runtime_of(request), person_of(request)
    catalog, wish = runtime.catalog, read_wish(request)
    partner = catalog.partners.get(wish.partner)
    offers = list_offers(catalog, partner) if partner else []
    return page(
        request,
        "links.html",
        wish=wish,
        subs=SUBS,
        partners=_listed(list_partners(catalog)) if person.scope is None else [],
        offers=_listed(offers),
        sources=_sources(),
        macros=_of_source(wish.source) or _macros(),
        devices=[device.value for device in _AGENTS],
        may_sign=person.may(Permission.ACT),
        made=await make(runtime, wish, person),
    )


def read_wish(request: Request) -> Wish:
    """What the URL asks for; a partner's is for itself, whatever the URL says."""
    said, person = request.query_params, person_of(request)
    own = person.scope
    labels = {name: said.get(name, "") for name in SUBS}
    source = said.get("source", "")
    if "fill" in said:
        labels = dict(fill_labels(labels, _of_source(source)))
    return Wish(
        partner=said.get("partner", "").strip() if own is None else own,
        offer=said.get("offer", "").strip(),
        labels=labels,
        deeplink=said.get("deeplink", "").strip(),
        is_to_sign="sign" in said and person.may(Permission.ACT),
        source=source,
        country=said.get("country", "").strip().upper(),
        device=said.get("device", ""),
        language=said.get("language", "").strip(),
    )


async def make(runtime: Runtime, wish: Wish, person: Person) -> Made:
    """The link as that person may know of it."""
    if not wish.partner or not wish.offer:
        return Made()
    catalog = runtime.catalog
    if person.scope is not None and not _is_there(catalog, person.scope):
        # What is suggested for an unknown name are the names of others.
        return Made(refused="You have no links now.")
    try:
        partner, offer = find_link(catalog, wish.partner, wish.offer)
        query = {**wish.labels, **_deep(runtime, wish, offer)}
    except (UnknownLinkError, RefusedChangeError) as error:
        return Made(refused=sentence(str(error)))
    preview = await preview_link(runtime, _visit(wish, query), country=wish.country)
    is_staff = person.may(Permission.SEE)
    why, remedy = CLICK_REASONS[preview.reason]
    return Made(
        url=spell_link(runtime.settings.base_url, partner.key, offer.key, query),
        preview=preview,
        why=why,
        remedy=remedy if is_staff else "",
        terms=_terms(catalog, partner, offer, is_staff=is_staff),
        targeted=offer.targeting is not None,
        invitation=_invitation(runtime, offer) if is_staff else None,
    )


def _is_there(catalog: Catalog, partner: str) -> bool:
    known = catalog.partners.get(partner)
    return known is not None and not known.is_retired


def _deep(runtime: Runtime, wish: Wish, offer: Offer) -> dict[str, str]:
    if not wish.deeplink:
        return {}
    seal = runtime.seal if wish.is_to_sign else None
    return deep_parameters(seal, wish.partner, offer, wish.deeplink)


def _visit(wish: Wish, query: Mapping[str, str]) -> Visit:
    agent = next((said for kind, said in _AGENTS.items() if kind == wish.device), "")
    said = {name: value for name, value in query.items() if value}
    return Visit(
        wish.partner, wish.offer, said, user_agent=agent, language=wish.language
    )


def _terms(
    catalog: Catalog, partner: Partner, offer: Offer, *, is_staff: bool
) -> list[Terms]:
    """What it earns; what it earns us is for us to know."""
    found = []
    for goal in offer.goals.values():
        payout, revenue = catalog.terms(partner, offer, goal)
        said = worth(revenue, offer.currency) if is_staff else ""
        if not goal.is_retired:
            found.append(Terms(goal.key, worth(payout, offer.currency), said))
    return found


def _invitation(runtime: Runtime, offer: Offer) -> Invitation:
    catalog = runtime.catalog
    return invite(
        catalog.advertiser(offer.advertiser),
        catalog,
        runtime.settings.base_url,
        shows_token=False,
    )


def _listed(found: Sequence[Partner | Offer]) -> Sequence[Partner | Offer]:
    return sorted(found, key=lambda one: one.key)[:MOST_LISTED]


def _macros() -> Sequence[Macro]:
    return (*list_macros(), *AD_PLATFORMS)


def _sources() -> list[str]:
    return sorted({macro.source for macro in _macros()}, key=str.lower)


def _of_source(name: str) -> list[Macro]:
    return [macro for macro in _macros() if macro.source == name]


PAGES = (Page("/links", show_links, needs=Permission.OWN),)
