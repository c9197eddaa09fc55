"""
The catalog: what partners.yaml says, once it is believed.

Plain values that a snapshot can carry: templates are text here and parsed when
they are used, secrets are references (`${NAME}`) that `Catalog.secrets` answers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Literal

from tracker.domain.errors import NotFoundError, UnknownLinkError
from tracker.domain.money import Rate
from tracker.domain.vocabulary import CANONICAL, GENERIC, Names, Vocabulary


class Status(StrEnum):
    """Where a conversion stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


IGNORED = "ignored"
"""What an advertiser may map a status word to, besides the three of `Status`."""

OncePer = Literal["click", "transaction", "postback"]
OnRepeat = Literal["status", "update", "add"]
Scope = Literal["advertiser", "click"]
Hash = Literal["md5", "sha1", "sha256"]
Kind = Literal["partner", "offer"]
Numbers = Mapping[tuple[Kind, str], int]
"""The number of each partner and offer that ever was: what click ids name them by."""


@dataclass(frozen=True, slots=True)
class Signature:
    """
    A signature of an advertiser's own making, in hex, in its parameter `param`.

    `text` is a template over what was sent, by the names it was sent by. With a `key`
    it is an HMAC, else a plain hash.
    """

    param: str
    hash: Hash
    text: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Auth:
    """
    What an advertiser must prove; several proofs must all hold.

    `tokens` are templates of which one must match; `networks` are CIDR blocks; `hmac`
    are the live keys of our own kind of signature. `none` is the operator's explicit
    word that nothing is asked for.
    """

    tokens: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    none: bool = False
    hmac: tuple[str, ...] = ()
    signature: Signature | None = None

    @property
    def is_signed(self) -> bool:
        """Whether a signature of either kind is asked for."""
        return bool(self.hmac) or self.signature is not None


@dataclass(frozen=True, slots=True)
class Reply:
    """What an advertiser's server wants to hear when a postback went well."""

    body: str | None = None
    content_type: str = "text/plain"
    always_200: bool = False


@dataclass(frozen=True, slots=True)
class Advertiser:
    """
    Owns offers and reports conversions in words of its own.

    `names` lists its parameter names for each meaning, lower-cased, in order of
    preference; `goals` and `statuses` translate its words, lower-cased, to ours.
    """

    key: str
    name: str
    auth: Auth
    names: Names = field(default_factory=dict)
    goals: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    reply: Reply = field(default_factory=Reply)
    reopen: bool = False
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class Goal:
    """
    The named action that counts, and what it earns.

    A retired one was removed: it counts nothing new, but settles what it counted.
    """

    key: str
    payout: Rate
    revenue: Rate
    once_per: OncePer = "click"
    scope: Scope = "advertiser"
    status: Status = Status.APPROVED
    on_repeat: OnRepeat = "status"
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these a postback is quarantined; None means no limit."""

    amount: Decimal | None = None
    payout: Decimal | None = None
    min_click_age: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Offer:
    """
    What is promoted.

    `url` and `fallback_url` are templates. `default_goal` is None where several
    goals exist and none is marked. `deeplinks` are lower-cased host names.
    """

    key: str
    number: int
    name: str
    advertiser: str
    url: str
    window: timedelta
    currency: str
    timezone: str
    goals: Mapping[str, Goal]
    default_goal: str | None = None
    deeplinks: frozenset[str] = frozenset()
    fallback_url: str | None = None
    limits: Limits = field(default_factory=Limits)
    is_paused: bool = False
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class When:
    """On what a partner's postback fires; an empty set means any."""

    goals: frozenset[str] = frozenset()
    statuses: frozenset[Status] = frozenset()
    changes: bool = False


