from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.cap import ALWAYS, Cap, PlacedCap, period_of
from tracker.domain.meter import is_closed

HOUR = timedelta(hours=1)
BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("timezone", "moment", "start", "hours"),
    [
        ("UTC", "2026-11-22T12:30", "2026-11-22T00:00", 24),
        ("Asia/Tokyo", "2026-11-22T15:00", "2026-11-22T15:00", 24),
        ("Asia/Tokyo", "2026-11-22T14:59", "2026-11-21T15:00", 24),
        # Clocks go forward, and back.
        ("Europe/Paris", "2026-03-29T12:00", "2026-03-28T23:00", 23),
        ("Europe/Paris", "2026-10-25T12:00", "2026-10-24T22:00", 25),
        # They go forward at midnight: the day begins at one.
        ("Africa/Cairo", "2026-04-24T12:00", "2026-04-23T22:00", 23),
        # They go back to midnight: it is there twice.
        ("America/Havana", "2026-11-01T12:00", "2026-11-01T04:00", 25),
        ("Australia/Lord_Howe", "2026-04-04T18:00", "2026-04-04T13:00", 24.5),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(timezone, moment, start, hours):
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)

    starts_at, ends_at = period_of("day", timezone, at)

    assert starts_at == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert (ends_at - starts_at) / HOUR == hours


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        ("2026-01-31T23:59:59", "2026-01-01", "2026-02-01"),
        ("2026-02-28T00:00", "2026-02-01", "2026-03-01"),
        ("2026-10-31T00:00", "2026-10-01", "2026-11-01"),
        ("2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
    ],
)
def test_a_month_is_that_of_the_time_zone(moment, start, end):
    at = datetime.fromisoformat(moment).replace(tzinfo=PARIS)

    period = period_of("month", "Europe/Paris", at)

    first, following = (
        datetime.fromisoformat(one).replace(tzinfo=PARIS) for one in (start, end)
    )
    assert period == (first.astimezone(UTC), following.astimezone(UTC))


@given(
    moment=st.timedeltas(timedelta(), timedelta(days=2000)).map(BEGINNING.__add__),
    timezone=st.sampled_from([
        "UTC", "Europe/Paris", "America/Havana", "Africa/Cairo", "Asia/Kathmandu",
        "Australia/Lord_Howe", "America/St_Johns", "Atlantic/Azores",
    ]),
    per=st.sampled_from(["hour", "day", "month"]),
)  # fmt: skip
def test_every_moment_is_in_one_period_and_periods_leave_no_gap(moment, timezone, per):
    starts_at, ends_at = period_of(per, timezone, moment)

    assert starts_at <= moment < ends_at
    assert period_of(per, timezone, starts_at) == (starts_at, ends_at)
    last = ends_at - timedelta(microseconds=1)
    assert period_of(per, timezone, last) == (starts_at, ends_at)
    assert period_of(per, timezone, ends_at)[0] == ends_at


def test_in_all_is_one_period():
    assert period_of("total", "Europe/Paris", datetime.now(UTC)) == ALWAYS


def test_goals_in_any_order_are_one_meter():
    now = datetime.now(UTC)
    caps = [
        Cap("conversions", "day", Decimal(limit), frozenset(goals))
        for limit, goals in [(1, ["sale", "lead"]), (2, ["lead", "sale"])]
    ]

    meters = {PlacedCap(one, "shoes", "", "UTC", "USD").meter(now) for one in caps}

    assert len(meters) == 1


def test_an_old_period_never_closes_a_link():
    now = datetime(2026, 11, 22, tzinfo=UTC)
    closed = {("shoes", ""): (now - 24 * HOUR, now)}

    assert is_closed(closed, "shoes", "bestdeals", now - timedelta(microseconds=1))
    assert not is_closed(closed, "shoes", "bestdeals", now)
