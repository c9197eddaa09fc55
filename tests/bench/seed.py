"""
Many rows, as if their requests had been made.

Each is a copy of one that a real request left, under an id of its own: what the
product writes tomorrow is what is multiplied.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import servers
from published import URL
from sales import visit

from tracker.domain.click import Click
from tracker.domain.click_id import ClickClass, ClickId, ClickIdMint, facts_of
from tracker.domain.erasure import LabelHasher
from tracker.domain.traffic import Seen
from tracker.settings import load_settings
from tracker.store.clicklog import ClickLog, Entry, LoggedClick
from tracker.store.clicks import ClickStore, click_key, decode_click
from tracker.store.partitions import Partitions
from tracker.store.postgres import make_pool
from tracker.store.redis import make_client

AT_ONCE = 1000
_DAY = 86_400
_ADDRESS = "203.0.113.177"


def a_click(ground):
    """What one visit leaves in Redis; its visitor gets a public address."""
    with servers.web(ground) as ours:
        click_id = ClickId(visit(ours, URL))
    with ground.redis() as client:
        record = client.get(click_key(0, click_id))
        client.flushall()
    return decode_click(click_id, record).but(address=_ADDRESS)


def copies(ground, click, number, *, day=0) -> Iterator[Click]:
    """The click so many times, each under an id of its own, made so many days ago."""
    mint = ClickIdMint(load_settings(ground.environ).signing_keys)
    facts = facts_of(click.id)
    now = datetime.now(UTC) - timedelta(days=day)
    for _ in range(number):
        click_id = mint.mint(
            now=now,
            shard=0,
            click_class=ClickClass.VISIT,
            partner_number=facts.partner_number,
            offer_number=facts.offer_number,
        )
        destination = click.destination.replace(click.id, click_id)
        yield click.but(id=click_id, destination=destination)


def store_clicks(ground, clicks):
    """Into Redis, hot and not yet folded."""
    asyncio.run(_store(ground, clicks))


def log_clicks(ground, clicks):
    """Into the click log, and nowhere else; their ids."""
    return asyncio.run(_log(ground, list(clicks)))


async def _store(ground, clicks):
    client = make_client(ground.valkey.url, connections=1, timeout=30)
    store = ClickStore(client, seconds_to_live=_DAY)
    async with client:
        for batch in _batches(clicks):
            await store.insert(0, batch)


async def _log(ground, clicks):
    keys = load_settings(ground.environ).signing_keys
    async with make_pool(ground.postgres.url, size=1) as pool:
        log = ClickLog(pool, Partitions(pool), timedelta(days=90), LabelHasher(keys))
        for batch in _batches(clicks):
            await log.insert([_logged(click) for click in batch])
    return [click.id for click in clicks]


def _logged(click):
    return LoggedClick(facts_of(click.id), click, Entry(0, "", b"", b""), Seen("visit"))


def _batches(clicks):
    remaining = iter(clicks)
    return iter(lambda: list(islice(remaining, AT_ONCE)), [])


def multiply(connection, table, number, **columns):
    """
    So many copies of the one row of a table, each with `columns` of its own.

    These are SQL over `one`, the row, and `n`, the number of the copy.
    """
    changed = ", ".join(f"'{name}', {value}" for name, value in columns.items())
    connection.execute(f"""
        insert into {table}
        select made.*
          from {table} as one,
               generate_series(1, {number}) as n,
               jsonb_populate_record(one, jsonb_build_object({changed})) as made
    """)
