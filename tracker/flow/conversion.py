"""An operator changes a conversion by hand."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import structlog

from tracker.domain.catalog import Status
from tracker.domain.conversion import Cause, Change, Conversion
from tracker.domain.identity import ConversionId
from tracker.flow.ledger import write_changes
from tracker.runtime import Runtime

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Operator:
    """Who changes something by hand, and why."""

    name: str
    note: str | None = None


async def set_conversion_status(
    runtime: Runtime, conversion_id: ConversionId, status: Status, by: Operator
) -> Conversion:
    """
    Moves a conversion to any other status, and tells its partner.

    Raises NotFoundError, or RefusedChangeError if it stands there already.
    """
    async with runtime.conversions.transaction() as opened:
        ledger = await opened.lock_conversion(conversion_id)
        change = ledger.set_status(conversion_id, status, _cause(runtime, by))
        await write_changes(runtime, opened, ledger, {})
    _tell(runtime, change)
    return ledger.get(conversion_id)


async def set_conversion_amount(
    runtime: Runtime, conversion_id: ConversionId, amount: Decimal, by: Operator
) -> Conversion:
    """
    Corrects the amount, in the offer's currency; payout and revenue follow.

    Raises NotFoundError, or RefusedChangeError if it has this amount already.
    """
    async with runtime.conversions.transaction() as opened:
        ledger = await opened.lock_conversion(conversion_id)
        cause = _cause(runtime, by)
        change = ledger.set_amount(conversion_id, amount, cause, runtime.catalog)
        await write_changes(runtime, opened, ledger, {})
    _tell(runtime, change)
    return ledger.get(conversion_id)


def _tell(runtime: Runtime, change: Change) -> None:
    runtime.wake_worker()
    log.info(
        "conversion.changed",
        conversion_id=change.conversion_id,
        change_id=change.id,
        status=change.status,
        operator=change.cause.operator,
    )


def _cause(runtime: Runtime, by: Operator) -> Cause:
    return Cause(
        at=datetime.now(UTC),
        catalog_version=runtime.catalog.version,
        operator=by.name,
        note=by.note,
    )
