"""
The copy of the catalog in force that survives a restart, and the file itself.

Both are replaced at once and durably: whoever reads sees the old one or the new one,
never a part.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE

from tracker.domain.errors import CatalogError

COPY = "catalog.snapshot"
"""The copy's name in the data directory."""


def write_copy(path: Path, data: bytes) -> None:
    """Replace the copy; only its owner can read it. Raises OSError."""
    # mkstemp makes the file with mode 0600.
    with written_beside(path, data) as fresh:
        put_in_place(fresh, path)


def read_copy(path: Path) -> bytes:
    """The bytes of the copy; raises CatalogError if there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or "no reason given"
        raise CatalogError(f"no copy of the catalog: {path.name}: {reason}") from error


@contextmanager
def written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """Such a file in the same folder, synced; gone afterwards if it has no place."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield fresh
    finally:
        with suppress(OSError):
            fresh.unlink()


def resemble(fresh: Path, path: Path) -> None:
    """
    Gives a file the mode and the owner of the one that it is to replace.

    Raises OSError where we may not give it to that owner.
    """
    wanted = path.stat()
    given = fresh.stat()
    if (given.st_uid, given.st_gid) != (wanted.st_uid, wanted.st_gid):
        os.chown(fresh, wanted.st_uid, wanted.st_gid)
    # After the owner, which takes some bits of the mode away.
    fresh.chmod(S_IMODE(wanted.st_mode))


def put_in_place(fresh: Path, path: Path) -> None:
    """The one takes the place of the other, and stays there if power fails."""
    fresh.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
