"""Whether a store is away: found out once, and its return by one probe for all."""

import asyncio
import math
from collections.abc import Awaitable, Callable

import structlog

from tracker import metrics

log = structlog.get_logger()

PROBE_SECONDS = 0.1
"""Between two questions; each costs a store that is away nothing."""

LONGEST_PAUSE = 5.0
SOON = 10.0
"""A store that answers, and takes nothing, is asked less and less often."""


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
        self._pause = PROBE_SECONDS
        self._ended_at = -math.inf
        self._watching: asyncio.Task[None] | None = None

    def begin(self, because: object) -> None:
        """Says so aloud, unless it is known already."""
        if self.is_on:
            return
        self.is_on = True
        self._pause = self._next_pause()
        metrics.STORES_AWAY.labels(self._store).set(1)
        log.error("store.away", store=self._store, because=str(because))
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Nobody waits for its end any more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def _next_pause(self) -> float:
        """One that was over too soon is believed to be over later the next time."""
        lasted = asyncio.get_running_loop().time() - self._ended_at
        return min(2 * self._pause, LONGEST_PAUSE) if lasted < SOON else PROBE_SECONDS

    async def _watch(self) -> None:
        await asyncio.sleep(self._pause)
        while not await self._is_back():  # noqa: ASYNC110 - it is no event of ours
            await asyncio.sleep(PROBE_SECONDS)
        self.is_on = False
        self._ended_at = asyncio.get_running_loop().time()
        metrics.STORES_AWAY.labels(self._store).set(0)
        log.warning("store.back", store=self._store)

    async def _is_back(self) -> bool:
        """Whatever the probe meets, it goes on asking."""
        try:
            return await self._probe()
        except Exception as error:  # noqa: BLE001 - a store can fail in any way
            log.warning("store.not_probed", store=self._store, error=repr(error))
            return False
