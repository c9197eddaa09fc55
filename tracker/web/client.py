"""Who is calling: the address that counts, behind proxies or not."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

# Some proxies write the port as well: 198.51.100.1:4711, [2001:db8::7]:4711.
_WITH_PORT = re.compile(r"(?:\[([^\]]*)\]|([\d.]+)):\d{1,5}", re.ASCII)

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]


def header(scope: Scope, name: bytes) -> str:
    """The first header of that name (in lower case), "" if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""


def client_address(scope: Scope, trusted: Networks) -> str:
    """
    The peer's address, or what a trusted proxy says it is; "" if it has none.

    `X-Forwarded-For` is read from the right: the first address that is not a
    trusted proxy's own is the client's, whatever a client wrote before it.
    """
    peer = _parsed((scope.get("client") or ("",))[0])
    if peer is None:
        return ""
    if not trusted or not _is_within(peer, trusted):
        return _text(peer)
    for text in reversed(_forwarded(scope).split(",")):
        hop = _parsed(text.strip())
        if hop is None:
            break
        peer = hop
        if not _is_within(hop, trusted):
            break
    return str(peer)


def _forwarded(scope: Scope) -> str:
    """All lines of the header as one: a proxy may add a line of its own."""
    lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return b",".join(lines).decode("latin-1")


@lru_cache(maxsize=4096)
def _text(address: Address) -> str:
    return str(address)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    found = _WITH_PORT.fullmatch(text)
    text = (found[1] or found[2]) if found else text
    try:
        # The zone of a link-local address means nothing to anybody else.
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _is_within(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
