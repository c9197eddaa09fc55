"""Partners in partners.yaml: how they are written, and the values they become."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from tracker.catalog.caps import CapSections, compile_caps
from tracker.catalog.postbacks import Postbacks, compile_postbacks
from tracker.catalog.scalars import Flag, Key, Name
from tracker.catalog.sections import Many, Section, shape_of
from tracker.catalog.sums import Earning, Payout
from tracker.domain.cap import Cap
from tracker.domain.catalog import UNNUMBERED
from tracker.domain.partner import GoalTerms, Partner

MAX_ENTRIES = 100_000
"""Of advertisers, offers and partners each."""


Reveal = Literal["revenue"]


class TermsSection(Section):
    """A partner's own terms for a goal; what is absent is as the offer says."""

    payout: Payout | None = Field(None, description="what it earns; as the offer says")
    revenue: Earning | None = Field(None, description="what the advertiser owes us")


class OfferTermsSection(Section):
    """A partner's own terms for an offer."""

    goals: dict[Key, TermsSection] = Field(
        {}, max_length=200, description="its own terms, by goal"
    )
    caps: CapSections = Field((), description="how much it may have of the offer")


Promotes = Annotated[
    Annotated[Literal["all"], Tag("(a word)")]
    | Annotated[tuple[Key, ...], Field(max_length=MAX_ENTRIES), Tag("(a list)")]
    | Annotated[
        dict[Key, OfferTermsSection], Field(max_length=MAX_ENTRIES), Tag("(a mapping)")
    ],
    Discriminator(shape_of),
]


class PartnerSection(Section):
    """Sends traffic, earns payouts."""

    name: Name | None = Field(None, description="its name; the key unless set")
    paused: Flag = Field(default=False, description="true: its links take no visitors")
    reveal: Many[Reveal] = Field((), description="macros it may see besides its own")
    offers: Promotes = Field(
        {}, description="what it may promote: a list, 'all', or offers with own terms"
    )
    postbacks: Postbacks = Field((), description="the calls it wants")
    caps: CapSections = Field((), description="how much it may have of all offers")


def compile_partner(key: str, section: PartnerSection) -> Partner:
    """The partner that a section stands for."""
    return Partner(
        key=key,
        number=UNNUMBERED,
        name=section.name or key,
        offers=_promoted(section.offers),
        all_offers=section.offers == "all",
        postbacks=compile_postbacks(section.postbacks),
        reveal=frozenset(section.reveal),
        caps=compile_caps(section.caps),
        offer_caps=_offer_caps(section.offers),
        is_paused=section.paused,
    )


def _promoted(
    offers: Iterable[str] | Mapping[str, OfferTermsSection],
) -> dict[str, dict[str, GoalTerms]]:
    if isinstance(offers, Mapping):
        return {key: _terms(section) for key, section in offers.items()}
    return {} if offers == "all" else {key: {} for key in offers}


def _offer_caps(
    offers: Iterable[str] | Mapping[str, OfferTermsSection],
) -> dict[str, tuple[Cap, ...]]:
    if not isinstance(offers, Mapping):
        return {}
    return {key: compile_caps(it.caps) for key, it in offers.items() if it.caps}


def _terms(section: OfferTermsSection) -> dict[str, GoalTerms]:
    return {
        goal: GoalTerms(terms.payout, terms.revenue)
        for goal, terms in section.goals.items()
    }
