"""A visitor follows a tracked link."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import structlog
from prometheus_client import Counter

from tracker import metrics
from tracker.domain.click import (
    Click,
    ClickReason,
    Plan,
    Visit,
    aim,
    draw_click,
    fallback_of,
    plan_visit,
    refuse,
    without_secrets,
)
from tracker.domain.click_id import ClickClass, shard_of
from tracker.domain.errors import (
    ClosedLinkError,
    UnknownLinkError,
)
from tracker.domain.meter import Closed, is_closed
from tracker.failpoints import failpoint
from tracker.flow.dedup import tell_apart
from tracker.flow.spool import spool_clicks
from tracker.runtime import Runtime
from tracker.store.redis import UNAVAILABLE

log = structlog.get_logger()

Drawn = tuple[Click, float]
"""A click, and when its visitor arrived by the clock of the event loop."""

_LEAST_SHARE = 0.2


async def redirect_visitor(runtime: Runtime, visit: Visit) -> str:
    """
    The URL that the visitor is sent to, once the click is kept.

    Raises UnknownLinkError for a link that is not listed, and ClosedLinkError for
    one that takes no visitors now, where the catalog has no fallback for it.
    """
    now = datetime.now(UTC)
    try:
        plan = plan_visit(visit, runtime.catalog, now=now)
        if runtime.closed:
            plan = _held_to_caps(plan, runtime.closed)
    except UnknownLinkError:
        log.info("link.unknown", partner=visit.partner[:64], offer=visit.offer[:64])
        if fallback := fallback_of(runtime.catalog):
            return fallback
        raise
    offer = plan.offer
    if offer.targeting and not plan.refusal:
        plan = aim(plan, offer.targeting, runtime.countries.find)
    since = asyncio.get_running_loop().time()
    if offer.dedup and plan.click_class is ClickClass.VISIT:
        plan = await tell_apart(runtime, plan, offer.dedup)
    click = await _kept_click(runtime, plan, now, since)
    if not click.destination:
        raise ClosedLinkError(click.reason)
    return click.destination


async def record_clicks(runtime: Runtime, drawn: Sequence[Drawn]) -> list[bool]:
    """
    Keeps many clicks at once, in Redis or on disk; whether each id was free.

    While Redis is away, and once it was too slow, they go to the spool: Postgres
    tells then if an id was taken.
    """
    clicks = [click for click, _ in drawn]
    failpoint("click.drawn")
    if not runtime.redis_outage.is_on:
        try:
            return await _insert(runtime, clicks, since=drawn[0][1])
        except UNAVAILABLE as error:
            runtime.redis_outage.begin(repr(error))
    await spool_clicks(runtime, clicks)
    return [True] * len(clicks)


async def _insert(
    runtime: Runtime, clicks: Sequence[Click], *, since: float
) -> list[bool]:
    """
    Keeps them in Redis, which has so long from the arrival of the first.

    Where that one had to wait here Redis is not to blame, and has a fifth of the time.
    Clicks that gathered together were minted for one shard, so that this is one
    call; while the shard changes it may be two.
    """
    is_free = dict.fromkeys([click.id for click in clicks], True)
    runtime.change_shard()
    allowed = runtime.settings.redis_timeout.total_seconds()
    now = asyncio.get_running_loop().time()
    async with asyncio.timeout_at(max(since + allowed, now + allowed * _LEAST_SHARE)):
        for shard, some in _by_shard(clicks).items():
            for number in await runtime.clicks.insert(shard, some):
                is_free[some[number].id] = False
    failpoint("click.kept")
    return [is_free[click.id] for click in clicks]


async def _kept_click(
    runtime: Runtime, plan: Plan, now: datetime, since: float
) -> Click:
    """
    The visitor arrives whatever the stores do.

    A click that neither Redis nor the disk has confirmed counts as lost. It may yet
    be kept, and then under the id that the visitor carries.
    """
    click = _drawn(runtime, plan, now)
    try:
        while not await runtime.together(record_clicks, (_as_kept(click, plan), since)):
            metrics.CLICK_ID_COLLISIONS.inc()
            click = _drawn(runtime, plan, now)
        _counter(plan.click_class).inc()
        runtime.tally.count(click.id)
    except Exception as error:  # noqa: BLE001 - whatever it is, the visitor arrives
        metrics.CLICKS_LOST.inc()
        log.critical("click.lost", click_id=click.id, error=str(error))
    return click


def _held_to_caps(plan: Plan, closed: Closed) -> Plan:
    partner, offer = plan.partner.key, plan.offer.key
    if plan.refusal or not is_closed(closed, offer, partner, datetime.now(UTC)):
        return plan
    metrics.CLICKS_CAPPED.inc()
    return refuse(plan, ClickReason.CAPPED)


def _as_kept(click: Click, plan: Plan) -> Click:
    return without_secrets(click, plan) if plan.landing.secrets else click


@cache
def _counter(click_class: ClickClass) -> Counter:
    return metrics.CLICKS.labels(click_class.name.lower())


def _by_shard(clicks: Sequence[Click]) -> dict[int, list[Click]]:
    shards: dict[int, list[Click]] = {}
    for click in clicks:
        shards.setdefault(shard_of(click.id), []).append(click)
    return shards


def _drawn(runtime: Runtime, plan: Plan, now: datetime) -> Click:
    click_id = runtime.mint.mint(
        now=now,
        shard=runtime.shard,
        click_class=plan.click_class,
        partner_number=plan.partner.number,
        offer_number=plan.offer.number,
    )
    return draw_click(plan, click_id, runtime.seal, now=now)
