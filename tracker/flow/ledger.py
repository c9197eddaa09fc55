"""What every change of a conversion has in common: its rows and what they owe."""

from collections.abc import Iterable

import structlog

from tracker.domain.click import Click
from tracker.domain.click_id import ClickFacts, ClickId, facts_of
from tracker.domain.conversion import Change, Ledger
from tracker.domain.delivery import Delivery, owed_deliveries
from tracker.runtime import Runtime
from tracker.store.conversions import LedgerTransaction
from tracker.store.deliveries import insert_deliveries
from tracker.store.redis import UNAVAILABLE

log = structlog.get_logger()


async def find_clicks(
    runtime: Runtime, wanted: Iterable[ClickFacts]
) -> dict[ClickId, Click | None]:
    """
    The records of these clicks: from Redis, else from Postgres, else None.

    Where it is None, what the id itself says has to do.
    """
    clicks = {facts.id: facts for facts in wanted}
    found: dict[ClickId, Click | None] = dict.fromkeys(clicks)
    try:
        found |= await runtime.clicks.list_known(clicks.values())
    except UNAVAILABLE as error:
        log.warning("redis.unavailable", error=repr(error))
    missing = [clicks[one] for one, click in found.items() if click is None]
    if missing:
        found |= await runtime.click_log.list_known(missing)
    return found


async def write_changes(
    runtime: Runtime,
    opened: LedgerTransaction,
    ledger: Ledger,
    clicks: dict[ClickId, Click | None],
) -> None:
    """
    Writes what was decided, and the deliveries it owes, in one transaction.

    `clicks` are those found already; a change that came without its click id has
    its click looked up here.
    """
    concerned = {ledger.get(one.conversion_id).click_id for one in ledger.changes}
    unseen = [facts_of(click_id) for click_id in concerned - clicks.keys()]
    known = clicks | await find_clicks(runtime, unseen) if unseen else clicks
    await opened.write(ledger)
    await insert_deliveries(
        opened.connection,
        [
            delivery
            for change in ledger.changes
            for delivery in _owed(runtime, ledger, change, known)
        ],
    )


def _owed(
    runtime: Runtime,
    ledger: Ledger,
    change: Change,
    clicks: dict[ClickId, Click | None],
) -> Iterable[Delivery]:
    conversion = ledger.get(change.conversion_id)
    partner = runtime.catalog.partner(conversion.partner)
    click = clicks[conversion.click_id]
    return owed_deliveries(change, conversion, partner, click, runtime.catalog)
