"""What would be told, of what happened or is made up; and a test that is sent."""

import asyncio
import json
from ipaddress import ip_network

import pytest

from tracker.catalog import check_text, compile_catalog
from tracker.domain.click import Visit
from tracker.domain.click_id import ClickClass
from tracker.domain.errors import (
    NotFoundError,
    RefusedChangeError,
    UnknownLinkError,
)
from tracker.flow.rehearsal import Choice, choose_call, rehearse
from tracker.flow.sending import send_rehearsed

CATALOG = """\
version: 1
currency: USD
advertisers:
  acme:
    auth: {token: "${ACME_TOKEN}"}
    postback:
      amounts: {decimal: comma}
      goals: {e2: sale}
offers:
  shoes:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals:
      lead: {payout: 2.50, revenue: 4.00, default: true}
      sale: {payout: 8%, revenue: 12%, once_per: transaction, status: pending}
    postbacks:
      - {id: own, url: "https://own.example/?r={revenue}&p={partner_name}"}
partners:
  bestdeals:
    name: Best Deals
    offers: [shoes]
    postbacks:
      - id: all
        url: "${INBOX}/pb?cid={sub1}&gclid={gclid}&own={click.utm}"
      - id: json
        url: https://track.best.example/hook
        json: {click: "{sub1}", key: "${KEY}", paid: "{payout|number}", at: "{now}"}
        headers: {X-Key: "${KEY}"}
        auth: {bearer: "${KEY}"}
        sign: {key: "${KEY}", text: "{click_id}", header: X-Sign}
      - id: sales
        url: https://track.best.example/sale?key=${KEY}&cid={sub1}
        when: {goals: [sale], statuses: [approved], labels: {sub2: [fb]}}
        delay: 10m
      - id: rich
        url: https://track.best.example/rich?cid={sub1}&by={amount_change}&o={postback.transaction_id}
        when: {amount: {min: 100}}
  quiet:
    offers: [shoes]
"""


@pytest.fixture
def secrets(inbox):
    return {"ACME_TOKEN": "the-token-of-acme", "INBOX": inbox.url, "KEY": "k3y-of-best"}


@pytest.fixture
def told(runtime, secrets):
    """What would be told of a visit to the offer, or of what is asked for."""
    numbers = {("offer", "shoes"): 1, ("partner", "bestdeals"): 1}
    numbers["partner", "quiet"] = 2
    checked = check_text(CATALOG, "partners.yaml", secrets)
    runtime.catalog = compile_catalog(checked, secrets, version=1, numbers=numbers)

    async def told(asked="", *, partner="bestdeals", query=None, **said):
        visit = None if asked else Visit(partner, "shoes", query or {})
        return await rehearse(runtime, Choice(asked, visit, said))

    return told


def call_of(rehearsal, name):
    return choose_call(rehearsal, name)


def macros_of(call):
    return {one.name: (one.value, one.source) for one in call.macros}


async def test_every_macro_has_its_value_and_where_it_is_from(told):
    query = {"sub1": "banner 7", "utm": "x"}
    call = call_of(await told(query=query), "all")

    assert call.silence == []
    assert call.shown.url == "***/pb?cid=banner%207&gclid=&own=x"
    assert macros_of(call) == {
        "sub1": ("banner 7", "from the made-up click"),
        "click.utm": ("x", "from the made-up click"),
        "gclid": ("", "empty: the made-up click has none"),
    }


async def test_the_operator_s_own_postbacks_are_told_too_and_see_all(told):
    call = call_of(await told(), "offer:shoes/own")

    assert call.shown.url == "https://own.example/?r=4.00&p=Best%20Deals"
    assert macros_of(call)["partner_name"] == ("Best Deals", "from the catalog")


async def test_no_secret_is_shown_and_all_of_them_are_sent(told):
    call = call_of(await told(query={"sub1": "x"}), "json")

    body = json.loads(call.shown.body)
    assert (body["key"], body["paid"]) == ("***", 2.5)
    assert call.shown.headers["X-Key"] == call.shown.headers["X-Sign"] == "***"
    assert "k3y" not in f"{call.shown}{call.macros}"
    assert json.loads(call.request.body)["key"] == "k3y-of-best"
    assert call.request.headers["Authorization"] == "Bearer k3y-of-best"


async def test_what_stays_silent_says_why(told):
    """Every condition that does not hold, and none that does."""
    rehearsal = await told(goal="e2", amount="50", query={"sub2": "mail"})

    assert call_of(rehearsal, "sales").silence == [
        "statuses: [approved]",
        "labels: {sub2: [fb]}",
    ]
    assert call_of(rehearsal, "rich").silence == ["amount: {min: 100}"]
    assert call_of(rehearsal, "all").silence == []


