"""One click's whole story, or as much of it as concerns one id."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.api.calls import Call, Parameter, answer
from tracker.console.story import part_asked, trace_asked
from tracker.domain.person import Permission
from tracker.flow.conclusion import Conclusion, conclude
from tracker.flow.story import subs_of, tell
from tracker.flow.trace import Trace, TracedClick
from tracker.store.journal import OwnConversion, own_conversion
from tracker.store.reports import (
    ListedChange,
    ListedConversion,
    ListedDelivery,
    ListedErasure,
    ListedPostback,
    PastAttempt,
)


@dataclass(frozen=True, slots=True)
class StoryClick:
    """
    A click, or what is known of it; `found_in` is redis, postgres, id or nowhere.

    `doubt` says why an id is not one of ours. A partner is told no address.
    """

    id: str
    found_in: str
    doubt: str
    clicked_at: datetime | None
    click_class: str | None
    partner: str
    offer: str
    labels: Mapping[str, str]
    reason: str
    address: str
    user_agent: str
    referrer: str
    destination: str


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the story, in words; `at` is null for what is so now."""

    at: datetime | None
    what: str
    headline: str
    details: Sequence[str]
    mood: str
    remedy: str


@dataclass(frozen=True, slots=True)
class OwnChange:
    """As much of a change as its partner may see."""

    id: str
    conversion_id: str
    number: int
    old_status: str | None
    status: str
    currency: str
    payout: Decimal
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class OwnStory:
    """What a partner may know of its click; the lists are in order of time."""

    asked: str
    click: StoryClick | None
    conclusions: Sequence[Conclusion]
    events: Sequence[Told]
    conversions: Sequence[OwnConversion]
    changes: Sequence[OwnChange]
    deliveries: Sequence[ListedDelivery]
    attempts: Sequence[PastAttempt]


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that belongs to one click; the lists are in order of time."""

    asked: str
    click: StoryClick | None
    conclusions: Sequence[Conclusion]
    events: Sequence[Told]
    conversions: Sequence[ListedConversion]
    changes: Sequence[ListedChange]
    deliveries: Sequence[ListedDelivery]
    attempts: Sequence[PastAttempt]
    postbacks: Sequence[ListedPostback]
    erasures: Sequence[ListedErasure]


async def click(request: Request) -> Response:
    """The whole story."""
    return _told(await trace_asked(request))


async def conversion(request: Request) -> Response:
    """As much as concerns it."""
    return _told(await part_asked(request, "cv_"))


async def postback(request: Request) -> Response:
    """Likewise."""
    return _told(await part_asked(request, "pb_"))


async def delivery(request: Request) -> Response:
    """Likewise."""
    return _told(await part_asked(request, "dl_"))


def _told(found: Trace) -> Response:
    return answer(_own_story(found) if found.is_own else _story(found))


def _story(found: Trace) -> Story:
    return Story(
        **_shared(found),
        conversions=found.conversions,
        changes=found.changes,
        postbacks=found.postbacks,
        erasures=found.erasures,
    )


def _own_story(found: Trace) -> OwnStory:
    return OwnStory(
        **_shared(found),
        conversions=[own_conversion(one) for one in found.conversions],
        changes=[_own_change(one) for one in found.changes],
    )


def _shared(found: Trace) -> dict[str, Any]:
    return {
        "asked": found.asked,
        "click": _click(found.click) if found.click else None,
        "conclusions": conclude(found),
        "events": list(_events(found)),
        "deliveries": found.deliveries,
        "attempts": [one for made in found.attempts.values() for one in made],
    }


def _events(found: Trace) -> Iterator[Told]:
    for one in tell(found):
        yield Told(one.at, one.what, one.headline, one.details, one.mood, one.remedy)


def _click(found: TracedClick) -> StoryClick:
    record, facts = found.record, found.facts
    return StoryClick(
        id=found.id,
        found_in=found.found_in,
        doubt=found.doubt,
        clicked_at=found.clicked_at,
        click_class=facts.click_class.word if facts else None,
        partner=found.partner,
        offer=found.offer,
        labels=subs_of(record) if record else {},
        reason=record.reason if record else "",
        address=record.address if record else "",
        user_agent=record.user_agent if record else "",
        referrer=record.referrer if record else "",
        destination=record.destination if record else "",
    )


def _own_change(one: ListedChange) -> OwnChange:
    return OwnChange(
        one.id,
        one.conversion_id,
        one.number,
        one.old_status,
        one.status,
        one.currency,
        one.payout,
        one.changed_at,
    )


def _one(
    path: str, endpoint: Callable[[Request], Awaitable[Response]], *, is_own: bool
) -> Call:
    return Call(
        "GET",
        path,
        endpoint,
        Permission.OWN if is_own else Permission.SEE,
        "Its story: what came, what was decided and why, who was told what",
        answer=Story,
        own=OwnStory if is_own else None,
        parameters=(Parameter("id", "Its id."),),
    )


CALLS = (
    _one("/clicks/{id}", click, is_own=True),
    _one("/conversions/{id}", conversion, is_own=True),
    _one("/postbacks/{id}", postback, is_own=False),
    _one("/deliveries/{id}", delivery, is_own=True),
)
