import pytest
from psycopg import OperationalError

from tracker.domain.click import Visit
from tracker.domain.errors import BusyError, StoreUnavailableError
from tracker.flow.clicklog import fold_clicks, fold_others
from tracker.flow.redirect import redirect_visitor
from tracker.flow.start import start
from tracker.runtime import open_runtime
from tracker.store.clicks import stream_key


async def test_clicks_are_folded_into_the_day_of_their_id(visit, runtime, rows):
    ids = [await visit(sub1=str(n)) for n in range(3)]

    assert await fold_clicks(runtime, 0) == 3

    found = await rows("select id, day, clicked_at, sub1 from clicks order by id")
    assert [row["id"] for row in found] == sorted(ids)
    assert {row["day"] for row in found} == {found[0]["clicked_at"].date()}
    assert await runtime.stream.count(0) == 0


async def test_more_clicks_than_one_transaction_takes_are_all_folded(
    visit, runtime, rows, monkeypatch
):
    monkeypatch.setattr("tracker.flow.clicklog.AT_ONCE", 2)
    ids = [await visit() for _ in range(5)]
    await runtime.redis.xadd(stream_key(0), {b"not an id": b"not a record"})

    assert await fold_clicks(runtime, 0) == 6

    found = await rows("select id from clicks order by id")
    assert [row["id"] for row in found] == sorted(ids)
    assert await rows("select count(*) from clicks_rejected") == [{"count": 1}]


async def test_a_crash_between_insert_and_acknowledge_folds_once(
    visit, runtime, rows, monkeypatch
):
    await visit()

    async def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(runtime.stream, "trim", dies)
        with pytest.raises(KeyboardInterrupt):
            await fold_clicks(runtime, 0)
    assert await runtime.stream.count(0) == 1
    await fold_clicks(runtime, 0)

    assert await rows("select count(*) from clicks") == [{"count": 1}]
    assert await rows("select count(*) from click_collisions") == [{"count": 0}]
    assert await runtime.stream.count(0) == 0


async def test_what_cannot_be_folded_is_set_aside_and_the_rest_goes_on(
    visit, runtime, rows
):
    good = [await visit()]
    await runtime.redis.xadd(stream_key(0), {b"not an id": b"not a record"})
    spoiled = await visit(sub1="spoiled")
    await _put_a_nul_into(runtime, spoiled)
    good.append(await visit())

    await fold_clicks(runtime, 0)

    assert {row["id"] for row in await rows("select id from clicks")} == set(good)
    assert await rows("select count(*) from clicks_rejected") == [{"count": 2}]
    assert await runtime.stream.count(0) == 0


async def test_a_store_that_is_away_loses_nothing(visit, runtime, rows, monkeypatch):
    await visit()

    async def is_away(*_):
        raise StoreUnavailableError from OperationalError()

    with monkeypatch.context() as outage:
        outage.setattr(runtime.click_log, "insert", is_away)
        with pytest.raises(StoreUnavailableError):
            await fold_clicks(runtime, 0)
    await fold_clicks(runtime, 0)

    assert await rows("select count(*) from clicks") == [{"count": 1}]


async def test_a_click_that_has_to_wait_for_a_lock_comes_again(visit, runtime, rows):
    await visit()
    async with runtime.pool.connection() as other, other.transaction():
        await other.execute("lock table click_rollups in exclusive mode")
        with pytest.raises(BusyError):
            await fold_clicks(runtime, 0)

    await fold_clicks(runtime, 0)

    assert await rows("select count(*) from clicks") == [{"count": 1}]
    assert await rows("select count(*) from clicks_rejected") == [{"count": 0}]


async def test_another_click_under_a_folded_id_is_a_collision(visit, runtime, rows):
    """Redis was flushed, and the id was used again: neither click may vanish."""
    click_id = await visit(sub1="first")
    await fold_clicks(runtime, 0)
    other = await visit(sub1="second")
    ((_, fields),) = await runtime.redis.xrange(stream_key(0))
    await runtime.redis.xtrim(stream_key(0), maxlen=0)
    await runtime.redis.xadd(stream_key(0), {click_id: fields[other.encode()]})

    await fold_clicks(runtime, 0)

    assert await rows("select sub1 from clicks") == [{"sub1": "first"}]
    assert await rows("select id from click_collisions") == [{"id": click_id}]


async def test_another_click_under_an_id_of_the_same_batch_is_a_collision(
    visit, runtime, rows
):
    click_id, other = await visit(sub1="first"), await visit(sub1="second")
    entries = await runtime.redis.xrange(stream_key(0))
    record = next(one[other.encode()] for _, one in entries if other.encode() in one)
    await runtime.redis.xadd(stream_key(0), {click_id: record})

    await fold_clicks(runtime, 0)

    assert await rows("select count(*) from clicks") == [{"count": 2}]
    assert await rows("select id from click_collisions") == [{"id": click_id}]


async def test_a_shard_has_one_reader_at_a_time(visit, runtime):
    await visit()
    assert await runtime.stream.lease(0)
    runtime.stream._owner = "another worker"
    assert not await runtime.stream.lease(0)


async def test_a_shard_that_is_used_no_longer_is_emptied_all_the_same(
    settings, app, visit, rows
):
    """Clicks came while there were four shards, and now there is one."""
    many = settings.model_copy(update={"shards": 4})
    async with open_runtime(many) as runtime:
        await start(runtime)
        runtime.shard = 3
        visitor = Visit("bestdeals", "shoes", {"sub1": "stranded"})
        await redirect_visitor(runtime, visitor)

    await fold_others(app.runtime)

    assert await rows("select sub1 from clicks") == [{"sub1": "stranded"}]


async def test_a_redis_that_is_full_can_still_be_emptied(visit, runtime, rows):
    """Whatever the fold has to write itself must not be refused."""
    await visit()
    await runtime.redis.config_set("maxmemory", "1mb")
    try:
        await fold_clicks(runtime, 0)
    finally:
        await runtime.redis.config_set("maxmemory", "0")

    assert await rows("select count(*) from clicks") == [{"count": 1}]
    assert await runtime.stream.count(0) == 0


async def _put_a_nul_into(runtime, click_id):
    """As if an older version had let it through."""
    entries = await runtime.redis.xrange(stream_key(0))
    position, fields = next(entry for entry in entries if click_id.encode() in entry[1])
    await runtime.redis.xdel(stream_key(0), position)
    record = fields[click_id.encode()].replace(b"spoiled", b"spoi\0ed")
    await runtime.redis.xadd(stream_key(0), {click_id: record})
