"""A lock that the kernel lets go of when its holder is gone, however it went."""

import fcntl
import os
from pathlib import Path


class FileLock:
    """Held from `take` to `release`, by one process on this host."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> "FileLock":
        """
        Raises BlockingIOError if somebody else holds it.

        A file that was removed while we asked is no lock to anybody: we ask again.
        """
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_still(path, descriptor):
                    return cls(path, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def remove(self) -> None:
        """Deletes the file, while nobody else can hold it."""
        self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Others may take it."""
        os.close(self._descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
