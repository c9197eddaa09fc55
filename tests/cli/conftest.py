"""A tracker with one offer and one partner, and its command line."""

import os
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from commands import run_command

from tracker.catalog import check_text, draft_catalog, load_snapshot, seal_draft
from tracker.domain.click import Visit
from tracker.domain.identity import new_postback_id
from tracker.domain.postback import Postback, conceal
from tracker.flow.delivery import deliver_due
from tracker.flow.maintenance import make_partitions
from tracker.flow.postback import accept_postback
from tracker.flow.redirect import redirect_visitor
from tracker.runtime import open_runtime
from tracker.settings import Settings, to_environ
from tracker.store.catalogs import Edit

REPOSITORY = Path(__file__).parents[2]

CATALOG = """\
version: 1
currency: USD
advertisers:
  acme:
    auth: {token: "${ACME_TOKEN}"}
offers:
  shoes:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals:
      lead: {payout: 2.50, revenue: 4.00, default: true}
      sale: {payout: 8%, revenue: 12%, once_per: transaction, status: pending}
    deeplinks: [shop.acme.example]
  hats:
    advertiser: acme
    url: https://shop.acme.example/hats?cid={click_id}
    goals: {lead: {payout: 1, revenue: 2}}
    caps: [{per: day, limit: 1}]
partners:
  bestdeals:
    offers: [shoes]
    caps: [{of: payout, per: month, limit: 1000, then: pending, clicks: redirect}]
    postbacks:
      - id: all
        url: "${INBOX}/pb?cid={sub1}&status={status}"
        when: {changes: true}
"""

TOKEN = "the-token-of-acme"


class Inbox:
    """A partner's server: answers as it was asked to, then with 200."""

    def __init__(self):
        self.answers = []
        self.told = []
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)

    async def start(self):
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def stop(self):
        await self._runner.cleanup()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _answer(self, request):
        self.told.append(dict(request.query))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, text="thanks")


@pytest.fixture
async def inbox():
    inbox = Inbox()
    await inbox.start()
    yield inbox
    await inbox.stop()


@pytest.fixture
def secrets(inbox):
    return {"ACME_TOKEN": TOKEN, "INBOX": inbox.url}


@pytest.fixture
def catalog_file(tmp_path):
    path = tmp_path / "partners.yaml"
    path.write_text(CATALOG)
    return path


@pytest.fixture
def settings(database_url, redis_url, tmp_path, catalog_file):
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        data_dir=tmp_path / "data",
        catalog=catalog_file,
        secret_keys=f"0:{'00' * 16}",
        redis_timeout="2s",
        allow_destinations=(ip_network("127.0.0.0/8"),),
    )


@pytest.fixture
async def runtime(settings, secrets):
    """A tracker whose catalog is in force; what commands change, it sees."""
    async with open_runtime(settings) as runtime:
        draft = draft_catalog(check_text(CATALOG, "partners.yaml", secrets))
        edit = Edit(CATALOG, draft.content_hash, datetime.now(UTC), 0, draft.keys)
        await runtime.catalogs.insert(edit, partial(_sealed, draft))
        (in_force,) = await runtime.catalogs.list_in_force()
        runtime.catalog = await load_snapshot(in_force.snapshot, secrets)
        await make_partitions(runtime)
        yield runtime


@pytest.fixture
def environ(settings, secrets):
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**own, **secrets, **to_environ(settings), "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture
def tracker(environ):
    """Runs a command; `environ` may be changed before."""

    def tracker(*words, stdin=""):
        return run_command(words, environ, stdin)

    return tracker


@pytest.fixture
def visit(runtime):
    """Sends a visitor through the link; the click id it arrives with."""

    async def visit(**query):
        asked = Visit("bestdeals", "shoes", query, address="192.0.2.7")
        arrived = await redirect_visitor(runtime, asked)
        return parse_qs(urlsplit(arrived).query)["cid"][0]

    return visit


@pytest.fixture
def report(runtime):
    """The advertiser's server reports; None is not said."""

    async def report(click_id, *, token=TOKEN, **said):
        now = datetime.now(UTC)
        said = {"click_id": click_id, "token": token, **said}
        pairs = [(name, value) for name, value in said.items() if value is not None]
        parameters, digest = conceal(
            pairs, runtime.catalog.vocabulary(None), runtime.hasher, None
        )
        postback = Postback(
            id=new_postback_id(now),
            received_at=now,
            method="GET",
            path="/postback",
            address="192.0.2.9",
            parameters=parameters,
            token_digest=digest,
        )
        return await accept_postback(runtime, postback)

    return report


@pytest.fixture
def deliver(runtime):
    """One pass of the worker's deliveries; how many."""
    return partial(deliver_due, runtime)


def _sealed(draft, version, numbers):
    return seal_draft(draft, version=version, numbers=numbers)
