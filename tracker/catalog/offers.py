"""Offers in partners.yaml: how they are written, and the values they become."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from tracker.catalog.caps import OfferCapSections, compile_caps
from tracker.catalog.postbacks import Postbacks, compile_postbacks
from tracker.catalog.scalars import Flag, Key, Name
from tracker.catalog.sections import Many, Section
from tracker.catalog.sums import Amount, Currency, Earning, Payout
from tracker.catalog.targeting import SpreadSection, compile_targeting, first_url
from tracker.catalog.templates import ClickUrl
from tracker.catalog.times import Dedup, Duration, End, Moment, Timezone, Window
from tracker.catalog.wire import Host
from tracker.domain.catalog import UNNUMBERED
from tracker.domain.offer import (
    Goal,
    Limits,
    Offer,
    OncePer,
    OnRepeat,
    Schedule,
    Scope,
    Status,
)

DEFAULT_WINDOW = timedelta(days=30)


class GoalSection(Section):
    """An action that counts, and what it earns."""

    payout: Payout = Field(
        description="what the partner earns: 2.50, 8%, 80% of revenue, or sent"
    )
    revenue: Earning = Field(description="what the advertiser owes us: 4.00 or 12%")
    once_per: OncePer = Field("click", description="what may happen only once")
    scope: Scope = Field("advertiser", description="how far a transaction_id is unique")
    status: Status = Field(
        Status.APPROVED, description="where a conversion starts if nothing is said"
    )
    on_repeat: OnRepeat = Field(
        "status", description="what another postback for the same may change"
    )
    default: Flag = Field(
        default=False, description="true: what a postback without a goal means"
    )
    review: Flag = Field(
        default=False, description="true: pending, though its advertiser approves"
    )
    approve_after: Window | None = Field(
        None, description="how long it may be pending; then it is approved by itself"
    )


class LimitsSection(Section):
    """Beyond these a postback is quarantined."""

    amount: Amount | None = Field(None, description="the highest amount")
    payout: Amount | None = Field(None, description="the highest payout")
    min_click_age: Duration | None = Field(
        None, description="the shortest time from click to conversion, such as 5s"
    )


class OfferSection(SpreadSection):
    """What is promoted."""

    advertiser: Key = Field(description="the key of the advertiser that owns it")
    name: Name | None = Field(None, description="its name; the key unless set")
    window: Window | None = Field(
        None, description="how long after a click a conversion counts; 30d unless set"
    )
    currency: Currency | None = Field(
        None, description="of its sums; the catalog's unless set"
    )
    timezone: Timezone | None = Field(
        None, description="of its caps and days; the catalog's unless set"
    )
    goals: dict[Key, GoalSection] = Field(
        min_length=1, max_length=200, description="the actions that count"
    )
    deeplinks: Many[Host] = Field((), description="hosts that deep links may lead to")
    fallback_url: ClickUrl | None = Field(
        None, description="where visitors go who it does not take"
    )
    paused: Flag = Field(default=False, description="true: it takes no visitors")
    starts: Moment | None = Field(
        None, description="when it begins to take visitors, in its time zone"
    )
    ends: End | None = Field(
        None, description="when it takes no more; a day is its last one"
    )
    dedup: Dedup | None = Field(
        None, description="how soon a visitor that comes again is marked as repeated"
    )
    limits: LimitsSection = LimitsSection()
    caps: OfferCapSections = Field((), description="how much may be had of it")
    postbacks: Postbacks = Field((), description="told of every partner's conversions")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.starts and self.ends and self.ends <= self.starts:
            raise ValueError("ends before it starts")
        return self


def compile_offer(
    key: str, section: OfferSection, *, currency: str, timezone: str
) -> Offer:
    """The offer of a section; currency and time zone are used where it has none."""
    timezone = section.timezone or timezone
    return Offer(
        key=key,
        number=UNNUMBERED,
        name=section.name or key,
        advertiser=section.advertiser,
        url=first_url(section),
        window=section.window or DEFAULT_WINDOW,
        currency=section.currency or currency,
        timezone=timezone,
        goals={name: _goal(name, goal) for name, goal in section.goals.items()},
        default_goal=_default_goal(section.goals),
        deeplinks=frozenset(section.deeplinks),
        fallback_url=section.fallback_url,
        limits=_limits(section.limits),
        caps=compile_caps(section.caps),
        is_paused=section.paused,
        schedule=_schedule(section, ZoneInfo(timezone)),
        dedup=section.dedup,
        targeting=compile_targeting(section),
        postbacks=compile_postbacks(section.postbacks),
    )


def _schedule(section: OfferSection, zone: ZoneInfo) -> Schedule | None:
    if not section.starts and not section.ends:
        return None
    return Schedule(_instant(section.starts, zone), _instant(section.ends, zone))


def _instant(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    """In UTC; of a time that the clocks show twice it is the first."""
    return moment and moment.replace(tzinfo=zone).astimezone(UTC)


def _goal(key: str, section: GoalSection) -> Goal:
    return Goal(
        key=key,
        payout=section.payout,
        revenue=section.revenue,
        once_per=section.once_per,
        scope=section.scope,
        status=section.status,
        on_repeat=section.on_repeat,
        review=section.review,
        approve_after=section.approve_after,
    )


def _default_goal(goals: Mapping[str, GoalSection]) -> str | None:
    if len(goals) == 1:
        return next(iter(goals))
    return next((key for key, goal in goals.items() if goal.default), None)


def _limits(section: LimitsSection) -> Limits:
    return Limits(section.amount, section.payout, section.min_click_age or timedelta())
