import asyncio
from ipaddress import ip_network
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from parties import PartnerInbox

from tracker.flow.catalog import open_catalog
from tracker.flow.clicklog import fold_clicks
from tracker.flow.delivery import deliver_due
from tracker.runtime import open_runtime
from tracker.settings import Settings
from tracker.web.app import TrackerApp

TOKEN = "s3cret-token"

CATALOG = """\
version: 1
currency: USD
timezone: UTC
rates: {{EUR: 1.10}}
advertisers:
  acme:
    name: Acme
    auth: {{token: "${{ACME_TOKEN}}"}}
  globex:
    name: Globex
    auth: {{token: "${{GLOBEX_TOKEN}}", allow_ips: [127.0.0.0/8]}}
    postback:
      params:
        click_id: [cid]
        transaction_id: [order]
        amount: [total]
        goal: [event]
        status: [st]
        token: [secret]
      goals: {{e1: lead, e2: sale}}
      statuses: {{approved: ["1"], pending: ["2"], rejected: ["3"], ignored: [test]}}
      reply: {{body: "OK"}}
  far-away:
    name: Far Away
    auth: {{token: "${{ACME_TOKEN}}", allow_ips: [203.0.113.0/24]}}
offers:
  shoes:
    advertiser: acme
    name: Shoes
    url: https://shop.acme.example/landing?cid={{click_id}}&source={{partner}}&s={{sub1}}
    window: 30d
    goals:
      lead: {{payout: 2.50, revenue: 4.00, default: true}}
      sale: {{payout: 8%, revenue: 12%, once_per: transaction}}
      upsell: {{payout: 10%, revenue: 20%, on_repeat: add}}
      install: {{payout: 1, revenue: 2, status: pending, on_repeat: update}}
    deeplinks: [shop.acme.example]
    limits: {{amount: 5000}}
  closed:
    advertiser: acme
    name: Closed
    url: https://shop.acme.example/closed?cid={{click_id}}
    paused: true
    goals: {{lead: {{payout: 1, revenue: 2}}}}
  moved:
    advertiser: acme
    name: Moved
    url: https://shop.acme.example/moved?cid={{click_id}}
    paused: true
    fallback_url: https://elsewhere.example/?from={{partner}}
    goals: {{lead: {{payout: 1, revenue: 2}}}}
  game:
    advertiser: globex
    name: Game
    url: https://game.globex.example/?cid={{click_id}}
    window: 1h
    goals:
      lead: {{payout: 1, revenue: 2}}
      sale: {{payout: 50%, revenue: 80%, once_per: transaction, status: pending}}
  remote:
    advertiser: far-away
    name: Remote
    url: https://remote.example/?cid={{click_id}}
    goals: {{lead: {{payout: 1, revenue: 2}}}}
partners:
  bestdeals:
    name: Best Deals
    offers: all
    postbacks:
      - id: all
        url: {inbox}/pb?cid={{sub1}}&goal={{goal}}&status={{status}}&payout={{payout}}&tx={{transaction_id}}
        when: {{changes: true}}
  quiet:
    name: Quiet
    offers: [shoes]
"""


class Advertiser:
    """An advertiser's server: it knows its click ids, and what to call."""

    def __init__(self, client):
        self._client = client

    async def report(self, click_id=None, *, route="", token=TOKEN, **said):
        """Fires a postback; what is None is not said."""
        said = {"click_id": click_id, "token": token, **said}
        query = {name: value for name, value in said.items() if value is not None}
        return await self._client.get(f"/postback{route}", params=query)


class Partner:
    """A partner's server, and what it was told."""

    def __init__(self, inbox):
        self.inbox = inbox

    @property
    def told(self):
        """What each call said, in order."""
        return [
            {name: values[0] for name, values in parse_qs(urlsplit(hit.path).query).items()}
            for hit in self.inbox.hits
        ]


@pytest.fixture
async def partner():
    inbox = PartnerInbox()
    await inbox.start()
    yield Partner(inbox)
    await inbox.stop()


@pytest.fixture
def catalog_file(tmp_path, partner):
    path = tmp_path / "partners.yaml"
    path.write_text(CATALOG.format(inbox=partner.inbox.url("")))
    return path


@pytest.fixture
def settings(database_url, redis_url, tmp_path, catalog_file, monkeypatch):
    monkeypatch.setenv("ACME_TOKEN", TOKEN)
    monkeypatch.setenv("GLOBEX_TOKEN", "another-token")
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        data_dir=tmp_path,
        catalog=catalog_file,
        secret_keys=f"0:{'00' * 16}",
        redis_timeout="2s",
        allow_destinations=(ip_network("127.0.0.0/8"),),
    )


@pytest.fixture
async def app(settings):
    """The web process, served in this one."""
    app = TrackerApp(settings)
    async with app.pages.router.lifespan_context(app.pages):
        yield app


@pytest.fixture
async def runtime(app):
    return app.runtime


@pytest.fixture
async def client(app):
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 40000))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://tracker.test"
    ) as client:
        yield client


@pytest.fixture
async def advertiser(client):
    return Advertiser(client)


@pytest.fixture
def visit(client):
    """Sends a visitor through a link; the click id it arrives with."""

    async def visit(link="bestdeals/shoes", **query):
        answer = await client.get(f"/c/{link}", params=query)
        assert answer.status_code == 302
        return parse_qs(urlsplit(answer.headers["location"]).query)["cid"][0]

    return visit


@pytest.fixture
def run_worker_once(runtime):
    """One pass of everything the worker does; how many deliveries went out."""

    async def run_worker_once():
        if await runtime.stream.count(0):
            await fold_clicks(runtime, 0)
        return await deliver_due(runtime)

    return run_worker_once


@pytest.fixture
def rows(runtime):
    """Asks Postgres, with one row a dictionary."""

    async def rows(query, *parameters):
        async with runtime.pool.connection() as connection:
            cursor = await connection.execute(query, parameters)
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]

    return rows


@pytest.fixture
def opened(settings):
    """Another process on the same stores: its runtime, with the catalog in force."""

    async def opened():
        async with open_runtime(settings) as runtime:
            await open_catalog(runtime)
            return runtime

    return opened


@pytest.fixture
def at_once():
    """Everything at the same time; the answers in order."""

    async def at_once(*calls):
        return await asyncio.gather(*calls)

    return at_once
