"""What an operator's attention is asked for, and what not."""

from datetime import UTC, datetime, timedelta

import pytest

from tracker.flow.attention import list_concerns

DAY = timedelta(days=1)
NOON = datetime.now(UTC).replace(hour=12, minute=5, second=0, microsecond=0)
"""Late enough that the quarter before it is over, and folded."""

_VISITS = """
insert into click_rollups
select %s, number, 1, '', '', %s, %s, 0 from catalog_numbers
where  kind = 'partner' and key = %s
"""
_CONVERSIONS = """
insert into conversion_rollups
select %s, 'conversion', 1, number, 'sale', 'USD', '', '', 'visit', 'approved', %s,
       0, 0, 0, 0
from   catalog_numbers
where  kind = 'offer' and key = %s
"""


@pytest.fixture
def concerns(runtime):
    """What is said of one room; the tests' own stores are not set up to be durable."""

    async def concerns(room, now=NOON):
        return [one for one in await list_concerns(runtime, now) if one.room == room]

    return concerns


@pytest.fixture
def visits(runtime):
    async def visits(at, count, *, partner="bestdeals", traffic="visit"):
        async with runtime.pool.connection() as connection:
            await connection.execute(_VISITS, [at, traffic, count, partner])

    return visits


@pytest.fixture
def conversions(runtime):
    async def conversions(at, count, offer="shoes"):
        async with runtime.pool.connection() as connection:
            await connection.execute(_CONVERSIONS, [at, count, offer])

    return conversions


async def test_of_a_tracker_without_any_past_nothing_is_said(concerns):
    rooms = ("catalog", "deliveries", "offers", "quarantine", "report")

    assert [one for room in rooms for one in await concerns(room)] == []


async def test_a_paused_lane_waits_for_somebody(runtime, concerns):
    await runtime.lanes.pause("bestdeals/sales@track.example", "410")

    (one,) = await concerns("deliveries")
    assert one.is_urgent
    assert one.said.startswith("Nothing is sent to bestdeals (sales at track.example)")
    assert one.query == {"partner": "bestdeals"}


async def test_a_reason_that_comes_more_than_usual_is_named(advertiser, concerns):
    for number in range(10):
        await advertiser.report(f"nonsense-{number}")

    (one,) = await concerns("quarantine", datetime.now(UTC))
    assert one.said.startswith("10 postbacks into quarantine in 24 hours for unknown_c")
    assert one.query == {"reason": "unknown_click"}


async def test_nine_of_a_reason_are_no_news(advertiser, concerns):
    for number in range(9):
        await advertiser.report(f"nonsense-{number}")

    assert await concerns("quarantine", datetime.now(UTC)) == []


async def test_clicks_that_came_each_day_at_this_hour_and_not_today(visits, concerns):
    for ago in range(1, 8):
        await visits(NOON.replace(minute=0) - ago * DAY - timedelta(minutes=30), 10)

    (one,) = await concerns("report")
    assert one.said == "No clicks at all for an hour"
    assert one.is_urgent


async def test_a_partner_that_stopped_is_told_from_those_who_go_on(visits, concerns):
    quarter = NOON.replace(minute=0) - timedelta(minutes=30)
    for ago in range(1, 8):
        await visits(quarter - ago * DAY, 10)
        await visits(quarter - ago * DAY, 10, partner="quiet")
    await visits(quarter, 7, partner="quiet")

    (one,) = await concerns("report")
    assert one.said == "bestdeals sent no clicks for an hour, 10 are usual"
    assert not one.is_urgent


async def test_bots_do_not_make_up_for_people(visits, concerns):
    quarter = NOON.replace(minute=0) - timedelta(minutes=30)
    for ago in range(1, 8):
        await visits(quarter - ago * DAY, 10)
    await visits(quarter, 100, traffic="bot")

    assert len(await concerns("report")) == 1


async def test_an_advertiser_that_reports_nothing_more(conversions, concerns):
    for ago in range(1, 8):
        await conversions(NOON.replace(minute=0) - ago * DAY - timedelta(hours=3), 11)

    (one,) = await concerns("report")
    assert one.said == "acme reported no conversion for 6 hours, 11 are usual"
    assert one.is_urgent


async def test_an_edit_that_is_not_in_force_is_the_first_thing(
    settings, concerns, runtime
):
    settings.catalog.write_text("partners: nobody")

    (one,) = await concerns("catalog")
    assert one.is_urgent
    assert "is not version 1, which is in force" in one.said
    assert (await list_concerns(runtime, NOON))[0].is_urgent
