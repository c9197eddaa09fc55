"""What is open while a process runs: built once, closed once, passed to every flow."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from tracker import failpoints
from tracker.agents import Agents
from tracker.catalog import read_secrets
from tracker.coalesce import Bounds, Coalescer, Faults
from tracker.countries import Countries
from tracker.domain.attempts import Attempts
from tracker.domain.badge import Badges
from tracker.domain.catalog import Catalog
from tracker.domain.click_id import ClickIdMint
from tracker.domain.deeplink import Seal
from tracker.domain.erasure import LabelHasher
from tracker.domain.errors import StoreUnavailableError
from tracker.domain.judgement import Rules
from tracker.domain.macros import BASE_URL
from tracker.domain.meter import Closed
from tracker.domain.postback import TokenHasher
from tracker.domain.suspicion import Suspects
from tracker.domain.traffic import VisitorHasher
from tracker.hosting import Hosting
from tracker.outage import Outage
from tracker.passwords import Passwords
from tracker.sender import Sender
from tracker.settings import Settings
from tracker.spool import Room, SpoolFolder
from tracker.store.analysis import AnalysisStore
from tracker.store.audit import AuditStore
from tracker.store.catalogs import CatalogStore
from tracker.store.clicklog import ClickLog, ClickStream
from tracker.store.clicks import ClickStore
from tracker.store.conversions import ConversionStore
from tracker.store.deliveries import DeliveryStore
from tracker.store.erasures import ErasureStore
from tracker.store.journal import Journal
from tracker.store.keys import KeyStore
from tracker.store.lanes import LaneStore
from tracker.store.meters import MeterStore
from tracker.store.partitions import Partitions
from tracker.store.people import PeopleStore
from tracker.store.postgres import (
    ANALYSIS,
    Pool,
    is_answering,
    is_poison,
    make_pool,
)
from tracker.store.redis import Client, make_client
from tracker.store.reports import ReportStore
from tracker.store.retention import RetentionStore
from tracker.store.rollups import RollupStore
from tracker.store.sessions import SessionStore, TokenStore
from tracker.store.signs import SignStore
from tracker.store.tally import Tally
from tracker.store.visitors import VisitorStore

Item = TypeVar("Item")
Result = TypeVar("Result")

EMPTY = Catalog(0, "USD", "UTC", advertisers={}, offers={}, partners={})
"""Before the first catalog is in force no link leads anywhere."""

CLOSING_SECONDS = 10.0
READER_TIMEOUT = 5.0
"""Longer than a reader of the click stream ever waits for a first click."""

ANSWER_SECONDS = 4.5
"""Nobody waits longer for a store: some senders hang up after 5 s."""

BOUNDS = Bounds(seconds=ANSWER_SECONDS)

REDIS_CONNECTIONS = 32
DATABASE_CONNECTIONS = 8
ANALYSIS_CONNECTIONS = 4
ANALYSIS_SECONDS = 20.0
"""How long a report waits for others; a store that is away says so by another."""


FAULTS = Faults(is_poison, lambda error: isinstance(error, StoreUnavailableError))
"""Every store says in these terms what went wrong."""


@dataclass
class Runtime:
    """
    The stores, the keys, and the catalog in force.

    `catalog` is replaced as a whole when a new version comes into force: a flow
    that needs it twice takes it once. `closed` are the links that caps have closed.
    No more catalogs than `checks` allows are looked at for people at once; `findings`
    are what came of the last.
    """

    settings: Settings
    secrets: dict[str, str] = field(repr=False)
    mint: ClickIdMint
    seal: Seal
    hasher: TokenHasher
    pool: Pool
    redis: Client
    clicks: ClickStore
    visitors: VisitorStore
    stream: ClickStream
    click_log: ClickLog
    conversions: ConversionStore
    deliveries: DeliveryStore
    lanes: LaneStore
    catalogs: CatalogStore
    keys: KeyStore
    meters: MeterStore
    reports: ReportStore
    analysis: AnalysisStore
    journal: Journal
    signs: SignStore
    partitions: Partitions
    retention: RetentionStore
    erasures: ErasureStore
    tally: Tally
    rollups: RollupStore
    label_hasher: LabelHasher
    visitor_hasher: VisitorHasher
    sender: Sender
    countries: Countries
    agents: Agents
    hosting: Hosting
    spools: SpoolFolder
    redis_outage: Outage
    postgres_outage: Outage
    people: PeopleStore
    sessions: SessionStore
    tokens: TokenStore
    audit: AuditStore
    badges: Badges
    suspects: Suspects = field(default_factory=Suspects)
    passwords: Passwords = field(default_factory=Passwords)
    attempts: Attempts = field(default_factory=Attempts)
    catalog: Catalog = EMPTY
    catalog_hash: str = ""
    closed: Closed = field(default_factory=dict)
    _together: dict[str, Coalescer[Any, Any]] = field(default_factory=dict)
    shard: int = 0
    checks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    findings: dict[str, Any] = field(default_factory=dict)

    def rules(self) -> Rules:
        """By what a postback is judged now."""
        return Rules(self.catalog, self.mint, self.hasher)

    def change_shard(self) -> None:
        """Shards take turns, batch by batch; `shard` is for the clicks of the next."""
        self.shard = (self.shard + 1) % self.settings.shards

    def wake_worker(self) -> None:
        """Something is due for delivery; costs the caller nothing."""
        self.deliveries.notify()

    async def together(
        self,
        story: "Callable[[Runtime, Sequence[Item]], Awaitable[Sequence[Result]]]",
        item: Item,
        bounds: Bounds = BOUNDS,
    ) -> Result:
        """
        The item's result of one call of `story` for all who ask at the same time.

        A story has the bounds that it was first asked with. Raises OverloadedError
        when too many wait already, and StoreUnavailableError when there is no answer
        in time.
        """
        name = story.__name__
        if name not in self._together:
            self._together[name] = Coalescer(
                lambda items: story(self, items),
                name=name,
                faults=FAULTS,
                bounds=bounds,
            )
        result: Result = await self._together[name].submit(item)
        return result

    async def close(self) -> None:
        """What was taken in is finished first, unless a store says nothing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                for coalescer in self._together.values():
                    await coalescer.close()
                await self.deliveries.close()
        await self.redis_outage.close()
        await self.postgres_outage.close()
        await self.spools.close()


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """
    Opens everything; stores that are away are waited for by those who need them.

    The catalog is still empty: `tracker.flow.start.start` fills it.
    """
    failpoints.arm(settings.failpoints)
    async with AsyncExitStack() as stack:
        pool = make_pool(settings.database_conninfo, size=DATABASE_CONNECTIONS)
        await pool.open(wait=False)
        stack.push_async_callback(pool.close)
        analysis = make_pool(
            settings.database_conninfo,
            size=ANALYSIS_CONNECTIONS,
            timeout=ANALYSIS_SECONDS,
            kept=0,
            session=ANALYSIS,
        )
        await analysis.open(wait=False)
        stack.push_async_callback(analysis.close)
        redis = _client(settings, settings.redis_timeout.total_seconds())
        stack.push_async_callback(redis.aclose)
        reader = _client(settings, READER_TIMEOUT)
        stack.push_async_callback(reader.aclose)
        sender = Sender(settings.allow_destinations)
        stack.push_async_callback(sender.close)
        runtime = _build(settings, (pool, analysis), redis, reader, sender)
        stack.push_async_callback(runtime.close)
        yield runtime


