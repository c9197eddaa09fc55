"""
One spool on disk, in SQLite: every call returns when the disk has it.

What SQLite cannot read any more is looked for in the bytes of its files.
"""

import mmap
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import structlog

from tracker.domain.errors import SpoolError
from tracker.failpoints import failpoint
from tracker.spool.frames import Kind, Record, find_frames, make_frame, read_frame

log = structlog.get_logger()

PAGE_BYTES = 16 * 1024
"""A record that fits a page lies in one piece, and is found without SQLite."""

_WASTE_BYTES = 64 * 1024 * 1024
"""An empty file that has grown so far is made small again."""

_SETUP = """
pragma page_size = 16384;
pragma journal_mode = wal;
pragma synchronous = full;
pragma secure_delete = on;
create table if not exists records (
    number integer primary key, frame blob not null, refused text
);
create table if not exists drained (number integer not null);
insert into drained select 0 where not exists (select 1 from drained);
"""

_INSERT = "insert into records (number, frame) values (?, ?)"

# In place of what has its number: that may be damaged, and this is not.
_RESTORE = "replace into records (number, frame) values (?, ?)"

_LIST = """
select number, frame from records where refused is null order by number limit ?
"""

_COUNT = """
select count(*) filter (where refused is null),
       max(coalesce(max(number), 0), (select max(number) from drained))
from records
"""

_FROM_EITHER_END = (
    "select frame from records order by number",
    "select frame from records order by number desc",
)
"""As far as the damage."""

_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Room:
    """The most bytes a spool may take, and how many it leaves free on its disk."""

    most: int
    free: int


class SpoolFile:
    """
    The records of one file, oldest first. Not for an event loop: it waits for the disk.

    Everything raises SpoolError where the file cannot be read or written; the next
    call then opens it anew, and looks it through if it was damaged.
    """

    def __init__(self, path: Path, room: Room) -> None:
        self.path = path
        self.waiting = 0
        self._room = room
        self._last = 0
        self._is_sound = False
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Reads what a former owner has left; what is damaged is recovered."""
        with self._told():
            self._opened()

    def insert(self, kind: Kind, bodies: Sequence[bytes]) -> None:
        """All of them are on disk, or none; SpoolError where there is no room."""
        with self._told():
            self._check_room(sum(map(len, bodies)))
            self._opened()
            # Never used twice: a batch that failed may yet be found on the disk.
            first, self._last = self._last + 1, self._last + len(bodies)
            self._write(Record(first + n, kind, body) for n, body in enumerate(bodies))
            self.waiting += len(bodies)

    def list_waiting(self, limit: int) -> list[Record]:
        """The oldest that were not refused; damaged ones are set aside."""
        with self._told():
            rows = self._opened().execute(_LIST, [limit]).fetchall()
        found = [self._read(number, frame) for number, frame in rows]
        return [record for record in found if record]

    def delete(self, numbers: Sequence[int]) -> None:
        """Forgets what another store has now."""
        if not numbers:
            return
        with self._told(), self._opened() as connection:
            connection.executemany(
                "delete from records where number = ?", [(one,) for one in numbers]
            )
            connection.execute(
                "update drained set number = max(number, ?)", [max(numbers)]
            )
        self.waiting -= len(numbers)
        self._shrink()

    def refuse(self, number: int, error: str) -> None:
        """Keeps a record that no store takes, out of the way of the others."""
        with self._told(), self._opened() as connection:
            connection.execute(
                "update records set refused = ? where number = ?", [error, number]
            )
        self.waiting -= 1

    def is_empty(self) -> bool:
        """Whether nothing is kept at all, refused ones included."""
        with self._told():
            found = self._opened().execute("select 1 from records limit 1")
            return found.fetchone() is None

    def close(self) -> None:
        """Lets go of the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def remove(self) -> None:
        """Deletes the file."""
        self.close()
        for path in _files(self.path):
            path.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if not _is(error, sqlite3.SQLITE_FULL):
                self.close()
            self._is_sound = self._is_sound and not _is(error, *_DAMAGES)
            raise SpoolError(f"the spool {self.path.name}: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_known = self._is_sound and self.path.exists()
            connection = self._connect() if is_known else self._recovered()
            self.waiting, last = connection.execute(_COUNT).fetchone()
            self._last = max(self._last, last)
            self._connection, self._is_sound = connection, True
        return self._connection

    def _write(self, records: Iterable[Record]) -> None:
        failpoint("spool.write")
        with self._opened() as connection:
            connection.executemany(_INSERT, _rows(records))
            failpoint("spool.written")
        failpoint("spool.committed")

    def _check_room(self, wanted: int) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self.path.parent).free - wanted < self._room.free:
            raise SpoolError("the disk is too full for the spool")

    def _read(self, number: int, frame: bytes) -> Record | None:
        try:
            return read_frame(frame)
        except ValueError as error:
            log.critical("spool.damaged", spool=self.path.name, record=number)
            self.refuse(number, str(error))
            return None

    def _shrink(self) -> None:
        """An outage may have made it large; once it is empty that is given back."""
        with self._told():
            if self.waiting <= 0 and self.path.stat().st_size > _WASTE_BYTES:
                self._opened().execute("vacuum")

    def _connect(self) -> sqlite3.Connection:
        return _connected(self.path, self._room.most)

    def _recovered(self) -> sqlite3.Connection:
        """
        The file, with all that can be found of it.

        The log beside it is looked through in any case: SQLite drops all that
        follows the first damage in it, and with it what is whole.
        """
        if _recovered_of(self.path).exists():
            # Who made it did not live to put it in place.
            self._replace()
        found = list(_frames_in(_log_of(self.path)))
        try:
            connection = self._connect()
            _check(connection)
        except sqlite3.DatabaseError as error:
            if not _is(error, *_DAMAGES):
                raise
            self._rebuild(found)
            connection = self._connect()
        else:
            _restore(connection, found)
        with connection:
            # What was refused once may be taken by the version that opens it now.
            connection.execute(
                "update records set refused = null where refused is not null"
            )
        return connection

    def _rebuild(self, found: Iterable[Record]) -> None:
        """
        Writes all that is whole into a new file, and puts that in place.

        Until it is in place the damaged one stays as it is: whoever is killed here
        leaves everything to the next.
        """
        unfinished = self.path.with_name(f"{self.path.name}.recovering")
        for path in _files(unfinished):
            path.unlink(missing_ok=True)
        frames = chain(found, _frames_in(self.path), _readable(self.path))
        with closing(_connected(unfinished, self._room.most)) as connection:
            with connection:
                connection.executemany(_RESTORE, _rows(frames))
            (number,) = connection.execute("select count(*) from records").fetchone()
        unfinished.replace(_recovered_of(self.path))
        sync_folder(self.path.parent)
        log.critical("spool.damaged", spool=self.path.name, recovered=number)
        self._replace()

    def _replace(self) -> None:
        """The damaged file is kept under another name; its log must go before it."""
        aside = _free_name(self.path)
        if self.path.exists():
            os.link(self.path, aside)
        with suppress(FileNotFoundError):
            _log_of(self.path).rename(_log_of(aside))
        self.path.with_name(f"{self.path.name}-shm").unlink(missing_ok=True)
        _recovered_of(self.path).replace(self.path)
        sync_folder(self.path.parent)


