"""An offer: what is promoted, its goals, and what they earn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from tracker.domain.cap import Cap
from tracker.domain.money import Rate


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
    caps: tuple[Cap, ...] = ()
    is_paused: bool = False
    is_retired: bool = False
