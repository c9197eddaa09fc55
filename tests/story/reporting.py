"""Web processes of their own, for tests of what two of them do at the same moment."""

import asyncio

from tracker.flow.postback import accept_postbacks
from tracker.flow.start import start
from tracker.runtime import open_runtime


def begin_together(barrier):
    """A process is as far as the others before it is given anything to do."""
    barrier.wait()


def accept_batch(settings, batch):
    return asyncio.run(_accept_batch(settings, batch))


async def _accept_batch(settings, batch):
    async with open_runtime(settings) as runtime:
        await start(runtime)
        return await accept_postbacks(runtime, batch)
