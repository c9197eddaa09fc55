"""
Group commit: requests that come while the store is busy share its next call.

Callers await; while one batch is in flight the next one gathers; nobody waits for
a timer when the store is idle.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tracker.domain.errors import OverloadedError
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
    """How many items make a batch at most, and how many wait at most."""

    batch: int = 256
    waiting: int = 10_000


class Coalescer(Generic[Item, Result]):
    """
    Runs `story` for many callers at once, first come first.

    One batch at a time: a second one beside it was measured, and made both smaller
    and each item dearer.
    More than `bounds.waiting` items are refused with OverloadedError.
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
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await answer

    async def close(self) -> None:
        """Waits for what is in flight and for what has gathered."""
        while self._runner is not None:
            await asyncio.shield(self._runner)

    async def _run(self) -> None:
        # Not by a callback, which comes later: an item that was submitted in between
        # would wait for a runner that has ended.
        try:
            while self._waiting:
                await self._run_batch()
        finally:
            self._runner = None

    async def _run_batch(self) -> None:
        size = min(len(self._waiting), self._bounds.batch)
        batch = [self._waiting.popleft() for _ in range(size)]
        self._sizes.observe(size)
        items = [item for item, _ in batch]
        results = await each_or_error(items, self._story, self._faults.is_poison)
        for (_, answer), result in zip(batch, results, strict=True):
            _settle(answer, result)
        for result in results:
            if isinstance(result, Exception) and self._faults.is_outage(result):
                self._fail_waiting(result)

    def _fail_waiting(self, error: Exception) -> None:
        while self._waiting:
            _, answer = self._waiting.popleft()
            _settle(answer, error)


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
