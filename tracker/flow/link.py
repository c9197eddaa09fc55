"""Somebody asks for a tracked link: it is put together, and shown where it leads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tracker.domain.catalog import Catalog
from tracker.domain.click import Visit
from tracker.domain.earning import Terms, terms_of_link
from tracker.domain.errors import RefusedChangeError, UnknownLinkError
from tracker.domain.invitation import Invitation, invite
from tracker.domain.link import deep_parameters, find_link, spell_link
from tracker.domain.offer import Offer
from tracker.domain.person import Permission, Person
from tracker.domain.remedy import CLICK_REASONS
from tracker.domain.spelling import sentence
from tracker.domain.visitor import Device
from tracker.flow.preview import Preview, preview_link
from tracker.runtime import Runtime

AGENTS = {
    Device.DESKTOP: "Mozilla/5.0 (Windows NT 10.0)",
    Device.MOBILE: "Mozilla/5.0 (iPhone) Mobile",
    Device.TABLET: "Mozilla/5.0 (iPad)",
    Device.TV: "Mozilla/5.0 (SMART-TV)",
}
"""The devices that a link can be tried for, and an agent of each."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the link's sides, its labels, and for whom it is tried."""

    partner: str
    offer: str
    labels: Mapping[str, str]
    deeplink: str
    is_to_sign: bool
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


async def make_link(runtime: Runtime, wish: Wish, person: Person) -> Made:
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
        terms=list(terms_of_link(catalog, partner, offer, is_staff=is_staff)),
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
    agent = next((said for kind, said in AGENTS.items() if kind == wish.device), "")
    said = {name: value for name, value in query.items() if value}
    return Visit(
        wish.partner, wish.offer, said, user_agent=agent, language=wish.language
    )


def _invitation(runtime: Runtime, offer: Offer) -> Invitation:
    catalog = runtime.catalog
    return invite(
        catalog.advertiser(offer.advertiser),
        catalog,
        runtime.settings.base_url,
        shows_token=False,
    )
