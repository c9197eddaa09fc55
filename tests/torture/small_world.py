"""
The property machine's world: the real product in this process, on real stores.

Between it and its stores stand proxies that can spoil what passes; its partners are
HTTP servers on loopback. Everything that a rule of the machine does is done here.
"""

import asyncio
import os
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import redis
from aiohttp.web import Response
from ledger_model import Report
from parties import Clock, PartnerInbox
from proxy import PASS, RESET, SILENCE, Fault, FaultProxy
from psycopg_pool.base import AttemptWithBackoff
from structlog.testing import capture_logs
from trade import BASE, Book

from tracker import outage
from tracker.catalog import check_text, draft_catalog, seal_draft
from tracker.domain.errors import BusyError, StoreUnavailableError
from tracker.flow import postback as postbacks
from tracker.flow import redirect
from tracker.flow.catalog import follow_version
from tracker.flow.clicklog import fold_clicks
from tracker.flow.delivery import (
    attempt_delivery,
    claim_due,
    end_expired_leases,
    finish_deliveries,
    sweep_deliveries,
)
from tracker.flow.drain import drain_spools
from tracker.flow.maintenance import make_partitions
from tracker.flow.retention import apply_retention
from tracker.loops import end_tasks
from tracker.settings import Settings
from tracker.store.catalogs import Edit
from tracker.store.clicks import stream_key
from tracker.store.postgres import is_answering
from tracker.store.redis import UNAVAILABLE
from tracker.web import app as web
from tracker.worker import Dispatcher

KEY = "5" * 32
AWAY = (StoreUnavailableError, BusyError, *UNAVAILABLE)
"""What a store that is away may make a flow raise, and nothing else."""

SERVERS = ("first", "second")
PATIENCE = 10.0
SHORT_PATIENCE = 0.3
"""What calls get that cannot end by themselves: then their worker is killed."""

FAULTS = {"up": PASS, "refusing": RESET, "hanging": SILENCE}


@dataclass(frozen=True)
class Hit:
    """A call as the partner had it; without a status it was never answered."""

    server: str
    delivery: str
    wish: str
    said: dict[str, str]
    status: int | None


@dataclass(frozen=True)
class Call:
    """A postback on its way, and its answer."""

    number: int
    report: Report
    sent_at: datetime
    answered_at: datetime
    version: int
    status: int
    answer: dict = field(default_factory=dict)


class PartnerServer:
    """A partner's server: answers by its mood, and remembers what it was told."""

    def __init__(self, name):
        self.name = name
        self.inbox = PartnerInbox()
        self.inbox.answers = self
        self.be("200")

    def be(self, mood):
        """`200`, another status, `flapping`, or `hang`."""
        self.inbox.let_go.set()
        self.inbox.let_go = asyncio.Event()
        self.mood = mood

    def forget(self):
        self.be("200")
        self.hits = []
        self.inbox.hits.clear()

    def popleft(self):
        """As the answers of an inbox, without an end."""
        return self._answer

    async def _answer(self, inbox, request):
        status = self._status()
        query = {name: values[0] for name, values in _query(request.raw_path).items()}
        delivery = request.headers["X-Tracker-Delivery"]
        wish = request.path.strip("/")
        self.hits.append(Hit(self.name, delivery, wish, query, status))
        if status is None:
            await inbox.let_go.wait()
        return Response(status=status or 500, text="OK")

    def _status(self):
        if self.mood == "hang":
            return None
        if self.mood == "flapping":
            return (500, 200)[len(self.hits) % 2]
        return int(self.mood)


