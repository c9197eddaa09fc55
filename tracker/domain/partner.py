"""A partner: who sends traffic, on which terms, and how it wants to be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tracker.domain.cap import Cap
from tracker.domain.money import Rate
from tracker.domain.outbound import PartnerPostback, find_by_id


@dataclass(frozen=True, slots=True)
class GoalTerms:
    """A partner's own terms for a goal; None leaves the offer's."""

    payout: Rate | None = None
    revenue: Rate | None = None


@dataclass(frozen=True, slots=True)
class Partner:
    """
    Sends traffic, earns payouts.

    `offers` holds the offers it may promote, each with its own terms by goal;
    with `all_offers` it may promote the others too. `caps` hold for all offers
    together, `offer_caps` for one. `reveal` names the macros it
    is allowed to see besides the ordinary ones (`revenue`).
    """

    key: str
    number: int
    name: str
    offers: Mapping[str, Mapping[str, GoalTerms]] = field(default_factory=dict)
    all_offers: bool = False
    postbacks: tuple[PartnerPostback, ...] = ()
    reveal: frozenset[str] = frozenset()
    caps: tuple[Cap, ...] = ()
    offer_caps: Mapping[str, tuple[Cap, ...]] = field(default_factory=dict)
    is_paused: bool = False
    is_retired: bool = False

    def may_promote(self, offer: str) -> bool:
        """Whether the offer is on its list."""
        return self.all_offers or offer in self.offers

    def postback(self, key: str) -> PartnerPostback:
        """Its postback of that id; raises NotFoundError."""
        return find_by_id(self.postbacks, key)
