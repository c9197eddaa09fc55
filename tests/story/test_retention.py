"""What was kept for long enough goes, and nothing that is needed goes with it."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from structlog.testing import capture_logs

from tracker.domain.click import Click
from tracker.domain.click_id import ClickClass, facts_of
from tracker.domain.identity import new_postback_id
from tracker.domain.postback import Postback
from tracker.flow.clicklog import fold_clicks
from tracker.flow.erasure import erase_click
from tracker.flow.maintenance import make_partitions
from tracker.flow.postback import accept_spooled, hear
from tracker.flow.retention import apply_retention, terms
from tracker.store.partitions import TABLES

TODAY = datetime.now(UTC).date()


@pytest.fixture
async def witnesses(runtime):
    """A tracker that has run for a while: the last days of each table are there."""
    days = [TODAY - timedelta(days=n) for n in range(5)]
    for table in TABLES:
        await runtime.partitions.ensure(table, days)


@pytest.fixture
def come_late(runtime):
    """A click of some days ago arrives in the stream only now; its id."""

    async def come_late(days, **changed):
        click = an_old_click(runtime, days, **changed)
        await runtime.clicks.insert(0, [click])
        return click.id

    return come_late


def an_old_click(runtime, days, **changed):
    offer, partner = (
        runtime.catalog.offers["shoes"],
        runtime.catalog.partners["bestdeals"],
    )
    click_id = runtime.mint.mint(
        now=datetime.now(UTC) - timedelta(days=days),
        shard=0,
        click_class=ClickClass.VISIT,
        partner_number=partner.number,
        offer_number=offer.number,
    )
    return Click(click_id, 1, subs=("blog", *("",) * 9)).but(**changed)


async def test_a_day_is_dropped_when_it_was_kept_for_long_enough(runtime, witnesses):
    kept, expired = TODAY - timedelta(days=90), TODAY - timedelta(days=91)
    await runtime.partitions.ensure("clicks", [kept, expired])

    await apply_retention(runtime)

    days = await runtime.partitions.list_days("clicks")
    assert (kept in days, expired in days) == (True, False)


async def test_each_table_has_a_term_of_its_own(runtime, witnesses):
    for table, keep in terms(runtime.settings).items():
        days = [TODAY - keep - timedelta(days=n) for n in (0, 1)]
        await runtime.partitions.ensure(table, days)

    await apply_retention(runtime)

    for table, keep in terms(runtime.settings).items():
        assert min(await runtime.partitions.list_days(table)) == TODAY - keep, table


async def test_a_clock_that_jumped_ahead_drops_nothing(runtime, witnesses, rows):
    """Nobody sees the year 2029 for two days without somebody looking at it."""
    await rows_of(runtime, _at("+ interval '3 years'"))
    await make_partitions(runtime)

    await apply_retention(runtime)

    assert TODAY in await runtime.partitions.list_days("clicks")


async def test_a_clock_that_stays_ahead_is_believed_two_days_later(runtime, witnesses):
    for days in (1000, 1001, 1002):
        await rows_of(runtime, _at(f"+ interval '{days} days'"))
        await make_partitions(runtime)

    await apply_retention(runtime)

    assert TODAY not in await runtime.partitions.list_days("clicks")


async def test_a_day_that_is_read_is_dropped_later_and_keeps_nobody_waiting(
    runtime, witnesses, settings, monkeypatch
):
    monkeypatch.setattr("tracker.flow.retention.TRY_AGAIN_SECONDS", 0)
    expired = TODAY - timedelta(days=100)
    await runtime.partitions.ensure("clicks", [expired])

    async with await psycopg.AsyncConnection.connect(
        settings.database_conninfo
    ) as reader:
        await reader.execute("select count(*) from clicks")
        await apply_retention(runtime)
        assert expired in await runtime.partitions.list_days("clicks")

    await apply_retention(runtime)
    assert expired not in await runtime.partitions.list_days("clicks")


async def test_workers_that_do_it_at_once_harm_nobody(runtime, witnesses, at_once):
    expired = [TODAY - timedelta(days=n) for n in range(100, 110)]
    await runtime.partitions.ensure("clicks", expired)

    await at_once(*[apply_retention(runtime) for _ in range(3)])

    assert not await runtime.partitions.list_days("clicks") & set(expired)


async def test_a_click_whose_day_was_dropped_comes_late_with_its_neighbours(
    runtime, witnesses, come_late, visit, rows
):
    """Another process had dropped it, so this one remembers a day that is gone."""
    late = await come_late(100)
    day = facts_of(late).day
    await runtime.partitions.ensure("clicks", [day])
    await rows_of(runtime, f"drop table clicks_{day:%Y%m%d}")
    fresh = await visit()

    await fold_clicks(runtime, 0)

    assert {row["id"] for row in await rows("select id from clicks")} == {late, fresh}
    assert await rows("select count(*) from clicks_rejected") == [{"count": 0}]
    await apply_retention(runtime)
    assert await rows("select id from clicks") == [{"id": fresh}]


async def test_a_postback_whose_day_was_dropped_meanwhile_is_accepted(
    runtime, advertiser, visit, rows
):
    click_id = await visit()
    await runtime.partitions.ensure("postbacks", [TODAY])
    await rows_of(runtime, f"drop table postbacks_{TODAY:%Y%m%d}")

    answer = await advertiser.report(click_id)

    assert answer.json()["status"] == "accepted"
    assert await rows("select count(*) from postbacks") == [{"count": 1}]


async def test_a_delivery_finishes_though_the_day_of_its_attempt_was_dropped(
    runtime, advertiser, visit, run_worker_once, rows
):
    await advertiser.report(await visit())
    await runtime.partitions.make_ahead(TODAY)
    await rows_of(runtime, f"drop table delivery_attempts_{TODAY:%Y%m%d}")

    assert await run_worker_once() == 1

    assert await rows("select outcome from delivery_attempts") == [
        {"outcome": "delivered"}
    ]


async def test_a_conversion_keeps_the_labels_of_its_click(
    runtime, witnesses, come_late, advertiser, partner, run_worker_once, rows
):
    """It was pending when the day of its click was dropped, and is approved now."""
    click_id = await come_late(20)
    await advertiser.report(click_id, goal="install")
    await run_worker_once()
    await runtime.redis.flushall()
    await retire_clicks(runtime, days=10)

    await advertiser.report(click_id, goal="install", status="approved")
    await run_worker_once()

    assert await rows("select id from clicks") == []
    assert [one["cid"] for one in partner.told] == ["blog", "blog"]


async def test_an_erased_click_leaves_no_labels(
    runtime, witnesses, come_late, advertiser, partner, run_worker_once, rows
):
    """Nor is its partner told of a later change with empty ones."""
    click_id = await come_late(20)
    await advertiser.report(click_id, goal="install")
    await run_worker_once()
    await erase_click(runtime, click_id, "root")
    await retire_clicks(runtime, days=10)

    await advertiser.report(click_id, goal="install", status="approved")
    await run_worker_once()

    assert [one["cid"] for one in partner.told] == ["blog"]
    assert await rows("select held_reason from deliveries") == [
        {"held_reason": "click_details"}
    ]


async def test_an_offer_whose_window_is_longer_than_clicks_are_kept_is_named(
    runtime, witnesses
):
    with capture_logs() as logged:
        await retire_clicks(runtime, days=30)
        await retire_clicks(runtime, days=31)

    named = [one["offer"] for one in logged if one["event"] == "retention.short"]
    assert len(named) == 1


async def test_labels_of_clicks_without_a_conversion_are_not_kept(
    runtime, witnesses, come_late, rows
):
    await come_late(20)
    await fold_clicks(runtime, 0)

    await retire_clicks(runtime, days=10)

    assert await rows("select id from click_labels") == []


async def test_addresses_are_truncated_when_they_were_kept_for_long_enough(
    runtime, witnesses, rows
):
    await insert_clicks(
        runtime, {40: "203.0.113.77", 31: "2001:db8:1:2:3:4:5:6", 29: "203.0.113.77"}
    )

    await apply_retention(runtime)

    found = await rows("select address::text from clicks order by day")
    assert [row["address"] for row in found] == [
        "203.0.113.0/24",
        "2001:db8:1::/48",
        "203.0.113.77/32",
    ]


async def test_a_day_is_truncated_once(runtime, witnesses, rows):
    """What is done is not read again, though it were the whole day."""
    await insert_clicks(runtime, {40: "203.0.113.77"})
    await apply_retention(runtime)
    await rows_of(runtime, "update clicks set address = '203.0.113.77'")

    await apply_retention(runtime)

    found = await rows("select address::text from clicks")
    assert found == [{"address": "203.0.113.77/32"}]


async def test_more_blocks_than_one_statement_takes_are_all_truncated(
    runtime, witnesses, rows, monkeypatch
):
    monkeypatch.setattr("tracker.store.retention.BLOCKS_AT_ONCE", 1)
    await insert_clicks(runtime, {40: "203.0.113.77"}, copies=300)

    await apply_retention(runtime)

    found = await rows("select distinct address::text from clicks")
    assert found == [{"address": "203.0.113.0/24"}]


async def test_a_click_that_comes_after_its_day_was_truncated_has_no_full_address(
    runtime, come_late, rows
):
    await come_late(40, address="203.0.113.77")

    for _ in range(2):
        await fold_clicks(runtime, 0)

    found = await rows("select address::text from clicks")
    assert found == [{"address": "203.0.113.0/24"}]


async def test_senders_of_postbacks_are_truncated_too(
    runtime, witnesses, advertiser, visit, rows
):
    await advertiser.report(await visit())
    await rows_of(
        runtime,
        "update postbacks set address = '203.0.113.77'",
        _at("+ interval '31 days'"),
    )
    for days in (28, 29, 30, 31):
        day = TODAY + timedelta(days=days)
        await runtime.partitions.ensure("postbacks", [day])

    await apply_retention(runtime)

    found = await rows("select address::text from postbacks")
    assert found == [{"address": "203.0.113.0/24"}]


async def test_a_postback_that_waited_on_disk_for_too_long_has_no_full_address(
    runtime, rows
):
    """Its day was truncated before it came, and is not truncated again."""
    at = datetime.now(UTC) - timedelta(days=40)
    late = Postback(
        id=new_postback_id(at),
        received_at=at,
        method="GET",
        path="/postback",
        address="203.0.113.77",
    )

    await accept_spooled(runtime, [hear(late, runtime.rules())])

    found = await rows("select address::text from postbacks")
    assert found == [{"address": "203.0.113.0/24"}]


async def test_what_was_set_aside_goes_with_the_addresses(runtime, witnesses, rows):
    await rows_of(
        runtime,
        "insert into click_collisions (id, shard, record, found_at) "
        "values ('old', 0, '', now() - interval '31 days'), ('new', 0, '', now())",
        "insert into clicks_rejected (entry, shard, record, error, rejected_at) "
        "values ('old', 0, '', '', now() - interval '31 days')",
    )

    await apply_retention(runtime)

    assert await rows("select id from click_collisions") == [{"id": "new"}]
    assert await rows("select entry from clicks_rejected") == []


async def test_a_nonce_is_remembered_for_a_week(runtime, witnesses, rows):
    await rows_of(
        runtime,
        "insert into nonces (advertiser, nonce, content, postback_id, used_at) "
        "select 'acme', days || ' days', '', '', now() - days * interval '1 day' "
        "  from unnest(array[6, 8]) as days",
    )

    await apply_retention(runtime)

    assert await rows("select nonce from nonces") == [{"nonce": "6 days"}]


async def retire_clicks(runtime, *, days):
    """As if clicks were kept for so many days."""
    settings = runtime.settings
    runtime.settings = settings.model_copy(
        update={"retention_clicks": timedelta(days=days)}
    )
    await apply_retention(runtime)
    runtime.settings = settings


async def insert_clicks(runtime, addresses, copies=1):
    """Clicks with an address each, by how many days ago they came."""
    for days, address in addresses.items():
        clicks = [an_old_click(runtime, days) for _ in range(copies)]
        day = facts_of(clicks[0].id).day
        await runtime.partitions.ensure("clicks", [day])
        async with runtime.pool.connection() as connection:
            for click in clicks:
                await connection.execute(
                    "insert into clicks (day, id, clicked_at, class, partner_number, "
                    "offer_number, catalog_version, address) "
                    "values (%s, %s, now(), 0, 1, 1, 1, %s)",
                    (day, click.id, address),
                )


async def rows_of(runtime, *statements):
    async with runtime.pool.connection() as connection:
        for statement in statements:
            await connection.execute(statement)


def _at(offset):
    return (
        "create or replace function tracker_now() returns timestamptz "
        f"language sql volatile as $$ select clock_timestamp() {offset} $$"
    )


async def test_the_audit_log_is_kept_for_long_and_who_was_refused_for_less(
    runtime, witnesses, rows
):
    """What a stranger types as a name may be anything, somebody's password too."""
    await rows_of(
        runtime,
        "insert into audit_log (at, who, address, action, about, detail) "
        "select now() - days * interval '1 day', days || ' days', '', action, '', '' "
        "  from unnest(array[0, 89, 91, 729, 731]) as days,"
        "       unnest(array['sign_in.refused', 'sign_in.accepted']) as action",
    )

    await apply_retention(runtime)

    kept = {"sign_in.refused": [], "sign_in.accepted": []}
    for row in await rows("select action, who from audit_log order by at desc"):
        kept[row["action"]].append(row["who"])
    assert kept == {
        "sign_in.refused": ["0 days", "89 days"],
        "sign_in.accepted": ["0 days", "89 days", "91 days", "729 days"],
    }
