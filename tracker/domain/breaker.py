"""
A breaker: when a lane is left alone, and how it comes back.

One that fails is opened: nothing is sent on it. After a while one call goes as a
probe, then five, and then more with each that succeeds. A failed probe opens it
again, for longer. What a lane owes meanwhile waits, and is charged no attempt.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from tracker.domain.answer import Answer, retry_after
from tracker.domain.delivery import Failure
from tracker.domain.value import Value

WINDOW = timedelta(seconds=60)
"""Calls are counted from a failure on for so long, and then from the next one."""

LEAST_CALLS = 10
WORST_SHARE = 0.5

UNREACHED_IN_ROW = 5
FAILED_IN_ROW = 20
"""A lane that was busy and well has a long window to outweigh; this ends it."""

SHORTEST_OPEN = timedelta(seconds=30)
LONGEST_OPEN = timedelta(minutes=15)
SHORTEST_PAUSE = timedelta(seconds=1)
"""What a partner that is asked too often can ask for itself, by `Retry-After`."""

SETTLED = LONGEST_OPEN
"""Whoever fails again sooner after closing is opened for longer than before."""

FIRST_PROBES = 1
MORE_PROBES = 5
ALL_PLACES = 16

_UNREACHED = frozenset(
    {
        Failure.NO_ADDRESS,
        Failure.NO_CONNECTION,
        Failure.BAD_CERTIFICATE,
        Failure.TIMEOUT,
    }
)
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


class SignKind(StrEnum):
    """What a call tells of the partner's server."""

    ANSWERED = "answered"
    FAILED = "failed"
    UNREACHED = "unreached"


class Sign(Value, frozen=True):
    """`patience` is how long the partner asked to be left alone, as a whole."""

    kind: SignKind
    patience: timedelta = timedelta()


ANSWERED = Sign(SignKind.ANSWERED)
FAILED = Sign(SignKind.FAILED)
UNREACHED = Sign(SignKind.UNREACHED)


class OpenReason(StrEnum):
    """Why nothing is sent on a lane for a while."""

    UNREACHABLE = "unreachable"
    FAILING = "failing"
    RATE_LIMITED = "rate_limited"


class Call(Value, frozen=True):
    """A call that was made on a lane, by when it was claimed."""

    sign: Sign
    claimed_at: datetime


class Breaker(Value, frozen=True):
    """
    What is known of a lane.

    Open or probing since `opened_at`, with nothing sent before `open_until`; then
    `places` calls may be in flight. Closed without `opened_at`; `places` then is
    what it has got back so far, None for all. `openings` counts those in a row.
    While it probes, `calls` counts what succeeded, else what was made since
    `window_began_at`.
    """

    opened_at: datetime | None = None
    opened_reason: OpenReason | None = None
    open_until: datetime | None = None
    openings: int = 0
    places: int | None = None
    closed_at: datetime | None = None
    window_began_at: datetime | None = None
    calls: int = 0
    failures: int = 0
    failed_in_row: int = 0
    unreached_in_row: int = 0


def read_sign(answer: Answer, now: datetime) -> Sign:
    """
    What an answer tells of the server that gave it, or did not.

    One that refuses a delivery (4xx, a body without the success pattern) is up and
    answers: it may well take the next, so nothing is kept from it. 429 is no answer
    to a delivery, but to how often it is called.
    """
    if answer.status is None:
        is_unreached = not answer.is_reached and answer.failure in _UNREACHED
        return UNREACHED if is_unreached else FAILED
    if answer.status == _TOO_MANY_REQUESTS:
        return Sign(SignKind.FAILED, retry_after(answer.retry_after, now))
    return FAILED if answer.status >= _SERVER_ERROR else ANSWERED


def is_watched(breaker: Breaker, now: datetime) -> bool:
    """Whether calls that succeed matter too; of other lanes only failures are kept."""
    if breaker.places is not None or breaker.failed_in_row:
        return True
    began = breaker.window_began_at
    return began is not None and now - began < WINDOW


def after_calls(breaker: Breaker, calls: Iterable[Call], now: datetime) -> Breaker:
    """The breaker after these calls have ended, in this order."""
    for call in calls:
        breaker = _after_call(breaker, call, now)
    return breaker


