"""
The catalog: what partners.yaml says, once it is believed.

Plain values that a snapshot can carry: templates are text here and parsed when
they are used, secrets are references (`${NAME}`) that `Catalog.secrets` answers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Literal

from tracker.domain.advertiser import Advertiser
from tracker.domain.cap import Cap, PlacedCap
from tracker.domain.dialect import Dialect
from tracker.domain.errors import NotFoundError, UnknownLinkError
from tracker.domain.money import Rate
from tracker.domain.offer import Goal, Offer
from tracker.domain.outbound import PartnerPostback
from tracker.domain.partner import GoalTerms, Partner
from tracker.domain.vocabulary import GENERIC, NOTHING, Names, Vocabulary, own_names

Kind = Literal["partner", "offer"]
Numbers = Mapping[tuple[Kind, str], int]
"""The number of each partner and offer that ever was: what click ids name them by."""

UNNUMBERED = 0
"""Stands for a number that is not given yet; none that is given is 0."""


@dataclass(frozen=True)
class Catalog:
    """
    Everything of one catalog version, retired entries included.

    A retired entry was removed from the file: it takes no new clicks, but what
    belongs to its earlier clicks keeps the last terms it had. `rates` gives the
    value of one unit of a currency in the catalog's own. `secrets` holds the
    values of all `${NAME}`. `postbacks` are told of every conversion.
    """

    version: int
    currency: str
    timezone: str
    advertisers: Mapping[str, Advertiser]
    offers: Mapping[str, Offer]
    partners: Mapping[str, Partner]
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    fallback_url: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    postbacks: tuple[PartnerPostback, ...] = ()

    def all_postbacks(self) -> Iterator[PartnerPostback]:
        """Those of partners, of offers, and its own."""
        for partner in self.partners.values():
            yield from partner.postbacks
        for offer in self.offers.values():
            yield from offer.postbacks
        yield from self.postbacks

    def link(self, partner: str, offer: str) -> tuple[Partner, Offer]:
        """Who sends to what; raises UnknownLinkError for a pair that is not listed."""
        sender = self.partners.get(partner)
        target = self.offers.get(offer)
        if sender is None or target is None or sender.is_retired or target.is_retired:
            raise UnknownLinkError(f"no link {partner}/{offer}")
        if not sender.may_promote(offer):
            raise UnknownLinkError(f"{partner} may not promote {offer}")
        return sender, target

    def open_links(self, now: datetime) -> Iterator[tuple[Partner, Offer]]:
        """
        Every link that leads to its offer now, unless a cap is reached.

        Neither side is paused or retired, and the offer has begun and not ended.
        """
        offers = [one for one in self.offers.values() if _is_open(one)]
        timely = [one for one in offers if not one.schedule or one.schedule.holds(now)]
        for sender in filter(_is_open, self.partners.values()):
            for target in timely:
                if sender.may_promote(target.key):
                    yield sender, target

    def advertiser(self, key: str) -> Advertiser:
        """The advertiser of that key; raises NotFoundError."""
        try:
            return self.advertisers[key]
        except KeyError:
            raise NotFoundError(f"no advertiser {key}") from None

    def partner(self, key: str) -> Partner:
        """The partner of that key, retired or not; raises NotFoundError."""
        try:
            return self.partners[key]
        except KeyError:
            raise NotFoundError(f"no partner {key}") from None

    def offer_numbered(self, number: int) -> Offer:
        """The offer that click ids name so; raises NotFoundError."""
        try:
            return self._offers_by_number[number]
        except KeyError:
            raise NotFoundError(f"no offer has the number {number}") from None

    def partner_numbered(self, number: int) -> Partner:
        """The partner that click ids name so; raises NotFoundError."""
        try:
            return self._partners_by_number[number]
        except KeyError:
            raise NotFoundError(f"no partner has the number {number}") from None

    def knows(self, partner_number: int, offer_number: int) -> bool:
        """Whether a click id with these numbers is one it can place."""
        partners, offers = self._partners_by_number, self._offers_by_number
        return partner_number in partners and offer_number in offers

    def knows_currency(self, currency: str) -> bool:
        """Whether it can be exchanged into the others."""
        return currency == self.currency or currency in self.rates

    def rate(self, currency: str, into: str) -> Decimal:
        """What one unit of `currency` is worth in `into`; raises NotFoundError."""
        if currency == into:
            return Decimal(1)
        return self._worth(currency) / self._worth(into)

    def terms(self, partner: Partner, offer: Offer, goal: Goal) -> tuple[Rate, Rate]:
        """Payout and revenue: the partner's own for this goal, else the offer's."""
        own = partner.offers.get(offer.key, {}).get(goal.key, GoalTerms())
        return own.payout or goal.payout, own.revenue or goal.revenue

    @cached_property
    def has_caps(self) -> bool:
        """Whether anything at all is capped."""
        capped = any(one.caps for one in self.offers.values())
        return capped or any(
            one.caps or one.offer_caps for one in self.partners.values()
        )

    def list_caps(self) -> Iterator[PlacedCap]:
        """
        Every cap of what is not retired, in the order of the file.

        One that each partner has for itself comes once, without a partner.
        """
        for offer in self.offers.values():
            if not offer.is_retired:
                yield from self._placed(offer.caps, offer, None)
        for partner in self.partners.values():
            if not partner.is_retired:
                yield from self._placed(partner.caps, None, partner)
                for key, caps in partner.offer_caps.items():
                    yield from self._placed(caps, self.offers[key], partner)

    def caps_of(self, offer: str, partner: str) -> tuple[PlacedCap, ...]:
        """What an action of this partner's for this offer is held against."""
        if not self.has_caps:
            return ()
        found = self._caps_of.get((offer, partner))
        if found is None:
            places = ((offer, ""), ("", partner), (offer, partner))
            found = tuple(one for place in places for one in self.caps_at(*place))
            self._caps_of[offer, partner] = found
        return found

    def caps_at(self, offer: str, partner: str) -> Iterator[PlacedCap]:
        """The caps of one place; "" stands for all offers, or for all partners."""
        target, sender = self.offers.get(offer), self.partners.get(partner)
        if target and not partner:
            shared = [cap for cap in target.caps if not cap.each_partner]
            yield from self._placed(shared, target, None)
        elif sender and not offer:
            yield from self._placed(sender.caps, None, sender)
        elif target and sender:
            each = [cap for cap in target.caps if cap.each_partner]
            own = sender.offer_caps.get(offer, ())
            yield from self._placed([*each, *own], target, sender)

    def _placed(
        self, caps: Iterable[Cap], offer: Offer | None, partner: Partner | None
    ) -> Iterator[PlacedCap]:
        for cap in caps:
            yield PlacedCap(
                cap=cap,
                offer=offer.key if offer else "",
                partner=partner.key if partner else "",
                timezone=offer.timezone if offer else self.timezone,
                currency=offer.currency if offer else self.currency,
            )

    def list_terms(self, partner: str, offer: Offer, goal: Goal) -> list[GoalTerms]:
        """The terms of this partner for a goal; those of anybody if it is empty."""
        own = self._own_terms.get((offer.key, goal.key), {})
        default = GoalTerms(goal.payout, goal.revenue)
        return [own.get(partner, default)] if partner else [default, *own.values()]

    def _worth(self, currency: str) -> Decimal:
        if currency == self.currency:
            return Decimal(1)
        try:
            return self.rates[currency]
        except KeyError:
            raise NotFoundError(f"the catalog has no rate for {currency}") from None

    def dialect(self, advertiser: str | None) -> Dialect:
        """How the advertiser says things; the names for all if it is unknown."""
        known = advertiser if advertiser in self.advertisers else None
        if known not in self._dialects:
            own = self.advertisers.get(known or "")
            variants = [
                (one, Dialect(self._vocabulary(known, one.speaker), one.speaker))
                for one in (own.variants if own else ())
            ]
            vocabulary = self._vocabulary(known, own)
            self._dialects[known] = Dialect(vocabulary, own, variants)
        return self._dialects[known]

    def _vocabulary(self, known: str | None, speaker: Advertiser | None) -> Vocabulary:
        """What is a secret in one variant is one in all that do not read it."""
        names = self._names(known, speaker)
        own = self.advertisers.get(known or "")
        hidden = self._signature_names(known) | (_token_names(own) if own else set())
        heard = [speaker] if speaker else self.advertisers.values()
        nothing = NOTHING.difference(*(one.words for one in heard))
        return Vocabulary(names, hidden.difference(*names.values()), nothing)

    def vocabulary(self, advertiser: str | None) -> Vocabulary:
        """The advertiser's names for parameters; those for all if it is unknown."""
        return self.dialect(advertiser).vocabulary

    def _names(self, advertiser: str | None, speaker: Advertiser | None) -> Names:
        """
        Its own, and ours where it has none.

        What any advertiser calls its token is a token to all, so that none is kept. A
        payout is read only where some goal takes it as it is sent.
        """
        names = self._own_names(speaker)
        if advertiser in self._payers or (advertiser is None and self._payers):
            return names
        return {meaning: own for meaning, own in names.items() if meaning != "payout"}

    def _own_names(self, speaker: Advertiser | None) -> Names:
        if speaker is not None:
            return own_names(speaker.names)
        named = [_token_names(one) for one in self.advertisers.values()]
        tokens = sorted({name for names in named for name in names})
        return {**GENERIC, "token": (*GENERIC["token"], *tokens)}

    @cached_property
    def _payers(self) -> frozenset[str]:
        """The advertisers who may state a partner's payout."""
        found = {
            offer.advertiser
            for offer in self.offers.values()
            if any(goal.payout.is_sent for goal in offer.goals.values())
        }
        for partner in self.partners.values():
            for offer, terms in partner.offers.items():
                own = [one.payout for one in terms.values() if one.payout]
                if offer in self.offers and any(rate.is_sent for rate in own):
                    found.add(self.offers[offer].advertiser)
        return frozenset(found)

    def _signature_names(self, advertiser: str | None) -> set[str]:
        """Where its own signature stands; on the route for all, anybody's."""
        asked = [advertiser] if advertiser is not None else list(self.advertisers)
        rules = [self.advertisers[key].auth.signature for key in asked]
        return {rule.param for rule in rules if rule and not rule.header}

    def asks_for_signature(self, advertiser: str | None) -> bool:
        """Whether this advertiser does, or on the route for all anybody."""
        known = self.advertisers.get(advertiser or "")
        if known is None:
            return advertiser is None and self._is_signed_by_any
        return known.auth.is_signed

    @cached_property
    def asks_for_countries(self) -> bool:
        """Whether any offer sends its visitors somewhere by their country."""
        rules = [offer.targeting for offer in self.offers.values()]
        return any(one.asks_for("countries") for one in rules if one)

    @cached_property
    def patience(self) -> Sequence[tuple[str, str, timedelta]]:
        """Offers and goals whose conversions may be pending for so long."""
        return [
            (offer.key, goal.key, goal.approve_after)
            for offer in self.offers.values()
            for goal in offer.goals.values()
            if goal.approve_after is not None
        ]

    @cached_property
    def _is_signed_by_any(self) -> bool:
        return any(one.auth.is_signed for one in self.advertisers.values())

    @cached_property
    def _caps_of(self) -> dict[tuple[str, str], tuple[PlacedCap, ...]]:
        return {}

    @cached_property
    def _own_terms(self) -> Mapping[tuple[str, str], Mapping[str, GoalTerms]]:
        """The terms that partners have of their own, by offer and goal."""
        found: dict[tuple[str, str], dict[str, GoalTerms]] = {}
        for partner in self.partners.values():
            for offer, goals in partner.offers.items():
                for goal, terms in goals.items():
                    found.setdefault((offer, goal), {})[partner.key] = terms
        return found

    @cached_property
    def _dialects(self) -> dict[str | None, Dialect]:
        return {}

    @cached_property
    def _offers_by_number(self) -> Mapping[int, Offer]:
        return {offer.number: offer for offer in self.offers.values()}

    @cached_property
    def _partners_by_number(self) -> Mapping[int, Partner]:
        return {partner.number: partner for partner in self.partners.values()}


def _is_open(entry: Partner | Offer) -> bool:
    return not (entry.is_paused or entry.is_retired)


def _token_names(advertiser: Advertiser) -> set[str]:
    """What it calls its token, in any of its variants."""
    named = [one.names.get("token", ()) for one in advertiser.speakers]
    return {name for names in named for name in names}
