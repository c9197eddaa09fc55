"""Whether a store is away: found out once, and its return by one probe for all."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from tracker import metrics

log = structlog.get_logger()

PROBE_SECONDS = 0.1
"""Between two questions; each costs a store that is away nothing."""


class Outage:
    """
    An outage of one store, or none.

    Whoever meets it begins it; then nobody asks the store but the probe, which ends
    it. A probe answers whether the store takes what is written.
    """

    def __init__(self, store: str, probe: Callable[[], Awaitable[bool]]) -> None:
        self.is_on = False
        self._store = store
        self._probe = probe
        self._watching: asyncio.Task[None] | None = None

    def begin(self, because: object) -> None:
        """Says so aloud, unless it is known already."""
        if self.is_on:
            return
        self.is_on = True
        metrics.STORES_AWAY.labels(self._store).set(1)
        log.error("store.away", store=self._store, because=str(because))
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Nobody waits for its end any more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        while not await self._probe():  # noqa: ASYNC110 - it is no event of ours
            await asyncio.sleep(PROBE_SECONDS)
        self.is_on = False
        metrics.STORES_AWAY.labels(self._store).set(0)
        log.warning("store.back", store=self._store)
