"""
What has been kept for long enough, and whether the clock that says so is believed.

Nothing here brings back what was dropped, so the clock needs witnesses: the days
that were made while it ran. One that jumped ahead by years finds none of them.
"""

from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from ipaddress import ip_interface

WITNESSES = 3
"""Days before today that must be there; at its start a worker makes one of them."""

_KEPT_BITS = {4: 24, 6: 48}


def list_expired(
    days: Iterable[date], now: datetime, keep: timedelta
) -> tuple[date, ...]:
    """The days that ended at least so long ago, the oldest first."""
    first_kept = (now - keep).date()
    return tuple(sorted(day for day in days if day < first_kept))


def is_witnessed(days: Collection[date], now: datetime) -> bool:
    """Whether today and the days before it were made one after the other."""
    today = now.date()
    return all(today - timedelta(days=n) in days for n in range(WITNESSES + 1))


def truncated(address: str) -> str:
    """
    The network of an address, of 24 bits (IPv4) or 48 (IPv6); "" stays "".

    A network that is as wide already stays as it is.
    """
    if not address:
        return ""
    given = ip_interface(address)
    bits = min(_KEPT_BITS[given.version], given.network.prefixlen)
    return str(given.network.supernet(new_prefix=bits))
