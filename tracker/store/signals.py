"""
The signal that something is due for delivery, by Postgres' NOTIFY.

It saves a worker the wait for its next poll, and may be lost.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from psycopg import AsyncConnection

from tracker.domain.errors import StoreUnavailableError
from tracker.store.postgres import Connection, Pool, connected

CHANNEL = "tracker_deliveries"

_BETWEEN_NOTIFIES = 0.010

_NOTIFY = """
select set_config('synchronous_commit', 'off', true), pg_notify(%(channel)s, '')
"""


class Bell:
    """
    Tells workers that something is due, at most once every 10 ms.

    NOTIFY takes a lock of the whole server at commit: it has no place in a hot
    transaction. If it is lost, the workers' poll finds the delivery a second later.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._is_rung = False
        self._ringing: asyncio.Task[None] | None = None

    def ring(self) -> None:
        """Returns at once; what rings meanwhile is told together."""
        self._is_rung = True
        if self._ringing is None:
            self._ringing = asyncio.create_task(self._tell())

    async def close(self) -> None:
        """Waits until all was told."""
        if self._ringing is not None:
            await self._ringing

    async def _tell(self) -> None:
        try:
            while self._is_rung:
                self._is_rung = False
                await notify_deliveries(self._pool)
                await asyncio.sleep(_BETWEEN_NOTIFIES)
        finally:
            self._ringing = None


async def notify_deliveries(pool: Pool) -> None:
    """Wake the workers; as this only saves them a second, it may fail."""
    with suppress(StoreUnavailableError):
        async with connected(pool) as connection:
            await connection.execute(_NOTIFY, {"channel": CHANNEL})


async def hear(conninfo: str) -> AsyncGenerator[None]:
    """
    Once at the start and then whenever workers are told that something is due.

    On a connection of its own; raises psycopg.Error when that is lost.
    """
    connection: Connection = await AsyncConnection.connect(conninfo, autocommit=True)
    async with connection:
        await connection.execute(f"listen {CHANNEL}")
        yield
        async with aclosing(connection.notifies()) as told:
            async for _ in told:
                yield
