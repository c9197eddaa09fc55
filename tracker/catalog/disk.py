"""The copy of the catalog in force that survives a restart without Postgres."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from tracker.domain.errors import CatalogError

COPY = "catalog.snapshot"
"""The copy's name in the data directory."""


def write_copy(path: Path, data: bytes) -> None:
    """
    Replace the copy at once and durably; only its owner can read it.

    Whoever reads sees the old copy or the new one, never a part. Raises OSError.
    """
    # mkstemp makes the file with mode 0600.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    _sync_folder(path.parent)


def read_copy(path: Path) -> bytes:
    """The bytes of the copy; raises CatalogError if there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or "no reason given"
        raise CatalogError(f"no copy of the catalog: {path.name}: {reason}") from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
