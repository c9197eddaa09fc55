"""What reports read is kept up: conversions are counted, days that are over summed."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta

import structlog

from tracker.failpoints import failpoint
from tracker.runtime import Runtime

log = structlog.get_logger()

_HOUR = timedelta(hours=1)


async def fold_changes(runtime: Runtime) -> None:
    """
    Every change of a conversion is counted, once its click can be known.

    Workers take turns. A crash between two batches leaves each change counted and
    marked, or neither.
    """
    while await runtime.rollups.fold_changes():
        failpoint("changes.folded")


async def close_days(runtime: Runtime) -> None:
    """Days that are over in the catalog's zone are summed up, the oldest first."""
    await runtime.rollups.sum_conversions(runtime.catalog.timezone)
    while day := await runtime.rollups.close_day(runtime.catalog.timezone):
        log.info("day.closed", day=str(day), zone=runtime.catalog.timezone)


async def rebuild(runtime: Runtime) -> AsyncIterator[date]:
    """
    Counts again all that there still is to count; each day of clicks as it is done.

    The tracker may run meanwhile: reports are right at any moment, each hour of
    clicks is replaced as a whole, and so are all conversions. Days that retention
    has dropped stay as they were counted.
    """
    for day in sorted(await runtime.partitions.list_days("clicks")):
        for first in _hours(day):
            await runtime.rollups.rebuild_clicks(first, first + _HOUR)
        yield day
    await runtime.rollups.rebuild_conversions()
    await close_days(runtime)
    log.info("rollups.rebuilt")


def _hours(day: date) -> list[datetime]:
    midnight = datetime.combine(day, time(), UTC)
    return [midnight + n * _HOUR for n in range(24)]
