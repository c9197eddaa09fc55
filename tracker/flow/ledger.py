"""What every change of a conversion has in common: its rows and what they owe."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tracker.domain.catalog import Catalog
from tracker.domain.click import Click
from tracker.domain.click_id import ClickFacts, ClickId, facts_of
from tracker.domain.conversion import Change, Ledger
from tracker.domain.delivery import Delivery, owed_deliveries
from tracker.domain.identity import PostbackId
from tracker.domain.macro_values import Occasion
from tracker.domain.postback import Postback
from tracker.runtime import Runtime
from tracker.store.conversions import LedgerTransaction
from tracker.store.deliveries import insert_deliveries
from tracker.store.redis import UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Decided:
    """
    A ledger, the one catalog it was decided by, and the clicks found already.

    `postbacks` are those that it was decided about.
    """

    ledger: Ledger
    catalog: Catalog
    clicks: Mapping[ClickId, Click | None] = field(default_factory=dict)
    postbacks: Mapping[PostbackId, Postback] = field(default_factory=dict)


async def find_clicks(
    runtime: Runtime, wanted: Iterable[ClickFacts]
) -> dict[ClickId, Click | None]:
    """
    The records of these clicks: from Redis, else from Postgres, else None.

    Where it is None, what the id itself says has to do; so it is with one that was
    erased.
    """
    clicks = {facts.id: facts for facts in wanted}
    found: dict[ClickId, Click | None] = dict.fromkeys(clicks)
    if not runtime.redis_outage.is_on:
        try:
            found |= await runtime.clicks.list_known(clicks.values())
        except UNAVAILABLE as error:
            runtime.redis_outage.begin(repr(error))
    missing = [clicks[one] for one, click in found.items() if click is None]
    if missing:
        logged = await runtime.click_log.list_known(missing)
        found |= {id_: one for id_, one in logged.items() if not one.is_erased}
    return found


async def write_changes(
    runtime: Runtime, opened: LedgerTransaction, decided: Decided
) -> None:
    """
    Writes what was decided, and the deliveries it owes, in one transaction.

    A change that came without its click id has its click looked up here.
    """
    ledger = decided.ledger
    concerned = {ledger.get(one.conversion_id).click_id for one in ledger.changes}
    unseen = [facts_of(one) for one in concerned - decided.clicks.keys()]
    clicks = {
        **decided.clicks,
        **(await find_clicks(runtime, unseen) if unseen else {}),
    }
    owed = [one for change in ledger.changes for one in _owed(change, decided, clicks)]
    await opened.write(ledger)
    await insert_deliveries(opened.connection, owed)


def _owed(
    change: Change, decided: Decided, clicks: Mapping[ClickId, Click | None]
) -> Iterable[Delivery]:
    conversion = decided.ledger.get_after(change)
    click = clicks[conversion.click_id]
    cause = change.cause.postback_id
    said = decided.postbacks.get(cause) if cause else None
    sent = said.parameters if said else ()
    return owed_deliveries(Occasion(change, conversion, click, decided.catalog, sent))
