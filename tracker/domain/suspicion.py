"""
How often an address has failed to prove something: guessing is online, and limited.

Only what fails is counted, and only an answer that fails is ever replaced: an honest
sender behind the same address is never locked out.
"""

from collections import Counter
from datetime import datetime

from tracker.domain.neighbourhood import neighbourhood_of
from tracker.domain.value import Value

ANSWERED = 20
"""Failures of an address that are answered with their reason, in a minute."""

KEPT = 100
"""Failures of an address that are kept, in a minute."""

KEPT_OF_ALL = 1000
"""Failures of all addresses that are kept, in a minute."""

MAX_ADDRESSES = 10_000
"""So many are told apart in a minute; all others count as one."""

_ALL_OTHERS = "all others"
_SECONDS = 60


class Standing(Value, frozen=True):
    """What a failure still gets: its reason as the answer, and a place in the store."""

    is_answered: bool
    is_kept: bool
    seconds_left: int


class Suspects:
    """The failures of this minute, of one process."""

    def __init__(self) -> None:
        self._minute = 0
        self._failures: Counter[str] = Counter()
        self._kept = 0

    def note(self, address: str, now: datetime) -> Standing:
        """One more failure of this address, "" for one that has none."""
        minute, second = divmod(int(now.timestamp()), _SECONDS)
        if minute != self._minute:
            self._minute, self._failures, self._kept = minute, Counter(), 0
        who = self._known(neighbourhood_of(address))
        self._failures[who] += 1
        is_kept = self._failures[who] <= KEPT and self._kept < KEPT_OF_ALL
        self._kept += is_kept
        is_answered = is_kept and self._failures[who] <= ANSWERED
        return Standing(is_answered, is_kept, _SECONDS - second)

    def _known(self, who: str) -> str:
        is_full = len(self._failures) >= MAX_ADDRESSES
        return _ALL_OTHERS if is_full and who not in self._failures else who
