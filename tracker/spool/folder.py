"""The spools of this host: our own, and those whose owners are gone."""

import asyncio
import math
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from tracker.domain.errors import SpoolError
from tracker.failpoints import failpoint
from tracker.spool.file import Room, SpoolFile, sync_folder
from tracker.spool.frames import Kind
from tracker.spool.lock import FileLock
from tracker.spool.spool import Spool

log = structlog.get_logger()

FAULT_SECONDS = 60.0


class SpoolFolder:
    """
    Where this process spools to, and what it found there of others.

    Our own file is made when it is first needed. Who empties its spools holds
    `draining`: two at once would take the same records, and count them twice.
    """

    def __init__(self, path: Path, room: Room) -> None:
        self._path = path
        self._room = room
        self._own: Spool | None = None
        self._own_path = path / f"{os.getpid()}-{secrets.token_hex(4)}.sqlite"
        self._adopted: dict[Path, Spool] = {}
        self._opening = asyncio.Lock()
        self.draining = asyncio.Lock()
        self._complained: set[Path] = set()
        self._fault = ""
        self._failed_at = -math.inf

    @property
    def fault(self) -> str:
        """Why an insert failed in the last minute, if one did."""
        has_failed = time.monotonic() - self._failed_at < FAULT_SECONDS
        return self._fault if has_failed else ""

    @property
    def waiting(self) -> int:
        """How many records of all our spools are still to be drained."""
        return sum(spool.waiting for spool in self.spools)

    @property
    def spools(self) -> list[Spool]:
        """Those that we hold; the own one last, as it is the youngest."""
        return [*self._adopted.values(), *([self._own] if self._own else [])]

    async def insert(self, kind: Kind, bodies: Sequence[bytes], seconds: float) -> None:
        """Returns when the disk has all of them; SpoolError if it will not, in time."""
        try:
            own = self._own or await self.open_own()
            await own.insert(kind, bodies, seconds)
        except SpoolError as error:
            self._fault, self._failed_at = str(error), time.monotonic()
            raise

    async def open_own(self) -> Spool:
        """Our own spool, ready to be written to; SpoolError if it cannot be."""
        async with self._opening:
            if self._own is None:
                self._own = await self._open(self._own_path)
            return self._own

    async def adopt(self) -> None:
        """Takes over the files whose owners are gone."""
        for path in await asyncio.to_thread(self._list_others):
            # Held by somebody, or gone meanwhile: it is in good hands.
            with suppress(BlockingIOError, FileNotFoundError):
                await self._adopt(path)

    async def let_go(self, spool: Spool) -> None:
        """Removes an adopted one, once nothing at all is kept in it."""
        if spool is not self._own and await spool.is_empty():
            self._adopted = {
                p: one for p, one in self._adopted.items() if one is not spool
            }
            await spool.close()

    async def close(self) -> None:
        """What is not empty is left for others to adopt."""
        spools, self._own, self._adopted = self.spools, None, {}
        for spool in spools:
            with suppress(SpoolError):
                await spool.close()

    async def _adopt(self, path: Path) -> None:
        try:
            self._adopted[path] = await self._open(path, must_exist=True)
        except SpoolError as error:
            if path not in self._complained:
                self._complained.add(path)
                log.critical("spool.not_adopted", spool=path.stem, error=str(error))
            return
        log.warning("spool.adopted", spool=path.stem)
        failpoint("spool.adopted")

    def _list_others(self) -> list[Path]:
        ours = {*self._adopted, self._own_path}
        found = sorted(self._path.glob("*.sqlite"), key=_age)
        return [path for path in found if path not in ours]

    async def _open(self, path: Path, *, must_exist: bool = False) -> Spool:
        lock = await asyncio.to_thread(self._take_lock, path, must_exist=must_exist)
        spool = Spool(SpoolFile(path, self._room), lock)
        try:
            await spool.open()
            await asyncio.to_thread(sync_folder, self._path)
        except OSError as error:
            lock.release()
            raise SpoolError(f"the spool {path.name}: {error}") from error
        except BaseException:
            lock.release()
            raise
        return spool

    def _take_lock(self, path: Path, *, must_exist: bool) -> FileLock:
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock.take(path.with_suffix(".lock"))
        except BlockingIOError:
            raise
        except OSError as error:
            raise SpoolError(f"the spool {path.name}: {error}") from error
        if must_exist and not path.exists():
            lock.remove()
            lock.release()
            raise FileNotFoundError(path)
        return lock


def _age(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0
