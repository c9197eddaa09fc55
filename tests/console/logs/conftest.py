"""A console over a tracker with two partners, and whoever looks at it."""

import os
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from onlookers import PEOPLE
from parties import PartnerInbox
from signed_in import headers_in, person_in

from tracker.catalog import check_text, draft_catalog, seal_draft
from tracker.console.app import create_console
from tracker.domain.click import Visit
from tracker.domain.identity import new_postback_id
from tracker.domain.postback import Postback, conceal
from tracker.flow.clicklog import fold_clicks
from tracker.flow.delivery import deliver_due
from tracker.flow.maintenance import make_partitions
from tracker.flow.postback import accept_postback
from tracker.flow.redirect import redirect_visitor
from tracker.runtime import open_runtime
from tracker.settings import Settings
from tracker.store.catalogs import Edit

TOKEN = "the-token-of-acme"

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
    postbacks:
      - id: crm
        url: "${INBOX}/crm"
        method: POST
        headers: {X-Key: "${PARTNER_KEY}"}
        json: {id: "{conversion_id}", goal: "{goal}"}
  hats:
    advertiser: acme
    url: https://shop.acme.example/hats?cid={click_id}
    goals: {lead: {payout: 1, revenue: 2}}
partners:
  bestdeals:
    offers: [shoes]
    postbacks:
      - id: all
        url: "${INBOX}/pb?cid={sub1}&status={status}&key=${PARTNER_KEY}"
        when: {changes: true}
  rival:
    offers: [shoes, hats]
    postbacks:
      - id: all
        url: "${INBOX}/rival?cid={click_id}"
"""


@pytest.fixture(scope="module")
async def inbox():
    inbox = PartnerInbox()
    await inbox.start()
    yield inbox
    await inbox.stop()


@pytest.fixture(scope="module")
def secrets(inbox):
    url = inbox.url("")
    return {"ACME_TOKEN": TOKEN, "INBOX": url, "PARTNER_KEY": "hush-hush"}


@pytest.fixture(scope="module")
def settings(stores, template_database, secrets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("console")
    (folder / "partners.yaml").write_text(CATALOG)
    os.utime(folder / "partners.yaml", (0, 0))
    with (
        stores.database(f"console_{folder.name}", template_database) as url,
        pytest.MonkeyPatch.context() as patched,
    ):
        for name, value in secrets.items():
            patched.setenv(name, value)
        yield Settings(
            database_url=url,
            redis_url=stores.redis_url,
            data_dir=folder,
            catalog=folder / "partners.yaml",
            secret_keys=f"0:{'00' * 16}",
            redis_timeout="2s",
            allow_destinations=(ip_network("127.0.0.0/8"),),
        )


@pytest.fixture(scope="module")
async def console(settings, secrets):
    """The console, served in this process, over a catalog in force."""
    draft = draft_catalog(check_text(CATALOG, "partners.yaml", secrets))
    edit = Edit(CATALOG, draft.content_hash, datetime.now(UTC), 0, draft.keys)
    async with open_runtime(settings) as runtime:
        await runtime.catalogs.insert(edit, partial(_sealed, draft))
        await make_partitions(runtime)
    console = create_console(settings)
    async with console.router.lifespan_context(console):
        yield console


def _sealed(draft, version, numbers):
    return seal_draft(draft, version=version, numbers=numbers)


@pytest.fixture(scope="module")
def runtime(console):
    return console.state.runtime


@pytest.fixture(scope="module")
async def headers_of(runtime):
    """What the browsers of all of them send; a stranger's says nothing."""
    headers = {}
    for who, (role, name, partner) in PEOPLE.items():
        person_id = await person_in(runtime, name, role, partner)
        headers[who] = await headers_in(runtime, person_id)
    return headers


@pytest.fixture
async def as_who(console, headers_of):
    """A browser of one of the people."""
    transport = httpx.ASGITransport(console)
    clients = []

    def as_who(who):
        client = httpx.AsyncClient(
            transport=transport,
            base_url="http://console",
            headers=headers_of.get(who, {}),
        )
        clients.append(client)
        return client

    yield as_who
    for client in clients:
        await client.aclose()


@pytest.fixture
async def viewer(as_who):
    return as_who("viewer")


@pytest.fixture
async def operator(as_who):
    return as_who("operator")


@pytest.fixture(scope="module")
def visit(runtime):
    """Sends a visitor through a link, and folds the click; its id."""

    async def visit(partner="bestdeals", **query):
        asked = Visit(partner, "shoes", query, address="192.0.2.77")
        arrived = await redirect_visitor(runtime, asked)
        await fold_clicks(runtime, 0)
        return parse_qs(urlsplit(arrived).query)["cid"][0]

    return visit


@pytest.fixture(scope="module")
def report(runtime):
    """The advertiser's server reports; None is not said."""

    async def report(click_id, *, token=TOKEN, **said):
        now = datetime.now(UTC)
        said = {"click_id": click_id, "token": token, **said}
        pairs = [(name, value) for name, value in said.items() if value is not None]
        vocabulary = runtime.catalog.vocabulary(None)
        parameters, digest = conceal(pairs, vocabulary, runtime.hasher, None)
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


@pytest.fixture(scope="module")
def deliver(runtime):
    """Passes of the worker's deliveries until nothing is due."""

    async def deliver():
        while await deliver_due(runtime):
            pass

    return deliver
