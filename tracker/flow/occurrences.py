"""Rows of a file that say the same are told apart by how many there were before."""

import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from typing import Self


class Occurrences:
    """
    How many times a row has been seen.

    On disk where there are many, and gone with the process.
    """

    def __init__(self) -> None:
        self._seen = sqlite3.connect("")
        self._seen.execute("create table seen (digest blob primary key, times integer)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._seen.close()

    def count(self, cells: Sequence[str]) -> int:
        """Of the row with these cells; 1 for the first."""
        digest = blake2b("\0".join(cells).encode(errors="replace"), digest_size=16)
        cursor = self._seen.execute(
            "insert into seen values (?, 1)"
            " on conflict do update set times = times + 1 returning times",
            (digest.digest(),),
        )
        times: int = cursor.fetchone()[0]
        return times