def reclosed(now: datetime) -> Breaker:
    """Closed because an operator says so: what there was is forgotten."""
    return Breaker(places=MORE_PROBES, closed_at=now)


def _after_call(breaker: Breaker, call: Call, now: datetime) -> Breaker:
    if breaker.open_until is None:
        return _after_usual_call(breaker, call.sign, now)
    if call.claimed_at < breaker.open_until:
        # It was in flight when the lane was opened: that is judged already.
        return breaker
    return _after_probe(breaker, call.sign, now)


def _after_probe(breaker: Breaker, sign: Sign, now: datetime) -> Breaker:
    if sign.kind is not SignKind.ANSWERED:
        return _opened(breaker, sign, now)
    succeeded = breaker.calls + 1
    if succeeded < FIRST_PROBES + MORE_PROBES:
        return breaker.but(calls=succeeded, places=MORE_PROBES)
    return Breaker(places=MORE_PROBES, openings=breaker.openings, closed_at=now)


def _after_usual_call(breaker: Breaker, sign: Sign, now: datetime) -> Breaker:
    if not is_watched(breaker, now) and sign.kind is SignKind.ANSWERED:
        return breaker
    counted = _counted(_with_window(breaker, sign, now), sign)
    if sign.patience or _is_failing(counted):
        return _opened(counted, sign, now)
    return counted


def _with_window(breaker: Breaker, sign: Sign, now: datetime) -> Breaker:
    """A window that is over ends; a failure begins the next."""
    began = breaker.window_began_at
    if began is not None and now - began < WINDOW:
        return breaker
    begins = None if sign.kind is SignKind.ANSWERED else now
    return breaker.but(window_began_at=begins, calls=0, failures=0)


def _counted(breaker: Breaker, sign: Sign) -> Breaker:
    if sign.kind is SignKind.ANSWERED:
        return breaker.but(
            calls=breaker.calls + 1,
            failed_in_row=0,
            unreached_in_row=0,
            places=_widened(breaker.places),
        )
    is_unreached = sign.kind is SignKind.UNREACHED
    return breaker.but(
        calls=breaker.calls + 1,
        failures=breaker.failures + 1,
        failed_in_row=breaker.failed_in_row + 1,
        unreached_in_row=breaker.unreached_in_row + 1 if is_unreached else 0,
    )


def _widened(places: int | None) -> int | None:
    """One place more, until it has them all."""
    return None if places is None or places + 1 >= ALL_PLACES else places + 1


def _is_failing(breaker: Breaker) -> bool:
    share = breaker.failures / breaker.calls
    return (
        (breaker.calls >= LEAST_CALLS and share >= WORST_SHARE)
        or breaker.unreached_in_row >= UNREACHED_IN_ROW
        or breaker.failed_in_row >= FAILED_IN_ROW
    )


def _opened(breaker: Breaker, sign: Sign, now: datetime) -> Breaker:
    """A partner that asks for patience says how long; it has not failed once more."""
    openings = _openings(breaker, now) + (not sign.patience)
    wait = _bounded(sign.patience) if sign.patience else _open_for(openings)
    return Breaker(
        opened_at=breaker.opened_at or now,
        opened_reason=_reason(sign),
        open_until=now + wait,
        openings=openings,
        places=FIRST_PROBES,
    )


def _openings(breaker: Breaker, now: datetime) -> int:
    """How many there were in a row, after which this one comes."""
    closed_at = breaker.closed_at
    has_settled = closed_at is not None and now - closed_at >= SETTLED
    return 0 if has_settled else breaker.openings


def _open_for(openings: int) -> timedelta:
    doublings = min(openings - 1, 10)
    wait: timedelta = SHORTEST_OPEN * 2**doublings
    return min(wait, LONGEST_OPEN)


def _bounded(patience: timedelta) -> timedelta:
    return min(max(patience, SHORTEST_PAUSE), LONGEST_OPEN)


def _reason(sign: Sign) -> OpenReason:
    if sign.patience:
        return OpenReason.RATE_LIMITED
    if sign.kind is SignKind.UNREACHED:
        return OpenReason.UNREACHABLE
    return OpenReason.FAILING
