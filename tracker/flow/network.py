"""
When nobody can be reached it is our own network, and no partner's fault.

Each worker judges for itself, by its own calls and its own clock: another machine's
network may well be up.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog

from tracker import metrics
from tracker.domain.breaker import SignKind
from tracker.domain.network import is_down
from tracker.store.deliveries import Ending

log = structlog.get_logger()

DOUBT_SECONDS = 2.0
"""How long a call that was not connected waits to hear how others fare."""

KNOCKED_AT = 3

Knock = Callable[[str], Awaitable[bool]]


@dataclass
class Doubt:
    """What was heard since a call was not connected, and whoever waits for it."""

    verdict: asyncio.Future[bool]
    reached: set[str] = field(default_factory=set)
    unreached: set[str] = field(default_factory=set)
    knocking: asyncio.Task[None] | None = None

    def hear(self, host: str, *, is_reached: bool) -> None:
        """The latest of a host is what counts."""
        heard, other = self.reached, self.unreached
        if not is_reached:
            heard, other = other, heard
        heard.add(host)
        other.discard(host)

    def judge(self) -> bool | None:
        """Whether our network is down, as far as it can be told."""
        return is_down(len(self.unreached), len(self.reached))


class Network:
    """
    Ours, as this worker's calls see it.

    `knock` tells whether a server (scheme, host and port) takes a connection: before
    it is said that nobody does, those are asked that did last.
    """

    def __init__(self, knock: Knock) -> None:
        self._knock = knock
        self._doubt: Doubt | None = None
        self._servers: dict[str, str] = {}
        self._down_since = math.inf
        self._restored_at = -math.inf
        metrics.NETWORK_DOWN.set(0)

    @property
    def is_down(self) -> bool:
        """Whether nobody was reached since it was last judged."""
        return self._down_since < math.inf

    async def is_to_blame(self, ending: Ending, began: float) -> bool:
        """
        Whether a call that began then ended so because our network is down.

        Answers at once, but for a call that was not connected while it cannot be
        told yet.
        """
        if ending.sign is None or ending.attempt is None:
            return False
        host = ending.lease.delivery.lane.rpartition("@")[2]
        if ending.sign.kind is not SignKind.UNREACHED:
            self._hear_of(host, ending.attempt.url)
            return False
        if self.is_down or began < self._restored_at:
            return True
        return await self._doubt_for(host)

    def _hear_of(self, host: str, url: str) -> None:
        # Taken out first, so that it is the latest of all.
        known = self._servers.pop(host, None)
        self._servers[host] = known or f"{urlsplit(url).scheme}://{host}"
        if self.is_down:
            self._restore(host)
        elif self._doubt is not None:
            self._doubt.hear(host, is_reached=True)
            self._judge(self._doubt)

    async def _doubt_for(self, host: str) -> bool:
        doubt = self._doubt = self._doubt or self._begin_doubt()
        doubt.hear(host, is_reached=False)
        self._judge(doubt)
        return await asyncio.shield(doubt.verdict)

    def _begin_doubt(self) -> Doubt:
        loop = asyncio.get_running_loop()
        doubt = Doubt(loop.create_future())
        loop.call_later(DOUBT_SECONDS, self._settle, doubt)
        return doubt

    def _judge(self, doubt: Doubt) -> None:
        verdict = doubt.judge()
        if verdict is False:
            self._settle(doubt)
        elif verdict and doubt.knocking is None:
            doubt.knocking = asyncio.create_task(self._make_sure(doubt))

    async def _make_sure(self, doubt: Doubt) -> None:
        """Nobody who is called is reached: ask those who are not called just now."""
        asked = [one for one in reversed(self._servers) if one not in doubt.unreached]
        del asked[KNOCKED_AT:]
        answers = await asyncio.gather(
            *(self._knock(self._servers[host]) for host in asked)
        )
        for host, is_reached in zip(asked, answers, strict=True):
            doubt.hear(host, is_reached=is_reached)
        if asked:
            self._settle(doubt)

    def _settle(self, doubt: Doubt) -> None:
        """What is still in doubt is a partner's own."""
        if doubt.verdict.done():
            return
        is_ours = doubt.judge() is True
        doubt.verdict.set_result(is_ours)
        self._doubt = None
        if is_ours:
            self._down_since = asyncio.get_running_loop().time()
            metrics.NETWORK_DOWN.set(1)
            log.error("network.down", hosts=sorted(doubt.unreached)[:10])

    def _restore(self, host: str) -> None:
        self._restored_at = asyncio.get_running_loop().time()
        lasted = self._restored_at - self._down_since
        self._down_since = math.inf
        metrics.NETWORK_DOWN.set(0)
        log.info("network.up", host=host, after_s=round(lasted, 1))
