from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tracker.domain.catalog import Catalog
from tracker.domain.click import ClickReason, Visit, aim, draw_click, plan_visit
from tracker.domain.click_id import ClickClass, ClickId, SigningKeys
from tracker.domain.deeplink import Seal
from tracker.domain.money import Rate
from tracker.domain.offer import Goal, Offer, Schedule
from tracker.domain.partner import Partner
from tracker.domain.targeting import Destination, Rule, Targeting

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
SEAL = Seal(SigningKeys(0, {0: b"0" * 32}))
VISIT = Visit("best", "shoes", address="203.0.113.9")

OFFER = Offer(
    key="shoes",
    number=7,
    name="Shoes",
    advertiser="acme",
    url="https://shop.example/?cid={click_id}",
    window=timedelta(days=30),
    currency="USD",
    timezone="UTC",
    goals={"sale": Goal("sale", Rate(Decimal(1)), Rate(Decimal(2)))},
    deeplinks=frozenset({"shop.example"}),
    fallback_url="https://elsewhere.example/{partner}",
)

GERMANS = Rule(
    {"countries": frozenset({"DE"})},
    destinations=(Destination("https://shop.example/de?id={click_id}&from=de"),),
)
ELSEWHERE = Rule({"countries": frozenset({"FR"})})


def plan(visit=VISIT, **changed):
    catalog = Catalog(
        version=1,
        currency="USD",
        timezone="UTC",
        advertisers={},
        offers={"shoes": replace(OFFER, **changed)},
        partners={"best": Partner("best", 3, "Best", all_offers=True)},
    )
    return plan_visit(visit, catalog, now=NOW)


def aimed(country, visit=VISIT):
    targeting = Targeting((GERMANS, ELSEWHERE), (Destination(OFFER.url),))
    return aim(plan(visit), targeting, lambda _: country)


def draw(plan):
    return draw_click(plan, ClickId("c-1"), SEAL, now=NOW)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        (Schedule(starts=NOW, ends=LATER), ""),
        (Schedule(starts=LATER), ClickReason.OFFER_NOT_STARTED),
        (Schedule(ends=NOW), ClickReason.OFFER_ENDED),
        (Schedule(ends=LATER), ""),
    ],
)
def test_a_schedule_begins_with_its_first_moment_and_ends_before_its_last(
    schedule, reason
):
    planned = plan(schedule=schedule)

    assert planned.refusal == reason
    assert (planned.click_class is ClickClass.REFUSED) == bool(reason)


def test_who_comes_too_late_goes_to_the_fallback():
    click = draw(plan(schedule=Schedule(ends=NOW)))

    assert click.destination == "https://elsewhere.example/best"
    assert click.reason == "offer_ended"


def test_a_pause_is_named_before_a_schedule():
    assert plan(schedule=Schedule(ends=NOW), is_paused=True).refusal == "offer_paused"


def test_a_rule_leads_to_its_destination_and_says_why():
    click = draw(aimed("DE"))

    assert click.destination == "https://shop.example/de?id=c-1&from=de"
    assert (click.reason, click.route) == ("", "rule=1 country=DE")


def test_a_deep_link_takes_the_query_of_the_destination_that_was_chosen():
    visit = VISIT.but(query={"deeplink": "https://shop.example/boots?size=42"})

    click = draw(aimed("DE", visit))
    assert click.destination == "https://shop.example/boots?size=42&id=c-1&from=de"


def test_whom_a_rule_sends_away_is_refused():
    visit = VISIT.but(query={"deeplink": "https://shop.example/boots"})

    planned = aimed("FR", visit)
    click = draw(planned)
    assert planned.click_class is ClickClass.REFUSED
    assert click.destination == "https://elsewhere.example/best"
    assert (click.reason, click.route) == ("not_targeted", "rule=2 country=FR")


def test_a_repeated_visit_is_of_a_class_of_its_own():
    again = plan().but(is_repeated=True)

    assert again.click_class is ClickClass.REPEATED
    assert draw(again).destination == "https://shop.example/?cid=c-1"


def test_a_visitor_is_known_again_on_the_same_link_alone():
    other = VISIT.but(address="203.0.113.10")

    assert plan().identity == plan().identity
    assert plan().identity != plan(number=8).identity
    assert plan().identity != plan(other).identity
