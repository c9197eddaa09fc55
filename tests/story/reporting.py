"""Batches of postbacks, and web processes of their own that accept them."""

import asyncio

from tracker.flow.postback import accept_postbacks, hear
from tracker.flow.start import start
from tracker.runtime import open_runtime


async def accept_together(runtime, postbacks):
    """As one batch, whatever the rest of the process does."""
    rules = runtime.rules()
    return await accept_postbacks(runtime, [hear(one, rules) for one in postbacks])


def begin_together(barrier):
    """A process is as far as the others before it is given anything to do."""
    barrier.wait()


def accept_batch(settings, batch):
    return asyncio.run(_accept_batch(settings, batch))


async def _accept_batch(settings, batch):
    async with open_runtime(settings) as runtime:
        await start(runtime)
        return await accept_together(runtime, batch)
