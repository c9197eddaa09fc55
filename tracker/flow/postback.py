"""An advertiser's server reports what a visitor did."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from psycopg.errors import UniqueViolation

from tracker import metrics
from tracker.domain.conversion import Ledger
from tracker.domain.errors import CatalogError, QuarantinedError, StoreUnavailableError
from tracker.domain.identity import PostbackId
from tracker.domain.judgement import (
    Mention,
    Proposal,
    Rules,
    is_ahead,
    judge,
    mention_of,
)
from tracker.domain.outcome import Outcome, Reason, Verdict
from tracker.domain.postback import Postback
from tracker.flow.catalog import follow_version
from tracker.flow.ledger import Decided, find_clicks, write_changes
from tracker.runtime import Runtime
from tracker.store.conversions import Judged
from tracker.store.postgres import ATTEMPTS, is_passing

log = structlog.get_logger()


ANSWER_SECONDS = 10.0
"""A sender that has waited so long is told to come again; most hang up after 30 s."""


BATCH_SECONDS = 8.0
"""A connection that says nothing for so long is given up, and a new one taken."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """A postback with what it proposes, or with the outcome it has already."""

    postback: Postback
    proposal: Proposal | None = None
    outcome: Outcome | None = None


async def accept_postback(runtime: Runtime, postback: Postback) -> Outcome:
    """
    What became of the postback, once that is on disk.

    Raises StoreUnavailableError if nothing could be stored, and OverloadedError
    if too many wait already.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            outcome = await runtime.together(accept_postbacks, postback)
    except TimeoutError:
        raise StoreUnavailableError("Postgres did not answer in time") from None
    metrics.POSTBACKS.labels(outcome.verdict, outcome.reason).inc()
    event = f"postback.{outcome.verdict}"
    log.info(
        event,
        postback_id=postback.id,
        reason=outcome.reason,
        conversion_id=outcome.conversion_id,
    )
    return outcome


async def accept_postbacks(
    runtime: Runtime, postbacks: Sequence[Postback]
) -> list[Outcome]:
    """
    Turns postbacks into conversions and the deliveries they owe.

    A batch that met another one is tried again, and so is one whose commit was not
    confirmed: what it had decided is then found by the postbacks' ids, so that no
    postback is judged twice.
    """
    await runtime.conversions.make_room(postbacks)
    decided: dict[PostbackId, Outcome] = {}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                decided |= await _decide(runtime, postbacks, decided)
            break
        except TimeoutError:
            raise StoreUnavailableError("Postgres did not answer in time") from None
        except Exception as error:
            if attempt == ATTEMPTS or not _is_worth_another_try(error):
                raise
        decided = await runtime.conversions.list_outcomes(postbacks)
    runtime.wake_worker()
    return [decided[postback.id] for postback in postbacks]


async def _decide(
    runtime: Runtime, postbacks: Sequence[Postback], decided: dict[PostbackId, Outcome]
) -> dict[PostbackId, Outcome]:
    """
    Judges and writes those that are not decided yet, in one transaction.

    A conversion without its deliveries, a delivery without its conversion, or an
    answer without its postback cannot exist.
    """
    fresh = [one for one in postbacks if one.id not in decided]
    rules, hearings = await _hear_all(runtime, fresh)
    proposals = [one.proposal for one in hearings if one.proposal]
    clicks = await find_clicks(runtime, [one.click for one in proposals if one.click])
    async with runtime.conversions.transaction() as opened:
        ledger = await opened.lock(proposals)
        judged = [conclude(hearing, ledger, rules) for hearing in hearings]
        await write_changes(runtime, opened, Decided(ledger, rules.catalog, clicks))
        await opened.insert_postbacks(judged)
    return {one.postback.id: one.outcome for one in judged}


async def _hear_all(
    runtime: Runtime, postbacks: Sequence[Postback]
) -> tuple[Rules, list[Hearing]]:
    """
    What all of them propose, and by which rules.

    Another process may have followed an edit sooner, and sent a visitor by it: an id
    that is ahead of us is judged by the catalog of this moment.
    """
    rules = runtime.rules()
    hearings = [hear(one, rules) for one in postbacks]
    unknown = [one.postback for one in hearings if _is_unknown(one)]
    if not any(is_ahead(one, rules) for one in unknown):
        return rules, hearings
    try:
        await follow_version(runtime)
    except CatalogError as error:
        # It waits in quarantine, and its neighbours are none the worse.
        log.warning("catalog.not_followed", error=str(error))
    rules = runtime.rules()
    return rules, [hear(one, rules) for one in postbacks]


def _is_unknown(hearing: Hearing) -> bool:
    outcome = hearing.outcome
    return outcome is not None and outcome.reason is Reason.UNKNOWN_CLICK


def hear(postback: Postback, rules: Rules) -> Hearing:
    """What can be said of a postback before any store is asked."""
    try:
        proposal = judge(postback, rules)
    except QuarantinedError as error:
        return Hearing(postback, outcome=_quarantined(postback, error.reason))
    if proposal is None:
        return Hearing(postback, outcome=Outcome(postback.id, Verdict.IGNORED))
    return Hearing(postback, proposal)


def conclude(hearing: Hearing, ledger: Ledger, rules: Rules) -> Judged:
    """The outcome of a hearing, in view of the conversions it concerns."""
    outcome = hearing.outcome or _decided(hearing, ledger, rules)
    mention = _mention(hearing, rules)
    return Judged(
        postback=hearing.postback,
        outcome=outcome,
        catalog_version=rules.catalog.version,
        advertiser=mention.advertiser,
        click_id=mention.click_id,
        transaction_id=mention.transaction_id,
    )


def _decided(hearing: Hearing, ledger: Ledger, rules: Rules) -> Outcome:
    if hearing.proposal is None:
        raise ValueError("a hearing has a proposal or an outcome")
    try:
        return ledger.decide(hearing.proposal, rules)
    except QuarantinedError as error:
        return _quarantined(hearing.postback, error.reason)


def _mention(hearing: Hearing, rules: Rules) -> Mention:
    proposal = hearing.proposal
    if proposal is None:
        return mention_of(hearing.postback, rules)
    click_id = proposal.click.id if proposal.click else None
    return Mention(proposal.advertiser.key, click_id, proposal.transaction_id)


def _quarantined(postback: Postback, reason: Reason) -> Outcome:
    return Outcome(postback.id, Verdict.QUARANTINED, reason)


def _is_worth_another_try(error: Exception) -> bool:
    """A lost connection may have hidden a commit, so what stands is read first."""
    passing = isinstance(error, UniqueViolation | StoreUnavailableError)
    return passing or is_passing(error)
