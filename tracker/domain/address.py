"""
Which addresses an outbound call may go to.

A partner's postback is a URL that somebody else thought up. It must reach the
partner, and never this machine, its neighbours, or a cloud's metadata service.

Sources: IANA's special-purpose address registries for IPv4 and IPv6 (RFC 6890 and
its updates), and the metadata addresses that the clouds document. The standard
library's `is_global` is not used: it calls NAT64, 6to4, site-local, multicast and
192.0.0.8 global, and knows no cloud.
"""

import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NOT_PUBLIC_V4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network, unspecified (RFC 791)
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # shared by carriers (RFC 6598); Alibaba's metadata
        "127.0.0.0/8",  # loopback (RFC 1122)
        "168.63.129.16/32",  # Azure's host agent and metadata
        "169.254.0.0/16",  # link-local (RFC 3927); metadata of most clouds
        "172.16.0.0/12",  # private (RFC 1918)
        "192.0.0.0/24",  # protocol assignments (RFC 6890); Oracle's metadata
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.88.99.0/24",  # 6to4 relays, withdrawn (RFC 7526)
        "192.168.0.0/16",  # private (RFC 1918)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved, and broadcast (RFC 1112, RFC 919)
    )
)

PUBLIC_V6 = IPv6Network("2000::/3")
"""
Global unicast (RFC 4291). Outside it lie ::/96, NAT64 (64:ff9b::/96 and
64:ff9b:1::/48), 100::/64, 5f00::/16, fc00::/7, fe80::/10, fec0::/10 and ff00::/8.
"""

NOT_PUBLIC_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments (RFC 2928); Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4 (RFC 3056): holds any IPv4 address
        "3fff::/20",  # documentation (RFC 9637)
    )
)

_ISATAP = 0x0000_5EFE
_OWN_BITS = 0x0300_0000
"""The bits of an interface's name that say whether it is unique, or a group."""

_ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?", re.ASCII | re.IGNORECASE)


def is_public(address: Address) -> bool:
    """Whether the internet at large can be meant by it."""
    address = unmapped(address)
    if isinstance(address, IPv4Address):
        return not any(address in block for block in NOT_PUBLIC_V4)
    if address not in PUBLIC_V6 or _is_isatap(address):
        return False
    return not any(address in block for block in NOT_PUBLIC_V6)


def is_allowed(address: Address, allowed_networks: Iterable[Network]) -> bool:
    """Whether it lies in a network that the operator allows explicitly."""
    address = unmapped(address)
    return any(address in network for network in allowed_networks)


def unmapped(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped one; any other as it is."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_isatap(address: IPv6Address) -> bool:
    """Under any prefix, `…:0:5efe:a.b.c.d` holds an IPv4 address (RFC 5214)."""
    interface = int(address) >> 32 & 0xFFFF_FFFF
    return interface & ~_OWN_BITS == _ISATAP


def is_odd_literal(host: str) -> bool:
    """
    Whether it is an address in a spelling that only old C libraries read.

    `2130706433`, `0x7f.1`, `127.1` and `0177.0.0.1` all reach 127.0.0.1 there. A
    name whose last label is a number is never a name (WHATWG URL, "ends in a
    number"), so nothing honest is lost.
    """
    if not _ENDS_IN_A_NUMBER.fullmatch(host):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
