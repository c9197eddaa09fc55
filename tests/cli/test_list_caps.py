"""`tracker caps`, and what a trace says of a cap."""

from datetime import UTC, datetime

import pytest

from tracker.domain.click_id import ClickClass


@pytest.fixture
async def hats(runtime, report):
    """Two leads of an offer that takes one a day; their click ids."""
    numbers = {
        "partner_number": runtime.catalog.partners["bestdeals"].number,
        "offer_number": runtime.catalog.offers["hats"].number,
    }
    ids = [
        runtime.mint.mint(
            now=datetime.now(UTC), shard=0, click_class=ClickClass.VISIT, **numbers
        )
        for _ in range(2)
    ]
    for click_id in ids:
        await report(click_id)
    return ids


async def test_every_cap_is_listed_with_what_is_left(tracker, hats):
    listed = tracker("caps", "--json").lines

    assert [(one["cap"], one["taken"], one["left"]) for one in listed] == [
        ("1 conversions per day for hats", "1", "0"),
        ("1000 USD payout per month for bestdeals", "1.00", "999.00"),
    ]
    first, second = listed
    assert (first["offer"], first["partner"], first["currency"]) == ("hats", None, None)
    assert (second["then"], second["clicks"]) == ("pending", "redirect")
    assert tracker("caps", "--json", "--reached").lines == [first]
    assert "reached" in (said := tracker("caps").out)
    assert max(map(len, said.splitlines())) <= 80


async def test_a_trace_says_that_a_cap_had_no_room(tracker, hats):
    said = " ".join(tracker("trace", hats[1]).out.split())

    assert "quarantined: capped" in said
    assert "has no room for it" in said
    assert "taken: 1 conversions per day for hats, no room" in said
    assert "taken: 1 payout per month for bestdeals, room" in said
