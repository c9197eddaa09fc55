"""A tracker with a catalog in force, and its console, by people of each role."""

import os
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network

import pytest
from desk_catalog import CATALOG, TOKEN
from parties import PartnerInbox

from tracker.catalog import check_text, draft_catalog, load_snapshot, seal_draft
from tracker.console.app import create_console
from tracker.flow.maintenance import make_partitions
from tracker.runtime import open_runtime
from tracker.settings import Settings
from tracker.store.catalogs import Edit


@pytest.fixture
async def inbox():
    inbox = PartnerInbox()
    await inbox.start()
    yield inbox
    await inbox.stop()


@pytest.fixture
def secrets(inbox, monkeypatch):
    secrets = {
        "ACME_TOKEN": TOKEN,
        "INBOX": inbox.url("").rstrip("/"),
        "INBOX_KEY": "the-key-of-the-inbox",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    return secrets


@pytest.fixture
def catalog_file(tmp_path):
    """As old as the hills."""
    folder = tmp_path / "etc"
    folder.mkdir()
    path = folder / "partners.yaml"
    path.write_text(CATALOG)
    os.utime(path, (0, 0))
    return path


@pytest.fixture
def settings(database_url, redis_url, tmp_path, catalog_file, secrets):
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
async def runtime(settings, secrets):
    """What another process of the same tracker sees."""
    async with open_runtime(settings) as runtime:
        draft = draft_catalog(check_text(CATALOG, "partners.yaml", secrets))
        long_ago = datetime(1970, 1, 1, tzinfo=UTC)
        edit = Edit(CATALOG, draft.content_hash, long_ago, 0, draft.keys)
        await runtime.catalogs.insert(edit, partial(_sealed, draft))
        (in_force,) = await runtime.catalogs.list_in_force()
        runtime.catalog = await load_snapshot(in_force.snapshot, secrets)
        runtime.catalog_hash = in_force.content_hash
        await make_partitions(runtime)
        yield runtime


@pytest.fixture
async def console(settings, runtime):
    app = create_console(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def operator(as_role):
    async with as_role("operator", name="ada") as client:
        yield client


@pytest.fixture
def rows(runtime):
    """Asks Postgres, with one row a tuple."""

    async def rows(query, *parameters):
        async with runtime.pool.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall()

    return rows


def _sealed(draft, version, numbers):
    return seal_draft(draft, version=version, numbers=numbers)
