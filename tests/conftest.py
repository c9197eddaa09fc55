import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import redis
import structlog
from stores import started_stores, temporary_folder

from tracker.store.migrations import migrate

_numbers = count(1)

# A trace with the values of all its variables, a catalog among them, takes seconds.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


@pytest.fixture(scope="session")
def stores():
    """Postgres and Valkey, both real."""
    with started_stores() as stores:
        yield stores


@pytest.fixture(scope="session")
def template_database(stores):
    """The name of a database that has been migrated, once."""
    with stores.database("template_of_tests") as url:
        # In a thread, because the session's loop may be running in this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, migrate(url)).result()
        yield "template_of_tests"


@pytest.fixture
def empty_database_url(stores):
    """A database of this test's own with nothing in it."""
    with stores.database(f"empty_{next(_numbers)}") as url:
        yield url


@pytest.fixture
def database_url(stores, template_database):
    """A migrated database of this test's own."""
    with stores.database(f"test_{next(_numbers)}", template_database) as url:
        yield url


@pytest.fixture
def redis_url(stores):
    """A Valkey with nothing in it."""
    with redis.Redis.from_url(stores.redis_url) as client:
        client.flushall()
    return stores.redis_url


@pytest.fixture
def short_folder():
    """A folder that Postgres can live in, which pytest's own is too closed for."""
    with temporary_folder() as folder:
        yield folder