async def test_what_is_said_makes_the_conversion_by_its_terms(told):
    """In our words or the advertiser's; amounts as an operator writes them."""
    rehearsal = await told(goal="e2", amount="150.00", status="approved")

    conversion = rehearsal.occasion.conversion
    assert (conversion.goal, conversion.status) == ("sale", "approved")
    assert (conversion.money.payout, conversion.money.revenue) == (12, 18)
    assert conversion.click_class is ClickClass.TEST


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"goal": "sale"}, "missing_amount, .*; say its amount"),
        ({"goal": "nonsense"}, "unknown_goal, .*; say its goal"),
        ({"status": "ignored"}, "this status is ignored"),
        ({"status": "maybe"}, "unknown_status"),
    ],
)
async def test_what_would_make_no_conversion_is_refused(told, said, sentence):
    with pytest.raises(RefusedChangeError, match=sentence):
        await told(**said)


async def test_a_link_that_is_not_listed_is_refused(told):
    with pytest.raises(UnknownLinkError):
        await told(partner="nobody")


async def test_a_past_click_is_told_with_its_own_labels(told, visit):
    click_id = await visit(sub1="banner-7", gclid="g-1")

    call = call_of(await told(click_id), "all")

    assert macros_of(call)["sub1"] == ("banner-7", "from the click")
    assert "cid=banner-7&gclid=g-1" in call.shown.url


async def test_a_past_conversion_is_told_as_it_stands(told, visit, report):
    sale = {"goal": "e2", "amount": "150", "transaction_id": "o-1"}
    made = await report(await visit(sub1="b"), status="approved", **sale)

    rehearsal = await told(made.conversion_id)

    assert rehearsal.occasion.conversion.id == made.conversion_id
    rich = call_of(rehearsal, "rich")
    assert (rich.silence, rich.shown.url.partition("?")[2]) == (
        [],
        "cid=b&by=150.00&o=o-1",
    )
    assert macros_of(call_of(rehearsal, "sales"))["sub1"] == ("b", "from the click")


@pytest.mark.parametrize("asked", ["cv_1", "nonsense", "0" * 32])
async def test_what_is_not_there_cannot_be_told(told, asked):
    with pytest.raises(NotFoundError):
        await told(asked)


async def test_a_postback_is_named_where_there_are_several(told):
    with pytest.raises(NotFoundError, match="name the postback; there are all, json"):
        choose_call(await told())


async def test_a_test_is_sent_once_and_can_be_told_from_others(told, runtime, inbox):
    rehearsal = await told(query={"sub1": "x"})

    sent = await send_rehearsed(runtime, call_of(rehearsal, "all"))

    assert [one["cid"] for one in inbox.told] == ["x"]
    assert sent.answer.status == 200
    assert sent.call.request.headers["X-Tracker-Test"] == "1"
    assert sent.call.request.headers["X-Tracker-Delivery"].startswith("test-")
    assert rehearsal.click.facts.click_class is ClickClass.TEST


async def test_the_guard_judges_a_test_as_well(told, runtime):
    runtime.sender._guard.allowed = (ip_network("192.0.2.0/24"),)

    sent = await send_rehearsed(runtime, call_of(await told(), "all"))

    assert sent.answer.failure == "forbidden_address"


async def run(tracker, *words):
    """In a thread, for the inbox answers in this one."""
    return await asyncio.to_thread(tracker, "postback", *words)


async def test_a_preview_in_words_and_for_machines(tracker, visit):
    click_id = await visit(sub1="banner-7")

    words = await run(tracker, "preview", click_id)
    machine = (await run(tracker, "preview", click_id, "--json")).document

    assert "bestdeals/all" in words.out
    assert "would be told at once" in words.out
    assert "{sub1}              = banner-7, from the click" in words.out
    (call,) = machine["calls"]
    assert call["fires"] is True
    assert call["url"] == "***/pb?cid=banner-7&status=approved"
    assert machine["made_up"] is False


LINK = ("--partner", "bestdeals", "--offer", "shoes", "--sub1", "a b")


async def test_a_preview_tells_nobody_and_writes_nothing(tracker, runtime, inbox):
    said = await run(tracker, "preview", *LINK, "--goal", "sale", "--amount", "50")

    assert (said.code, inbox.told) == (0, [])
    async with runtime.pool.connection() as connection:
        for table in ("clicks", "conversions", "conversion_keys", "deliveries"):
            cursor = await connection.execute(f"select count(*) from {table}")
            assert await cursor.fetchone() == (0,)


async def test_a_test_is_sent_and_its_answer_judged(tracker, runtime, inbox):
    """The answer of a partner that is wrong is a refusal, as a script can tell."""
    inbox.answers = [200, 500]

    good = await run(tracker, "send", *LINK)
    bad = await run(tracker, "send", *LINK, "--postback", "all", "--json")

    assert (good.code, bad.code) == (0, 1)
    assert "X-Tracker-Test      1" in good.out
    assert "judged              success" in good.out
    assert (bad.document["judged"], bad.document["failure"]) == ("retry", "bad_status")
    assert [one["cid"] for one in inbox.told] == ["a b", "a b"]


@pytest.mark.parametrize(
    "words", [(), ("--partner", "bestdeals"), ("cv_1", "--sub1", "x"), ("x", *LINK)]
)
async def test_what_is_rehearsed_is_one_thing(tracker, runtime, words):
    assert (await run(tracker, "preview", *words)).code == 2
