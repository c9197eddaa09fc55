"""What has been pending for as long as its goal allows is approved by itself."""

from collections.abc import Sequence
from functools import partial

import structlog

from tracker import metrics
from tracker.coalesce import each_or_error
from tracker.domain.conversion import Cause, Change
from tracker.domain.identity import ConversionId
from tracker.domain.offer import Status
from tracker.flow.ledger import Decided, write_changes
from tracker.runtime import Runtime
from tracker.store.postgres import is_poison

log = structlog.get_logger()

AT_ONCE = 200
"""Conversions that are approved in one transaction."""

RULE = "approve_after"


async def approve_overdue(runtime: Runtime) -> int:
    """
    Approves what no advertiser and no operator decided in time; how many that was.

    Workers that do so at once take different ones, and each is approved once: it is
    locked, and pending still, when it changes.
    """
    terms, approved = runtime.catalog.patience, 0
    while terms:
        overdue = await runtime.conversions.list_overdue(terms, AT_ONCE)
        changes = await _approve_each(runtime, overdue) if overdue else []
        approved += len(changes)
        if len(changes) < AT_ONCE:
            break
    return approved


async def _approve_each(
    runtime: Runtime, overdue: Sequence[ConversionId]
) -> list[Change]:
    results = await each_or_error(overdue, partial(_approve, runtime), is_poison)
    for conversion_id, result in zip(overdue, results, strict=True):
        if isinstance(result, Exception):
            _leave(conversion_id, result)
    return [change for change in results if isinstance(change, Change)]


def _leave(conversion_id: ConversionId, error: Exception) -> None:
    """One that cannot be approved does not keep the others; it is tried again."""
    if not is_poison(error):
        raise error
    log.error("conversion.stuck", conversion_id=conversion_id, error=repr(error))


async def _approve(
    runtime: Runtime, overdue: Sequence[ConversionId]
) -> list[Change | None]:
    """The change of each, None where somebody else has it, or decided it meanwhile."""
    catalog = runtime.catalog
    now = await runtime.deliveries.get_now()
    cause = Cause(at=now, catalog_version=catalog.version, rule=RULE)
    async with runtime.conversions.transaction() as opened:
        ledger = await opened.lock_pending(overdue, catalog)
        for conversion in ledger.list_all():
            ledger.set_status(conversion.id, Status.APPROVED, cause)
        await write_changes(runtime, opened, Decided(ledger, catalog))
    _tell(runtime, ledger.changes)
    made = {change.conversion_id: change for change in ledger.changes}
    return [made.get(one) for one in overdue]


def _tell(runtime: Runtime, changes: Sequence[Change]) -> None:
    if changes:
        runtime.wake_worker()
    metrics.CONVERSIONS_APPROVED.inc(len(changes))
    for change in changes:
        log.info(
            "conversion.approved",
            conversion_id=change.conversion_id,
            change_id=change.id,
            rule=change.cause.rule,
        )
