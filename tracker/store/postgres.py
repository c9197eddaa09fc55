"""Postgres: how connections are made, and which errors mean what."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from psycopg import AsyncConnection, InterfaceError, OperationalError, errors
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from tracker.domain.errors import MigrationError, StoreUnavailableError

Connection: TypeAlias = AsyncConnection[Any]
Pool: TypeAlias = AsyncConnectionPool[Connection]

SESSION = {
    "autocommit": True,
    "prepare_threshold": 2,
    "options": "-c timezone=UTC -c statement_timeout=30s"
    " -c idle_in_transaction_session_timeout=30s",
}
"""How every connection of ours is set up."""

ATTEMPTS = 5
"""How often a transaction is tried that met another one, or lost its connection."""


def make_pool(url: str, *, size: int, timeout: float = 1.5) -> Pool:
    """A pool of so many connections, not yet open; `timeout` is in seconds."""
    return AsyncConnectionPool(
        url,
        kwargs=SESSION,
        min_size=1,
        max_size=size,
        timeout=timeout,
        open=False,
        check=AsyncConnectionPool.check_connection,
        # Kept short, so that a server that was away is found soon.
        reconnect_timeout=5.0,
    )


def is_poison(error: BaseException) -> bool:
    """Whether one row alone may have made Postgres refuse a statement."""
    return isinstance(error, errors.DataError | errors.IntegrityError | ValueError)


def is_passing(error: BaseException) -> bool:
    """Whether the same transaction may well succeed at once."""
    return isinstance(error, errors.SerializationFailure | errors.DeadlockDetected)


def is_unavailable(error: BaseException) -> bool:
    """Whether Postgres is away, as opposed to refusing what was asked."""
    away = OperationalError | InterfaceError | PoolTimeout | PoolClosed
    return isinstance(error, away | TooManyRequests) and not is_passing(error)


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction; raises StoreUnavailableError while Postgres is away."""
    try:
        async with pool.connection() as connection, connection.transaction():
            yield connection
    except Exception as error:
        if is_unavailable(error):
            raise StoreUnavailableError("Postgres does not answer") from error
        if isinstance(error, errors.UndefinedTable | errors.UndefinedFunction):
            raise MigrationError(
                "the database has not the schema of this version: run tracker migrate"
            ) from error
        raise


async def is_answering(pool: Pool) -> bool:
    """Whether Postgres answers a trivial question now."""
    try:
        async with transaction(pool) as connection:
            await connection.execute("select 1")
    except StoreUnavailableError:
        return False
    return True
