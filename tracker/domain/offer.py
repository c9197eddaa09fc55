"""An offer: what is promoted, its goals, and what they earn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from tracker.domain.cap import Cap
from tracker.domain.money import Rate
from tracker.domain.outbound import PartnerPostback
from tracker.domain.targeting import Targeting


class Status(StrEnum):
    """Where a conversion stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


OncePer = Literal["click", "transaction", "postback"]

OnRepeat = Literal["status", "update", "add"]

Scope = Literal["advertiser", "click"]


@dataclass(frozen=True, slots=True)
class Goal:
    """
    The named action that counts, and what it earns.

    A retired one was removed: it counts nothing new, but settles what it counted.
    Where it is under `review` an advertiser's approval leaves it pending; what has
    been pending for `approve_after` is approved by itself.
    """

    key: str
    payout: Rate
    revenue: Rate
    once_per: OncePer = "click"
    scope: Scope = "advertiser"
    status: Status = Status.APPROVED
    on_repeat: OnRepeat = "status"
    review: bool = False
    approve_after: timedelta | None = None
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these a postback is quarantined; None means no limit."""

    amount: Decimal | None = None
    payout: Decimal | None = None
    min_click_age: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Schedule:
    """From when, and until when, an offer takes visitors; None is no bound."""

    starts: datetime | None = None
    ends: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether visitors are taken at that moment."""
        has_begun = self.starts is None or now >= self.starts
        return has_begun and (self.ends is None or now < self.ends)


@dataclass(frozen=True, slots=True)
class Offer:
    """
    What is promoted.

    `url` and `fallback_url` are templates; where `targeting` sends visitors to several
    places, `url` is the first of them. `default_goal` is None where several goals exist
    and none is marked. `deeplinks` are lower-cased host names. A visitor that comes
    again within `dedup` is marked as such. `postbacks` are told of every partner's
    conversions.
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
    caps: tuple[Cap, ...] = ()
    schedule: Schedule | None = None
    dedup: timedelta | None = None
    targeting: Targeting | None = None
    is_paused: bool = False
    is_retired: bool = False
    postbacks: tuple[PartnerPostback, ...] = ()