class Ground:
    """What all worlds share: stores, proxies, partners' servers."""

    def __init__(self, stores, folder):
        self.stores, self.folder = stores, folder
        self.servers = {name: PartnerServer(name) for name in SERVERS}
        self.postgres = _Wire(Path(_socket_folder(stores)) / ".s.PGSQL.5432")
        self.redis = _Wire(Path(urlsplit(stores.redis_url).path))
        self.direct_redis = redis.Redis.from_url(stores.redis_url)
        self._worlds = 0
        self._databases = []

    async def open(self):
        await self.postgres.open()
        await self.redis.open()
        for name, server in self.servers.items():
            await server.inbox.start()
            os.environ[name.upper()] = server.inbox.url("")

    async def close(self):
        for name, server in self.servers.items():
            await server.inbox.stop()
            del os.environ[name.upper()]
        await self.postgres.close()
        await self.redis.close()
        self.direct_redis.close()

    def database_url(self, name):
        """By way of the proxy."""
        at = f"postgresql://postgres@127.0.0.1:{self.postgres.port}"
        return f"{at}/{name}?sslmode=disable&gssencmode=disable"

    def next_name(self):
        self._worlds += 1
        return f"world_{self._worlds}"

    def make_database(self, name, template):
        """The last one goes when the next one comes: by then nobody is in it."""
        for old in self._databases:
            self.stores.execute(f'drop database "{old}" with (force)')
        self.stores.execute(f'create database "{name}" template "{template}"')
        self._databases = [name]
        return self.stores.database_url(name)

    def list_unfolded(self):
        """The clicks that are in Redis' stream."""
        entries = self.direct_redis.xrange(stream_key(0))
        return {click_id.decode() for _, fields in entries for click_id in fields}

    def secrets(self):
        return {name.upper(): self.servers[name].inbox.url("") for name in SERVERS}


async def open_ground(stores, folder):
    ground = Ground(stores, folder)
    await ground.open()
    return ground


class _Wire:
    """The one address at which the product knows a store."""

    def __init__(self, socket):
        self._proxy = FaultProxy(("127.0.0.1", 0), socket)
        self.state = "up"

    async def open(self):
        await self._proxy.open()

    async def close(self):
        await self._proxy.close()

    @property
    def port(self):
        return self._proxy.here[1]

    def go(self, state):
        self.state = state
        self._proxy.switch(FAULTS[state])

    def cut(self):
        """Every connection ends, in the middle of whatever it was saying."""
        self._proxy.switch(RESET)
        self.go(self.state)

    @contextmanager
    def losing_answers(self, after):
        """The store acts, and after so many bytes is not heard."""
        self._proxy.switch(Fault(cut_after=after))
        try:
            yield
        finally:
            self.go(self.state)


