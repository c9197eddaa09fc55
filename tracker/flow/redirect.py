"""A visitor follows a tracked link."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from tracker import metrics
from tracker.domain.click import Click, Plan, Visit, draw_click, fallback_of, plan_visit
from tracker.domain.errors import ClosedLinkError, OverloadedError, UnknownLinkError
from tracker.runtime import Runtime
from tracker.store.redis import UNAVAILABLE

log = structlog.get_logger()


async def redirect_visitor(runtime: Runtime, visit: Visit) -> str:
    """
    The URL that the visitor is sent to, once the click is kept.

    Raises UnknownLinkError for a link that is not listed, and ClosedLinkError for
    one that takes no visitors now, where the catalog has no fallback for it.
    """
    try:
        plan = plan_visit(visit, runtime.catalog)
    except UnknownLinkError:
        if fallback := fallback_of(runtime.catalog):
            return fallback
        raise
    click = await _kept_click(runtime, plan)
    if not click.destination:
        raise ClosedLinkError(click.reason)
    return click.destination


async def record_clicks(runtime: Runtime, plans: Sequence[Plan]) -> list[Click]:
    """
    Mints and keeps the clicks of many visits, all in one shard.

    An id that another click has taken is minted again, before anyone sees it.
    """
    shard = runtime.next_shard()
    now = datetime.now(UTC)
    clicks = [_drawn(runtime, plan, shard, now) for plan in plans]
    taken = await runtime.clicks.insert(shard, clicks)
    while taken:
        metrics.CLICK_ID_COLLISIONS.inc(len(taken))
        for number in taken:
            clicks[number] = _drawn(runtime, plans[number], shard, now)
        again = await runtime.clicks.insert(shard, [clicks[n] for n in taken])
        taken = [taken[n] for n in again]
    for plan in plans:
        metrics.CLICKS.labels(plan.click_class.name.lower()).inc()
    return clicks


async def _kept_click(runtime: Runtime, plan: Plan) -> Click:
    """The visitor arrives whatever the store does; a click it lost is counted."""
    try:
        async with asyncio.timeout(runtime.settings.redis_timeout.total_seconds()):
            return await runtime.together(record_clicks, plan)
    except (OverloadedError, *UNAVAILABLE) as error:
        click = _drawn(runtime, plan, runtime.next_shard(), datetime.now(UTC))
        metrics.CLICKS_LOST.inc()
        log.critical("click.lost", click_id=click.id, error=repr(error))
        return click


def _drawn(runtime: Runtime, plan: Plan, shard: int, now: datetime) -> Click:
    click_id = runtime.mint.mint(
        now=now,
        shard=shard,
        click_class=plan.click_class,
        partner_number=plan.partner.number,
        offer_number=plan.offer.number,
    )
    return draw_click(plan, click_id, runtime.seal, now=now)
