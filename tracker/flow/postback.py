"""An advertiser's server reports what a visitor did."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cache

import structlog
from prometheus_client import Counter
from psycopg.errors import UniqueViolation

from tracker import metrics
from tracker.coalesce import Bounds
from tracker.domain.conversion import Ledger
from tracker.domain.errors import CatalogError, QuarantinedError, StoreUnavailableError
from tracker.domain.identity import PostbackId
from tracker.domain.judgement import (
    UNPROVEN,
    Mention,
    Proposal,
    Rules,
    is_ahead,
    judge,
    mention_of,
)
from tracker.domain.outcome import Outcome, Reason, Verdict
from tracker.domain.postback import Postback
from tracker.domain.value import Value
from tracker.failpoints import failpoint
from tracker.flow.catalog import follow_version
from tracker.flow.ledger import Decided, find_clicks, write_changes
from tracker.flow.spool import Arrival, spool_postbacks
from tracker.runtime import ANSWER_SECONDS, Runtime
from tracker.store.conversions import Judged
from tracker.store.postgres import ATTEMPTS, is_passing

log = structlog.get_logger()


BATCH_SECONDS = 3.5
"""A transaction that takes longer is given up; locks are waited for 3 s at most."""


POSTBACK_BOUNDS = Bounds(seconds=ANSWER_SECONDS, rounds=16)
"""A transaction costs a millisecond before the first postback is in it."""


class Hearing(Value, frozen=True):
    """A postback with what it proposes by these rules, or with its outcome already."""

    postback: Postback
    rules: Rules
    proposal: Proposal | None = None
    outcome: Outcome | None = None


Attune = Callable[[Runtime, Sequence[Hearing]], Awaitable[tuple[Rules, list[Hearing]]]]
"""How hearings come to be by one set of rules."""


async def accept_postback(runtime: Runtime, postback: Postback) -> Outcome:
    """
    What became of the postback, once that is on disk.

    Raises StoreUnavailableError if nothing could be stored, and OverloadedError
    if too many wait already.
    """
    outcome = await _stored(runtime, hear(postback, runtime.rules()))
    _counter(outcome.verdict, outcome.reason).inc()
    event = f"postback.{outcome.verdict}"
    log.info(
        event,
        postback_id=postback.id,
        reason=outcome.reason,
        conversion_id=outcome.conversion_id,
    )
    return outcome


async def _stored(runtime: Runtime, hearing: Hearing) -> Outcome:
    """
    Decided by Postgres; kept on disk while it is away, if the sender is proven.

    A stranger's waits for nothing: he could fill the disk.
    """
    if not runtime.postgres_outage.is_on:
        try:
            return await runtime.together(accept_postbacks, hearing, POSTBACK_BOUNDS)
        except StoreUnavailableError as error:
            runtime.postgres_outage.begin(error)
    if hearing.outcome and hearing.outcome.reason in UNPROVEN:
        raise StoreUnavailableError("Postgres does not answer")
    arrival = Arrival(hearing.postback, hearing.rules.catalog.version)
    await runtime.together(spool_postbacks, arrival)
    return Outcome(hearing.postback.id, Verdict.SPOOLED)


async def accept_postbacks(
    runtime: Runtime, hearings: Sequence[Hearing]
) -> list[Outcome]:
    """
    Turns postbacks into conversions and the deliveries they owe.

    Whatever was heard before an edit came into force is heard anew.
    """
    return await _accepted(runtime, hearings, {}, _by_one_catalog)


async def accept_spooled(
    runtime: Runtime, hearings: Sequence[Hearing]
) -> list[Outcome]:
    """
    The same for those that waited on disk: all of them heard by the same rules.

    Some may have been decided before they went there, or before a crash.
    """
    postbacks = [one.postback for one in hearings]
    await runtime.conversions.make_room(postbacks)
    known = await runtime.conversions.list_outcomes(postbacks)
    return await _accepted(runtime, hearings, known, _as_heard)


async def _accepted(
    runtime: Runtime,
    hearings: Sequence[Hearing],
    known: dict[PostbackId, Outcome],
    attune: Attune,
) -> list[Outcome]:
    """
    The outcome of each, in order, once all of them are committed.

    A batch that met another one is tried again, and so is one whose commit was not
    confirmed: what it had decided is then found by the postbacks' ids, so that no
    postback is judged twice.
    """
    postbacks = [one.postback for one in hearings]
    await runtime.conversions.make_room(postbacks)
    decided = known
    for attempt in range(1, ATTEMPTS + 1):
        fresh = [one for one in hearings if one.postback.id not in decided]
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                decided |= await _decide(runtime, *await attune(runtime, fresh))
            break
        except TimeoutError:
            raise StoreUnavailableError("Postgres did not answer in time") from None
        except Exception as error:
            if attempt == ATTEMPTS or not _is_worth_another_try(error):
                raise
        decided = await runtime.conversions.list_outcomes(postbacks)
    runtime.wake_worker()
    return [decided[one.id] for one in postbacks]


async def _decide(
    runtime: Runtime, rules: Rules, hearings: Sequence[Hearing]
) -> dict[PostbackId, Outcome]:
    """
    Decides and writes in one transaction.

    A conversion without its deliveries, a delivery without its conversion, or an
    answer without its postback cannot exist.
    """
    proposals = [one.proposal for one in hearings if one.proposal]
    clicks = await find_clicks(runtime, [one.click for one in proposals if one.click])
    async with runtime.conversions.transaction() as opened:
        ledger = await opened.lock(proposals)
        failpoint("postback.locked")
        judged = [conclude(hearing, ledger, rules) for hearing in hearings]
        await write_changes(runtime, opened, Decided(ledger, rules.catalog, clicks))
        await opened.insert_postbacks(judged)
        failpoint("postback.written")
    failpoint("postback.committed")
    return {one.postback.id: one.outcome for one in judged}


async def _by_one_catalog(
    runtime: Runtime, hearings: Sequence[Hearing]
) -> tuple[Rules, list[Hearing]]:
    """
    The rules in force, and the hearings by them.

    Another process may have followed an edit sooner, and sent a visitor by it: an id
    that is ahead of us is judged by the catalog of this moment.
    """
    if any(_is_ahead(one) for one in hearings):
        try:
            await follow_version(runtime)
        except CatalogError as error:
            # It waits in quarantine, and its neighbours are none the worse.
            log.warning("catalog.not_followed", error=str(error))
    rules = runtime.rules()
    return rules, [
        one if one.rules.catalog is rules.catalog else hear(one.postback, rules)
        for one in hearings
    ]


async def _as_heard(
    runtime: Runtime, hearings: Sequence[Hearing]
) -> tuple[Rules, list[Hearing]]:
    """The rules that all of them were heard by."""
    return (hearings[0].rules if hearings else runtime.rules()), list(hearings)


def _is_ahead(hearing: Hearing) -> bool:
    outcome = hearing.outcome
    is_unknown = outcome is not None and outcome.reason is Reason.UNKNOWN_CLICK
    return is_unknown and is_ahead(hearing.postback, hearing.rules)


def hear(postback: Postback, rules: Rules) -> Hearing:
    """What can be said of a postback before any store is asked."""
    try:
        proposal = judge(postback, rules)
    except QuarantinedError as error:
        outcome = _quarantined(postback, error.reason)
        return Hearing(postback, rules, outcome=outcome)
    if proposal is None:
        outcome = Outcome(postback.id, Verdict.IGNORED)
        return Hearing(postback, rules, outcome=outcome)
    return Hearing(postback, rules, proposal)


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


@cache
def _counter(verdict: Verdict, reason: Reason) -> Counter:
    return metrics.POSTBACKS.labels(verdict, reason)


def _quarantined(postback: Postback, reason: Reason) -> Outcome:
    return Outcome(postback.id, Verdict.QUARANTINED, reason)


def _is_worth_another_try(error: Exception) -> bool:
    """A lost connection may have hidden a commit, so what stands is read first."""
    passing = isinstance(error, UniqueViolation | StoreUnavailableError)
    return passing or is_passing(error)