def _connected(path: Path, most_bytes: int) -> sqlite3.Connection:
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.executescript(_SETUP)
        pages = max(1, most_bytes // PAGE_BYTES)
        connection.execute(f"pragma max_page_count = {pages}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Raises for a file that SQLite finds damaged, and lets go of it."""
    try:
        (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    if verdict != "ok":
        connection.close()
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _restore(connection: sqlite3.Connection, found: Iterable[Record]) -> None:
    """Writes what was found and is not there; mostly that is nothing."""
    (drained,) = connection.execute("select number from drained").fetchone()
    known = "select 1 from records where number = ? and frame = ?"
    missing = [
        row
        for row in _rows(one for one in found if one.number > drained)
        if connection.execute(known, row).fetchone() is None
    ]
    with connection:
        connection.executemany(_RESTORE, missing)


def _rows(records: Iterable[Record]) -> Iterator[tuple[int, bytes]]:
    return ((one.number, make_frame(one)) for one in records)


def _readable(path: Path) -> Iterator[Record]:
    """What SQLite still reads of a damaged file: records of more than a page, too."""
    for query in _FROM_EITHER_END:
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
        ):
            for (frame,) in connection.execute(query):
                yield from find_frames(frame)


def _frames_in(path: Path) -> Iterator[Record]:
    if not path.exists() or not path.stat().st_size:
        return
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        yield from find_frames(data)


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _recovered_of(path: Path) -> Path:
    """What was whole in a damaged file: complete, once it has this name."""
    return path.with_name(f"{path.name}.recovered")


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.damaged-{n}") for n in count(1))
    return next(name for name in names if not name.exists())


def _files(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]


def _is(error: Exception, *codes: int) -> bool:
    return getattr(error, "sqlite_errorcode", None) in codes


def sync_folder(folder: Path) -> None:
    """The names of new files in it are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
