"""What needs an operator's attention now, the most urgent first."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from tracker.domain.calendar import QUARTER
from tracker.domain.concern import NEAR, Concern, has_stopped, is_rising
from tracker.domain.errors import NotFoundError
from tracker.flow.cap import ListedCap, list_caps
from tracker.flow.condition import list_degraded
from tracker.runtime import Runtime
from tracker.store.lanes import StoppedLane
from tracker.store.signs import Arrivals, Dead, Quarantined

VISITS_IN = timedelta(hours=1)
CONVERSIONS_IN = timedelta(hours=6)
A_DAY = timedelta(days=1)

_DEGRADED = {
    "postgres": "Postgres, so postbacks wait on disk",
    "redis": "Redis, which has to keep the clicks it takes",
    "spool": "The spool on disk",
    "countries": "The countries of addresses",
}
"""What a fault of each is about, for whoever runs none of them."""


async def list_concerns(runtime: Runtime, now: datetime) -> list[Concern]:
    """Everything there is to say; empty when all is well."""
    found = await asyncio.gather(
        _of_stores(runtime),
        _of_lanes(runtime),
        _of_dead(runtime, now),
        _of_quarantine(runtime, now),
        _of_visits(runtime, now),
        _of_conversions(runtime, now),
        _of_caps(runtime, now),
    )
    concerns = [one for concerns in found for one in concerns]
    return sorted(concerns, key=lambda one: not one.is_urgent)


async def _of_stores(runtime: Runtime) -> list[Concern]:
    degraded = await list_degraded(runtime)
    return [_degraded(name, fault) for name, fault in degraded.items()]


def _degraded(name: str, fault: str) -> Concern:
    if name == "catalog":
        return Concern(fault, "catalog", is_urgent=True)
    return Concern(f"{_DEGRADED[name]}: {fault}", "stores", is_urgent=True)


async def _of_lanes(runtime: Runtime) -> list[Concern]:
    return [_of_lane(one) for one in await runtime.lanes.list_stopped()]


def _of_lane(lane: StoppedLane) -> Concern:
    whom = f"{lane.partner} ({lane.postback} at {lane.host})"
    waiting = f"{lane.waiting:,} wait" if lane.waiting else "nothing waits"
    if lane.state == "paused":
        said = f"Nothing is sent to {whom} until it is resumed; {waiting}"
    else:
        said = f"Calls to {whom} fail ({lane.opened_reason}), {lane.state}; {waiting}"
    query = {"partner": lane.partner}
    return Concern(said, "deliveries", is_urgent=True, query=query)


async def _of_dead(runtime: Runtime, now: datetime) -> Iterable[Concern]:
    return map(_given_up, await runtime.signs.count_dead(now - A_DAY))


def _given_up(dead: Dead) -> Concern:
    deliveries = "delivery" if dead.count == 1 else "deliveries"
    said = (
        f"{dead.count:,} {deliveries} to {dead.partner} ({dead.postback}) given"
        f" up in 24 hours: {dead.reason}"
    )
    query = {"partner": dead.partner, "state": "dead"}
    return Concern(said, "deliveries", query=query)


async def _of_quarantine(runtime: Runtime, now: datetime) -> list[Concern]:
    counted = await runtime.signs.count_quarantined(now)
    return [_quarantined(one) for one in counted if is_rising(one.lately, one.usual)]


def _quarantined(one: Quarantined) -> Concern:
    said = (
        f"{one.lately:,} postbacks into quarantine in 24 hours for {one.reason},"
        f" {one.usual:.0f} on a usual day"
    )
    return Concern(said, "quarantine", query={"reason": one.reason})


async def _of_visits(runtime: Runtime, now: datetime) -> Sequence[Concern]:
    until = _quarter(now)
    counted = await runtime.signs.count_visits(until - VISITS_IN, until)
    if has_stopped(*_in_all(counted)):
        return [Concern("No clicks at all for an hour", "report", is_urgent=True)]
    return [
        Concern(
            f"{_partner(runtime, one.number)} sent no clicks for an hour,"
            f" {one.usual:.0f} are usual",
            "report",
            query={"partner": _partner(runtime, one.number), "by": "hour"},
        )
        for one in counted
        if has_stopped(one.lately, one.usual)
    ]


async def _of_conversions(runtime: Runtime, now: datetime) -> list[Concern]:
    until = _quarter(now)
    counted = await runtime.signs.count_conversions(until - CONVERSIONS_IN, until)
    return list(_silent_advertisers(runtime, counted))


def _silent_advertisers(
    runtime: Runtime, counted: Iterable[Arrivals]
) -> Iterator[Concern]:
    """Who reports nothing more, whichever of its offers it was for."""
    by_advertiser: dict[str, list[Arrivals]] = {}
    for one in counted:
        by_advertiser.setdefault(_advertiser(runtime, one.number), []).append(one)
    for advertiser, arrivals in sorted(by_advertiser.items()):
        lately, usual = _in_all(arrivals)
        if has_stopped(lately, usual):
            yield Concern(
                f"{advertiser} reported no conversion for 6 hours,"
                f" {usual:.0f} are usual",
                "report",
                is_urgent=True,
                query={"advertiser": advertiser, "by": "hour"},
            )


async def _of_caps(runtime: Runtime, now: datetime) -> list[Concern]:
    if not runtime.catalog.has_caps:
        return []
    return [_capped(one) for one in await list_caps(runtime, now) if _is_near(one)]


def _is_near(cap: ListedCap) -> bool:
    return cap.is_reached or cap.taken * 100 >= cap.limit * NEAR


def _capped(cap: ListedCap) -> Concern:
    taken = f"{cap.taken:,f} of {cap.limit:,f} {cap.currency or 'conversions'}"
    how = "is reached" if cap.is_reached else "is nearly reached"
    query = {"q": cap.offer} if cap.offer else {}
    return Concern(f"A cap {how}: {cap.cap}; {taken}", "offers", query=query)


def _in_all(counted: Sequence[Arrivals]) -> tuple[int, float]:
    return sum(one.lately for one in counted), sum(one.usual for one in counted)


def _partner(runtime: Runtime, number: int) -> str:
    try:
        return runtime.catalog.partner_numbered(number).key
    except NotFoundError:
        return f"partner number {number}"


def _advertiser(runtime: Runtime, number: int) -> str:
    try:
        return runtime.catalog.offer_numbered(number).advertiser
    except NotFoundError:
        return f"the advertiser of offer number {number}"


def _quarter(now: datetime) -> datetime:
    """The last quarter of an hour that is over, and folded by now."""
    minute = now.minute - now.minute % 15
    began = now.replace(minute=minute, second=0, microsecond=0)
    return began if now - began >= timedelta(minutes=1) else began - QUARTER
