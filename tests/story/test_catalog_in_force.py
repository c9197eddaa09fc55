import asyncio
import os
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from tracker.domain.errors import CatalogError, StoreUnavailableError
from tracker.flow.catalog import describe_file, follow_catalog, open_catalog
from tracker.runtime import open_runtime
from tracker.settings import Settings
from tracker.web.app import TrackerApp, create_internal_app

RENAMED = ("    name: Shoes", "    name: Better Shoes")
INSTALL = """\
      install: {payout: 1, revenue: 2, status: pending, on_repeat: update}
"""
WITHOUT_QUIET = ("  quiet:\n    name: Quiet\n    offers: [shoes]\n", "")


@pytest.fixture
def edit(catalog_file):
    """Changes the file as an editor does."""

    def edit(*replacements):
        text = catalog_file.read_text()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        catalog_file.write_text(text)

    return edit


@asynccontextmanager
async def following(runtime, *, applies_edits=True):
    task = asyncio.create_task(follow_catalog(runtime, applies_edits=applies_edits))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(is_so, seconds=5):
    """Waits for what is promised within a time."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - nothing rings when a catalog is swapped
            await asyncio.sleep(0.02)


async def test_an_edit_is_in_force_everywhere_without_a_restart(
    runtime, settings, edit
):
    """One process applies it, and the others follow."""
    async with open_runtime(settings) as other:
        await open_catalog(other)
        async with following(runtime), following(other, applies_edits=False):
            await asyncio.sleep(0)
            edit(RENAMED)
            await until(lambda: other.catalog.version == runtime.catalog.version == 2)

        assert other.catalog.offers["shoes"].name == "Better Shoes"


async def test_a_faulty_edit_leaves_the_last_good_one(runtime, edit, client, capsys):
    async with following(runtime):
        await asyncio.sleep(0)
        edit(("payout: 2.50", "payout: two"))
        await until(lambda: "catalog.refused" in capsys.readouterr().out)

    assert runtime.catalog.version == 1
    degraded = (await client.get("/readyz")).json()["degraded"]
    assert "partners.yaml is not version 1" in degraded["catalog"]
    assert (await client.get("/c/bestdeals/shoes")).status_code == 302


async def test_a_number_is_for_ever(runtime, edit, rows):
    """What is removed keeps its number and terms, what comes back gets its own."""
    number = runtime.catalog.partners["quiet"].number
    async with following(runtime):
        await asyncio.sleep(0)
        edit(WITHOUT_QUIET)
        await until(lambda: runtime.catalog.version == 2)
        assert runtime.catalog.partners["quiet"].is_retired
        edit(("partners:\n", "partners:\n" + WITHOUT_QUIET[0]))
        await until(lambda: runtime.catalog.version == 3)

    assert runtime.catalog.partners["quiet"].number == number
    assert not runtime.catalog.partners["quiet"].is_retired


async def test_a_removed_partner_s_earlier_clicks_still_convert(
    runtime, visit, advertiser, client, edit, rows
):
    click_id = await visit("quiet/shoes")
    async with following(runtime):
        await asyncio.sleep(0)
        edit(WITHOUT_QUIET)
        await until(lambda: runtime.catalog.version == 2)

    answer = await advertiser.report(click_id)

    assert answer.json()["status"] == "accepted"
    assert (await client.get("/c/quiet/shoes")).status_code == 404
    assert await rows("select partner, payout::float from conversions") == [
        {"partner": "quiet", "payout": 2.5}
    ]


async def test_a_removed_goal_pays_nothing_new_and_settles_the_old(
    runtime, visit, advertiser, edit
):
    first, second = await visit(), await visit()
    await advertiser.report(first, goal="install")
    async with following(runtime):
        await asyncio.sleep(0)
        edit((INSTALL, ""))
        await until(lambda: runtime.catalog.version == 2)

    settled = await advertiser.report(first, goal="install", status="approved")
    refused = await advertiser.report(second, goal="install")

    assert settled.json()["status"] == "updated"
    assert refused.json()["reason"] == "unknown_goal"


async def test_a_start_with_an_older_file_changes_nothing(settings, catalog_file):
    """A host that comes back must not undo what others have edited since."""
    catalog_file.write_text(catalog_file.read_text().replace(*RENAMED))
    os.utime(catalog_file, (0, 0))

    async with open_runtime(settings) as runtime:
        await open_catalog(runtime)
        assert runtime.catalog.offers["shoes"].name == "Shoes"
        assert "older" in await describe_file(runtime)


async def test_a_start_with_a_newer_file_applies_it(settings, edit):
    edit(RENAMED)
    async with open_runtime(settings) as runtime:
        await open_catalog(runtime)
        assert runtime.catalog.offers["shoes"].name == "Better Shoes"
        assert await describe_file(runtime) == ""


async def test_a_start_without_postgres_uses_the_copy_on_disk(
    settings, runtime, monkeypatch
):
    async with open_runtime(settings) as other:

        async def is_away(*_):
            raise StoreUnavailableError

        monkeypatch.setattr(other.catalogs, "list_in_force", is_away)
        await open_catalog(other)
        assert other.catalog == runtime.catalog


async def test_a_first_file_that_is_faulty_starts_nothing(
    stores, template_database, redis_url, tmp_path
):
    (tmp_path / "partners.yaml").write_text("version: 2\n")
    with stores.database("first_file", template_database) as url:
        settings = Settings(
            database_url=url,
            redis_url=redis_url,
            catalog=tmp_path / "partners.yaml",
            data_dir=tmp_path,
            secret_keys=f"0:{'00' * 16}",
        )
        async with open_runtime(settings) as runtime:
            with pytest.raises(CatalogError, match=r"partners\.yaml:1:"):
                await open_catalog(runtime)


async def test_two_processes_that_apply_one_edit_make_one_version(
    settings, runtime, edit, rows
):
    edit(RENAMED)
    async with open_runtime(settings) as one, open_runtime(settings) as two:
        await asyncio.gather(open_catalog(one), open_catalog(two))
        assert one.catalog.version == two.catalog.version == 2
    assert await rows("select count(*) from catalog_versions") == [{"count": 2}]


async def test_status_pages_say_what_is_degraded(client, monkeypatch, app):
    assert (await client.get("/healthz")).text == "ok\n"
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert "appendonly" in ready.json()["degraded"]["redis"]
    assert "tracker_clicks_total" in (await client.get("/metrics")).text


async def test_an_internal_port_takes_the_status_pages_with_it(settings):
    app = TrackerApp(settings.model_copy(update={"internal_port": 8081}))
    async with app.pages.router.lifespan_context(app.pages):
        statuses = {}
        for name, served in (("public", app), ("internal", create_internal_app(app))):
            transport = httpx.ASGITransport(served)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://t.test"
            ) as client:
                statuses[name] = [
                    (await client.get(path)).status_code
                    for path in ("/healthz", "/readyz", "/metrics")
                ]
    assert statuses == {"public": [200, 404, 404], "internal": [200, 200, 200]}


async def test_a_fallback_takes_the_visitors_of_unknown_links(runtime, client, edit):
    async with following(runtime):
        await asyncio.sleep(0)
        edit(("currency: USD\n", "currency: USD\nfallback_url: ${INBOX}/more\n"))
        await until(lambda: runtime.catalog.version == 2)

    answer = await client.get("/c/nobody/nothing")
    assert answer.status_code == 302
    assert answer.headers["location"] == f"{runtime.secrets['INBOX']}/more"
