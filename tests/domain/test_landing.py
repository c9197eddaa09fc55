"""What of a visit an offer's URL can say."""

from dataclasses import replace

import pytest
from parties import CLICK_ID, NOW, a_catalog, an_offer

from tracker.domain.click import Visit, draw_click, plan_visit

HEADERS = {
    "address": "192.0.2.1",
    "user_agent": "curl",
    "referrer": "https://r.example",
}


@pytest.fixture
def sent_to():
    """Where a visitor of an offer with this URL is sent."""

    def sent_to(url, **query):
        offer = an_offer(url=url)
        catalog = replace(a_catalog(all_offers=True), offers={offer.key: offer})
        visit = Visit("bestdeals", "acme-shoes", query, language="de", **HEADERS)
        plan = plan_visit(visit, catalog, now=NOW)
        return draw_click(plan, CLICK_ID, None, now=NOW)

    return sent_to


@pytest.mark.parametrize(
    ("macros", "said"),
    [
        ("i={ip}&u={user_agent}&l={language}", "i=192.0.2.1&u=curl&l=de"),
        ("r={referrer}", "r=https%3A%2F%2Fr.example"),
        ("p={partner_name}&o={offer_name}", "p=Best%20Deals&o=Acme%20Shoes"),
        ("a={click.utm}&b={click.none}", "a=x%26y&b="),
        ("a={sub2|optional}&b={sub1|optional}", "b=one"),
        ("a={sub1|upper|prefix:x}", "a=xONE"),
        ("a={sub3|raw}", "a=1&b=2"),
    ],
)
def test_an_offer_url_is_filled_with_what_the_visit_said(sent_to, macros, said):
    url = f"https://shop.example/?c={{click_id}}&{macros}"
    click = sent_to(url, utm="x&y", sub1="one", sub3="1&b=2")

    assert click.destination == f"https://shop.example/?c={CLICK_ID}&{said}"
    assert click.params == {"utm": "x&y"}


def test_a_long_value_is_cut_as_it_is_kept(sent_to):
    click = sent_to("https://shop.example/?c={click_id}&a={click.utm}", utm="x" * 600)

    assert click.destination.endswith("&a=" + "x" * 512)
