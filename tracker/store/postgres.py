"""Postgres: how connections are made, and which errors mean what."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import msgspec
from psycopg import AsyncConnection, InterfaceError, OperationalError, errors
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from tracker.domain.errors import BusyError, MigrationError, StoreUnavailableError

Connection: TypeAlias = AsyncConnection[Any]
Pool: TypeAlias = AsyncConnectionPool[Connection]

SESSION = {
    "autocommit": True,
    "prepare_threshold": 2,
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # A plan made while a table was small is kept: it must not read the whole of it
    # when fifty thousand rows have come since.
    "options": "-c timezone=UTC -c statement_timeout=30s -c lock_timeout=3s"
    " -c idle_in_transaction_session_timeout=30s -c enable_seqscan=off -c jit=off",
}
"""How every connection of ours is set up: none waits for a peer that is gone."""

ANALYSIS = {
    **SESSION,
    # Each report is a statement of its own, and is worth a plan of its own.
    "prepare_threshold": None,
    "options": "-c timezone=UTC -c statement_timeout=30s -c lock_timeout=3s"
    " -c idle_in_transaction_session_timeout=30s -c jit=off -c work_mem=64MB"
    " -c max_parallel_workers_per_gather=0",
}
"""For reports: they may read a table from end to end."""

_ENCODER = msgspec.json.Encoder()
set_json_loads(msgspec.json.decode)

ANSWERS_WITHIN = 3.0
"""Seconds that a trivial question may take."""

ATTEMPTS = 5
"""How often a transaction is tried that met another one, or lost its connection."""


def as_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """
    What `json_to_recordset` reads: many rows as one parameter.

    An array for each column costs psycopg ten times as much. Bytes are spelled as
    Postgres reads them.
    """
    return _ENCODER.encode(rows).decode()


def as_bytea(value: bytes | None) -> str | None:
    """Bytes inside of JSON."""
    return None if value is None else f"\\x{value.hex()}"


def make_pool(
    url: str,
    *,
    size: int,
    kept: int = 1,
    timeout: float = 1.5,
    session: dict[str, Any] = SESSION,
) -> Pool:
    """
    A pool of so many connections, not yet open; `timeout` is in seconds.

    It keeps `kept` of them while nobody asks.
    """
    return AsyncConnectionPool(
        url,
        kwargs=session,
        min_size=kept,
        max_size=size,
        timeout=timeout,
        open=False,
        check=AsyncConnectionPool.check_connection,
        # Kept short, so that a server that was away is found soon.
        reconnect_timeout=5.0,
    )


def is_poison(error: BaseException) -> bool:
    """Whether one row alone may have made Postgres refuse a statement."""
    refused = errors.DataError | errors.IntegrityError | ValueError
    return isinstance(error, refused | BusyError) and not is_passing(error)


def is_passing(error: BaseException) -> bool:
    """Whether the same transaction may well succeed at once."""
    met = errors.SerializationFailure | errors.DeadlockDetected
    return isinstance(error, met) or is_without_partition(error)


def is_without_partition(error: BaseException) -> bool:
    """Whether a row's day is not there: it was dropped after it was looked for."""
    if not isinstance(error, errors.CheckViolation):
        return False
    return error.diag.constraint_name is None


def is_unavailable(error: BaseException) -> bool:
    """Whether Postgres is away, as opposed to refusing what was asked."""
    away = OperationalError | InterfaceError | PoolTimeout | PoolClosed
    demoted = errors.ReadOnlySqlTransaction
    return isinstance(error, away | TooManyRequests | demoted) and not is_passing(error)


@asynccontextmanager
async def connected(pool: Pool) -> AsyncIterator[Connection]:
    """
    A connection on which each statement is a transaction of its own.

    Raises StoreUnavailableError while Postgres is away, BusyError where somebody else
    holds a row for too long.
    """
    try:
        async with pool.connection() as connection:
            yield connection
    except (errors.LockNotAvailable, errors.QueryCanceled) as error:
        raise BusyError("somebody else holds what this is about") from error
    except Exception as error:
        if is_unavailable(error):
            raise StoreUnavailableError("Postgres does not answer") from error
        if isinstance(error, errors.UndefinedTable | errors.UndefinedFunction):
            raise MigrationError(
                "the database has not the schema of this version: run tracker migrate"
            ) from error
        raise


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction; raises what `connected` does."""
    async with connected(pool) as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def pipelined(
    pool: Pool, *, is_rehearsal: bool = False
) -> AsyncIterator[Connection]:
    """
    One transaction whose statements wait for each other only where a result is read.

    Of a rehearsal nothing stays. Raises what `connected` does, and what a statement
    meets at the end at the latest.
    """
    async with (
        connected(pool) as connection,
        connection.pipeline(),
        connection.transaction(force_rollback=is_rehearsal),
    ):
        yield connection


async def is_answering(pool: Pool) -> bool:
    """Whether Postgres answers a trivial question now, and may be written to."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN), connected(pool) as connection:
            cursor = await connection.execute("show transaction_read_only")
            return await cursor.fetchone() == ("off",)
    except (StoreUnavailableError, BusyError, TimeoutError):
        return False
