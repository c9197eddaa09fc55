"""A large month: ten million clicks, two hundred thousand conversions, made by SQL."""

import asyncio
import os
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from catalog_file import CatalogFile
from rounds import scaled

from tracker.domain.click_id import ClickClass
from tracker.domain.identity import milliseconds
from tracker.domain.person import Actor, Role, Standing
from tracker.flow.rollup import rebuild
from tracker.flow.start import start
from tracker.runtime import open_runtime
from tracker.settings import load_settings
from tracker.store.audit import Deed

DAYS = 30
FILE = CatalogFile(partners=200, offers=50)
COUNTRIES = [
    *("US", "DE", "GB", "FR", "ES", "IT", "NL", "PL", "SE", "BR", "IN", "CA", "JP"),
    *("AU", "MX", "AT", "CH", "BE", "PT", "DK", "NO", "FI", "CZ", "GR", "RO", "HU"),
    *("TR", "ZA", "KR", "AR"),
]
WHO = "bench"
PASSWORD = "correct horse battery staple"
TABLES = "clicks", "postbacks", "delivery_attempts", "delivery_archive"
PROVEN = 300
"""Clicks whose ids are as ours are: pages of clicks are asked for by these."""

_LIST_INDEXES = """
select indexname, indexdef
from   pg_indexes
where  tablename = 'clicks' and indexname <> 'clicks_pkey'
"""
_SOLD_CLICKS = """
select click_id, conversions.clicked_at, partner_number, offer_number
from   conversions
join   clicks on clicks.day = (conversions.clicked_at at time zone 'UTC')::date
             and clicks.id = click_id
limit  %(limit)s
"""
_RENAME_CLICK = """
update clicks
set    id = %(new)s
where  day = (%(at)s::timestamptz at time zone 'UTC')::date and id = %(old)s
"""
_RENAME = (
    _RENAME_CLICK,
    "update conversions set click_id = %(new)s where click_id = %(old)s",
    "update postbacks set click_id = %(new)s where click_id = %(old)s",
)


def fill(ground):
    """All of it, counted as the product counts; the ids of some clicks that sold."""
    FILE.write(ground.folder / "partners.yaml")
    return asyncio.run(_fill(ground))


async def _fill(ground):
    os.environ.update(ground.environ)
    async with open_runtime(load_settings(os.environ)) as runtime:
        await start(runtime)
        with ground.database() as connection:
            _make(connection, datetime.now(UTC))
            ids = [*_prove(connection, runtime.mint)]
        await _count(runtime)
        with ground.database() as connection:
            connection.execute("vacuum analyze")
        deed = Deed(Actor("bench"), "person.added", WHO)
        stored = await runtime.passwords.hash(PASSWORD)
        await runtime.people.insert(WHO, Standing(Role.VIEWER, None), stored, deed)
    return ids


async def _count(runtime):
    async for _ in rebuild(runtime):
        pass


def _make(connection, now):
    first = datetime.combine(now.date() - timedelta(days=DAYS - 1), time(), UTC)
    for setting in ("synchronous_commit = off", "work_mem = '256MB'"):
        connection.execute(f"set {setting}")
    for table in TABLES:
        connection.execute(
            "select tracker_make_partitions(%s, %s::date, %s::date + 1)",
            [table, first, now],
        )
    shared = {
        "now": now,
        "countries": COUNTRIES,
        "conversions": scaled(200_000),
        "share": 0.03,
    }
    connection.execute("create schema bench")
    with _without_indexes(connection):
        for statement in _statements():
            for days in _spans(first, now) if "-- _day:" in statement else [{}]:
                connection.execute(statement, {**shared, **days})


def _spans(first, now):
    """Each day's first millisecond, its length, and how many clicks it has."""
    for n in range(DAYS):
        begin = first + timedelta(days=n)
        length = min(timedelta(days=1), now - begin)
        clicks = int(scaled(10_000_000) / DAYS * (length / timedelta(days=1)))
        yield {
            "first_ms": milliseconds(begin),
            "length_ms": float(length / timedelta(milliseconds=1)),
            "clicks": max(1, clicks),
        }


@contextmanager
def _without_indexes(connection):
    """Those of clicks but the primary key are made when all of it is there."""
    found = connection.execute(_LIST_INDEXES).fetchall()
    for name, _ in found:
        connection.execute(f"drop index {name}")
    yield
    for _, definition in found:
        connection.execute(definition.replace(" ON ONLY ", " ON "))


def _statements():
    text = Path(__file__).with_suffix(".sql").read_text()
    parts = [one.strip().rstrip(";") for one in text.split(";\n\n")]
    return [one for one in parts if one]


def _prove(connection, mint):
    """The rest has no valid code, which nobody looks at in a list."""
    rows = connection.execute(_SOLD_CLICKS, {"limit": PROVEN}).fetchall()
    for old, at, partner, offer in rows:
        new = mint.mint(
            now=at,
            shard=0,
            click_class=ClickClass.VISIT,
            partner_number=partner,
            offer_number=offer,
        )
        for statement in _RENAME:
            connection.execute(statement, {"new": new, "old": old, "at": at})
        yield new
