"""Who fails again and again is told so; what is remembered of it has bounds."""

from datetime import UTC, datetime, timedelta

import pytest

from tracker.domain import suspicion
from tracker.domain.suspicion import Suspects

NOW = datetime(2026, 11, 22, 12, 0, 15, tzinfo=UTC)


@pytest.fixture
def suspects():
    return Suspects()


def fail(suspects, address, times=1, now=NOW):
    """The last of so many failures."""
    return [suspects.note(address, now) for _ in range(times)][-1]


def test_the_first_failures_are_answered_then_only_kept_then_not_even_that(suspects):
    told = [fail(suspects, "192.0.2.1") for _ in range(suspicion.KEPT + 1)]

    assert sum(one.is_answered for one in told) == suspicion.ANSWERED
    assert sum(one.is_kept for one in told) == suspicion.KEPT
    assert told[0].is_answered
    assert not told[-1].is_kept


def test_another_minute_begins_anew(suspects):
    last = fail(suspects, "192.0.2.1", 2 * suspicion.KEPT)
    later = NOW + timedelta(seconds=last.seconds_left)

    assert last.seconds_left == 45
    assert not fail(suspects, "192.0.2.1", now=later - timedelta(seconds=1)).is_kept
    assert fail(suspects, "192.0.2.1", now=later).is_answered


def test_addresses_do_not_answer_for_each_other(suspects):
    fail(suspects, "192.0.2.1", 2 * suspicion.KEPT)
    assert fail(suspects, "192.0.2.2").is_answered


def test_an_address_of_ipv6_answers_for_its_64_bits(suspects):
    fail(suspects, "2001:db8::1", suspicion.ANSWERED)
    assert not fail(suspects, "2001:db8::ffff:1").is_answered
    assert fail(suspects, "2001:db8:0:1::1").is_answered


def test_what_all_of_them_may_leave_is_bounded(suspects):
    kept = [fail(suspects, f"192.0.2.{n % 250}").is_kept for n in range(3000)]
    assert sum(kept) == suspicion.KEPT_OF_ALL


def test_addresses_without_number_share_one_place(suspects, monkeypatch):
    monkeypatch.setattr(suspicion, "MAX_ADDRESSES", 100)
    for number in range(1000):
        fail(suspects, f"10.0.{number // 250}.{number % 250}")
    assert len(suspects._failures) == 101
    assert not fail(suspects, "192.0.2.1").is_answered
