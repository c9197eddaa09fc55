"""An advertiser's server reports what a visitor did."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache

import structlog
from prometheus_client import Counter
from psycopg.errors import UniqueViolation

from tracker import metrics
from tracker.coalesce import Bounds
from tracker.domain.call import Call
from tracker.domain.click_id import ClickFacts
from tracker.domain.conversion import Ledger
from tracker.domain.errors import (
    CatalogError,
    NotFoundError,
    QuarantinedError,
    StoreUnavailableError,
    TooManyFailuresError,
)
from tracker.domain.identity import PostbackId, postback_day
from tracker.domain.judgement import (
    UNPROVEN,
    Admitted,
    Mention,
    Proposal,
    Rules,
    admit,
    is_ahead,
    mention_of,
    propose,
    witness,
)
from tracker.domain.outcome import Outcome, Reason, Verdict
from tracker.domain.postback import Postback
from tracker.domain.retention import truncated
from tracker.domain.value import Value
from tracker.failpoints import failpoint
from tracker.flow.catalog import follow_version
from tracker.flow.ledger import Decided, find_clicks, write_changes
from tracker.flow.spool import Arrival, spool_postbacks
from tracker.runtime import ANSWER_SECONDS, Runtime
from tracker.store.conversions import Judged, LedgerTransaction, Use
from tracker.store.postgres import ATTEMPTS, is_passing

log = structlog.get_logger()


BATCH_SECONDS = 3.5
"""A transaction that takes longer is given up; locks are waited for 3 s at most."""


POSTBACK_BOUNDS = Bounds(seconds=ANSWER_SECONDS, rounds=16)
"""A transaction costs a millisecond before the first postback is in it."""


class Hearing(Value, frozen=True):
    """
    A postback with what it proposes by these rules, or with its outcome already.

    `is_proven` says whether it comes from whom it says it does; only such a one, and a
    row of a file, uses up a `nonce`. One that repeats another, nonce and all, names
    that one as `first`. The `call` stays until it is decided: it may be heard anew.
    """

    postback: Postback
    rules: Rules
    proposal: Proposal | None = None
    outcome: Outcome | None = None
    nonce: Use | None = None
    first: PostbackId | None = None
    is_proven: bool = False
    call: Call | None = None

    @property
    def has_failed(self) -> bool:
        """Whether what was to prove it is wrong."""
        return self.outcome is not None and self.outcome.reason in UNPROVEN


Attune = Callable[[Runtime, Sequence[Hearing]], Awaitable[tuple[Rules, list[Hearing]]]]
"""How hearings come to be by one set of rules."""


async def accept_postback(
    runtime: Runtime, postback: Postback, call: Call | None = None
) -> Outcome:
    """
    What became of the postback, once that is on disk.

    Without the `call` that brought it, it is proven by what was noted at its arrival.
    Raises StoreUnavailableError if nothing could be stored, OverloadedError if too
    many wait already, and TooManyFailuresError in place of an outcome that says what
    was not proven.
    """
    hearing = hear(postback, runtime.rules(), call)
    if hearing.has_failed:
        return await _doubt(runtime, hearing)
    return await _accept(runtime, hearing)


async def _accept(runtime: Runtime, hearing: Hearing) -> Outcome:
    answer = await _stored(runtime, hearing)
    is_first = answer.postback_id == hearing.postback.id
    outcome = answer if is_first else repeated(hearing.postback, answer)
    _counter(outcome.verdict, outcome.reason).inc()
    event = f"postback.{outcome.verdict}"
    log.info(
        event,
        postback_id=outcome.postback_id,
        reason=outcome.reason,
        conversion_id=outcome.conversion_id,
    )
    return answer


async def _doubt(runtime: Runtime, hearing: Hearing) -> Outcome:
    """One that fails is kept and answered, as long as its address has not too many."""
    postback = hearing.postback
    standing = runtime.suspects.note(postback.address, postback.received_at)
    outcome = await _accept(runtime, hearing) if standing.is_kept else None
    if outcome is not None and standing.is_answered:
        return outcome
    metrics.POSTBACKS_LIMITED.labels("yes" if standing.is_kept else "no").inc()
    raise TooManyFailuresError(standing.seconds_left)


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
    if not hearing.is_proven:
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
    first_full = datetime.now(UTC) - runtime.settings.retention_addresses
    hearings = [_late(one, first_full.date()) for one in hearings]
    known = await runtime.conversions.list_outcomes([one.postback for one in hearings])
    return await _accepted(runtime, hearings, known, _as_heard)


def _late(hearing: Hearing, first_full: date) -> Hearing:
    """One that comes after the addresses of its day were truncated."""
    postback = hearing.postback
    if postback_day(postback.id) >= first_full:
        return hearing
    return hearing.but(postback=postback.but(address=truncated(postback.address)))


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
    decided = known
    for attempt in range(1, ATTEMPTS + 1):
        fresh = [one for one in hearings if one.postback.id not in decided]
        await runtime.conversions.make_room(postbacks)
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                decided |= await _decide(runtime, *await attune(runtime, fresh))
            break
        except TimeoutError:
            raise StoreUnavailableError("Postgres did not answer in time") from None
        except NotFoundError:
            # One of these conversions is younger than the catalog it was heard by.
            if attempt == ATTEMPTS:
                raise
            await catch_up(runtime)
            attune = _by_one_catalog
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
    clicks = await find_clicks(runtime, clicks_of(hearings))
    async with runtime.conversions.transaction() as opened:
        used = await opened.claim_nonces([one.nonce for one in hearings if one.nonce])
        hearings, firsts = await recognise(opened, hearings, used)
        # Caps are those in force now; terms those of the arrival.
        proposals = [one.proposal for one in hearings if one.proposal]
        ledger = await opened.lock(proposals, runtime.catalog)
        failpoint("postback.locked")
        judged = conclude(hearings, ledger, rules, firsts)
        said = postbacks_of(hearings)
        decided = Decided(ledger, rules.catalog, clicks, said)
        await write_changes(runtime, opened, decided)
        await opened.insert_postbacks(judged)
        failpoint("postback.written")
    failpoint("postback.committed")
    return {one.postback.id: one.answer for one in judged}


def clicks_of(hearings: Iterable[Hearing]) -> list[ClickFacts]:
    """The clicks that they propose something for."""
    proposals = [one.proposal for one in hearings if one.proposal]
    return [one.click for one in proposals if one.click]


def postbacks_of(hearings: Iterable[Hearing]) -> dict[PostbackId, Postback]:
    """What was heard, by its id."""
    return {one.postback.id: one.postback for one in hearings}


async def recognise(
    opened: LedgerTransaction, hearings: Sequence[Hearing], used: Iterable[Use]
) -> tuple[list[Hearing], dict[PostbackId, Outcome]]:
    """
    Those that come again by their nonces, and what became of the first of each.

    `used` says who used a nonce first, as the constraint decided. What became of one
    in this very batch is not known yet.
    """
    users = {use.key: use for use in used}
    recognised = [_recognised(one, users) for one in hearings]
    ids = {one.first for one in recognised if one.first}
    earlier = ids - {one.postback.id for one in hearings}
    return recognised, await opened.list_outcomes(earlier)


async def judge_alone(
    opened: LedgerTransaction, hearing: Hearing
) -> tuple[Judged, Ledger]:
    """
    What becomes of one postback outside of its arrival: its nonce stays as it is.

    Nothing is written but the locks of its keys.
    """
    used = await opened.list_uses([hearing.nonce] if hearing.nonce else [])
    heard, firsts = await recognise(opened, [hearing], used)
    proposals = [one.proposal for one in heard if one.proposal]
    ledger = await opened.lock(proposals, hearing.rules.catalog)
    (judged,) = conclude(heard, ledger, hearing.rules, firsts)
    return judged, ledger


def _recognised(hearing: Hearing, users: Mapping[tuple[str, str], Use]) -> Hearing:
    """The nonce's first user may propose; who comes later repeats it, or replays."""
    mine = hearing.nonce
    use = users.get(mine.key) if mine else None
    if mine is None or use is None or use.postback_id == mine.postback_id:
        return hearing
    if use.nonce.content == mine.nonce.content:
        return hearing.but(proposal=None, outcome=None, first=use.postback_id)
    replayed = _quarantined(hearing.postback, Reason.REPLAYED)
    return hearing.but(proposal=None, outcome=replayed)


