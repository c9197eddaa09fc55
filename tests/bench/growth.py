"""How cost grows: the same load on a small ground and on one that holds much."""

import asyncio
import time
from contextlib import contextmanager
from statistics import median

import httpx
import servers
from catalog_file import LARGE, SMALL
from clicklog import fold
from ground import prepared
from load import Requests
from published import HEADERS, URL
from rounds import Contestant, alternate, scaled
from sales import sales_of, visit
from seed import a_click, copies, log_clicks, multiply, store_clicks
from table import at_most

from tracker.store.deliveries import DeliveryStore
from tracker.store.postgres import make_pool

WARM_UP_SECONDS = 2
LINKS = 1_000
DAYS = 90
CLICKS_A_DAY = 1_000
CONVERTED_A_DAY = 10
LANES = 16
CLAIMED = 256
CLAIMS = 10

CLICK = at_most(1.1, None, "×")
POSTBACK = at_most(1.3, None, "×")
CLAIM = at_most(2, None, "×")


# Ids are a kind, three characters, and 24 more; a copy ends in its own number.
def _own_id(column):
    return f"overlay(one.{column} placing lpad(n::text, 16, '0') from 12)"


_OWN_COLUMNS = {
    "conversions": {
        "id": _own_id("id"),
        "transaction_id": "'copy-' || n",
    },
    "conversion_keys": {
        "key": "replace(one.key, 'sale-1', 'copy-' || n)",
        "conversion_id": _own_id("conversion_id"),
    },
    "conversion_changes": {
        "id": _own_id("id"),
        "conversion_id": _own_id("conversion_id"),
        "postback_id": _own_id("postback_id"),
    },
    "postbacks": {
        "id": _own_id("id"),
        "transaction_id": "'copy-' || n",
        "conversion_id": _own_id("conversion_id"),
    },
}
_OWN_DELIVERY = {
    "id": _own_id("id"),
    "change_id": _own_id("change_id"),
    "conversion_id": _own_id("conversion_id"),
    "partner": f"'partner-' || n % {LANES}",
    "lane": f"replace(one.lane, one.partner, 'partner-' || n % {LANES})",
    "due_at": "one.due_at - n * interval '1 microsecond'",
}


def measure_partners():
    """Clicks on a thousand links of a large catalog, and on ten of a small one."""
    with _serving(SMALL) as few, _serving(LARGE) as many:
        yield _clicks(
            "click CPU with 10,000 partners against 10",
            Contestant(few, Requests(SMALL.links(LINKS)), HEADERS),
            Contestant(many, Requests(LARGE.links(LINKS)), HEADERS),
        )


def measure_stored_clicks():
    """Clicks are hot in Redis and folded into Postgres, before the first round."""
    with prepared() as small, prepared() as large:
        _keep_clicks(small, scaled(10_000))
        _keep_clicks(large, scaled(1_000_000))
        with servers.web(small) as few, servers.web(large) as many:
            yield _clicks(
                "click CPU with 1,000,000 stored clicks against 10,000",
                Contestant(few, Requests((URL,)), HEADERS),
                Contestant(many, Requests((URL,)), HEADERS),
            )


def measure_conversions():
    """Sales of clicks that only Postgres has: of ninety days, and of today."""
    with prepared() as empty, prepared() as full:
        few_ids, many_ids = log_days(empty, 1), log_days(full, DAYS)
        with servers.web(empty) as few, servers.web(full) as many:
            convert(full, many, many_ids[0])
            contestants = {
                "none": Contestant(few, sales_of(few_ids, "sale")),
                "million": Contestant(many, sales_of(many_ids, "sale")),
            }
            rounds = _compete(contestants)
        cpu = median(rounds.ratios("cpu", "million", "none"))
        yield rounds.compare(
            "postback with 1,000,000 conversions and 90 click partitions against none",
            POSTBACK,
            rounds.ratios("seconds", "million", "none"),
            f"time of each, 64 connections; server CPU {cpu:.2f}×",
        )


def measure_claims():
    """What a worker claims at once, from 16 partners, out of much or little."""
    with prepared() as small, prepared() as large:
        _owe(small, 500)
        _owe(large, scaled(500_000))
        rounds = alternate(
            {"few": lambda _: _claim(small), "many": lambda _: _claim(large)}
        )
        yield rounds.compare(
            "claim time with 500,000 deliveries due against 500",
            CLAIM,
            rounds.ratios("seconds", "many", "few"),
            f"{CLAIMED} at once: {rounds.median('many', 'seconds') * 1000:.1f} ms"
            f" against {rounds.median('few', 'seconds') * 1000:.1f} ms, vacuumed",
        )


def _clicks(what, few, many):
    rounds = _compete({"few": few, "many": many})
    return rounds.compare(what, CLICK, rounds.ratios("cpu", "many", "few"))


def _compete(contestants):
    for contestant in contestants.values():
        contestant.push("warm", WARM_UP_SECONDS)
    return alternate(contestants)


@contextmanager
def _serving(file):
    with prepared() as ground:
        ground.write_catalog(file)
        with servers.web(ground) as server:
            yield server


def _keep_clicks(ground, number):
    ground.write_catalog()
    store_clicks(ground, copies(ground, a_click(ground), number))
    fold(ground)


def log_days(ground, days):
    """A thousand clicks on each of so many days; the ids of those that convert."""
    ground.write_catalog()
    click = a_click(ground)
    converted = []
    for day in range(days):
        ids = log_clicks(ground, copies(ground, click, CLICKS_A_DAY, day=day))
        converted += ids[: CONVERTED_A_DAY * DAYS // days]
    return converted


def convert(ground, server, click_id):
    """One sale, reported, and a million like it."""
    _report(server, click_id)
    with ground.database() as connection:
        for table, columns in _OWN_COLUMNS.items():
            multiply(connection, table, scaled(1_000_000), **columns)
        connection.execute("vacuum analyze")


def _owe(ground, number):
    """One sale that owes a delivery, and so many deliveries like it, all due."""
    ground.write_catalog()
    with servers.web(ground) as server:
        _report(server, visit(server, URL))
    with ground.database() as connection:
        multiply(connection, "deliveries", number, **_OWN_DELIVERY)
        connection.execute("analyze deliveries")


def _report(server, click_id):
    """The sale that all others are copies of."""
    target = sales_of([click_id], "sale").target(1)
    httpx.get(server.url(target)).raise_for_status()


def _claim(ground):
    with ground.database() as connection:
        connection.execute("vacuum deliveries")
    return {"seconds": asyncio.run(_time_claims(ground))}


async def _time_claims(ground):
    """The median of some; each is given back before the next."""
    async with make_pool(ground.postgres.url, size=1) as pool:
        store = DeliveryStore(pool)
        return median([await _time_claim(store) for _ in range(CLAIMS)])


async def _time_claim(store):
    started = time.perf_counter()
    claim = await store.claim(CLAIMED)
    seconds = time.perf_counter() - started
    if len(claim.leases) != CLAIMED:
        raise SystemExit(f"{len(claim.leases)} deliveries claimed, not {CLAIMED}")
    await store.release(claim.leases)
    return seconds
