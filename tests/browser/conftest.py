"""A browser, and the console of a process of its own, on a seeded month."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import httpx
import psycopg
import pytest
from parties import Ledger
from seeded import CATALOG, PASSWORD, SECRETS, add_people, seed
from stores import temporary_folder
from watching import Watch

from tracker.domain.click_id import ClickClass, ClickIdMint
from tracker.runtime import open_runtime
from tracker.settings import Settings

HERE = Path(__file__).parent
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, CHROMIUMS)), None)
NO_CHROMIUM = (
    "no Chromium on this machine: install one (on Debian, apt-get install chromium)"
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
KEYS = f"0:{'00' * 16}"
MINT = ClickIdMint(Settings(secret_keys=KEYS).signing_keys)
DESKTOP = {"width": 1440, "height": 900}
CALM = {"color_scheme": "light", "reduced_motion": "reduce"}
PHONE = {"width": 360, "height": 740}

_numbers = count(1)


def pytest_collection_modifyitems(items):
    """Without a browser there is nothing to be seen, and that is said once."""
    for item in items:
        if HERE in item.path.parents and CHROMIUM is None:
            item.add_marker(pytest.mark.skip(reason=NO_CHROMIUM))


@dataclass(frozen=True)
class Desk:
    """The console as it is served, and what lies beneath it."""

    url: str
    database_url: str
    catalog: Path

    def ask(self, query, *parameters):
        """The first value of the first row."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(query, parameters).fetchone()[0]

    def mint(self):
        """The id of a click of this moment."""
        return MINT.mint(
            now=datetime.now(UTC),
            shard=0,
            click_class=ClickClass.VISIT,
            partner_number=1,
            offer_number=1,
        )


@pytest.fixture(scope="session")
def seeded_database(stores, template_database):
    """The name of a database with the month in it, made once."""
    with stores.database("template_of_months", template_database) as url:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _seed(url, stores.redis_url)).result()
        yield "template_of_months"


async def _seed(database_url, redis_url):
    with temporary_folder() as folder:
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            data_dir=folder,
            catalog=_catalog(folder),
            secret_keys=KEYS,
            redis_timeout="2s",
        )
        async with open_runtime(settings) as runtime:
            await seed(runtime, now=datetime.now(UTC))
            await add_people(runtime)


def _catalog(folder):
    path = folder / "partners.yaml"
    path.write_text(CATALOG)
    os.utime(path, (0, 0))
    return path


@pytest.fixture(scope="session")
def desk(stores, seeded_database):
    """`tracker console`, as users run it."""
    with (
        temporary_folder() as folder,
        stores.database("the_month", seeded_database) as database_url,
    ):
        port = _free_port()
        environ = {
            **os.environ,
            **SECRETS,
            "TRACKER_DATABASE_URL": database_url,
            "TRACKER_REDIS_URL": stores.redis_url,
            "TRACKER_DATA_DIR": str(folder),
            "TRACKER_CATALOG": str(_catalog(folder)),
            "TRACKER_SECRET_KEYS": KEYS,
            "TRACKER_CONSOLE_PORT": str(port),
            "TRACKER_BASE_URL": "https://go.network.example",
        }
        desk = Desk(f"http://127.0.0.1:{port}", database_url, folder / "partners.yaml")
        with _serving(desk, environ, folder / "console.log"):
            yield desk


@contextmanager
def _serving(desk, environ, log):
    command = [sys.executable, "-m", "tracker", "console"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environ, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(desk, process, log)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(desk, process, log):
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{desk.url}/healthz")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(log.read_text(errors="replace")[-4000:])


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
async def chromium():
    """One browser for all."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - takes a second

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def signed_in(chromium, desk):
    """What the browser of somebody keeps who has signed in; once for each name."""
    kept = {}

    async def signed_in(name):
        if name not in kept:
            context = await chromium.new_context(base_url=desk.url)
            page = await context.new_page()
            await page.goto("/sign-in")
            await page.get_by_label("Name").fill(name)
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url(lambda url: "/sign-in" not in url)
            kept[name] = await context.storage_state()
            await context.close()
        return kept[name]

    return signed_in


@pytest.fixture
async def open_as(chromium, desk, signed_in):
    """A page of somebody of `PEOPLE`, watched until the test ends; "": a stranger's."""
    watch, contexts = Watch(desk.url), []

    async def open_as(name, path="/", **how):
        how = {"viewport": DESKTOP, **CALM, **how}
        state = await signed_in(name) if name else None
        context = await chromium.new_context(
            base_url=desk.url, storage_state=state, **how
        )
        contexts.append(context)
        context.set_default_timeout(5000)
        page = await context.new_page()
        watch.follow(page)
        await page.goto(path)
        return page

    yield open_as
    for context in contexts:
        await context.close()
    assert watch.troubles == []


@pytest.fixture
async def page(open_as):
    """An operator's, at the overview."""
    return await open_as("olga")


@pytest.fixture
def ledger(desk):
    return Ledger(desk.database_url)
