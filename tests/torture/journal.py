"""
What was attempted, answered and heard, on disk before anybody goes on.

A line of JSON each; those that come together share one sync.
"""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path


class Journal:
    """An append-only file; what `write` returned from survives the end of us."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def write(self, what, **facts):
        done = asyncio.get_running_loop().create_future()
        line = json.dumps([what, facts]).encode() + b"\n"
        self._waiting.append((line, done))
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        await done

    async def _run(self):
        while self._waiting:
            some, self._waiting = self._waiting, []
            lines = b"".join(line for line, _ in some)
            await asyncio.to_thread(self._keep, lines)
            for _, done in some:
                # Who hung up meanwhile waits no longer.
                with suppress(asyncio.InvalidStateError):
                    done.set_result(None)
        self._runner = None

    def _keep(self, lines):
        os.write(self._file, lines)
        os.fdatasync(self._file)


def read_journal(path: Path):
    """Every line that is whole, as what it is and its facts."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield json.loads(line)
