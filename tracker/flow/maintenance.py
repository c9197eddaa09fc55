"""What has to be done now and then, so that nothing else ever has to wait for it."""

from contextlib import suppress

from tracker import metrics
from tracker.failpoints import failpoint
from tracker.runtime import Runtime
from tracker.store.redis import UNAVAILABLE


async def make_partitions(runtime: Runtime) -> None:
    """The days ahead have their partitions."""
    now = await runtime.deliveries.get_now()
    failpoint("partitions.due")
    await runtime.partitions.make_ahead(now.date())
    failpoint("partitions.made")


async def measure_backlog(runtime: Runtime) -> None:
    """How much waits, for the counters: deliveries, lanes, changes, clicks in Redis."""
    backlog = await runtime.deliveries.count_owed()
    states = {"due": backlog.due, "waiting": backlog.waiting, "leased": backlog.leased}
    for state, number in (states | dict(backlog.held)).items():
        metrics.DELIVERIES_OWED.labels(state).set(number)
    metrics.OLDEST_DUE.set(backlog.oldest_due.total_seconds())
    for state, number in (await runtime.lanes.count_stopped()).items():
        metrics.LANES_STOPPED.labels(state).set(number)
    waiting = await runtime.rollups.count_waiting()
    metrics.CHANGES_UNFOLDED.set(waiting.changes)
    metrics.OLDEST_UNFOLDED.set(waiting.oldest.total_seconds())
    shards = range(runtime.settings.shards)
    with suppress(*UNAVAILABLE):
        unfolded = [await runtime.stream.count(shard) for shard in shards]
        metrics.CLICKS_UNFOLDED.set(sum(unfolded))