def _client(settings: Settings, timeout: float) -> Client:
    return make_client(
        settings.redis_address, connections=REDIS_CONNECTIONS, timeout=timeout
    )


def _build(
    settings: Settings,
    pools: tuple[Pool, Pool],
    redis: Client,
    reader: Client,
    sender: Sender,
) -> Runtime:
    pool, analysis = pools
    keys = settings.signing_keys
    partitions = Partitions(pool)
    clicks = ClickStore(redis, seconds_to_live=_seconds(settings.hot_window))
    label_hasher = LabelHasher(keys)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    return Runtime(
        settings=settings,
        secrets=_secrets(settings),
        mint=ClickIdMint(keys),
        seal=Seal(keys),
        hasher=TokenHasher(keys),
        pool=pool,
        redis=redis,
        clicks=clicks,
        visitors=VisitorStore(redis, keys, shards=settings.shards),
        stream=ClickStream(reader, owner=owner),
        click_log=ClickLog(
            pool, partitions, settings.retention_addresses, label_hasher
        ),
        conversions=ConversionStore(pool, partitions),
        deliveries=DeliveryStore(pool),
        lanes=LaneStore(pool),
        catalogs=CatalogStore(pool),
        keys=KeyStore(pool),
        meters=MeterStore(pool),
        reports=ReportStore(pool),
        analysis=AnalysisStore(analysis),
        journal=Journal(pool),
        signs=SignStore(pool),
        partitions=partitions,
        retention=RetentionStore(pool),
        erasures=ErasureStore(pool),
        tally=Tally(pool, process=f"{owner}:{uuid4().hex[:8]}"),
        rollups=RollupStore(pool),
        label_hasher=label_hasher,
        visitor_hasher=VisitorHasher(keys),
        sender=sender,
        countries=Countries(settings.country_file),
        agents=Agents(),
        hosting=Hosting(),
        spools=SpoolFolder(settings.data_dir / "spool", _room(settings)),
        redis_outage=Outage("redis", clicks.is_taking),
        postgres_outage=Outage("postgres", partial(is_answering, pool)),
        people=PeopleStore(pool),
        sessions=SessionStore(pool),
        tokens=TokenStore(pool),
        audit=AuditStore(pool),
        badges=Badges(keys),
    )


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())


def _room(settings: Settings) -> Room:
    return Room(int(settings.spool_bytes), int(settings.spool_free_bytes))


def _secrets(settings: Settings) -> dict[str, str]:
    """The values of `${NAME}`; our own base URL is one of them without being set."""
    found = read_secrets(os.environ, settings.secrets_file)
    return {BASE_URL: settings.base_url, **found}
