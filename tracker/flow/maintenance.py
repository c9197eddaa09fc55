"""What has to be done now and then, so that nothing else ever has to wait for it."""

from tracker.runtime import Runtime


async def make_partitions(runtime: Runtime) -> None:
    """The days ahead have their partitions."""
    now = await runtime.deliveries.get_now()
    await runtime.partitions.make_ahead(now.date())
