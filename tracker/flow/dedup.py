"""A visitor that comes again within the window of its offer is told apart."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from tracker.domain.click import Plan
from tracker.runtime import Runtime
from tracker.store.redis import UNAVAILABLE
from tracker.store.visitors import Sighting

log = structlog.get_logger()

_SHARE = 0.5
"""Of the time that Redis has for a click; the other half is for keeping it."""

_A_MILLISECOND = timedelta(milliseconds=1)


async def tell_apart(runtime: Runtime, plan: Plan, dedup: timedelta) -> Plan:
    """
    The plan of a visit, marked if the same visitor was there a moment ago.

    Where Redis does not say so in time the visit counts: nobody waits for that.
    """
    sighting = Sighting(plan.identity, dedup // _A_MILLISECOND)
    try:
        is_first = await runtime.together(claim_visits, sighting)
    except Exception as error:  # noqa: BLE001 - whatever it is, the visitor arrives
        log.warning("visit.not_told_apart", error=repr(error))
        return plan
    return plan if is_first else plan.but(is_repeated=True)


async def claim_visits(runtime: Runtime, sightings: Sequence[Sighting]) -> list[bool]:
    """Whether each is the first in its window; all of them while Redis is away."""
    allowed = runtime.settings.redis_timeout.total_seconds() * _SHARE
    if runtime.redis_outage.is_on:
        return [True] * len(sightings)
    try:
        async with asyncio.timeout(allowed):
            return await runtime.visitors.claim(sightings)
    except UNAVAILABLE as error:
        # Whether Redis is away is for those to find out who must know.
        log.warning("visit.not_told_apart", error=repr(error))
    return [True] * len(sightings)
