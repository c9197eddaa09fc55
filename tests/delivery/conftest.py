from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from parties import Clock, Ledger, PartnerInbox, a_catalog, a_delivery, a_postback

from tracker.runtime import open_runtime
from tracker.settings import Settings
from tracker.store.deliveries import insert_deliveries


@pytest.fixture
async def partner_inbox():
    """A partner's server on loopback."""
    inbox = PartnerInbox()
    await inbox.start()
    yield inbox
    await inbox.stop()


@pytest.fixture
async def runtime(database_url, redis_url, tmp_path, partner_inbox):
    """Everything open, with one partner whose server is the inbox."""
    settings = Settings(
        database_url=database_url,
        redis_url=redis_url,
        data_dir=tmp_path,
        catalog=tmp_path / "partners.yaml",
        secret_keys=f"0:{'00' * 16}",
        allow_destinations=(ip_network("127.0.0.0/8"),),
    )
    async with open_runtime(settings) as runtime:
        await runtime.pool.wait()
        runtime.catalog = a_catalog(a_postback(partner_inbox.url()))
        for table in ("delivery_attempts", "delivery_archive"):
            await runtime.partitions.ensure(table, _days_around_now())
        yield runtime


def _days_around_now():
    today = datetime.now(UTC).date()
    return [today + timedelta(days=days) for days in (-1, 0, 1)]


@pytest.fixture
def clock(database_url):
    return Clock(database_url)


@pytest.fixture
def ledger(database_url):
    return Ledger(database_url)


@pytest.fixture
def owe(runtime):
    """Owes deliveries, as a conversion's transaction would."""

    async def owe(*deliveries):
        async with runtime.pool.connection() as connection, connection.transaction():
            await insert_deliveries(connection, deliveries)
        return deliveries

    return owe


@pytest.fixture
async def owed(runtime, owe):
    """A delivery to the partner, due now."""
    (delivery,) = await owe(a_delivery(catalog=runtime.catalog))
    return delivery
