"""
How often somebody may try to sign in: guessing is online, and limited.

Each try is counted before it is judged, so that many at once are no way around it,
and is taken back when it was right. A name is limited less than an address, and not at
all for a browser that has signed in by it before: whoever tries another's name in vain,
again and again, keeps nobody out of a browser they know, and out of others no longer
than it goes on.
"""

from collections import Counter
from datetime import datetime, timedelta

from tracker.domain.errors import TooManyFailuresError

WINDOW = timedelta(minutes=5)
PER_ADDRESS = 10
PER_NAME = 50
PER_KNOWN = 10
"""Failures in a window: of an address, of a name, and of a name in a known browser."""

MAX_KEYS = 50_000
"""So many are told apart; all others count as one."""

_ALL_OTHERS = "all others"


class Attempts:
    """The failures of this window, of one process."""

    def __init__(self) -> None:
        self._window = 0
        self._counts: Counter[str] = Counter()

    def begin(self, address: str, name: str, now: datetime, *, is_known: bool) -> None:
        """Counts one; raises TooManyFailuresError where there were too many."""
        left = self._turn(now)
        limits = _limits(address, name, is_known=is_known)
        if any(self._counts[self._key(key)] >= most for key, most in limits.items()):
            raise TooManyFailuresError(left)
        for key in limits:
            self._counts[self._key(key)] += 1

    def forgive(self, address: str, name: str, *, is_known: bool) -> None:
        """It was right: it does not count."""
        for key in map(self._key, _limits(address, name, is_known=is_known)):
            self._counts[key] = max(0, self._counts[key] - 1)

    def _turn(self, now: datetime) -> int:
        seconds = int(WINDOW.total_seconds())
        window, second = divmod(int(now.timestamp()), seconds)
        if window != self._window:
            self._window, self._counts = window, Counter()
        return seconds - second

    def _key(self, key: str) -> str:
        is_full = len(self._counts) >= MAX_KEYS
        return _ALL_OTHERS if is_full and key not in self._counts else key


def _limits(address: str, name: str, *, is_known: bool) -> dict[str, int]:
    if is_known:
        return {f"known {address} {name}": PER_KNOWN}
    return {f"address {address}": PER_ADDRESS, f"name {name}": PER_NAME}
