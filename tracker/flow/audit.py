"""Every click that was confirmed is looked for: what a store has lost is told."""

from datetime import UTC, datetime, timedelta

import structlog

from tracker import metrics
from tracker.domain.click_id import ClickId, facts_of
from tracker.domain.errors import StoreUnavailableError, UnknownClickIdError
from tracker.domain.tally import start_of
from tracker.runtime import Runtime
from tracker.store.redis import UNAVAILABLE

log = structlog.get_logger()

SAVE_SECONDS = 5.0
"""A web process that is killed takes so much of its counting with it."""

SETTLED_AFTER = timedelta(minutes=2)
LOOKED_BACK = timedelta(days=7)


async def save_counts(runtime: Runtime) -> None:
    """
    What was counted is kept in memory until Postgres has it.

    While some of it waits on disk it is not told: it would seem to be missing.
    """
    if runtime.spools.waiting:
        return
    try:
        await runtime.tally.save(datetime.now(UTC))
    except StoreUnavailableError:
        log.warning("clicks.uncounted")


async def audit_clicks(runtime: Runtime) -> None:
    """
    Compares what was confirmed with what is in the click log, slice by slice.

    A slice is judged two minutes after its end, and after the click that has waited
    longest in Redis: what only waits is not missing. It is judged again until
    nothing of it is missing, as what was in a spool comes late.
    """
    now = await runtime.deliveries.get_now()
    try:
        waiting_since = await _list_oldest(runtime)
    except UNAVAILABLE:
        # What waits there is not known, and so neither is what is missing.
        return
    since = now - min(LOOKED_BACK, runtime.settings.retention_clicks)
    until = min([now, *waiting_since]) - SETTLED_AFTER
    for due in await runtime.tally.list_due(since, until):
        missing = await runtime.tally.audit(due)
        if missing != due.known_missing:
            _tell(due.slice, missing)
    metrics.CLICKS_MISSING.set(await runtime.tally.sum_missing(since))


def _tell(slice_: str, missing: int) -> None:
    clicked_at = start_of(slice_).isoformat(timespec="seconds")
    if missing:
        log.critical("clicks.missing", number=missing, clicked_at=clicked_at)
    else:
        log.info("clicks.found", clicked_at=clicked_at)


async def _list_oldest(runtime: Runtime) -> list[datetime]:
    """When the first click that waits in each shard was clicked."""
    found = []
    for shard in await runtime.stream.list_waiting():
        for entry in await runtime.stream.list_first(shard):
            try:
                click_id = ClickId(entry.click_id.decode(errors="replace"))
                found.append(facts_of(click_id).clicked_at)
            except UnknownClickIdError:
                continue
    return found
