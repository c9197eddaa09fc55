"""Which days a lookup reads: Postgres counts the scans of each partition."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from parties import a_click

from tracker.domain.click_id import ClickClass, ClickIdMint, SigningKeys, facts_of
from tracker.domain.erasure import LabelHasher
from tracker.domain.traffic import Seen
from tracker.store.clicklog import ClickLog, Entry, LoggedClick
from tracker.store.partitions import Partitions
from tracker.store.postgres import make_pool

DAYS = 90
LOOKUPS = 100

SCANS = """
select relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0)
  from pg_stat_user_tables
 where relid in (select inhrelid from pg_inherits where inhparent = 'clicks'::regclass)
"""
PREPARED = """
select coalesce(sum(generic_plans + custom_plans), 0)::int
  from pg_prepared_statements
 where statement like '%clicks%'
"""

KEYS = SigningKeys(0, {0: b"0" * 32})


@pytest.fixture
async def pool(database_url):
    """One connection: what it has prepared, and what it has read, is all there is."""
    async with make_pool(database_url, size=1) as pool:
        yield pool


@pytest.fixture
async def click_log(pool):
    return ClickLog(pool, Partitions(pool), timedelta(days=30), LabelHasher(KEYS))


@pytest.fixture
def scans(pool):
    """How often the partition of each day was read so far."""

    async def scans():
        async with pool.connection() as connection:
            await connection.execute("select pg_stat_force_next_flush()")
            found = await connection.execute(SCANS)
            return Counter(dict(await found.fetchall()))

    return scans


@pytest.fixture
def count_prepared(pool):
    """How often a statement on clicks was run that had been prepared."""

    async def count_prepared():
        async with pool.connection() as connection:
            found = await connection.execute(PREPARED)
            return (await found.fetchone())[0]

    return count_prepared


def clicked(days_ago):
    click_id = ClickIdMint(KEYS).mint(
        now=datetime.now(UTC) - timedelta(days=days_ago),
        shard=0,
        click_class=ClickClass.VISIT,
        partner_number=1,
        offer_number=1,
    )
    entry = Entry(0, "0-1", click_id.encode(), b"")
    return LoggedClick(facts_of(click_id), a_click(id=click_id), entry, Seen("visit"))


async def test_a_hundred_prepared_lookups_read_only_the_days_of_their_ids(
    click_log, scans, count_prepared
):
    """Of ninety days; three at once, of which one has no such click."""
    clicks = [clicked(days_ago) for days_ago in range(DAYS)]
    await click_log.insert(clicks)
    stranger = clicked(days_ago=5)
    asked = [[clicks[n % 30], clicks[n * 7 % 30 + 30]] for n in range(LOOKUPS)]
    before = await scans()

    for known in asked:
        found = await click_log.list_known(one.facts for one in [*known, stranger])
        assert found == {one.facts.id: one.click for one in known}

    days = [one.facts.day for known in asked for one in [*known, stranger]]
    named = Counter(f"clicks_{day:%Y%m%d}" for day in days)
    read = await scans() - before
    assert set(read) == set(named)
    assert read <= named
    assert await count_prepared() > LOOKUPS * 0.9