async def _by_one_catalog(
    runtime: Runtime, hearings: Sequence[Hearing]
) -> tuple[Rules, list[Hearing]]:
    """
    The rules in force, and the hearings by them.

    Another process may have followed an edit sooner, and sent a visitor by it: an id
    that is ahead of us is judged by the catalog of this moment.
    """
    if any(_is_ahead(one) for one in hearings):
        await catch_up(runtime)
    rules = runtime.rules()
    return rules, [
        one if one.rules.catalog is rules.catalog else _anew(one, rules)
        for one in hearings
    ]


async def _as_heard(
    runtime: Runtime, hearings: Sequence[Hearing]
) -> tuple[Rules, list[Hearing]]:
    """The rules that all of them were heard by."""
    return (hearings[0].rules if hearings else runtime.rules()), list(hearings)


async def catch_up(runtime: Runtime) -> None:
    """The catalog in force at this moment, if it can be followed."""
    try:
        await follow_version(runtime)
    except CatalogError as error:
        # What is ahead waits in quarantine, and its neighbours are none the worse.
        log.warning("catalog.not_followed", error=str(error))


def _is_ahead(hearing: Hearing) -> bool:
    outcome = hearing.outcome
    is_unknown = outcome is not None and outcome.reason is Reason.UNKNOWN_CLICK
    return is_unknown and is_ahead(hearing.postback, hearing.rules)


