"""Stores that are away: cut off at the wire, so that what fails is the real thing."""

import asyncio
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import psycopg
import pytest
import redis as blocking_redis

from tracker.flow import drain
from tracker.flow.delivery import deliver_due, sweep_deliveries
from tracker.flow.drain import drain_spools
from tracker.flow.spool import Arrival
from tracker.spool import Kind

CLICK = "/c/bestdeals/shoes"


def said(answer):
    body = answer.json()
    return body["status"], body["reason"]


class Cord:
    """The way to a store's socket: a link in a folder, that can be cut."""

    def __init__(self, place: Path, target: Path, hang_up):
        self._place, self._target, self._hang_up = place, target, hang_up
        self.mend()

    def cut(self):
        self._place.unlink()
        self._hang_up()

    def mend(self):
        self._place.symlink_to(self._target)


@pytest.fixture
def redis_cord(redis_url, short_folder):
    def hang_up():
        with blocking_redis.Redis.from_url(redis_url) as client:
            client.client_kill_filter(_type="normal", skipme=True)

    socket = Path(urlsplit(redis_url).path)
    return Cord(short_folder / "redis.sock", socket, hang_up)


@pytest.fixture
def postgres_cord(database_url, short_folder):
    def hang_up():
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where pid <> pg_backend_pid() and datname = current_database()"
            )

    folder = Path(unquote(parse_qs(urlsplit(database_url).query)["host"][0]))
    return Cord(short_folder / "pg", folder, hang_up)


@pytest.fixture
def settings(settings, redis_cord, postgres_cord, database_url):
    place = quote(str(postgres_cord._place), safe="")
    url = urlsplit(database_url)._replace(query=f"host={place}").geturl()
    return settings.model_copy(
        update={
            "redis_url": type(settings.redis_url)(f"unix://{redis_cord._place}"),
            "database_url": type(settings.database_url)(url),
            "spool_free_bytes": 0,
        }
    )


@pytest.fixture
def back(runtime):
    """Waits until the outage is over, and what had to wait has been drained."""

    async def back(outage):
        async with asyncio.timeout(10):
            while outage.is_on:  # noqa: ASYNC110 - the store is asked, not we
                await asyncio.sleep(0.01)
        await drain_spools(runtime)
        assert runtime.spools.waiting == 0

    return back


async def test_a_click_is_kept_on_disk_while_redis_is_away(
    visit, runtime, redis_cord, back, rows
):
    redis_cord.cut()
    ids = [await visit(sub1=str(n)) for n in range(5)]
    assert runtime.redis_outage.is_on

    redis_cord.mend()
    await back(runtime.redis_outage)

    found = await rows("select id, sub1 from clicks order by sub1")
    assert [row["id"] for row in found] == ids


async def test_clicks_go_to_redis_again_as_soon_as_it_is_back(
    visit, runtime, redis_cord, back
):
    redis_cord.cut()
    await visit()
    redis_cord.mend()
    await back(runtime.redis_outage)

    await visit()

    assert await runtime.stream.count(0) == 1


@pytest.mark.parametrize(
    ("setting", "value", "undone"),
    [("maxmemory", "1", "0"), ("min-replicas-to-write", "3", "0")],
    ids=["full", "read-only"],
)
async def test_a_redis_that_takes_nothing_is_away(
    visit, runtime, redis_url, back, rows, setting, value, undone
):
    """It answers every ping, and no write."""
    with blocking_redis.Redis.from_url(redis_url) as client:
        client.config_set(setting, value)
        try:
            await visit(sub1="kept")
            assert runtime.redis_outage.is_on
        finally:
            client.config_set(setting, undone)
    await back(runtime.redis_outage)

    assert await rows("select sub1 from clicks") == [{"sub1": "kept"}]


async def test_a_postback_is_accepted_while_postgres_is_away(
    visit, advertiser, runtime, postgres_cord, back, rows, partner
):
    click_id = await visit(sub1="banner")
    postgres_cord.cut()

    answer = await advertiser.report(click_id, transaction_id="order-1")
    again = await advertiser.report(click_id, transaction_id="order-1")

    assert (answer.status_code, said(answer)) == (202, ("spooled", ""))
    assert said(again) == ("spooled", "")
    postgres_cord.mend()
    await back(runtime.postgres_outage)
    kept = await rows("select outcome, reason from postbacks order by received_at")
    assert kept == [
        {"outcome": "accepted", "reason": ""},
        {"outcome": "duplicate", "reason": "repeated"},
    ]
    await deliver_due(runtime)
    assert [told["cid"] for told in partner.told] == ["banner"]


async def test_it_is_judged_as_of_its_arrival(
    visit, advertiser, runtime, postgres_cord, back, rows
):
    click_id = await visit()
    postgres_cord.cut()
    answer = await advertiser.report(click_id)
    postgres_cord.mend()
    await back(runtime.postgres_outage)

    (row,) = await rows("select id, received_at, catalog_version from postbacks")
    (one,) = await rows("select converted_at, catalog_version from conversions")
    assert row["id"] == answer.json()["postback_id"]
    assert one["converted_at"] == row["received_at"]
    assert one["catalog_version"] == row["catalog_version"] == 1


@pytest.mark.parametrize(
    "sent",
    [
        {"token": "wrong"},
        {"token": None},
        {"click_id": "2n0fpxn100mwp3r000010001sb8gxgak"},
    ],
    ids=["bad_token", "missing_token", "forged_click"],
)
async def test_a_stranger_cannot_fill_the_disk(
    visit, advertiser, runtime, postgres_cord, sent
):
    click_id = await visit()
    postgres_cord.cut()

    answer = await advertiser.report(**{"click_id": click_id, **sent})

    assert answer.status_code == 503
    assert runtime.spools.waiting == 0
    postgres_cord.mend()


