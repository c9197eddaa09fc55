"""A postback in an advertiser's own dialect, explained in the words of that dialect."""

import pytest

from tracker.catalog import check_text, compile_catalog
from tracker.flow.explanation import explain_postback
from tracker.web.arrival import Arrival, read_arrival

CATALOG = """\
version: 1
currency: USD
advertisers:
  acme:
    auth: {token: "${ACME_TOKEN}", allow_ips: [203.0.113.0/24]}
    postback:
      params:
        click_id: ["path:1", cid]
        transaction_id: "header:X-Order"
        token: pass
      present: {cb: {status: rejected}}
      items: {amount: "AMT#", quantity: "QTY#"}
      defaults: {goal: sale}
      variants:
        - when: {event: trial}
          params: {click_id: sub}
          defaults: {goal: lead}
offers:
  shoes:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals:
      lead: {payout: 2.50, revenue: 4.00}
      sale: {payout: 8%, revenue: 12%, once_per: transaction}
partners:
  bestdeals: {offers: [shoes]}
"""


@pytest.fixture
def explain(runtime, secrets):
    """What would be decided about a call to the advertiser's route."""
    checked = check_text(CATALOG, "partners.yaml", secrets)
    numbers = {("offer", "shoes"): 1, ("partner", "bestdeals"): 1}
    runtime.catalog = compile_catalog(checked, secrets, version=1, numbers=numbers)

    async def explain(rest, *headers, address=""):
        url = f"/postback/acme/{rest}pass=the-token-of-acme"
        arrival = Arrival(url, headers=headers, address=address)
        return await explain_postback(runtime, *await read_arrival(runtime, arrival))

    return explain


def read_as(found):
    return {one.name: [*one.meanings] for one in found.parameters if one.counts}


async def test_what_is_said_without_a_name_is_read_as_well(explain, visit):
    """Segments and headers, items by their numbers, and what is there at all."""
    found = await explain(
        f"{await visit()}?AMT1=10&QTY1=2&AMT2=5&cb=1&", "X-Order: order-1"
    )

    assert read_as(found) == {
        "path:1": ["click_id"],
        "header:x-order": ["transaction_id"],
        "AMT1": ["amount"],
        "QTY1": ["amount"],
        "AMT2": ["amount"],
        "cb": ["status"],
        "pass": ["token"],
    }
    assert found.decision.outcome.reason == ""
    assert (found.decision.goal, found.decision.after.status) == ("sale", "rejected")
    assert found.decision.after.money.amount == 25


async def test_the_preferred_of_two_names_counts(explain, visit):
    found = await explain(f"{await visit()}?cid=other&", "X-Order: o-1")

    (cid,) = [one for one in found.parameters if one.name == "cid"]
    assert (cid.counts, cid.note) == (False, "path:1 is preferred to it")


async def test_a_click_id_that_is_not_ours_is_told_as_it_was_sent(explain):
    found = await explain("THEIR-OWN-ID?", "X-Order: o-1")

    assert (found.click.id, found.click.found_in) == ("THEIR-OWN-ID", "nowhere")
    assert found.decision.outcome.reason == "unknown_click"


async def test_an_address_is_judged_if_it_is_known(explain, visit):
    click_id = await visit()
    rest = f"{click_id}?AMT1=10&"

    unknown = await explain(rest, "X-Order: o-1")
    wrong = await explain(rest, "X-Order: o-1", address="198.51.100.7")

    assert (unknown.is_assumed, unknown.decision.outcome.verdict) == (True, "accepted")
    assert (wrong.is_assumed, wrong.decision.outcome.reason) == (
        False,
        "ip_not_allowed",
    )
    assert wrong.otherwise.outcome.verdict == "accepted"


async def test_what_chose_the_variant_is_named(explain, visit):
    found = await explain(f"x?event=Trial&sub={await visit()}&cid=other&", "X-Order: o")

    notes = {one.name: one.note for one in found.parameters}
    assert read_as(found)["sub"] == ["click_id"]
    assert found.decision.goal == "lead"
    assert notes["event"] == "chooses how the call is read"
    assert notes["cid"].startswith("nobody reads it")
