"""An advertiser with a dialect of its own, from the wire to the partner."""

import json
from dataclasses import replace

import pytest
from cast import TOKEN

from tracker.domain.advertiser import Reply, Variant
from tracker.flow.quarantine import Pardon, release_postback


@pytest.fixture
def report(client):
    """Hooli reports: its token and status stand in the path, and a click somewhere."""

    async def report(status, token=TOKEN, headers=None, **said):
        answer = await client.get(
            f"/postback/hooli/{token}/{status}", params=said, headers=headers
        )
        assert answer.status_code == 200
        return answer.json()

    return report


async def test_a_dialect_is_heard_stored_without_secrets_and_told(
    visit, report, rows, partner, run_worker_once
):
    click_id = await visit("bestdeals/search", sub1="one")
    said = {"parts": "a:1.012,50|b:7,50", "commission": "99,99"}
    answer = await report("sold", ref=f"ref-{click_id}xyz", **said)
    await run_worker_once()

    (kept,) = await rows("select * from postbacks")
    (sale,) = await rows("select amount::int, payout::float, status from conversions")
    assert answer == {"ok": True, "id": kept["conversion_id"]}
    assert sale == {"amount": 1020, "payout": 99.99, "status": "approved"}
    assert (kept["path"], kept["click_id"]) == ("/postback/hooli/***/sold", click_id)
    assert TOKEN not in json.dumps(kept, default=repr)
    assert [told["payout"] for told in partner.told] == ["99.99"]


async def test_a_header_names_the_click(visit, report):
    click_id = await visit("bestdeals/search")
    headers = {"X-Click-Id": click_id.upper()}
    said = {"parts": "a:1", "commission": "1"}
    assert (await report("sold", headers=headers, **said))["ok"]


async def test_a_failure_is_answered_in_its_words(visit, report):
    click_id = await visit("bestdeals/search")
    wrong = await report("sold", "wr0ng-token", ref=click_id, commission="1")
    assert wrong == {"ok": False, "why": "bad_token"}
    unpaid = await report("sold", ref=click_id, parts="a:1")
    assert unpaid == {"ok": False, "why": "missing_amount"}


async def test_a_refund_is_told_to_a_partner_that_asks_for_changes(
    visit, advertiser, rows, partner, run_worker_once
):
    click_id = await visit()
    sale = {"goal": "sale", "transaction_id": "t-1"}
    for said in ({"amount": "50"}, {"amount": "-20"}, {"status": "refunded"}):
        await advertiser.report(click_id, **sale, **said)
        await run_worker_once()

    changes = await rows(
        "select kind, status, amount::int from conversion_changes order by number"
    )
    assert [tuple(change.values()) for change in changes] == [
        ("created", "approved", 50),
        ("amount", "approved", 30),
        ("status", "rejected", 30),
    ]
    told = [(one["status"], one["payout"]) for one in partner.told]
    assert told == [("approved", "4.00"), ("approved", "2.40"), ("rejected", "2.40")]


async def test_a_refund_that_came_first_is_released_when_its_sale_is_here(
    visit, advertiser, runtime, rows
):
    click_id = await visit()
    sale = {"goal": "sale", "transaction_id": "t-1"}
    early = await advertiser.report(click_id, **sale, amount="5", status="refunded")
    await advertiser.report(click_id, **sale, amount="50")

    assert early.json()["reason"] == "unknown_conversion"
    outcome = await release_postback(
        runtime, early.json()["postback_id"], Pardon("ann")
    )
    assert outcome.verdict == "updated"
    assert (await rows("select amount::int from conversions"))[0]["amount"] == 45


async def test_an_operator_s_click_takes_the_place_of_one_in_a_header(
    visit, report, runtime, rows
):
    """Whatever its pattern would make of it."""
    click_id = await visit("bestdeals/search")
    said = {"headers": {"X-Click-Id": "nobody"}, "parts": "a:1", "commission": "1"}
    assert (await report("sold", **said))["why"] == "unknown_click"

    (kept,) = await rows("select id from postbacks")
    pardon = Pardon("ann", click_id=click_id)
    outcome = await release_postback(runtime, kept["id"], pardon)
    assert outcome.verdict == "accepted"


async def test_what_came_back_is_remembered_for_the_next_total(
    visit, advertiser, runtime, rows
):
    acme = replace(runtime.catalog.advertisers["acme"], refunds="total")
    known = {**runtime.catalog.advertisers, "acme": acme}
    runtime.catalog = replace(runtime.catalog, advertisers=known)
    click_id = await visit()
    sale = {"goal": "sale", "transaction_id": "t-1"}
    await advertiser.report(click_id, **sale, amount="100")
    for total in ("30", "50", "30"):
        await advertiser.report(click_id, **sale, status="refunded", amount=total)

    (left,) = await rows("select amount::int, refunded::int from conversions")
    assert left == {"amount": 50, "refunded": 50}


async def test_a_variant_is_answered_in_words_of_its_own(visit, advertiser, runtime):
    acme = runtime.catalog.advertisers["acme"]
    speaker = replace(acme, defaults={"status": "ignored"}, reply=Reply("pong"))
    varied = replace(acme, variants=(Variant({"event": ("ping",)}, speaker),))
    known = {**runtime.catalog.advertisers, "acme": varied}
    runtime.catalog = replace(runtime.catalog, advertisers=known)

    answer = await advertiser.report(await visit(), route="/acme", event="Ping")
    assert (answer.status_code, answer.text) == (200, "pong")