class World:
    """One database, one web process, any number of workers."""

    def __init__(self, ground, template):
        self.ground = ground
        self._template = template
        self._stack = AsyncExitStack()
        self.calls = {}
        self.visits = {}
        self.lost_visits = set()
        self.books: dict[int, Book] = {}
        self.version = 1
        self.sleepers = []
        self.was_disturbed = False

    async def open(self):
        name = self.ground.next_name()
        direct_url = self.ground.make_database(name, self._template)
        self.ground.direct_redis.flushall()
        for server in self.ground.servers.values():
            server.forget()
        self.clock = Clock(direct_url)
        self.direct_url = direct_url
        self.books = {1: BASE}
        self.events = self._stack.enter_context(capture_logs())
        file = self.ground.folder / "partners.yaml"
        file.write_text(BASE.as_text())
        os.utime(file, (0, 0))
        self.settings = Settings(
            database_url=self.ground.database_url(name),
            redis_url=f"redis://127.0.0.1:{self.ground.redis.port}/0",
            data_dir=self.ground.folder / name,
            catalog=file,
            secret_keys=f"0:{KEY}",
            allow_destinations=(ip_network("127.0.0.0/8"),),
            spool_free_bytes=0,
            retention_clicks=timedelta(days=30),
        )
        self.keeps = {
            "clicks": self.settings.retention_clicks,
            "postbacks": self.settings.retention_postbacks,
            "delivery_attempts": self.settings.retention_attempts,
            "delivery_archive": self.settings.retention_deliveries,
        }
        await self._start()

    async def close(self):
        self.send_postgres("up")
        self.ground.redis.go("up")
        await self._app_stack.aclose()
        await self._stack.aclose()

    async def restart(self):
        """The memory of the process is gone."""
        await self._app_stack.aclose()
        await self._start()

    async def _start(self):
        self._app_stack = AsyncExitStack()
        app = web.TrackerApp(self.settings)
        lifespan = app.pages.router.lifespan_context(app.pages)
        await self._app_stack.enter_async_context(lifespan)
        self.app, self.runtime = app, app.runtime

    def send_postgres(self, state):
        """`up`, `refusing` or `hanging`; that it refuses is not waited for long."""
        self.ground.postgres.go(state)
        self.runtime.pool.timeout = 1.5 if state == "up" else 0.02

    @contextmanager
    def losing_answers(self, after):
        """Postgres acts, and after so many bytes is not heard."""
        self.runtime.pool.timeout = 0.05
        with self.ground.postgres.losing_answers(after):
            yield
        self.send_postgres("up")

    @property
    def book(self):
        """The catalog that is in force."""
        return self.books[self.version]

    @property
    def hits(self):
        return [hit for one in self.ground.servers.values() for hit in one.hits]

    # -------------------------------------------------------------------- outside

    async def visit(self, partner, offer, sub1, ago=timedelta()):
        """A visitor follows a link; the click, None where the link leads nowhere."""
        query = {"sub1": sub1} if sub1 else {}
        with _web_clock(ago):
            async with self._client() as client:
                answer = await client.get(f"/c/{partner}/{offer}", params=query)
        return answer, _query(answer.headers.get("location", ""))

    def remember(self, click):
        self.visits[click.id] = click
        lost = [event for event in self.events if event["event"] == "click.lost"]
        self.lost_visits |= {event["click_id"] for event in lost}

    async def report(self, *reports):
        """Advertisers' servers call, all at once; what they were told."""
        first = len(self.calls) + 1
        sent = [self._send(first + n, report) for n, report in enumerate(reports)]
        calls = await asyncio.gather(*sent)
        self.calls |= {call.number: call for call in calls}
        return calls

    async def _send(self, number, report):
        path, query = self._spell(number, report)
        sent_at = datetime.now(UTC)
        version = self.version
        async with self._client(report.address) as client:
            answer = await client.get(path, params=query)
        body = answer.json()
        return Call(
            number,
            report,
            sent_at,
            datetime.now(UTC),
            version,
            answer.status_code,
            body,
        )

    def _client(self, address="127.0.0.1"):
        transport = httpx.ASGITransport(self.app, client=(address, 40000))
        return httpx.AsyncClient(transport=transport, base_url="http://tracker.test")

    def _spell(self, number, report):
        """In the words of the advertiser whose route it is."""
        own = BASE.advertisers.get(report.route or "")
        told = {
            "click_id": report.click,
            "transaction_id": report.transaction,
            "goal": own.goals.get(report.goal, report.goal) if own else report.goal,
            "status": own.statuses.get(report.status, report.status)
            if own
            else report.status,
            "amount": report.amount,
            "currency": report.currency,
            "revenue": report.revenue,
            "token": report.token,
        }
        words = own.words if own else {}
        query = {words.get(k, k): v for k, v in told.items() if v is not None}
        path = f"/postback/{report.route}" if report.route else "/postback"
        return path, {**query, "call": str(number)}

    # ---------------------------------------------------------------- the stores

    async def wait_for_stores(self):
        """They are back: the product has to notice by itself."""
        async with asyncio.timeout(PATIENCE):
            while not await self._is_noticed():
                await asyncio.sleep(0.002)

    async def _is_noticed(self):
        runtime = self.runtime
        if runtime.postgres_outage.is_on or runtime.redis_outage.is_on:
            return False
        return await is_answering(runtime.pool) and await runtime.clicks.is_taking()

    async def forget_connections(self):
        """Those that were cut: each would cost its next user one try."""
        for client in (self.runtime.redis, self.runtime.stream._client):
            await client.connection_pool.disconnect(inuse_connections=False)

    async def drain(self):
        """What waits on disk goes to Postgres, as a timer would have it."""
        await drain_spools(self.runtime)

    @property
    def is_well(self):
        """Whether both stores answer."""
        return self.ground.postgres.state == self.ground.redis.state == "up"

    # ---------------------------------------------------------------- the worker

    async def fold(self):
        if await self.runtime.stream.count(0):
            return await fold_clicks(self.runtime, 0)
        return 0

    async def sweep(self):
        await make_partitions(self.runtime)
        await end_expired_leases(self.runtime)
        await sweep_deliveries(self.runtime)

    async def forget_old_days(self):
        await apply_retention(self.runtime)

    async def deliver(self):
        """One pass of a worker; where its calls cannot end it is killed."""
        dispatcher = Dispatcher(self.runtime)
        before = len(self._hung())
        try:
            await dispatcher._fill_places()
            await self._let_end(dispatcher, before)
        finally:
            await end_tasks(list(dispatcher._tasks))
            await dispatcher._finishing.close()

    async def _let_end(self, dispatcher, before):
        deadline = asyncio.get_running_loop().time() + (
            PATIENCE if self.ground.postgres.state == "up" else SHORT_PATIENCE
        )
        while dispatcher._tasks:
            hung = len(self._hung()) - before
            if hung >= len(dispatcher._tasks):
                return
            if asyncio.get_running_loop().time() > deadline:
                assert not self.is_well, "calls of the worker do not end"
                return
            await asyncio.wait(list(dispatcher._tasks), timeout=0.01)
            await asyncio.sleep(0)

    def _hung(self):
        return [hit for hit in self.hits if hit.status is None]

    async def die(self, *, after_calls):
        """A worker claims, perhaps calls, and is gone before it says so."""
        claim = await claim_due(self.runtime, 512)
        if after_calls:
            await self._call(claim.leases)

    async def fall_asleep(self):
        """A worker claims, and is stopped before it calls."""
        claim = await claim_due(self.runtime, 512)
        self.sleepers.extend(claim.leases)

    async def wake_up(self):
        """It goes on as if no time had passed."""
        leases, self.sleepers = self.sleepers, []
        endings = await self._call(leases)
        if endings:
            await finish_deliveries(self.runtime, endings)

    async def _call(self, leases):
        """The endings of those calls that end."""
        moods = {server.mood for server in self.ground.servers.values()}
        tasks = [
            asyncio.create_task(attempt_delivery(self.runtime, lease))
            for lease in leases
        ]
        if not tasks:
            return []
        patience = SHORT_PATIENCE / 3 if "hang" in moods else PATIENCE
        done, pending = await asyncio.wait(tasks, timeout=patience)
        await end_tasks(pending)
        return [task.result() for task in done]

    # --------------------------------------------------------------- an operator

    async def edit(self, book):
        """Puts another catalog in force, as a worker that sees the file does."""
        (in_force,) = await self.runtime.catalogs.list_in_force()
        text = book.as_text()
        checked = check_text(text, "partners.yaml", self.ground.secrets())
        draft = draft_catalog(checked, in_force.snapshot)
        now = datetime.now(UTC)
        edit = Edit(text, draft.content_hash, now, draft.follows, draft.keys)
        version = await self.runtime.catalogs.insert(edit, _sealing(draft))
        self.books[version], self.version = book, version
        await follow_version(self.runtime)


def _sealing(draft):
    return lambda version, numbers: seal_draft(draft, version=version, numbers=numbers)


def _socket_folder(stores):
    return parse_qs(urlsplit(stores.postgres.url).query)["host"][0]


def _query(url):
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


@contextmanager
def _web_clock(ago):
    """What the click's path takes for now."""

    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - ago

    before, redirect.datetime = redirect.datetime, Earlier
    try:
        yield
    finally:
        redirect.datetime = before


@contextmanager
def short_waits():
    """What production waits for is waited for less long; a timer becomes a step."""
    shorter = (
        (AttemptWithBackoff, "INITIAL_DELAY", 0.02),
        (postbacks, "BATCH_SECONDS", 2.0),
        (outage, "PROBE_SECONDS", 0.005),
        (web, "drain_spools", _let_be),
    )
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in shorter]
    for owner, name, value in shorter:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


async def _let_be(_):
    """The world drains spools when a step says so."""
