"""What is personal goes wherever it is kept, and what money needs stays."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from tracker.domain.click import Click
from tracker.domain.click_id import ClickClass
from tracker.domain.errors import (
    ForgedClickIdError,
    NotFoundError,
    StoreUnavailableError,
)
from tracker.flow.clicklog import fold_clicks
from tracker.flow.delivery import attempt_delivery, finish_deliveries
from tracker.flow.erasure import erase_click, erase_label, finish_erasures
from tracker.runtime import open_runtime
from tracker.store.clicks import stream_key

SECRETS = ("jane@example.org", "jane-referrer", "jane-param", "203.0.113.77", "jane-ua")
"""What a person left everywhere."""

HEADERS = {"user-agent": "jane-ua", "referer": "https://jane-referrer.example/"}


@pytest.fixture
def jane(client, runtime):
    """Clicks, and says who she is; her click's id."""

    async def jane(**query):
        query = {"sub1": "jane@example.org", "gclid": "jane-param", **query}
        query["utm"] = "jane-param"
        answer = await client.get("/c/bestdeals/shoes", params=query, headers=HEADERS)
        return answer.headers["location"].split("cid=")[1][:32]

    return jane


@pytest.fixture
def everything(runtime, rows):
    """All that is stored, as one text."""

    async def everything():
        found = [
            json.dumps(await rows(f"select * from {table}"), default=repr)
            for table in (
                "clicks", "click_labels", "click_collisions", "clicks_rejected",
                "postbacks", "conversions", "conversion_changes", "deliveries",
                "delivery_archive", "delivery_attempts", "erasures",
            )
        ]  # fmt: skip
        found.append(repr(await runtime.redis.xrange(stream_key(0))))
        keys = await runtime.redis.keys("click:*")
        found += [repr(await runtime.redis.get(key)) for key in keys]
        return "\n".join(found)

    return everything


def left_in(text):
    return [one for one in SECRETS if one in text]


@pytest.fixture
def label(runtime):
    async def label(value="jane@example.org", name="sub1"):
        return await runtime.erasures.get_label("bestdeals", name, value)

    return label


async def test_a_click_is_erased_wherever_it_is_kept(
    jane, advertiser, run_worker_once, runtime, everything, rows
):
    click_id = await jane()
    await advertiser.report(click_id, email="jane@example.org")
    await run_worker_once()
    await runtime.redis.set(f"click:{{0}}:{click_id}", b"jane-ua")
    assert left_in(await everything()) != []

    counts = await erase_click(runtime, click_id, "root")

    assert left_in(await everything()) == []
    assert counts["clicks"] == counts["postbacks"] == counts["delivery_attempts"] == 1
    (conversion,) = await rows("select status, payout, click_id from conversions")
    assert (conversion["status"], conversion["click_id"]) == ("approved", click_id)


async def test_a_click_that_waits_to_be_folded_is_erased_and_still_counts(
    jane, runtime, everything, rows
):
    click_id = await jane()

    await erase_click(runtime, click_id, "root")
    assert left_in(await everything()) == []
    await fold_clicks(runtime, 0)

    found = await rows("select id, reason, sub1 from clicks")
    assert found == [{"id": click_id, "reason": "erased", "sub1": None}]


async def test_a_copy_that_comes_late_arrives_erased(jane, runtime, everything, rows):
    """From a spool, say, that was drained a day later."""
    click_id = await jane()
    late = await runtime.redis.xrange(stream_key(0))
    await fold_clicks(runtime, 0)
    await erase_click(runtime, click_id, "root")
    for _, fields in late:
        await runtime.redis.xadd(stream_key(0), fields)

    await fold_clicks(runtime, 0)

    assert left_in(await everything()) == []
    assert await rows("select count(*) from click_collisions") == [{"count": 0}]


async def test_a_label_that_comes_late_arrives_erased(
    jane, runtime, everything, label, rows
):
    """Nobody knew the ids of these clicks when the label was erased."""
    click_id = await jane()
    late = await runtime.redis.xrange(stream_key(0))
    await runtime.redis.flushall()
    await erase_label(runtime, await label(), "root")
    for _, fields in late:
        await runtime.redis.xadd(stream_key(0), fields)
    other = await jane(sub1="somebody-else")

    await fold_clicks(runtime, 0)

    found = await rows("select id, reason from clicks order by id")
    assert found == [
        {"id": click_id, "reason": "erased"},
        {"id": other, "reason": None},
    ]


async def test_a_label_is_erased_in_all_clicks_of_its_partner(
    jane, advertiser, run_worker_once, runtime, everything, label, rows
):
    folded, waiting = await jane(), None
    await advertiser.report(folded)
    await run_worker_once()
    waiting = await jane()
    stays = await jane(sub1="somebody-else")

    await erase_label(runtime, await label(), "root")
    await fold_clicks(runtime, 0)

    found = await rows("select id from clicks where reason = 'erased' order by id")
    assert [row["id"] for row in found] == sorted([folded, waiting])
    assert "jane@example.org" not in await everything()
    assert await rows("select sub1 from clicks where id = %s", stays) == [
        {"sub1": "somebody-else"}
    ]


