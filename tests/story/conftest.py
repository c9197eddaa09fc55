import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from ipaddress import ip_network
from itertools import count
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cast import CATALOG, TOKEN, Advertiser, Partner
from parties import PartnerInbox

from tracker.catalog import check_text, draft_catalog, seal_draft
from tracker.flow.clicklog import fold_clicks
from tracker.flow.delivery import deliver_due
from tracker.settings import Settings
from tracker.store.catalogs import CatalogStore, Edit
from tracker.store.partitions import Partitions
from tracker.store.postgres import make_pool
from tracker.web.app import TrackerApp


@pytest.fixture
async def partner():
    inbox = PartnerInbox()
    await inbox.start()
    yield Partner(inbox)
    await inbox.stop()


_numbers = count(1)

SECRETS = {
    "ACME_TOKEN": TOKEN,
    "GLOBEX_TOKEN": "another-token",
    "INITECH_KEY": "the-key-of-initech",
    "INITECH_NEXT_KEY": "the-next-key-of-initech",
    "UMBRELLA_SALT": "a-pinch-of-salt",
    "INBOX": "http://x",
}


@pytest.fixture(scope="session")
def catalog_database(stores, template_database):
    """The name of a database with the catalog in force, compiled once for all."""
    name = "template_of_stories"
    with stores.database(name, template_database) as url:
        checked = check_text(CATALOG, "partners.yaml", SECRETS)
        draft = draft_catalog(checked)
        edit = Edit(CATALOG, draft.content_hash, datetime.now(UTC), 0, draft.keys)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _put_in_force(url, draft, edit)).result()
        yield name


async def _put_in_force(url, draft, edit):
    async with make_pool(url, size=1) as pool:
        await Partitions(pool).make_ahead(datetime.now(UTC).date())
        await CatalogStore(pool).insert(
            edit,
            lambda version, numbers: seal_draft(
                draft, version=version, numbers=numbers
            ),
        )


@pytest.fixture
def database_url(stores, catalog_database):
    """A database of this test's own, with the catalog in force."""
    name = f"story_{next(_numbers)}"
    with stores.database(name, catalog_database) as url:
        yield url


@pytest.fixture
def catalog_file(tmp_path):
    """The file of the catalog in force, as old as the hills."""
    path = tmp_path / "partners.yaml"
    path.write_text(CATALOG)
    os.utime(path, (0, 0))
    return path


@pytest.fixture
def settings(database_url, redis_url, tmp_path, catalog_file, partner, monkeypatch):
    for name, value in {**SECRETS, "INBOX": partner.inbox.url("")}.items():
        monkeypatch.setenv(name, value)
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
            return [
                dict(zip(names, row, strict=True)) for row in await cursor.fetchall()
            ]

    return rows


@pytest.fixture
def at_once():
    """Everything at the same time; the answers in order."""

    async def at_once(*calls):
        return await asyncio.gather(*calls)

    return at_once
