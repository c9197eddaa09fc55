"""Caps of partners.yaml: what they become, and what is wrong with them."""

from decimal import Decimal

import pytest

from tracker.catalog import load_snapshot, take_snapshot
from tracker.domain.cap import Cap

NUMBERS = {("partner", "best"): 1, ("offer", "shoes"): 1}
OFFERS = "    offers: [shoes]\n"
GOALS = "    goals:\n"


def of_offer(caps):
    return GOALS, f"    caps:\n{caps}{GOALS}"


def of_partner(caps):
    return OFFERS, f"{OFFERS}    caps:\n{caps}"


def of_both(caps):
    return OFFERS, f"    offers:\n      shoes:\n        caps:\n    {caps}"


@pytest.fixture
def loaded(check, changed, secrets):
    """The catalog that every process loads."""

    async def loaded(*replaced):
        checked = check(changed(*replaced))
        snapshot = take_snapshot(checked, version=1, numbers=NUMBERS)
        return await load_snapshot(snapshot, secrets)

    return loaded


async def test_a_cap_of_an_offer_has_what_it_says(loaded):
    rule = "{of: payout, goals: sale, per: month, limit: 99.5, then: pending}"
    catalog = await loaded(*of_offer(f"    - {rule}\n"))

    assert catalog.offers["shoes"].caps == (
        Cap("payout", "month", Decimal("99.5"), frozenset({"sale"}), "pending"),
    )
    (placed,) = catalog.list_caps()
    assert str(placed) == "99.5 USD payout (sale) per month for shoes"


async def test_unless_said_a_cap_counts_conversions_and_takes_no_more(loaded):
    catalog = await loaded(*of_partner("    - {per: day, limit: 5}\n"))

    assert catalog.partners["best"].caps == (
        Cap("conversions", "day", Decimal(5), then="quarantine", clicks="fallback"),
    )


async def test_each_cap_holds_where_it_stands(loaded):
    each = "    - {per: hour, limit: 1, each: partner}\n    - {per: day, limit: 2}\n"
    of_the_offer = await loaded(*of_offer(each))
    of_the_pair = await loaded(*of_both("    - {per: total, limit: 3}\n"))

    places = {
        (one.offer, one.partner, int(one.cap.limit))
        for catalog in (of_the_offer, of_the_pair)
        for one in catalog.caps_of("shoes", "best")
    }
    assert places == {("shoes", "best", 1), ("shoes", "", 2), ("shoes", "best", 3)}
    assert not of_the_offer.caps_of("", "best")
    assert not of_the_pair.caps_of("shoes", "another")


@pytest.mark.parametrize(
    ("where", "rule", "fault"),
    [
        (
            of_offer,
            "{limit: 5}",
            "'per' is missing: hour, day, month, or total: in all",
        ),
        (
            of_offer,
            "{per: day}",
            "'limit' is missing: how much; sums of money are in the currency",
        ),
        (
            of_offer,
            "{per: week, limit: 5}",
            "must be hour, day, month or total",
        ),
        (
            of_offer,
            "{per: day, limit: 0}",
            "must be more than zero; 'paused: true' takes nobody at all",
        ),
        (
            of_offer,
            "{per: day, limit: 1.5}",
            "conversions are counted whole: the limit has no decimals",
        ),
        (
            of_offer,
            "{per: day, limit: 5, then: acept}",
            "must be accept, pending or quarantine; did you mean 'accept'?",
        ),
        (
            of_offer,
            "{per: day, limit: 5, goals: sales}",
            "the offer has no goal 'sales'; did you mean 'sale'?",
        ),
        (
            of_both,
            "{per: day, limit: 5, goals: [sales]}",
            "the offer has no goal 'sales'; did you mean 'sale'?",
        ),
        (
            of_partner,
            "{per: day, limit: 5, goals: [sale, sales]}",
            "no offer has a goal 'sales'; did you mean 'sale'?",
        ),
        (
            of_partner,
            "{per: day, limit: 5, each: partner}",
            "unknown key; there are of, goals, per, limit, then or clicks",
        ),
    ],
)
def test_a_cap_that_is_wrong_is_named(changed, faults_of, where, rule, fault):
    (said,) = faults_of(changed(*where(f"    - {rule}\n")))

    assert said.partition(": ")[2].partition(": ")[2] == fault
    assert "caps[0]" in said