def _anew(hearing: Hearing, rules: Rules) -> Hearing:
    """The edit may ask for a signature that nobody looked at before."""
    return hear(hearing.postback, rules, hearing.call)


def hear(postback: Postback, rules: Rules, call: Call | None = None) -> Hearing:
    """
    What can be said of a postback before any store is asked.

    With its `call`, what that proves by these very rules is noted first.
    """
    if call and rules.catalog.asks_for_signature(postback.route):
        postback = witness(postback, call, rules)
    try:
        admitted = admit(postback, rules)
    except QuarantinedError as error:
        outcome, nonce = _quarantined(postback, error.reason), use_of_row(postback)
        return Hearing(postback, rules, outcome=outcome, nonce=nonce, call=call)
    return _read(admitted, rules, call)


def _read(admitted: Admitted, rules: Rules, call: Call | None) -> Hearing:
    postback, nonce = admitted.postback, _use(admitted)
    heard = Hearing(postback, rules, nonce=nonce, is_proven=True, call=call)
    try:
        proposal = propose(admitted, rules)
    except QuarantinedError as error:
        return heard.but(outcome=_quarantined(postback, error.reason))
    if proposal is None:
        return heard.but(outcome=Outcome(postback.id, Verdict.IGNORED))
    return heard.but(proposal=proposal)


def _use(admitted: Admitted) -> Use | None:
    if admitted.nonce is None:
        return None
    return Use(admitted.advertiser.key, admitted.nonce, admitted.postback.id)


def use_of_row(postback: Postback) -> Use | None:
    """Of a row of a file: who brought it vouches for it, whatever becomes of it."""
    proof = postback.proof
    if proof is None or proof.operator is None or proof.nonce is None:
        return None
    return Use(proof.advertiser, proof.nonce, postback.id)


def conclude(
    hearings: Sequence[Hearing],
    ledger: Ledger,
    rules: Rules,
    firsts: Mapping[PostbackId, Outcome],
) -> list[Judged]:
    """The outcome of each, in order, in view of the conversions they concern."""
    answers = dict(firsts)
    judged: list[Judged] = []
    for hearing in hearings:
        if hearing.first:
            answer = answers.get(hearing.first) or forgotten(hearing.first)
            outcome = repeated(hearing.postback, answer)
        else:
            answer = outcome = hearing.outcome or _decided(hearing, ledger, rules)
        answers[hearing.postback.id] = answer
        judged.append(_judged(hearing, outcome, answer, rules))
    return judged


def forgotten(first: PostbackId) -> Outcome:
    """All that is known of it is that it was there."""
    return Outcome(first, Verdict.DUPLICATE, Reason.REPEATED)


def repeated(postback: Postback, first: Outcome) -> Outcome:
    """What is written down of one that comes again: it did nothing."""
    if first.verdict in {Verdict.QUARANTINED, Verdict.IGNORED}:
        return first.but(postback_id=postback.id)
    return first.but(
        postback_id=postback.id, verdict=Verdict.DUPLICATE, reason=Reason.REPEATED
    )


def _judged(
    hearing: Hearing, outcome: Outcome, answer: Outcome, rules: Rules
) -> Judged:
    mention = _mention(hearing, rules)
    return Judged(
        postback=hearing.postback,
        outcome=outcome,
        answer=answer,
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
