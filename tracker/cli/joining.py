# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""How a command joins a tracker that runs: by its settings, or beside its `up`."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from tracker.domain.errors import CatalogError, StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.domain.catalog import Catalog
    from tracker.runtime import Runtime
    from tracker.settings import Settings
    from tracker.store.postgres import Pool

Result = TypeVar("Result")

PATIENCE = timedelta(seconds=2)
"""Nobody waits for a redirect here, so Redis is given longer than on that path."""


def run(story: Coroutine[Any, Any, Result]) -> Result:
    """Runs a command's story; of the logs only what went wrong is heard."""
    from tracker.logs import configure_logs

    configure_logs("error")
    # It has a level of its own, and tells of every connection that fails.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    return asyncio.run(story)


def own_settings() -> "Settings":
    """What is set, and what an `up` on the same data directory made for itself."""
    from tracker.settings import load_settings
    from tracker.supervisor import find_running

    return find_running(load_settings(os.environ, needs=()))


def joined_settings(*needs: str) -> "Settings":
    """Those of a tracker that runs; StoreUnavailableError if there is none."""
    from tracker.settings import variable

    settings = own_settings()
    missing = [variable(name) for name in needs if getattr(settings, name) is None]
    if missing:
        raise StoreUnavailableError(
            f"nothing runs on {settings.data_dir}: start `tracker up`, or set "
            + ", ".join(missing)
        )
    return settings


@asynccontextmanager
async def open_database() -> AsyncIterator["Pool"]:
    """The database alone, for what needs neither Redis nor the catalog."""
    from tracker.store.postgres import make_pool

    settings = joined_settings("database_url")
    await _check_database(settings)
    pool = make_pool(settings.database_conninfo, size=1)
    await pool.open(wait=False)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def open_tracker() -> AsyncIterator["Runtime"]:
    """All stores, with an empty catalog: enough to read."""
    from tracker.runtime import open_runtime
    from tracker.settings import SERVER_NEEDS

    settings = joined_settings(*SERVER_NEEDS)
    await _check_database(settings)
    patient = settings.model_copy(update={"redis_timeout": PATIENCE})
    async with open_runtime(patient) as runtime:
        yield runtime


@asynccontextmanager
async def open_tracker_in_force() -> AsyncIterator["Runtime"]:
    """
    All stores and the catalog in force: enough to change something.

    A file that was edited is the server's to take; a command never puts one in
    force, wherever it is called.
    """
    from tracker.catalog import load_snapshot

    async with open_tracker() as runtime:
        secrets = {**_sandbox_secrets(runtime.settings.data_dir), **runtime.secrets}
        for in_force in await runtime.catalogs.list_in_force():
            runtime.catalog = await load_snapshot(in_force.snapshot, secrets)
        if not runtime.catalog.version:
            raise CatalogError("no catalog is in force yet; start `tracker worker`")
        yield runtime


def known_catalog(settings: "Settings") -> "Catalog":
    """The catalog in force; where nothing runs, the one of the file."""
    if settings.database_url is None:
        return _catalog_of_file(settings)
    return run(_catalog_in_force())


async def _catalog_in_force() -> "Catalog":
    async with open_tracker_in_force() as runtime:
        return runtime.catalog


def _catalog_of_file(settings: "Settings") -> "Catalog":
    """Without numbers, which only a database gives; a link needs none."""
    from tracker.catalog import check_file, compile_catalog

    secrets = read_catalog_secrets(settings)
    checked = check_file(settings.catalog, secrets)
    numbers: Any = dict.fromkeys(
        [("partner", key) for key in checked.document.partners]
        + [("offer", key) for key in checked.document.offers],
        0,
    )
    return compile_catalog(checked, secrets, version=0, numbers=numbers)


async def _check_database(settings: "Settings") -> None:
    """A pool would wait for Postgres, and could not say what is wrong."""
    from psycopg import AsyncConnection, OperationalError

    try:
        async with await AsyncConnection.connect(
            settings.database_conninfo, connect_timeout=PATIENCE.seconds
        ):
            return
    except OperationalError as error:
        reason = " ".join(str(error).split())
        raise StoreUnavailableError(f"Postgres does not answer: {reason}") from None


def read_catalog_secrets(settings: "Settings") -> dict[str, str]:
    """The values of `${NAME}`, as the server would know them."""
    from tracker.catalog import read_secrets
    from tracker.domain.macros import BASE_URL

    found = read_secrets(os.environ, settings.secrets_file)
    made = _sandbox_secrets(settings.data_dir)
    return {BASE_URL: settings.base_url, **made, **found}


def read_sandbox_token(data_dir: "Path") -> str:
    """The token of the sandbox's advertiser; StoreUnavailableError without one."""
    from tracker.settings import SANDBOX_TOKEN

    found = {**_sandbox_secrets(data_dir), **os.environ}
    if not found.get(SANDBOX_TOKEN):
        raise StoreUnavailableError("no sandbox runs; start `tracker up --sandbox`")
    return found[SANDBOX_TOKEN]


def _sandbox_secrets(data_dir: "Path") -> dict[str, str]:
    """The token that `up --sandbox` made, where it has ever run."""
    from tracker.settings import SANDBOX_TOKEN, SANDBOX_TOKEN_FILE

    try:
        token = (data_dir / SANDBOX_TOKEN_FILE).read_text("utf-8").strip()
    except OSError:
        return {}
    return {SANDBOX_TOKEN: token}
