"""Which addresses are one visitor's, or one stranger's."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network


@lru_cache(maxsize=4096)
def neighbourhood_of(address: str) -> str:
    """Whoever has one address of IPv6 has the 64 bits below it too."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address