@dataclass(frozen=True, slots=True)
class PartnerPostback:
    """
    A call that a partner wants when a conversion changes.

    `url`, and the values of `form`, `json` and `headers`, are templates.
    `success` is a regular expression that the answer's body must contain, besides
    a 2xx status. `secret` signs each call (Standard Webhooks).
    """

    id: str
    url: str
    method: Literal["GET", "POST"] = "GET"
    form: Mapping[str, str] | None = None
    json: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    when: When = field(default_factory=When)
    success: str | None = None
    secret: str | None = None


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
    with `all_offers` it may promote the others too. `reveal` names the macros it
    is allowed to see besides the ordinary ones (`revenue`).
    """

    key: str
    number: int
    name: str
    offers: Mapping[str, Mapping[str, GoalTerms]] = field(default_factory=dict)
    all_offers: bool = False
    postbacks: tuple[PartnerPostback, ...] = ()
    reveal: frozenset[str] = frozenset()
    is_paused: bool = False
    is_retired: bool = False

    def may_promote(self, offer: str) -> bool:
        """Whether the offer is on its list."""
        return self.all_offers or offer in self.offers

    def postback(self, postback_id: str) -> PartnerPostback:
        """The postback of that id; raises NotFoundError."""
        for postback in self.postbacks:
            if postback.id == postback_id:
                return postback
        raise NotFoundError(f"partner {self.key} has no postback {postback_id}")


@dataclass(frozen=True)
class Catalog:
    """
    Everything of one catalog version, retired entries included.

    A retired entry was removed from the file: it takes no new clicks, but what
    belongs to its earlier clicks keeps the last terms it had. `rates` gives the
    value of one unit of a currency in the catalog's own. `secrets` holds the
    values of all `${NAME}`.
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

    def link(self, partner: str, offer: str) -> tuple[Partner, Offer]:
        """Who sends to what; raises UnknownLinkError for a pair that is not listed."""
        sender = self.partners.get(partner)
        target = self.offers.get(offer)
        if sender is None or target is None or sender.is_retired or target.is_retired:
            raise UnknownLinkError(f"no link {partner}/{offer}")
        if not sender.may_promote(offer):
            raise UnknownLinkError(f"{partner} may not promote {offer}")
        return sender, target

    def open_links(self) -> Iterator[tuple[Partner, Offer]]:
        """Every link that leads to its offer now: neither side is paused or retired."""
        for sender in filter(_is_open, self.partners.values()):
            for target in filter(_is_open, self.offers.values()):
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

    def _worth(self, currency: str) -> Decimal:
        if currency == self.currency:
            return Decimal(1)
        try:
            return self.rates[currency]
        except KeyError:
            raise NotFoundError(f"the catalog has no rate for {currency}") from None

    def vocabulary(self, advertiser: str | None) -> Vocabulary:
        """The advertiser's names for parameters; those for all if it is unknown."""
        known = advertiser if advertiser in self.advertisers else None
        if known not in self._vocabularies:
            names = self._names(known)
            hidden = self._signature_names(known).difference(*names.values())
            self._vocabularies[known] = Vocabulary(names, hidden)
        return self._vocabularies[known]

    def _names(self, advertiser: str | None) -> Names:
        """
        Its own, and ours where it has none.

        What any advertiser calls its token is a token to all, so that none is kept.
        """
        if advertiser is not None:
            return {**CANONICAL, **self.advertisers[advertiser].names}
        named = [one.names.get("token", ()) for one in self.advertisers.values()]
        tokens = sorted({name for names in named for name in names})
        return {**GENERIC, "token": (*GENERIC["token"], *tokens)}

    def _signature_names(self, advertiser: str | None) -> set[str]:
        """Where its own signature stands; on the route for all, anybody's."""
        asked = [advertiser] if advertiser is not None else list(self.advertisers)
        rules = [self.advertisers[key].auth.signature for key in asked]
        return {rule.param for rule in rules if rule}

    def asks_for_signature(self, advertiser: str | None) -> bool:
        """Whether this advertiser does, or on the route for all anybody."""
        known = self.advertisers.get(advertiser or "")
        if known is None:
            return advertiser is None and self._is_signed_by_any
        return known.auth.is_signed

    @cached_property
    def _is_signed_by_any(self) -> bool:
        return any(one.auth.is_signed for one in self.advertisers.values())

    @cached_property
    def _vocabularies(self) -> dict[str | None, Vocabulary]:
        return {}

    @cached_property
    def _offers_by_number(self) -> Mapping[int, Offer]:
        return {offer.number: offer for offer in self.offers.values()}

    @cached_property
    def _partners_by_number(self) -> Mapping[int, Partner]:
        return {partner.number: partner for partner in self.partners.values()}


def _is_open(entry: Partner | Offer) -> bool:
    return not (entry.is_paused or entry.is_retired)
