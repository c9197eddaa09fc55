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

_LIST = """
select number, frame from records where refused is null order by number limit ?
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
            first = self._numbered()
            self._write(Record(first + n, kind, body) for n, body in enumerate(bodies))
            self._last += len(bodies)
            self.waiting += len(bodies)

    def list_waiting(self, limit: int) -> list[Record]:
        """The oldest that were not refused; damaged ones are set aside."""
        with self._told():
            rows = self._opened().execute(_LIST, [limit]).fetchall()
        found = [self._read(number, frame) for number, frame in rows]
        return [record for record in found if record]

    def delete(self, numbers: Sequence[int]) -> None:
        """Forgets what another store has now."""
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
            return not self._opened().execute("select 1 from records").fetchall()

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
            self._connection = self._connect() if is_known else self._recovered()
            self._is_sound = True
        return self._connection

    def _numbered(self) -> int:
        """The number of the next record, known once the file is open."""
        self._opened()
        return self._last + 1

    def _write(self, records: Iterable[Record]) -> None:
        failpoint("spool.write")
        with self._opened() as connection:
            connection.executemany(
                _INSERT, [(one.number, make_frame(one)) for one in records]
            )
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
        if self.waiting <= 0 and self.path.stat().st_size > _WASTE_BYTES:
            with self._told():
                self._opened().execute("vacuum")

    def _recovered(self) -> sqlite3.Connection:
        """
        The file, with all that can be found of it.

        The log beside it is looked through in any case: SQLite drops all that
        follows the first damage in it, and with it what is whole.
        """
        found = list(_frames_in(_log_of(self.path)))
        try:
            connection = self._connect()
            _check(connection)
        except sqlite3.DatabaseError as error:
            if not _is(error, *_DAMAGES):
                raise
            found += self._set_aside()
            connection = self._connect()
        self._restore(connection, found)
        return connection

    def _connect(self) -> sqlite3.Connection:
        self.path.touch(mode=0o600)
        connection = sqlite3.connect(self.path, check_same_thread=False)
        try:
            connection.executescript(_SETUP)
            pages = max(1, self._room.most // PAGE_BYTES)
            connection.execute(f"pragma max_page_count = {pages}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self) -> list[Record]:
        """Moves the damaged files out of the way, and says what was whole in them."""
        found = list(_frames_in(self.path))
        found += _readable(self.path)
        for path in _files(self.path):
            if path.exists():
                path.rename(path.with_name(f"{path.name}.damaged"))
        log.critical("spool.damaged", spool=self.path.name, recovered=len(found))
        return found

    def _restore(self, connection: sqlite3.Connection, found: Iterable[Record]) -> None:
        with connection:
            (drained,) = connection.execute("select number from drained").fetchone()
            # In place of what has its number: that may be damaged, and this is not.
            connection.executemany(
                "replace into records (number, frame) values (?, ?)",
                [(r.number, make_frame(r)) for r in found if r.number > drained],
            )
            # What was refused once may be taken by the version that opens it now.
            connection.execute("update records set refused = null")
        self.waiting, last = connection.execute(
            "select count(*), coalesce(max(number), 0) from records"
        ).fetchone()
        self._last = max(last, drained)


def _check(connection: sqlite3.Connection) -> None:
    """Raises for a file that SQLite finds damaged."""
    (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
    if verdict != "ok":
        connection.close()
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _readable(path: Path) -> list[Record]:
    """What SQLite still reads of a damaged file: records of more than a page, too."""
    found: list[Record] = []
    for query in _FROM_EITHER_END:
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
        ):
            for (frame,) in connection.execute(query):
                found += find_frames(frame)
    return found


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
