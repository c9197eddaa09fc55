"""An operator changes a conversion by hand."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import structlog

from tracker.domain.catalog import Catalog
from tracker.domain.conversion import Cause, Change, Conversion
from tracker.domain.identity import ConversionId
from tracker.domain.offer import Status
from tracker.flow.ledger import Decided, write_changes
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
    catalog = runtime.catalog
    async with runtime.conversions.transaction() as opened:
        ledger = await opened.lock_conversion(conversion_id, catalog)
        change = ledger.set_status(conversion_id, status, _cause(catalog, by))
        await write_changes(runtime, opened, Decided(ledger, catalog))
    _tell(runtime, change)
    return ledger.get(conversion_id)


async def set_conversion_amount(
    runtime: Runtime, conversion_id: ConversionId, amount: Decimal, by: Operator
) -> Conversion:
    """
    Corrects the amount, in the offer's currency; payout and revenue follow.

    Raises NotFoundError, or RefusedChangeError if it has this amount already.
    """
    catalog = runtime.catalog
    async with runtime.conversions.transaction() as opened:
        ledger = await opened.lock_conversion(conversion_id, catalog)
        cause = _cause(catalog, by)
        change = ledger.set_amount(conversion_id, amount, cause, catalog)
        await write_changes(runtime, opened, Decided(ledger, catalog))
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


def _cause(catalog: Catalog, by: Operator) -> Cause:
    return Cause(
        at=datetime.now(UTC),
        catalog_version=catalog.version,
        operator=by.name,
        note=by.note,
    )