async def test_a_label_of_another_partner_or_a_later_click_stays(
    jane, runtime, label, rows
):
    """They come in one batch with those that are erased."""
    await erase_label(runtime, await label(), "root")
    await rows_of(runtime, "update erasures set erased_at = erased_at - interval '1h'")
    later = await jane()
    early = an_early_click(runtime, "bestdeals")
    foreign = an_early_click(runtime, "quiet")
    await runtime.clicks.insert(0, [early, foreign])

    await fold_clicks(runtime, 0)

    found = await rows("select id from clicks where sub1 is not null order by id")
    assert [row["id"] for row in found] == [foreign.id, later]


async def test_what_was_erased_is_logged_without_its_value(jane, runtime, label, rows):
    click_id = await jane()
    await erase_label(runtime, await label(), "root")

    logged = await rows("select click_id, label, erased_by from erasures order by id")
    assert logged == [
        {"click_id": None, "label": "sub1", "erased_by": "root"},
        {"click_id": click_id, "label": None, "erased_by": "root"},
    ]


async def test_what_is_owed_for_an_erased_click_and_needs_a_label_waits_for_nothing(
    jane, advertiser, partner, runtime, run_worker_once, rows
):
    """Nothing is sent with an empty label: the partner could not tell what for."""
    click_id = await jane()
    await advertiser.report(click_id)
    await erase_click(runtime, click_id, "root")
    await fold_clicks(runtime, 0)
    await advertiser.report(click_id, goal="install")
    await run_worker_once()
    await runtime.deliveries.fill_click_details()
    await rows_of(
        runtime, "update deliveries set created_at = now() - interval '25 hours'"
    )
    await runtime.deliveries.free_overdue()

    await run_worker_once()

    assert partner.told == []
    found = await rows("select outcome, reason from delivery_archive")
    assert found == 2 * [{"outcome": "dead", "reason": "click_details_lost"}]


async def test_a_call_that_was_under_way_leaves_nothing_either(
    jane, advertiser, runtime, run_worker_once, everything
):
    """Its worker had the label, and wrote it down after the erasure."""
    click_id = await jane()
    await advertiser.report(click_id)
    claim = await runtime.deliveries.claim(10)
    await erase_click(runtime, click_id, "root")
    await finish(runtime, claim)
    assert "jane%40example.org" in await everything()
    await rows_of(
        runtime, "update erasures set erased_at = erased_at - interval '3 minutes'"
    )

    await finish_erasures(runtime)

    assert "jane" not in await everything()
    assert await runtime.erasures.list_unfinished() == []


async def test_a_rehearsal_counts_and_erases_nothing(
    jane, advertiser, run_worker_once, runtime, everything, label
):
    click_id = await jane()
    await advertiser.report(click_id)
    await run_worker_once()
    before = await everything()

    one = await erase_click(runtime, click_id, "root", is_rehearsal=True)
    many = await erase_label(runtime, await label(), "root", is_rehearsal=True)

    assert one == many
    assert one["clicks"] == one["Redis"] == one["delivery_archive"] == 1
    assert await everything() == before


async def test_what_is_erased_twice_is_erased_once(jane, runtime):
    click_id = await jane()
    await fold_clicks(runtime, 0)
    await erase_click(runtime, click_id, "root")

    assert not await erase_click(runtime, click_id.upper(), "root")


async def test_what_was_set_aside_goes_too(jane, runtime, label, everything):
    click_id = await jane()
    ((position, fields),) = await runtime.redis.xrange(stream_key(0))
    record = fields[click_id.encode()]
    async with runtime.pool.connection() as connection:
        await connection.execute(
            "insert into click_collisions (id, shard, record) values (%s, 0, %s)",
            (click_id, record),
        )
        await connection.execute(
            "insert into clicks_rejected (entry, shard, record, error) "
            "values (%s, 0, %s, '')",
            (f"{position.decode()} {click_id.encode()!r}", record),
        )
    await runtime.redis.flushall()

    await erase_label(runtime, await label(), "root")

    assert left_in(await everything()) == []


async def test_with_redis_away_a_worker_finishes_it_later(
    jane, runtime, everything, settings
):
    click_id = await jane()
    away = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1")})
    async with open_runtime(away) as other:
        with pytest.raises(StoreUnavailableError):
            await erase_click(other, click_id, "root")
    await rows_of(
        runtime, "update erasures set erased_at = erased_at - interval '3 minutes'"
    )

    await finish_erasures(runtime)

    assert left_in(await everything()) == []


async def test_what_is_not_ours_is_refused(runtime, jane):
    click_id = await jane()
    forged = click_id[:-1] + ("0" if click_id[-1] != "0" else "1")

    with pytest.raises(ForgedClickIdError):
        await erase_click(runtime, forged, "root")
    with pytest.raises(NotFoundError):
        await runtime.erasures.get_label("nobody", "sub1", "x")


def an_early_click(runtime, partner):
    """Of two hours ago, with Jane's label."""
    click_id = runtime.mint.mint(
        now=datetime.now(UTC) - timedelta(hours=2),
        shard=0,
        click_class=ClickClass.VISIT,
        partner_number=runtime.catalog.partners[partner].number,
        offer_number=runtime.catalog.offers["shoes"].number,
    )
    return Click(click_id, 1, subs=("jane@example.org", *("",) * 9))


async def finish(runtime, claim):
    await runtime.partitions.make_ahead(claim.leases[0].claimed_at.date())
    endings = [await attempt_delivery(runtime, one) for one in claim.leases]
    await finish_deliveries(runtime, endings)


async def rows_of(runtime, *statements):
    async with runtime.pool.connection() as connection:
        for statement in statements:
            await connection.execute(statement)
