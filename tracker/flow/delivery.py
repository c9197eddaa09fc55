"""A partner is told what became of a click it sent."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from tracker import metrics
from tracker.domain.answer import Answer, judge_answer, judge_failure
from tracker.domain.breaker import ANSWERED, Sign, read_sign
from tracker.domain.catalog import Catalog
from tracker.domain.delivery import (
    Audience,
    Dead,
    DeadReason,
    Delivered,
    Delivery,
    Failure,
    HeldReason,
    Hold,
    Retry,
    Verdict,
    find_postback,
    is_still_wanted,
    judge_missing_click,
    needs_click,
    revealed,
)
from tracker.domain.errors import MissingValueError, NotFoundError, TemplateError
from tracker.domain.outbound import PartnerPostback
from tracker.domain.request import Request, build_request
from tracker.failpoints import failpoint
from tracker.logs import mask
from tracker.runtime import Runtime
from tracker.store.deliveries import (
    LEASE,
    MAX_NOTED,
    PER_LANE,
    Attempt,
    AttemptOutcome,
    Claim,
    Ending,
    Lease,
)
from tracker.store.lanes import Judged

log = structlog.get_logger()

IN_FLIGHT = 512
"""Calls that one worker makes at once."""

_SHARES = 8

_MEANT = frozenset({Failure.NONE, Failure.FINAL_ANSWER})

_chance = random.SystemRandom()


async def deliver_due(runtime: Runtime) -> int:
    """
    Attempt what is due now, once, and say how many leases that were.

    No transaction is open during a call: the leases are committed before it, and
    what came of it is written afterwards.
    """
    claim = await claim_due(runtime, IN_FLIGHT)
    attempts = (attempt_delivery(runtime, lease) for lease in claim.leases)
    endings = await asyncio.gather(*attempts)
    await finish_deliveries(runtime, endings)
    return len(endings)


def share_of(free: int) -> int:
    """
    How many places a lane may have while so many are free: always some stay so.

    Lanes that hang, however many, so come to rest with a part of the places, and
    those that answer go on with the others.
    """
    return max(1, min(PER_LANE, free // _SHARES))


async def claim_due(
    runtime: Runtime, limit: int, cursor: str = "", per_lane: int = PER_LANE
) -> Claim:
    """
    Lease what is due; see `DeliveryStore.claim`.

    Whatever a call brings must have a place to be written to, so the partitions of
    its day are there before it is made.
    """
    failpoint("claim.due")
    claim = await runtime.deliveries.claim(limit, per_lane=per_lane, cursor=cursor)
    if claim.leases:
        failpoint("claim.leased")
        await runtime.partitions.make_ahead(claim.leases[0].claimed_at.date())
    return claim


async def attempt_delivery(runtime: Runtime, lease: Lease) -> Ending:
    """Make the call that a lease is for, if it can be made; nothing is written."""
    delivery, catalog = lease.delivery, runtime.catalog
    try:
        audience, postback = find_postback(catalog, delivery.partner, delivery.postback)
    except NotFoundError:
        return Ending(lease, Hold(HeldReason.REMOVED_POSTBACK))
    if not delivery.has_click and needs_click(postback):
        return Ending(lease, judge_missing_click(delivery, lease.claimed_at))
    if not is_still_wanted(delivery, postback):
        return Ending(lease, Dead(DeadReason.NOT_WANTED))
    try:
        request = _request(lease, audience, postback, catalog)
    except MissingValueError:
        return Ending(lease, Dead(DeadReason.NOT_WANTED))
    except TemplateError as error:
        return _failed(lease, Failure.BAD_TEMPLATE, str(error), postback)
    failpoint("send.built")
    answer = await runtime.sender.send(request)
    failpoint("send.answered")
    return _answered(lease, request, answer, postback)


async def finish_deliveries(
    runtime: Runtime, endings: Sequence[Ending]
) -> list[Ending]:
    """Write down what came of the calls, in one transaction, and then tell of it."""
    days = {one.attempt.started_at.date() for one in endings if one.attempt}
    finished = await runtime.partitions.write(
        "delivery_attempts", days, lambda: runtime.deliveries.finish(endings)
    )
    failpoint("finish.committed")
    for ending in endings:
        if ending.lease.delivery.id in finished.lost:
            _tell_lost(ending)
        else:
            _tell(ending)
    for judged in finished.judged:
        _tell_breaker(judged)
    return list(endings)


async def sweep_deliveries(runtime: Runtime) -> None:
    """
    What time brings: holds that are over, lanes that are paused, old age.

    Each step stands for itself: what one leaves undone the next sweep does.
    """
    steps: tuple[Callable[[], Awaitable[object]], ...] = (
        runtime.deliveries.fill_click_details,
        runtime.deliveries.free_overdue,
        partial(free_restored, runtime),
        runtime.lanes.free_resumed,
        runtime.lanes.hold_paused,
        partial(expire_deliveries, runtime),
    )
    for step in steps:
        failpoint("sweep.step")
        try:
            await step()
        except Exception:
            log.exception("sweep.failed")


async def expire_deliveries(runtime: Runtime) -> None:
    """Gives up what is still unfinished after seven days."""
    for delivery in await runtime.deliveries.expire():
        _tell_dead(delivery, DeadReason.EXPIRED)


async def end_expired_leases(runtime: Runtime) -> None:
    """An attempt whose worker died counts as failed: its call was likely made."""
    leases = await runtime.deliveries.list_expired()
    if leases:
        failpoint("lease.expired")
        await finish_deliveries(runtime, [_forsaken(lease) for lease in leases])
        failpoint("lease.ended")


async def free_restored(runtime: Runtime) -> None:
    """What was held because its postback was removed, and the postback is back."""
    held = await runtime.deliveries.list_held_postbacks()
    restored = [pair for pair in held if _is_in_force(runtime.catalog, *pair)]
    if restored:
        await runtime.deliveries.free_postbacks(restored)


def _request(
    lease: Lease, audience: Audience, postback: PartnerPostback, catalog: Catalog
) -> Request:
    delivery = lease.delivery
    values = revealed(audience, delivery.macro_values)
    return build_request(
        postback, values, catalog.secrets, delivery.id, lease.claimed_at
    )


def _answered(
    lease: Lease, request: Request, answer: Answer, postback: PartnerPostback
) -> Ending:
    now = lease.claimed_at + answer.duration
    attempts = lease.delivery.attempts
    verdict = judge_answer(answer, postback, attempts, now, _chance.random())
    attempt = Attempt(
        outcome="delivered" if isinstance(verdict, Delivered) else "failed",
        started_at=lease.claimed_at,
        method=request.method,
        url=request.masked_url,
        duration_ms=answer.duration // timedelta(milliseconds=1),
        http_status=answer.status,
        answer=_noted(answer.body),
        error=mask(_error(_failure(verdict), answer.detail)),
    )
    return Ending(lease, verdict, attempt, _sign(answer, verdict, now))


def _sign(answer: Answer, verdict: Verdict, now: datetime) -> Sign:
    """A partner that refuses by its own rules is up, whatever its status says."""
    is_meant = isinstance(verdict, Delivered | Dead) and _failure(verdict) in _MEANT
    return ANSWERED if is_meant else read_sign(answer, now)


def _failed(
    lease: Lease, failure: Failure, detail: str, postback: PartnerPostback
) -> Ending:
    """No call could be made; the template, its secrets still by name, says where to."""
    verdict = judge_failure(failure, lease.delivery.attempts, _chance.random())
    error = _error(failure, detail)
    attempt = Attempt(
        "failed", lease.claimed_at, postback.method, postback.url, error=error
    )
    return Ending(lease, verdict, attempt)


def _forsaken(lease: Lease) -> Ending:
    failure, attempts = Failure.WORKER_DIED, lease.delivery.attempts
    verdict = judge_failure(failure, attempts, _chance.random(), waited=LEASE)
    return Ending(lease, verdict, Attempt("unknown", lease.claimed_at, error=failure))


def _tell(ending: Ending) -> None:
    if ending.attempt:
        _tell_attempt(ending, ending.attempt, ending.attempt.outcome)
    if isinstance(ending.verdict, Dead):
        _tell_dead(ending.lease.delivery, ending.verdict.reason)
    if _failure(ending.verdict) is Failure.GONE:
        log.error("lane.paused", lane=ending.lease.delivery.lane, reason=Failure.GONE)


def _tell_breaker(judged: Judged) -> None:
    before, after = judged.before, judged.after
    if after.opened_at is None:
        if before.opened_at is not None:
            log.info("lane.closed", lane=judged.lane)
    elif after.open_until != before.open_until:
        log.warning(
            "lane.opened",
            lane=judged.lane,
            reason=after.opened_reason,
            since=after.opened_at.isoformat(),
            until=after.open_until and after.open_until.isoformat(),
        )


def _tell_dead(delivery: Delivery, reason: DeadReason) -> None:
    """What nobody wanted is given up too, and is no reason for alarm."""
    if reason is DeadReason.NOT_WANTED:
        log.info("delivery.not_wanted", **_ids(delivery))
        return
    metrics.DELIVERIES_DEAD.labels(reason).inc()
    log.warning("delivery.dead", **_ids(delivery), reason=reason)


def _tell_lost(ending: Ending) -> None:
    """A worker that overslept has made its call; who only wrote it off has not."""
    if ending.attempt and ending.attempt.outcome != "unknown":
        _tell_attempt(ending, ending.attempt, "orphan")


def _tell_attempt(ending: Ending, attempt: Attempt, outcome: AttemptOutcome) -> None:
    metrics.DELIVERY_ATTEMPTS.labels(outcome).inc()
    log.info(
        "delivery.attempted",
        **_ids(ending.lease.delivery),
        outcome=outcome,
        attempt=ending.lease.delivery.attempts,
        url=attempt.url,
        http_status=attempt.http_status,
        duration_ms=attempt.duration_ms,
        error=attempt.error,
        retry_in_s=_wait(ending.verdict),
    )


def _ids(delivery: Delivery) -> dict[str, str]:
    return {
        "delivery_id": delivery.id,
        "conversion_id": delivery.conversion_id,
        "lane": delivery.lane,
    }


def _wait(verdict: Verdict) -> float | None:
    return verdict.delay.total_seconds() if isinstance(verdict, Retry) else None


def _failure(verdict: Verdict) -> Failure:
    return Failure.NONE if isinstance(verdict, Delivered) else verdict.failure


def _error(failure: Failure, detail: str) -> str:
    return f"{failure}: {detail}" if failure and detail else failure or detail


def _noted(body: bytes) -> str:
    """
    The first characters of an answer; Postgres keeps no NUL.

    A partner may say our own secret back, so it is masked before it is cut: half a
    secret would not be known for one.
    """
    text = body[: 4 * MAX_NOTED].decode(errors="replace")
    return mask(text[: 2 * MAX_NOTED])[:MAX_NOTED].replace("\0", "\ufffd")


def _is_in_force(catalog: Catalog, partner: str, postback: str) -> bool:
    try:
        find_postback(catalog, partner, postback)
    except NotFoundError:
        return False
    return True
