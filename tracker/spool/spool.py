"""A spool for an event loop: its file is written and read in a thread of its own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tracker.domain.errors import SpoolError
from tracker.spool.file import SpoolFile
from tracker.spool.frames import Kind, Record
from tracker.spool.lock import FileLock

Result = TypeVar("Result")


class Spool:
    """
    A file that is ours, because we hold its lock.

    Everything raises SpoolError where the disk refuses.
    """

    def __init__(self, file: SpoolFile, lock: FileLock) -> None:
        self._file = file
        self._lock = lock
        self._thread = ThreadPoolExecutor(1, f"spool-{file.path.stem}")
        self._writing: asyncio.Future[None] | None = None

    @property
    def name(self) -> str:
        """By which logs name it."""
        return self._file.path.stem

    @property
    def waiting(self) -> int:
        """How many records are still to be drained."""
        return self._file.waiting

    async def open(self) -> None:
        """Reads what is there."""
        await self._run(self._file.open)

    async def insert(self, kind: Kind, bodies: Sequence[bytes], seconds: float) -> None:
        """
        Returns when the disk has all of them.

        A disk that says nothing for so long has failed; while it still hangs, so has
        every other insert at once.
        """
        if self._writing is not None and not self._writing.done():
            raise SpoolError("the disk hangs")
        writing = self._run(lambda: self._file.insert(kind, bodies))
        _, pending = await asyncio.wait([writing], timeout=seconds)
        if pending:
            self._writing = writing
            writing.add_done_callback(_forget)
            raise SpoolError("the disk did not answer in time")
        writing.result()

    async def list_waiting(self, limit: int) -> list[Record]:
        """The oldest, in order."""
        return await self._run(lambda: self._file.list_waiting(limit))

    async def delete(self, numbers: Sequence[int]) -> None:
        """Forgets what another store has now."""
        await self._run(lambda: self._file.delete(numbers))

    async def is_empty(self) -> bool:
        """Whether nothing is kept at all, refused records included."""
        return await self._run(self._file.is_empty)

    async def refuse(self, number: int, error: str) -> None:
        """Keeps a record that no store takes, out of the way of the others."""
        await self._run(lambda: self._file.refuse(number, error))

    async def close(self) -> None:
        """Lets go of it: an empty file is removed, another one can be adopted."""
        await self._run(self._end)
        self._thread.shutdown(wait=False)

    def _end(self) -> None:
        try:
            if self._file.is_empty():
                self._file.remove()
                self._lock.remove()
        finally:
            self._file.close()
            self._lock.release()

    def _run(self, call: Callable[[], Result]) -> asyncio.Future[Result]:
        return asyncio.get_running_loop().run_in_executor(self._thread, call)


def _forget(writing: asyncio.Future[None]) -> None:
    """Nobody waits for it any more; that it failed was said before."""
    if not writing.cancelled():
        writing.exception()
