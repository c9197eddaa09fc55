"""What was kept for long enough goes: days, addresses, and single rows."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from functools import partial

import structlog

from tracker import metrics
from tracker.domain.retention import is_witnessed, list_expired
from tracker.runtime import Runtime
from tracker.settings import Settings
from tracker.store.retention import Purged

log = structlog.get_logger()

DROP_TRIES = 5
TRY_AGAIN_SECONDS = 1.0

NONCES_ARE_KEPT = timedelta(days=7)
"""A call is stale after minutes; who signs anew with the same nonce has a week."""

FIRSTS_ARE_KEPT = timedelta(hours=25)
"""A day, and as much as the clocks of web hosts may be apart."""

METERS_ARE_KEPT = timedelta(days=7)
"""After their period; one that is asked for later is counted again."""

WITH_ADDRESSES = ("clicks", "postbacks")
"""Tables by day that have a column of addresses."""

_A_DAY = timedelta(days=1)
_COUNTS_FOR = timedelta(days=30)


async def apply_retention(runtime: Runtime) -> None:
    """
    One pass: each step stands for itself, and is done again by the next pass.

    It goes by Postgres' clock, and only while that is believed: a clock that jumped
    ahead would end everything at once, and nothing brings it back.
    """
    now = await runtime.deliveries.get_now()
    _warn_of_short_retention(runtime)
    for table, keep in terms(runtime.settings).items():
        days = await runtime.partitions.list_days(table)
        if is_witnessed(days, now):
            await _apply(runtime, table, days, now, keep)
        elif list_expired(days, now, keep):
            log.error("clock.doubted", table=table, today=str(now.date()))
    if is_witnessed(await runtime.partitions.list_days("clicks"), now):
        await _purge(runtime, now)


def terms(settings: Settings) -> dict[str, timedelta]:
    """How long each table that is kept by day is kept."""
    return {
        "clicks": settings.retention_clicks,
        "postbacks": settings.retention_postbacks,
        "delivery_attempts": settings.retention_attempts,
        "delivery_archive": settings.retention_deliveries,
    }


def purged_tables(settings: Settings) -> dict[Purged, timedelta]:
    """
    What is not kept by day.

    Records set aside hold an address that stays full; who was not let in may have
    typed a password as the name.
    """
    set_aside = min(settings.retention_clicks, settings.retention_addresses)
    return {
        Purged("nonces", "used_at", "nonce not like 'row:%%'"): NONCES_ARE_KEPT,
        Purged(
            "nonces", "used_at", "nonce like 'row:%%'"
        ): settings.retention_postbacks,
        Purged("click_collisions", "found_at"): set_aside,
        Purged("clicks_rejected", "rejected_at"): set_aside,
        Purged("click_counts", "counted_at"): _COUNTS_FOR,
        Purged("click_audits", "audited_at"): _COUNTS_FOR,
        Purged("cap_meters", "ends_at"): METERS_ARE_KEPT,
        Purged("visitor_firsts", "counted_at"): FIRSTS_ARE_KEPT,
        Purged("audit_log", "at"): settings.retention_audit,
        Purged(
            "audit_log", "at", "action = 'sign_in.refused'"
        ): settings.retention_refused_sign_ins,
    }


async def _apply(
    runtime: Runtime, table: str, days: set[date], now: datetime, keep: timedelta
) -> None:
    expired = list_expired(days, now, keep)
    for day in expired:
        await _step(partial(_drop, runtime, table, day))
    if table in WITH_ADDRESSES:
        full = days.difference(expired, await runtime.retention.list_truncated(table))
        for day in list_expired(full, now, runtime.settings.retention_addresses):
            await _step(partial(_truncate, runtime, table, day))


async def _drop(runtime: Runtime, table: str, day: date) -> None:
    """The labels of clicks with a conversion stay: it may change years later."""
    if table == "clicks":
        await runtime.retention.keep_labels(day)
    for _ in range(DROP_TRIES):
        if await runtime.partitions.drop(table, day):
            metrics.PARTITIONS_DROPPED.labels(table).inc()
            log.info("partition.dropped", table=table, day=str(day))
            return
        await asyncio.sleep(TRY_AGAIN_SECONDS)
    log.warning("partition.busy", table=table, day=str(day))


async def _truncate(runtime: Runtime, table: str, day: date) -> None:
    rows = await runtime.retention.truncate_addresses(table, day)
    log.info("addresses.truncated", table=table, day=str(day), rows=rows)


async def _purge(runtime: Runtime, now: datetime) -> None:
    for purged, keep in purged_tables(runtime.settings).items():
        if rows := await runtime.retention.purge(purged, now - keep):
            log.info("rows.expired", table=purged.table, rows=rows)


async def _step(step: Callable[[], Awaitable[None]]) -> None:
    """A day that cannot be had now must not keep the others."""
    try:
        await step()
    except Exception:
        log.exception("retention.failed")


def _warn_of_short_retention(runtime: Runtime) -> None:
    """A conversion of a click whose day is gone has no labels to tell its partner."""
    offers = [one for one in runtime.catalog.offers.values() if not one.is_retired]
    longest = max(offers, key=lambda offer: offer.window, default=None)
    if longest and longest.window + _A_DAY > runtime.settings.retention_clicks:
        log.warning("retention.short", offer=longest.key, window=str(longest.window))
