"""What a process does again and again, until it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger()

ASK_AGAIN_SECONDS = 0.5

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

Step = Callable[[], Awaitable[object]]


async def keep_going(name: str, step: Step, seconds: float = 0.0) -> None:
    """
    Run a step again and again, so many seconds apart.

    A step that raises is logged with its trace, and the pause after it doubles
    from 0.1 to 5 s until one succeeds.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            await step()
        except Exception:
            log.exception("loop.failed", loop=name, pause_s=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            pause = _FIRST_PAUSE
            await asyncio.sleep(seconds)


@asynccontextmanager
async def running(loops: Iterable[Awaitable[None]]) -> AsyncIterator[None]:
    """They run while the block does, and are cancelled at its end."""
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        yield
    finally:
        await end_tasks(tasks)


async def end_tasks(tasks: Iterable[asyncio.Future[None]]) -> None:
    """
    Cancelled, and over: nothing of them runs on afterwards.

    A library may swallow a cancellation that meets the end of a wait (Python 3.11's
    `wait_for` does), so each is asked until it has ended.
    """
    ended = list(tasks)
    pending = set(ended)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=ASK_AGAIN_SECONDS)
    await asyncio.gather(*ended, return_exceptions=True)
