"""
Group commit: requests that come while the store is busy share its next call.

Callers await; while one batch is in flight the next one gathers; nobody waits for
a timer when the store is idle.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tracker.domain.errors import OverloadedError, StoreUnavailableError
from tracker.metrics import BATCH_SIZE

Item = TypeVar("Item")
Result = TypeVar("Result")

Story = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]
Test = Callable[[BaseException], bool]


@dataclass(frozen=True, slots=True)
class Faults:
    """
    What the errors of a store mean.

    `is_poison` tells one that a single item may have caused: such a batch is halved
    until the bad item stands alone, so that it cannot fail its neighbours.
    `is_outage` tells that the store is away: what has gathered meanwhile fails with
    the batch, and does not wait to hear the same.
    """

    is_poison: Test
    is_outage: Test


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How many items make a batch at most, how many wait, and how long, in seconds.

    In `rounds`, at most so many, those who are already at the door are let into a
    batch: worth it where a call of the store costs much, however little is in it.
    """

    batch: int = 256
    waiting: int = 10_000
    seconds: float = math.inf
    rounds: int = 0


class Coalescer(Generic[Item, Result]):
    """
    Runs `story` for many callers at once, first come first.

    One batch at a time: a second one beside it was measured, and made both smaller
    and each item dearer.
    More than `bounds.waiting` items are refused with OverloadedError; who waits for
    longer than `bounds.seconds` gets StoreUnavailableError.
    """

    def __init__(
        self,
        story: Story[Item, Result],
        *,
        name: str,
        faults: Faults,
        bounds: Bounds = Bounds(),
    ) -> None:
        self._story = story
        self._faults = faults
        self._bounds = bounds
        self._sizes = BATCH_SIZE.labels(name)
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._patience = Patience(bounds.seconds)
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """
        The item's own result, or the error that it met.

        A caller that is cancelled does not take its item with it.
        """
        if len(self._waiting) >= self._bounds.waiting:
            raise OverloadedError(f"{self._bounds.waiting} are waiting already")
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        self._patience.watch(answer)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await answer

    async def close(self) -> None:
        """Waits for what is in flight and for what has gathered."""
        while self._runner is not None:
            await asyncio.shield(self._runner)
        self._patience.end()

    async def _run(self) -> None:
        # Not by a callback, which comes later: an item that was submitted in between
        # would wait for a runner that has ended.
        try:
            while self._waiting:
                await self._gather()
                await self._run_batch()
        finally:
            self._runner = None

    async def _gather(self) -> None:
        """Lets those in who are at the door; nobody else is waited for."""
        size = 0
        for _ in range(self._bounds.rounds):
            if not size < len(self._waiting) < self._bounds.batch:
                break
            size = len(self._waiting)
            # The first turn lets a request in, the second what becomes of it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def _run_batch(self) -> None:
        size = min(len(self._waiting), self._bounds.batch)
        batch = [self._waiting.popleft() for _ in range(size)]
        self._sizes.observe(size)
        items = [item for item, _ in batch]
        results = await each_or_error(items, self._story, self._faults.is_poison)
        for (_, answer), result in zip(batch, results, strict=True):
            _settle(answer, result)
        self._patience.forget()
        for result in results:
            if isinstance(result, Exception) and self._faults.is_outage(result):
                self._fail_waiting(result)

    def _fail_waiting(self, error: Exception) -> None:
        while self._waiting:
            _, answer = self._waiting.popleft()
            _settle(answer, error)


class Patience:
    """Ends waits that take too long: one timer for all, where each would need one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._watched: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, answer: asyncio.Future[Any]) -> None:
        """From now on; it may be answered by anybody."""
        if self._seconds < math.inf:
            loop = answer.get_loop()
            self._watched.append((loop.time() + self._seconds, answer))
            if self._timer is None:
                self._timer = loop.call_later(self._seconds, self._look, loop)

    def forget(self) -> None:
        """Lets go of the oldest that are answered."""
        while self._watched and self._watched[0][1].done():
            self._watched.popleft()

    def end(self) -> None:
        """Watches no longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while self._watched and self._watched[0][0] <= loop.time():
            _, answer = self._watched.popleft()
            _settle(answer, StoreUnavailableError("no answer in time"))
        if self._watched:
            self._timer = loop.call_at(self._watched[0][0], self._look, loop)


async def each_or_error(
    items: Sequence[Item], story: Story[Item, Result], is_poison: Test
) -> list[Result | Exception]:
    """A result for each item, or the error that it met, in the items' order."""
    try:
        return list(await story(items))
    except Exception as error:  # noqa: BLE001 - every caller gets the error it met
        if len(items) == 1 or not is_poison(error):
            return [error] * len(items)
    middle = len(items) // 2
    return [
        *await each_or_error(items[:middle], story, is_poison),
        *await each_or_error(items[middle:], story, is_poison),
    ]


def _settle(answer: asyncio.Future[Result], result: Result | Exception) -> None:
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