async def test_a_proven_one_that_will_be_refused_is_kept_all_the_same(
    visit, advertiser, runtime, postgres_cord, back, rows
):
    click_id = await visit()
    postgres_cord.cut()
    answer = await advertiser.report(click_id, goal="no-such-goal")
    postgres_cord.mend()
    await back(runtime.postgres_outage)

    assert said(answer) == ("spooled", "")
    (row,) = await rows("select outcome, reason from postbacks")
    assert row == {"outcome": "quarantined", "reason": "unknown_goal"}


async def test_a_commit_whose_answer_was_lost_is_recognised(
    visit, advertiser, runtime, rows
):
    """The same postback comes again through the spool, and changes nothing."""
    click_id = await visit()
    answer = await advertiser.report(click_id)
    (postback_id,) = [row["id"] for row in await rows("select id from postbacks")]
    postback = await _as_it_came(runtime, postback_id)

    await runtime.spools.insert(Kind.POSTBACK, [_body(postback)], 10)
    await drain_spools(runtime)

    assert said(answer) == ("accepted", "")
    assert await rows("select outcome from postbacks") == [{"outcome": "accepted"}]
    assert await rows("select count(*) from conversion_changes") == [{"count": 1}]


async def test_both_stores_away_and_the_disk_too(
    visit, advertiser, client, runtime, redis_cord, postgres_cord, monkeypatch
):
    """The visitor arrives, the advertiser is told to come again."""
    click_id = await visit()
    redis_cord.cut()
    postgres_cord.cut()
    room = type(runtime.spools._room)(most=1 << 30, free=1 << 62)
    monkeypatch.setattr(runtime.spools, "_room", room)
    await runtime.spools.close()

    redirected = await client.get(CLICK)
    answer = await advertiser.report(click_id)

    assert redirected.status_code == 302
    assert answer.status_code == 503
    assert "too full" in runtime.spools.fault


async def test_details_that_waited_on_disk_reach_the_partner(
    visit, advertiser, runtime, redis_cord, back, partner
):
    """The delivery is held until its click has been drained."""
    redis_cord.cut()
    click_id = await visit(sub1="late")
    await advertiser.report(click_id)
    assert await deliver_due(runtime) == 0

    redis_cord.mend()
    await back(runtime.redis_outage)
    await sweep_deliveries(runtime)
    await deliver_due(runtime)

    assert [told["cid"] for told in partner.told] == ["late"]


async def test_readiness_names_what_is_away_and_what_waits(
    visit, client, runtime, redis_cord
):
    redis_cord.cut()
    await visit()

    answer = await client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["degraded"]["spool"] == "records that wait: 1"
    redis_cord.mend()


async def test_what_is_no_postback_is_set_aside_and_the_rest_goes_on(
    visit, advertiser, runtime, postgres_cord, back, rows
):
    click_id = await visit()
    await runtime.spools.insert(Kind.POSTBACK, [b"rubbish"], 10)
    postgres_cord.cut()
    await advertiser.report(click_id)
    postgres_cord.mend()
    await back(runtime.postgres_outage)

    assert await rows("select outcome from postbacks") == [{"outcome": "accepted"}]
    (spool,) = runtime.spools.spools
    assert not await spool.is_empty()


async def test_what_nothing_but_rubbish_is_left_of_is_set_aside(runtime):
    """And what comes after it is drained all the same."""
    await runtime.spools.insert(Kind.POSTBACK, [b"rubbish"], 10)

    await drain_spools(runtime)
    await drain_spools(runtime)

    assert runtime.spools.waiting == 0


async def test_drains_at_once_take_and_count_each_record_once(runtime):
    await runtime.spools.insert(Kind.POSTBACK, [b"rubbish"] * 3, 10)

    await asyncio.gather(*(drain_spools(runtime) for _ in range(4)))

    assert runtime.spools.waiting == 0
    assert await runtime.spools.spools[0].list_waiting(10) == []


async def test_a_conversion_younger_than_the_catalog_of_arrival_is_judged_by_ours(
    visit, advertiser, runtime, postgres_cord, back, rows, monkeypatch
):
    """It was kept on disk by a process that had not heard of the offer yet."""
    click_id = await visit()
    await advertiser.report(click_id, goal="sale", amount="10", transaction_id="T")
    postgres_cord.cut()
    await advertiser.report(
        route="/acme", goal="sale", amount="10", transaction_id="T", status="rejected"
    )
    postgres_cord.mend()
    shoes = replace(runtime.catalog.offers["shoes"], key="boots", number=99)
    older = replace(runtime.catalog, offers={"boots": shoes})
    older_rules = runtime.rules().but(catalog=older)

    async def of_then(*_):
        return older_rules

    monkeypatch.setattr(drain, "_rules_of", of_then)
    await back(runtime.postgres_outage)

    assert await rows("select status from conversions") == [{"status": "rejected"}]


async def test_rubbish_in_place_of_a_click_is_set_aside(runtime, rows):
    await runtime.spools.insert(Kind.CLICK, [b"\xff" * 50, b""], 10)

    await drain_spools(runtime)

    assert runtime.spools.waiting == 0
    assert await rows("select count(*) from clicks_rejected") == [{"count": 2}]


def _body(postback):
    from tracker.flow import spool  # noqa: PLC0415 - for its encoder alone

    return spool._ENCODER.encode(Arrival(postback, 1))


async def _as_it_came(runtime, postback_id):
    async with runtime.conversions.transaction() as opened:
        await opened.connection.execute("update postbacks set outcome = 'quarantined'")
        postback = await opened.get_quarantined(postback_id)
        await opened.connection.execute("update postbacks set outcome = 'accepted'")
    return postback
