"""The whole story of a click, however it is asked for; nothing is changed by it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal

import structlog

from tracker.domain.click import Click
from tracker.domain.click_id import ClickFacts, ClickId, one_spelling
from tracker.domain.errors import (
    ForgedClickIdError,
    NotFoundError,
    UnknownClickIdError,
)
from tracker.domain.meter import Reading
from tracker.domain.outcome import Reason
from tracker.domain.postback import clean
from tracker.runtime import Runtime
from tracker.store.redis import UNAVAILABLE
from tracker.store.reports import (
    FIRST_DAY,
    ListedChange,
    ListedConversion,
    ListedDelivery,
    ListedErasure,
    ListedPostback,
    PastAttempt,
    SeenVisitor,
)

log = structlog.get_logger()

FoundIn = Literal["redis", "postgres", "id", "nowhere"]


@dataclass(frozen=True, slots=True)
class TracedClick:
    """
    A click, or what is known of it.

    `found_in` says where: with `id` there is no record, and only `facts` are known;
    with `nowhere` the id is not one of ours, and `doubt` says why. `seen` is known
    once it is in Postgres.
    """

    id: str
    found_in: FoundIn
    doubt: str = ""
    facts: ClickFacts | None = None
    partner: str = ""
    offer: str = ""
    record: Click | None = None
    seen: SeenVisitor | None = None

    @property
    def first_day(self) -> date:
        """Nothing of its story is older."""
        return self.facts.day if self.facts else FIRST_DAY

    @property
    def clicked_at(self) -> datetime | None:
        """When, by its id; None where that is not ours."""
        return self.facts.clicked_at if self.facts else None


@dataclass(frozen=True, slots=True)
class Trace:
    """
    Everything that belongs to one click; each list is in order of time.

    With `is_own` it is as much of it as its partner may see.
    """

    asked: str
    click: TracedClick | None
    postbacks: Sequence[ListedPostback] = ()
    conversions: Sequence[ListedConversion] = ()
    changes: Sequence[ListedChange] = ()
    deliveries: Sequence[ListedDelivery] = ()
    attempts: Mapping[tuple[str, int], Sequence[PastAttempt]] = field(
        default_factory=dict
    )
    """By delivery and round."""

    erasures: Sequence[ListedErasure] = ()
    meters: Mapping[str, Sequence[Reading]] = field(default_factory=dict)
    """By postback that a cap had no room for: what is taken of all it was held to."""

    is_own: bool = False


async def trace(runtime: Runtime, asked: str) -> Trace:
    """
    The story that a click, a postback, a conversion or a delivery belongs to.

    Raises NotFoundError where there is nothing to tell. An id that is not one of
    ours has a story as well, if a postback named it.
    """
    asked = clean(asked)
    match asked.partition("_")[0]:
        case "pb":
            return await _trace_postback(runtime, asked)
        case "cv":
            return await _trace_conversion(runtime, asked, asked)
        case "dl":
            delivery = await runtime.reports.get_delivery(asked)
            return await _trace_conversion(runtime, asked, delivery.conversion_id)
        case _:
            return await _trace_click(runtime, asked, asked)


def excerpt(trace: Trace, part: str) -> Trace:
    """
    As much of a story as concerns one conversion, postback or delivery.

    Raises NotFoundError where it is no part of that story.
    """
    parts = {one.id for one in trace.conversions}
    parts |= {one.id for one in trace.postbacks}
    parts |= {one.id for one in trace.deliveries}
    if part not in parts:
        raise NotFoundError(f"there is no {part}")
    match part.partition("_")[0]:
        case "cv":
            return _excerpt(trace, conversions={part})
        case "pb":
            made = {one.id for one in trace.changes if one.postback_id == part}
            return _excerpt(trace, postbacks={part}, changes=made)
        case _:
            tells = {one.change_id for one in trace.deliveries if one.id == part}
            return _excerpt(trace, changes=tells, deliveries={part})


def _excerpt(
    trace: Trace,
    *,
    conversions: Collection[str] = (),
    postbacks: Collection[str] = (),
    changes: Collection[str] = (),
    deliveries: Collection[str] = (),
) -> Trace:
    """What has one of these ids, or belongs to one of these conversions."""
    owed = [
        one
        for one in trace.deliveries
        if one.id in deliveries
        or one.conversion_id in conversions
        or (one.change_id in changes and not deliveries)
    ]
    kept = {one.id for one in owed}
    return replace(
        trace,
        conversions=[one for one in trace.conversions if one.id in conversions],
        postbacks=[
            one
            for one in trace.postbacks
            if one.id in postbacks or one.conversion_id in conversions
        ],
        changes=[
            one
            for one in trace.changes
            if one.id in changes or one.conversion_id in conversions
        ],
        deliveries=owed,
        attempts={key: made for key, made in trace.attempts.items() if key[0] in kept},
        erasures=(),
    )


def own_trace(trace: Trace, partner: str) -> Trace:
    """
    As much of a story as its partner may see.

    That is its click without the visitor's address, what it earned, and what it was
    told. Raises NotFoundError for a story of somebody else's.
    """
    if trace.click is None or trace.click.partner != partner:
        raise NotFoundError(f"there is no {trace.asked}")
    record = trace.click.record
    known = record.but(address="", user_agent="", route="") if record else None
    deliveries = [one for one in trace.deliveries if one.partner == partner]
    told = {one.id for one in deliveries}
    return Trace(
        asked=trace.asked,
        click=replace(trace.click, record=known),
        conversions=[_own_conversion(one) for one in trace.conversions],
        changes=[_own_change(one) for one in trace.changes],
        deliveries=deliveries,
        attempts={key: made for key, made in trace.attempts.items() if key[0] in told},
        is_own=True,
    )


def _own_conversion(one: ListedConversion) -> ListedConversion:
    return replace(
        one,
        advertiser="",
        amount=None,
        revenue=None,
        sent_amount=None,
        sent_currency=None,
    )


def _own_change(one: ListedChange) -> ListedChange:
    """Neither who made it nor why: what it says is what counts."""
    return replace(
        one,
        amount=None,
        revenue=None,
        postback_id=None,
        operator=None,
        note=None,
        rule=None,
    )


async def find_click(runtime: Runtime, text: str) -> TracedClick:
    """The click of that id: from Redis, else from Postgres, else what the id says."""
    try:
        facts = runtime.mint.read(text)
    except (UnknownClickIdError, ForgedClickIdError) as error:
        return TracedClick(one_spelling(text), "nowhere", doubt=str(error))
    record, found_in = await _find_record(runtime, facts)
    keys = await runtime.reports.list_keys(facts.partner_number, facts.offer_number)
    return TracedClick(
        id=facts.id,
        found_in=found_in,
        facts=facts,
        partner=keys.get("partner", f"number {facts.partner_number}"),
        offer=keys.get("offer", f"number {facts.offer_number}"),
        record=record,
    )


async def _find_record(
    runtime: Runtime, facts: ClickFacts
) -> tuple[Click | None, FoundIn]:
    hot = await _list_hot(runtime, facts)
    if facts.id in hot:
        return hot[facts.id], "redis"
    logged = await runtime.click_log.list_known([facts])
    if facts.id in logged:
        return logged[facts.id], "postgres"
    return None, "id"


async def _list_hot(runtime: Runtime, facts: ClickFacts) -> dict[ClickId, Click]:
    """With Redis away, Postgres may still know."""
    try:
        return await runtime.clicks.list_known([facts])
    except UNAVAILABLE as error:
        log.warning("redis.unavailable", error=repr(error))
        return {}


async def _trace_postback(runtime: Runtime, asked: str) -> Trace:
    postback = await runtime.reports.get_postback(asked)
    if postback.conversion_id is not None:
        return await _trace_conversion(runtime, asked, postback.conversion_id)
    if postback.click_id is not None:
        return await _trace_click(runtime, asked, postback.click_id)
    return Trace(asked, None, postbacks=[postback])


async def _trace_conversion(runtime: Runtime, asked: str, conversion: str) -> Trace:
    found = await runtime.reports.get_conversion(conversion)
    return await _trace_click(runtime, asked, found.click_id)


async def _trace_click(runtime: Runtime, asked: str, click_id: str) -> Trace:
    click = await find_click(runtime, click_id)
    if click.facts:
        seen = await runtime.reports.list_seen(click.facts.day, click.id)
        click = replace(click, seen=seen[0] if seen else None)
    told = await _tell(runtime, asked, click)
    if click.found_in == "nowhere" and not told.postbacks:
        raise NotFoundError(f"{asked}: {click.doubt}, and no postback named it")
    return told


async def _tell(runtime: Runtime, asked: str, click: TracedClick) -> Trace:
    reports, first_day = runtime.reports, click.first_day
    conversions = await reports.list_conversions_of(click.id)
    ids = [conversion.id for conversion in conversions]
    deliveries, postbacks, changes, erasures = await asyncio.gather(
        reports.list_deliveries_of(ids, first_day=first_day),
        reports.list_postbacks_of(click.id, ids, first_day=first_day),
        reports.list_changes_of(ids),
        reports.list_erasures_of(click.id),
    )
    return Trace(
        asked=asked,
        click=click,
        postbacks=postbacks,
        conversions=conversions,
        changes=changes,
        deliveries=deliveries,
        attempts=by_round(
            await reports.list_attempts_of(
                (delivery.id for delivery in deliveries), first_day=first_day
            )
        ),
        erasures=erasures,
        meters=await _list_meters(runtime, click, postbacks),
    )


async def _list_meters(
    runtime: Runtime, click: TracedClick, postbacks: Sequence[ListedPostback]
) -> dict[str, list[Reading]]:
    return {
        one.id: await runtime.meters.list_of(
            click.offer, click.partner, one.received_at
        )
        for one in postbacks
        if Reason.CAPPED in {one.reason, one.quarantined_for}
    }


def by_round(
    attempts: Sequence[PastAttempt],
) -> dict[tuple[str, int], list[PastAttempt]]:
    """Attempts by what they were tries at."""
    found: dict[tuple[str, int], list[PastAttempt]] = {}
    for attempt in attempts:
        found.setdefault((attempt.delivery_id, attempt.round), []).append(attempt)
    return found
