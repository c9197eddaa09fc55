"""A program tries a postback, as the tester does for people."""

import pytest

API = "/api/v1/postbacks"
CLICK = {"partner": "bestdeals", "offer": "shoes"}


@pytest.fixture
async def postback(operator):
    """What the advertiser of a made-up click would call, with `***` for its token."""
    explained = (await operator.post(f"{API}/explain", json=CLICK)).json()
    return f"/postback/acme?click_id={explained['click_id']}&token=***"


async def test_of_a_click_the_call_of_its_advertiser_is_tried(operator):
    explained = (await operator.post(f"{API}/explain", json=CLICK)).json()

    assert explained["click_id"] in explained["url"]
    assert "token=***" in explained["url"]
    assert explained["verdict"] == "accepted"
    assert [one["name"] for one in explained["calls"]] == ["all"]


async def test_a_click_of_an_offer_that_is_none_is_not_found(operator):
    made = {"partner": "bestdeals", "offer": "shoos"}

    answer = await operator.post(f"{API}/explain", json=made)

    assert answer.status_code == 404
    assert "shoes" in answer.text


async def test_a_postback_that_never_came_is_explained(operator, postback):
    explained = (await operator.post(f"{API}/explain", json={"url": postback})).json()

    assert ["advertiser", "acme, named in the path"] in explained["steps"]
    assert explained["verdict"] == "accepted"
    assert [one["name"] for one in explained["calls"]] == ["all"]


async def test_one_call_is_made_in_earnest(operator, inbox, postback):
    body = {"url": postback, "send": "all"}
    answer = await operator.post(f"{API}/send", json=body)

    (hit,) = inbox.hits
    assert hit.headers["X-Tracker-Test"] == "1"
    assert answer.json()["sent"]["judged"] == "success"


async def test_a_partner_s_link_says_what_it_earns_and_not_what_we_do(
    operator, as_role
):
    links = "/api/v1/links?partner=quiet&offer=shoes"
    staff = (await operator.get(links)).json()
    async with as_role("partner", "quiet") as partner:
        own = (await partner.get(links)).json()

    assert [one["revenue"] for one in staff["terms"]] == [
        "4.00 USD", "12 % of the amount"
    ]  # fmt: skip
    assert [one["payout"] for one in own["terms"]] == ["2.50 USD", "8 % of the amount"]
    assert {one["revenue"] for one in own["terms"]} == {""}


async def test_a_call_that_nobody_would_make_is_refused(operator, inbox, postback):
    forged = postback.replace("token=***", "token=forged")
    answer = await operator.post(f"{API}/send", json={"url": forged, "send": "all"})

    assert (answer.status_code, inbox.hits) == (409, [])
    assert "nobody would be told" in answer.text
