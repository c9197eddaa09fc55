from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import pytest

from tracker.domain.click import Visit, plan_visit
from tracker.domain.click_id import ClickClass
from tracker.domain.offer import Schedule
from tracker.domain.targeting import Destination, Rule, Targeting
from tracker.flow.dedup import tell_apart
from tracker.flow.erasure import erase_click
from tracker.flow.trace import trace
from tracker.runtime import open_runtime

PHONE = {"user-agent": "Mozilla/5.0 (Linux; Android 15; Pixel 9) Mobile Safari"}
DAY = timedelta(days=1)


@pytest.fixture
def change_offer(runtime):
    """Changes the terms of the offer of shoes."""

    def change_offer(**changed):
        offers = dict(runtime.catalog.offers)
        offers["shoes"] = replace(offers["shoes"], **changed)
        runtime.catalog = replace(runtime.catalog, offers=offers)

    return change_offer


@pytest.fixture
def click(client, runtime):
    """Follows a link; the id and the class of its click."""

    async def click(link="bestdeals/shoes", **headers):
        answer = await client.get(f"/c/{link}", headers=headers or PHONE)
        (click_id,) = parse_qs(urlsplit(answer.headers["location"]).query)["cid"]
        return click_id, runtime.mint.read(click_id).click_class

    return click


async def test_who_comes_again_within_the_window_is_marked(change_offer, click):
    """And is redirected all the same; who comes for the first time counts."""
    change_offer(dedup=DAY)

    classes = [(await click())[1] for _ in range(3)]
    other = await click(**{"user-agent": "another"})

    assert classes == [ClickClass.VISIT, ClickClass.REPEATED, ClickClass.REPEATED]
    assert other[1] is ClickClass.VISIT


async def test_of_many_visits_at_once_one_counts(change_offer, click, at_once):
    change_offer(dedup=DAY)

    classes = [found for _, found in await at_once(*(click() for _ in range(20)))]

    assert classes.count(ClickClass.VISIT) == 1
    assert classes.count(ClickClass.REPEATED) == 19


async def test_links_do_not_mark_each_other(change_offer, click):
    change_offer(dedup=DAY)

    await click("bestdeals/shoes")
    assert (await click("quiet/shoes"))[1] is ClickClass.VISIT


async def test_the_window_ends(change_offer, click, runtime):
    change_offer(dedup=DAY)
    await click()
    (key,) = await runtime.redis.keys("seen:*")

    assert 0 < await runtime.redis.pttl(key) <= DAY.total_seconds() * 1000
    await runtime.redis.delete(key)
    assert (await click())[1] is ClickClass.VISIT


async def test_all_processes_have_one_memory(change_offer, runtime, settings):
    change_offer(dedup=DAY)
    visit = Visit("bestdeals", "shoes", address="203.0.113.9")
    plan = plan_visit(visit, runtime.catalog, now=datetime.now(UTC))

    async with open_runtime(settings) as other:
        told = [await tell_apart(one, plan, DAY) for one in (runtime, other)]
    assert [one.is_repeated for one in told] == [False, True]


async def test_a_prefetch_does_not_mark_the_visit_that_follows(change_offer, click):
    change_offer(dedup=DAY)

    await click(**PHONE, purpose="prefetch")
    assert (await click(**PHONE))[1] is ClickClass.VISIT


async def test_a_repeated_visit_converts(
    change_offer, click, advertiser, rows, run_worker_once
):
    change_offer(dedup=DAY)
    await click()
    again, _ = await click()

    answer = await advertiser.report(again)
    await run_worker_once()
    assert answer.json()["status"] == "accepted"
    assert await rows("select class from clicks order by id") == [
        {"class": 0},
        {"class": 5},
    ]


async def test_without_redis_visitors_arrive_and_count(change_offer, click, runtime):
    """Nobody can be told apart then, and nobody waits to hear it."""
    change_offer(dedup=DAY)
    runtime.redis_outage.begin("the test says so")

    assert [(await click())[1] for _ in range(2)] == [ClickClass.VISIT] * 2
    assert runtime.spools.waiting == 2


async def test_a_redis_that_does_not_answer_delays_nobody(change_offer, click, runtime):
    """What it is given for a click is given once, whatever it is asked."""
    change_offer(dedup=DAY)
    patience = timedelta(milliseconds=200)
    runtime.settings = runtime.settings.model_copy(update={"redis_timeout": patience})
    await runtime.redis.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    began = monotonic()
    try:
        _, found = await click()
    finally:
        await runtime.redis.execute_command("CLIENT", "UNPAUSE")

    assert found is ClickClass.VISIT
    assert monotonic() - began < 2 * patience.total_seconds()


async def test_before_its_time_an_offer_takes_no_visitors(
    change_offer, client, rows, run_worker_once
):
    change_offer(schedule=Schedule(starts=datetime.now(UTC) + DAY))

    answer = await client.get("/c/bestdeals/shoes")
    await run_worker_once()
    assert answer.status_code == 410
    (row,) = await rows("select class, reason from clicks")
    assert row == {"class": ClickClass.REFUSED, "reason": "offer_not_started"}


async def test_after_its_end_conversions_of_earlier_clicks_count(
    change_offer, client, visit, advertiser
):
    click_id = await visit()
    change_offer(schedule=Schedule(ends=datetime.now(UTC)))

    assert (await client.get("/c/bestdeals/shoes")).status_code == 410
    answer = await advertiser.report(click_id)
    assert answer.json()["status"] == "accepted"


@pytest.fixture
def two_ways(change_offer):
    """Phones go elsewhere."""
    there = Destination("https://phones.example/?cid={click_id}")
    rule = Rule({"devices": frozenset({"mobile"})}, destinations=(there,))
    change_offer(targeting=Targeting((rule,), (Destination("https://x.example/"),)))


async def test_a_trace_says_why_a_visitor_was_sent_where(
    two_ways, click, runtime, run_worker_once
):
    click_id, _ = await click()
    await run_worker_once()
    await runtime.redis.flushall()

    record = (await trace(runtime, click_id)).click.record
    assert record.destination == f"https://phones.example/?cid={click_id}"
    assert record.route == "rule=1 device=mobile"


async def test_what_was_found_out_of_a_visitor_is_erased(
    two_ways, click, runtime, rows, run_worker_once
):
    click_id, _ = await click()
    await run_worker_once()

    await erase_click(runtime, click_id, "root")
    assert await rows("select route from clicks") == [{"route": None}]
