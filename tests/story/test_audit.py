"""Clicks that were confirmed and that a store has lost are counted, to the click."""

from datetime import UTC, datetime, timedelta

import pytest

from tracker.domain.tally import SLICE, slice_at, start_of
from tracker.flow.audit import audit_clicks, save_counts
from tracker.flow.clicklog import fold_clicks
from tracker.flow.drain import drain_spools
from tracker.metrics import CLICKS_MISSING
from tracker.store.clicks import stream_key


@pytest.fixture
def audit(runtime):
    """One audit, as if so many minutes had passed; how many clicks are missing."""

    async def audit(minutes=4):
        await save_counts(runtime)
        await execute(
            runtime,
            "create or replace function tracker_now() returns timestamptz language sql "
            f"as $$ select clock_timestamp() + interval '{minutes} minutes' $$",
        )
        await audit_clicks(runtime)
        return CLICKS_MISSING._value.get()

    return audit


async def test_what_redis_has_lost_is_counted_to_the_click(visit, runtime, audit):
    """Flushed with the worker stopped, and then some more came."""
    for _ in range(2):
        await visit()
    await fold_clicks(runtime, 0)
    for _ in range(5):
        await visit()
    await runtime.redis.flushall()
    for _ in range(3):
        await visit()
    await fold_clicks(runtime, 0)

    assert await audit() == 5


async def test_what_only_waits_is_not_missing(visit, runtime, audit, rows):
    await visit()

    assert await audit() == 0
    assert await rows("select * from click_audits") == []


async def test_what_waits_on_disk_is_told_of_once_it_is_drained(
    visit, runtime, audit, rows
):
    runtime.redis_outage.is_on = True
    await visit()
    assert await audit() == 0
    assert await rows("select * from click_counts") == []

    await drain_spools(runtime)
    assert await audit() == 0
    assert await rows("select kept, found from click_audits") == [
        {"kept": 1, "found": 1}
    ]


async def test_what_has_just_come_is_not_judged(visit, runtime, audit, rows):
    await visit()
    await runtime.redis.flushall()

    assert await audit(minutes=1) == 0
    assert await rows("select * from click_audits") == []


async def test_what_comes_late_is_missing_no_more(visit, runtime, audit):
    """From a spool, say, that was drained an hour later."""
    await visit()
    late = await runtime.redis.xrange(stream_key(0))
    await runtime.redis.flushall()
    assert await audit() == 1
    for _, fields in late:
        await runtime.redis.xadd(stream_key(0), fields)
    await fold_clicks(runtime, 0)

    assert await audit(minutes=20) == 0


async def test_what_was_set_aside_is_not_missing(visit, runtime, audit):
    """A collision, and a record that Postgres refused, are kept elsewhere."""
    spoiled, twice = await visit(sub1="spoiled"), await visit(sub1="first")
    await visit(sub1="second")
    entries = [fields for _, fields in await runtime.redis.xrange(stream_key(0))]
    records = {name.decode(): one for each in entries for name, one in each.items()}
    second = next(one for one in records.values() if b"second" in one)
    await runtime.redis.delete(stream_key(0))
    for click_id, record in (
        (spoiled, records[spoiled].replace(b"spoiled", b"spoi\0ed")),
        (twice, records[twice]),
        (twice, second),
    ):
        await runtime.redis.xadd(stream_key(0), {click_id: record})
    await fold_clicks(runtime, 0)

    assert await audit() == 0


async def test_counts_wait_until_postgres_is_back(visit, runtime, audit, monkeypatch):
    """Two processes count, and one has to wait."""
    await visit()
    await fold_clicks(runtime, 0)
    await runtime.redis.flushall()

    with monkeypatch.context() as outage:
        outage.setattr(runtime.tally, "_pool", await _closed_pool(runtime))
        await save_counts(runtime)
    await visit()
    await runtime.redis.flushall()

    assert await audit() == 1


async def test_counts_are_saved_once_however_often(visit, runtime, rows):
    await visit()
    for _ in range(3):
        await save_counts(runtime)
    await visit()
    await save_counts(runtime)

    assert await rows("select sum(kept)::int from click_counts") == [{"sum": 2}]


def test_a_slice_begins_where_the_one_before_it_ends():
    now = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
    start = start_of(slice_at(now))

    assert start <= now < start + SLICE
    assert slice_at(start) == slice_at(start + SLICE - timedelta(milliseconds=1))
    assert start_of(slice_at(start + SLICE)) == start + SLICE


async def execute(runtime, statement):
    async with runtime.pool.connection() as connection:
        await connection.execute(statement)


async def _closed_pool(runtime):
    pool = type(runtime.pool)(runtime.pool.conninfo, open=False)
    await pool.close()
    return pool
