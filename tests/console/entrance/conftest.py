"""A console whose people come and go; one for all tests of a module."""

import os

import pytest

from tracker.console.app import create_console
from tracker.settings import Settings

CATALOG = """\
version: 1
currency: USD
advertisers: {acme: {auth: {none: true}}}
offers:
  shoes:
    advertiser: acme
    url: "https://shop.acme.example/?cid={click_id}"
    goals: {lead: {payout: 1, revenue: 2}}
partners: {bestdeals: {offers: all}}
"""


@pytest.fixture(scope="module")
def settings(stores, template_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("entrance")
    (folder / "partners.yaml").write_text(CATALOG)
    os.utime(folder / "partners.yaml", (0, 0))
    with stores.database(f"entrance_{folder.name}", template_database) as url:
        yield Settings(
            database_url=url,
            redis_url=stores.redis_url,
            data_dir=folder,
            catalog=folder / "partners.yaml",
            secret_keys=f"0:{'00' * 16}",
            trusted_proxies="10.0.0.0/8",
        )


@pytest.fixture(scope="module")
async def console(settings):
    console = create_console(settings)
    async with console.router.lifespan_context(console):
        yield console


@pytest.fixture(scope="module")
def runtime(console):
    return console.state.runtime


@pytest.fixture
def ask(runtime):
    """Tells Postgres something, and what it answers."""

    async def ask(query, *parameters):
        async with runtime.pool.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall() if cursor.description else []

    return ask
