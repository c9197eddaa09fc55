"""A link is put together, and shown where it leads."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest


async def made(client, **query):
    page = unescape((await client.get("/links", params=query)).text)
    link = re.search(r'id="link" class="break">(.*?)</code>', page)
    to = re.search(r'<dd><code class="break">(.*?)</code>', page)
    return page, link and link[1], to and to[1]


SHOES = {"partner": "bestdeals", "offer": "shoes"}


async def test_a_link_and_where_it_leads(operator, rows, runtime):
    page, link, to = await made(operator, **SHOES, sub1="a b", sub10="é")

    assert link.endswith("/c/bestdeals/shoes?sub1=a%20b&sub10=%C3%A9")
    assert to.startswith("https://shop.acme.example/?cid=")
    assert to.endswith("&s=a%20b")
    assert "2.50 USD" in page
    assert "/postback/acme?" in page
    assert not await runtime.stream.count(0)
    assert await rows("select * from clicks") == []


async def test_macros_of_a_source_fill_the_labels_and_stay_as_they_are(operator):
    _, link, _ = await made(
        operator, **SHOES, sub1="", sub2="mine", source="PropellerAds", fill="1"
    )
    _, second, _ = await made(
        operator, **SHOES, sub1="mine", source="MediaGo", fill="1"
    )

    assert link.endswith("?sub1=${SUBID}&sub2=mine")
    assert second.endswith("?sub1=mine&sub2=${TRACKING_ID}&sub3=${AD_ID}")


async def test_what_is_refused_is_said_with_why(operator):
    page, link, _ = await made(operator, partner="bestdeals", offer="hats")

    assert link.endswith("/c/bestdeals/hats")
    assert "It is refused: the offer was paused (<code>offer_paused</code>)" in page
    assert "nowhere" in page


async def test_a_link_that_is_not_listed_is_none(operator):
    page, link, _ = await made(operator, partner="quiet", offer="hats")
    typo, _, _ = await made(operator, partner="bestdeal", offer="shoes")

    assert link is None
    assert "may not promote hats" in page
    assert "did you mean the partner 'bestdeals'?" in typo


async def test_a_visitor_can_be_chosen_where_that_matters(operator):
    asked = {"partner": "bestdeals", "offer": "abroad"}

    _, _, french = await made(operator, **asked, country="fr")
    page, _, other = await made(operator, **asked, country="DE")

    assert french.startswith("https://fr.acme.example/")
    assert other.startswith("https://shop.acme.example/abroad")
    assert "Because" in page


async def test_a_deep_link_to_a_listed_host_needs_no_signature(operator):
    _, link, to = await made(
        operator, **SHOES, deeplink="https://shop.acme.example/red?size=9"
    )

    assert "deeplink_signature" not in link
    assert to.startswith("https://shop.acme.example/red?size=9&cid=")


async def test_another_host_is_signed_only_where_that_is_asked_for(operator):
    wanted = {**SHOES, "deeplink": "https://elsewhere.example/"}

    refused, none, _ = await made(operator, **wanted)
    _, link, to = await made(operator, **wanted, sign="1")

    assert none is None
    assert "has to be signed" in refused
    assert "deeplink_signature" in parse_qs(urlsplit(link).query)
    assert to.startswith("https://elsewhere.example/?cid=")


@pytest.mark.parametrize("role", ["partner", "viewer"])
async def test_who_may_not_act_signs_nothing(as_role, role):
    """A link of ours to anywhere is not for everybody to make."""
    partner = "bestdeals" if role == "partner" else None
    async with as_role(role, partner) as client:
        page, link, _ = await made(
            client, **SHOES, deeplink="https://elsewhere.example/", sign="1"
        )

    assert link is None
    assert "Sign it" not in page


async def test_a_partner_makes_its_own_links_only(as_role):
    """Neither the names of others, nor revenue, nor what advertisers are asked."""
    async with as_role("partner", "quiet") as client:
        page, link, _ = await made(client, partner="bestdeals", offer="shoes")
        other, none, _ = await made(client, partner="bestdeals", offer="hats")

    assert "/c/quiet/shoes" in link
    assert none is None
    for text in (page, other):
        assert "bestdeals" not in text
        assert "Revenue" not in text
        assert "/postback/" not in text


async def test_a_partner_that_is_gone_is_told_of_nobody_else(as_role):
    async with as_role("partner", "gone") as client:
        page, link, _ = await made(client, offer="shoes")

    assert link is None
    assert "You have no links now" in page
    assert "bestdeals" not in page


async def test_hostile_labels_are_text(operator):
    page = await operator.get("/links", params={**SHOES, "sub1": '"><script>\0'})

    assert "<script>" not in page.text
    assert "%3Cscript%3E" in page.text
