"""
Passwords, hashed by argon2id: dear for whoever guesses, and so for us.

It is done beside the event loop, few at a time, since each takes 64 MiB of memory.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tracker.domain.errors import OverloadedError
from tracker.metrics import PASSWORDS_HASHED

Result = TypeVar("Result")

AT_ONCE = 2
MAX_WAITING = 20


class Passwords:
    """Hashes and verifies; whoever asks for a name that is not there waits as long."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._nobodys = _spell_nobodys(self._hasher)

    async def hash(self, password: str) -> str:
        """What is stored of a password."""
        return await self._apart(self._hasher.hash, password)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether it is that one; None costs as much as a wrong one, and is no."""
        is_right = await self._apart(self._verify, password, stored or self._nobodys)
        return is_right and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether it was hashed with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    async def _apart(self, work: Callable[..., Result], *given: str) -> Result:
        """Raises OverloadedError when too many wait: memory and patience are finite."""
        if self._waiting >= MAX_WAITING:
            raise OverloadedError("Too many sign in at once; try again in a minute.")
        self._waiting += 1
        try:
            async with self._places:
                PASSWORDS_HASHED.inc()
                return await asyncio.to_thread(work, *given)
        finally:
            self._waiting -= 1

    def _verify(self, password: str, stored: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


def _spell_nobodys(hasher: PasswordHasher) -> str:
    """What no password fits, and takes as long as one that does not."""
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = "A" * 22, "A" * 43
    return f"$argon2id$v=19${cost}${salt}${digest}"
