"""A partner: who sends traffic, on which terms, and how it wants to be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tracker.domain.errors import NotFoundError
from tracker.domain.money import Rate
from tracker.domain.offer import Status


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
