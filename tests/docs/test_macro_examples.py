"""The example of each macro in the README is what one sale makes of it."""

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from parties import (
    CLICK_ID,
    NOW,
    a_catalog,
    a_change,
    a_click,
    a_conversion,
    a_postback,
    an_offer,
)

from tracker.domain.advertiser import Advertiser, Auth
from tracker.domain.click import AD_IDS
from tracker.domain.delivery import find_audience, owed_deliveries, revealed
from tracker.domain.macro_values import Occasion
from tracker.domain.macros import DELIVERY_MACROS
from tracker.domain.offer import Status
from tracker.domain.request import build_request
from tracker.domain.worth import Money

README = Path(__file__).parents[2] / "README.md"

CLICK = a_click(
    subs=("spring", "banner-7", *(f"label {number}" for number in range(3, 11))),
    ad_ids={name: f"{name}-1" for name in AD_IDS},
    params={"color": "red"},
    address="203.0.113.7",
    user_agent="Mozilla/5.0",
    referrer="https://blog.example/shoes",
    language="en-GB",
)

PENDING = Money("USD", Decimal(4), Decimal(5), amount=Decimal(40))
APPROVED = Money(
    "USD",
    Decimal("4.99"),
    Decimal("6.24"),
    amount=Decimal("49.90"),
    sent_amount=Decimal("46.20"),
    sent_currency="EUR",
)


@pytest.fixture(scope="module")
def examples():
    """Of each macro that has a row: the cell with its example."""
    rows = re.findall(
        r"(?m)^\| `\{([\w.]+)\}` \| \w+ \| .* \| `([^`|]+)` \|$",
        README.read_text("utf-8"),
    )
    return dict(rows)


def what_is_told(macros):
    """One call that asks for all of them, about a sale that was just approved."""
    query = "&".join(f"{name}={{{name}}}" for name in macros)
    postback = a_postback(f"https://track.example/?{query}")
    catalog = replace(
        a_catalog(postback, reveal=frozenset({"revenue"})),
        offers={"acme-shoes": an_offer()},
        advertisers={"acme": Advertiser("acme", "Acme Inc.", Auth())},
    )
    (delivery,) = owed_deliveries(
        Occasion(an_approval(), a_sale(), CLICK, catalog, (("coupon", "SAVE10"),))
    )
    values = revealed(find_audience(catalog, "bestdeals"), delivery.macro_values)
    moment = NOW + timedelta(minutes=1)
    request = build_request(postback, values, {}, delivery.id, moment)
    return dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))


def a_sale():
    half_an_hour_ago = NOW - timedelta(minutes=30)
    return a_conversion(money=APPROVED, changes=2, converted_at=half_an_hour_ago)


def an_approval():
    return a_change(
        2, kind="status", old_status=Status.PENDING, old_money=PENDING, money=APPROVED
    )


def test_every_macro_has_an_example(examples):
    dotted = {name for name in examples if "." in name}

    assert set(examples) - dotted == DELIVERY_MACROS
    assert {name.partition(".")[0] for name in dotted} == {"click", "postback"}


def test_every_example_of_a_macro_is_what_is_told(examples):
    asked = {"click.NAME": "click.color", "postback.NAME": "postback.coupon"}

    told = what_is_told([asked.get(name, name) for name in examples])

    assert told == {asked.get(name, name): shown for name, shown in examples.items()}
    assert told["click_id"] == CLICK_ID
