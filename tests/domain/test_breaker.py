"""When a lane is left alone, and how it comes back."""

from datetime import UTC, datetime, timedelta

import pytest

from tracker.domain.answer import Answer
from tracker.domain.breaker import (
    ANSWERED,
    FAILED,
    UNREACHED,
    Breaker,
    Call,
    OpenReason,
    Sign,
    SignKind,
    after_calls,
    is_watched,
    read_sign,
)
from tracker.domain.delivery import Failure

NOW = datetime(2026, 11, 22, 11, 0, 0, tzinfo=UTC)
HALF_OPEN = timedelta(seconds=30)


def seconds(number):
    return timedelta(seconds=number)


def after(breaker, *signs, at=NOW):
    return after_calls(breaker, [Call(sign, at) for sign in signs], at)


def opened(at=NOW):
    return after(Breaker(), *[UNREACHED] * 5, at=at)


def closed_again(at):
    """Opened half a minute before, and all probes answered."""
    return after(opened(at - HALF_OPEN), *[ANSWERED] * 6, at=at)


def test_half_of_ten_calls_within_a_minute_open_it():
    nine = after(Breaker(), *[FAILED, ANSWERED] * 4, FAILED)
    ten = after(nine, ANSWERED)

    assert nine.opened_at is None
    assert (ten.opened_at, ten.open_until) == (NOW, NOW + seconds(30))
    assert (ten.opened_reason, ten.places) == (OpenReason.FAILING, 1)


def test_fewer_than_half_leave_it_closed():
    breaker = after(Breaker(), *[FAILED, ANSWERED, ANSWERED] * 100)

    assert breaker.opened_at is None


def test_what_is_a_minute_ago_no_longer_counts():
    breaker = after(Breaker(), *[FAILED] * 9)
    breaker = after(breaker, FAILED, at=NOW + seconds(60))

    assert (breaker.opened_at, breaker.calls) == (None, 1)


def test_five_that_did_not_connect_in_a_row_open_it_however_slowly():
    breaker = Breaker()
    for minute in range(5):
        assert breaker.opened_at is None
        breaker = after(breaker, UNREACHED, at=NOW + timedelta(minutes=minute))

    assert breaker.opened_reason is OpenReason.UNREACHABLE


def test_an_answer_in_between_begins_the_row_anew():
    breaker = after(Breaker(), *[UNREACHED] * 4, *[ANSWERED] * 9, *[UNREACHED] * 4)
    mixed = after(Breaker(), *[UNREACHED] * 4, FAILED, *[UNREACHED] * 4)

    assert (breaker.opened_at, mixed.opened_at) == (None, None)


def test_a_lane_that_was_busy_and_well_is_opened_by_twenty_in_a_row():
    busy = after(Breaker(), FAILED, *[ANSWERED] * 10_000)
    nineteen = after(busy, *[FAILED] * 19)

    assert nineteen.opened_at is None
    assert after(nineteen, FAILED).opened_reason is OpenReason.FAILING


def test_what_was_in_flight_when_it_was_opened_says_nothing_new():
    breaker = opened()

    assert after(breaker, UNREACHED, ANSWERED, at=NOW + seconds(5)) == breaker


def test_one_probe_then_five_then_one_more_with_each_that_succeeds():
    breaker, places, later = opened(), [], NOW + seconds(31)
    for _ in range(17):
        places.append(breaker.places)
        breaker = after(breaker, ANSWERED, at=later)

    assert places == [1, *[5] * 6, *range(6, 16)]
    assert (breaker.opened_at, breaker.places) == (None, None)


def test_each_failed_probe_doubles_the_wait_up_to_a_quarter_of_an_hour():
    breaker, waits = opened(), []
    for _ in range(8):
        now = breaker.open_until
        breaker = after(breaker, FAILED, at=now)
        waits.append((breaker.open_until - now).total_seconds())

    assert waits == [60, 120, 240, 480, 900, 900, 900, 900]
    assert breaker.opened_at == NOW


def test_a_failure_among_the_five_opens_it_again():
    probed = after(opened(), ANSWERED, ANSWERED, at=NOW + seconds(31))
    again = after(probed, FAILED, ANSWERED, at=NOW + seconds(32))

    assert (again.places, again.openings) == (1, 2)
    assert again.open_until == NOW + seconds(32 + 60)


def test_one_that_flaps_is_opened_for_longer_and_one_that_settled_is_not():
    soon = after(closed_again(NOW), *[UNREACHED] * 5, at=NOW + seconds(60))
    late = after(closed_again(NOW), *[UNREACHED] * 5, at=NOW + seconds(900))

    assert soon.open_until - soon.opened_at == seconds(60)
    assert late.open_until - late.opened_at == seconds(30)


def test_while_it_recovers_one_failure_does_not_open_it():
    breaker = after(closed_again(NOW), FAILED, ANSWERED)

    assert (breaker.opened_at, breaker.places) == (None, 6)


@pytest.mark.parametrize(
    ("asked", "given"), [(7, 7), (0.2, 1), (3600, 900), (10**8, 900)]
)
def test_who_is_called_too_often_says_for_how_long(asked, given):
    """At least a second, at most a quarter of an hour; and it counts as no failure."""
    limited = Sign(SignKind.FAILED, seconds(asked))
    breaker = after(Breaker(), limited)

    assert breaker.opened_reason is OpenReason.RATE_LIMITED
    assert (breaker.open_until, breaker.openings) == (NOW + seconds(given), 0)
    assert after(breaker, FAILED, at=breaker.open_until).openings == 1


@pytest.mark.parametrize(
    ("answer", "sign"),
    [
        (Answer(200), ANSWERED),
        (Answer(200, b"no such click"), ANSWERED),
        (Answer(302), ANSWERED),
        (Answer(403), ANSWERED),
        (Answer(410), ANSWERED),
        (Answer(500), FAILED),
        (Answer(503, retry_after="60"), FAILED),
        (Answer(429), FAILED),
        (Answer(429, retry_after="60"), Sign(SignKind.FAILED, seconds(60))),
        (Answer(429, retry_after="soon"), FAILED),
        (Answer(None, failure=Failure.TIMEOUT), FAILED),
        (Answer(None, failure=Failure.TIMEOUT, is_reached=False), UNREACHED),
        (Answer(None, failure=Failure.BROKEN_ANSWER, is_reached=False), FAILED),
        (Answer(None, failure=Failure.NO_CONNECTION, is_reached=False), UNREACHED),
        (Answer(None, failure=Failure.NO_ADDRESS, is_reached=False), UNREACHED),
        (Answer(None, failure=Failure.BAD_CERTIFICATE, is_reached=False), UNREACHED),
        (Answer(None, failure=Failure.FORBIDDEN_ADDRESS, is_reached=False), FAILED),
    ],
)
def test_what_an_answer_tells_of_the_server(answer, sign):
    assert read_sign(answer, NOW) == sign


def test_a_lane_is_watched_from_a_failure_on_until_all_is_well():
    failed = after(Breaker(), FAILED)
    mended = after(failed, ANSWERED)

    assert not is_watched(Breaker(), NOW)
    assert is_watched(failed, NOW + timedelta(days=1))
    assert is_watched(mended, NOW + seconds(59))
    assert not is_watched(mended, NOW + seconds(60))
    assert after(mended, ANSWERED, at=NOW + seconds(60)) == mended
