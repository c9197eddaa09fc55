"""Everybody who asked for it is told of a sale, each in its own way."""

from dataclasses import replace

import pytest

from tracker.domain.outbound import PartnerPostback, When
from tracker.flow.erasure import erase_click

NOTE = "e={postback.email}&u={user_agent}&m={click.utm}&t={postback.token}"


@pytest.fixture
def tell_too(runtime, partner):
    """The offer and the operator want to be told as well."""

    def tell_too(rest, **changed):
        catalog = runtime.catalog
        url = partner.inbox.url(rest)
        shoes = replace(
            catalog.offers["shoes"],
            postbacks=(PartnerPostback("o", url + "&by=offer", **changed),),
        )
        runtime.catalog = replace(
            catalog,
            offers={**catalog.offers, "shoes": shoes},
            postbacks=(PartnerPostback("o", url + "&by=all", **changed),),
        )

    return tell_too


async def test_offers_and_the_operator_hear_of_a_sale(
    visit, advertiser, partner, run_worker_once, tell_too
):
    tell_too("/o?r={revenue}&who={partner_name}&old={old_status}&d={payout_change}")
    click_id = await visit("quiet/shoes")
    await advertiser.report(click_id)
    await run_worker_once()

    said = {"r": "4.00", "who": "Quiet", "d": "2.50"}
    assert sorted(partner.told, key=lambda one: one["by"]) == [
        {**said, "by": "all"},
        {**said, "by": "offer"},
    ]


async def test_what_was_sent_and_what_the_visit_said_can_be_told(
    client, advertiser, partner, run_worker_once, tell_too
):
    tell_too(f"/o?{NOTE}", when=When(labels={"sub2": {"fb"}}))
    for sub2 in ("fb", "google"):
        query = {"sub2": sub2, "utm": "mail"}
        answer = await client.get("/c/quiet/shoes", params=query)
        click_id = answer.headers["location"].split("cid=")[1][:32]
        await advertiser.report(click_id, email="a@b.example")
    await run_worker_once()

    said = {"e": "a@b.example", "u": client.headers["user-agent"], "m": "mail"}
    assert sorted(partner.told, key=lambda one: one["by"]) == [
        {**said, "by": "all"},
        {**said, "by": "offer"},
    ]


async def test_what_a_visit_said_is_erased_with_its_click(
    client, advertiser, runtime, run_worker_once, tell_too, rows
):
    tell_too(f"/o?{NOTE}")
    answer = await client.get("/c/quiet/shoes", params={"utm": "jane-utm"})
    click_id = answer.headers["location"].split("cid=")[1][:32]
    await advertiser.report(click_id, email="jane@example.org")
    kept = await rows("select macro_values::text from deliveries")
    assert all("jane" in one["macro_values"] for one in kept)

    await erase_click(runtime, click_id, by="tester")

    (left,) = {
        one["macro_values"]
        for one in await rows(
            "select (macro_values - 'delivery_id')::text as macro_values"
            " from deliveries"
        )
    }
    assert "jane" not in left
    assert "user_agent" not in left
    assert click_id in left
