"""`/links`: a tracked link is put together, and shown where it would lead."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from tracker.catalog.presets import list_macros
from tracker.console.pages import Page, page, person_of, runtime_of
from tracker.domain.click import SUBS
from tracker.domain.link import (
    AD_PLATFORMS,
    Macro,
    fill_labels,
    list_offers,
    list_partners,
)
from tracker.domain.offer import Offer
from tracker.domain.partner import Partner
from tracker.domain.person import Permission
from tracker.flow.link import AGENTS, Wish, make_link

MOST_LISTED = 1_000
"""Partners or offers to choose from; more are typed."""


async def show_links(request: Request) -> Response:
    """The form, and once both sides are chosen the link."""
    runtime, person = runtime_of(request), person_of(request)
    catalog, wish = runtime.catalog, read_wish(request)
    partner = catalog.partners.get(wish.partner)
    offers = list_offers(catalog, partner) if partner else []
    source = _source(request)
    return page(
        request,
        "links.html",
        wish=wish,
        subs=SUBS,
        partners=_listed(list_partners(catalog)) if person.scope is None else [],
        offers=_listed(offers),
        source=source,
        sources=_sources(),
        macros=_of_source(source) or _macros(),
        devices=[device.value for device in AGENTS],
        may_sign=person.may(Permission.ACT),
        made=await make_link(runtime, wish, person),
    )


def read_wish(request: Request) -> Wish:
    """What the URL asks for; a partner's is for itself, whatever the URL says."""
    said, person = request.query_params, person_of(request)
    own = person.scope
    labels = {name: said.get(name, "") for name in SUBS}
    if "fill" in said:
        labels = dict(fill_labels(labels, _of_source(_source(request))))
    return Wish(
        partner=said.get("partner", "").strip() if own is None else own,
        offer=said.get("offer", "").strip(),
        labels=labels,
        deeplink=said.get("deeplink", "").strip(),
        is_to_sign="sign" in said and person.may(Permission.ACT),
        country=said.get("country", "").strip().upper(),
        device=said.get("device", ""),
        language=said.get("language", "").strip(),
    )


def _source(request: Request) -> str:
    return request.query_params.get("source", "")


def _listed(found: Sequence[Partner | Offer]) -> Sequence[Partner | Offer]:
    return sorted(found, key=lambda one: one.key)[:MOST_LISTED]


def _macros() -> Sequence[Macro]:
    return (*list_macros(), *AD_PLATFORMS)


def _sources() -> list[str]:
    return sorted({macro.source for macro in _macros()}, key=str.lower)


def _of_source(name: str) -> list[Macro]:
    return [macro for macro in _macros() if macro.source == name]


PAGES = (Page("/links", show_links, needs=Permission.OWN),)
