"""An operator has a delivery tried again, sent again, or a lane resumed."""

import structlog

from tracker.domain.errors import RefusedChangeError
from tracker.domain.identity import DeliveryId
from tracker.runtime import Runtime

log = structlog.get_logger()


async def retry_delivery(runtime: Runtime, delivery: DeliveryId, operator: str) -> None:
    """
    Makes it due now; a dead one is owed again.

    Raises NotFoundError, and RefusedChangeError for one that was delivered or is held.
    """
    await runtime.deliveries.retry(delivery)
    runtime.wake_worker()
    log.info("delivery.retried", delivery_id=delivery, operator=operator)


async def replay_delivery(
    runtime: Runtime, delivery: DeliveryId, operator: str
) -> None:
    """
    Owes a finished one again, under the same id.

    Raises NotFoundError, and RefusedChangeError for one that is owed still.
    """
    await runtime.reports.get_delivery(delivery)
    if not await runtime.deliveries.replay([delivery]):
        raise RefusedChangeError(f"{delivery} is still owed")
    runtime.wake_worker()
    log.info("delivery.replayed", delivery_id=delivery, operator=operator)


async def resume_lane(runtime: Runtime, lane: str, operator: str) -> None:
    """Sends on a lane again; NotFoundError for one that nothing has stopped."""
    await runtime.lanes.resume(lane)
    runtime.wake_worker()
    log.info("lane.resumed", lane=lane, operator=operator)
