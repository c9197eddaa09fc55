from ipaddress import ip_network

import pytest

from tracker.web.client import client_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("10.0.0.1", "rubbish", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, rubbish", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:203.0.113.9", "", "203.0.113.9"),
        ("", "198.51.100.1", ""),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.1", "6.6.6.6,,", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.7, 10.0.0.8", "10.0.0.7"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("203.0.113.9", "10.0.0.1", "203.0.113.9"),
        ("10.0.0.1", "0x6.6.6.6", "10.0.0.1"),
        ("10.0.0.1", "\u0661.1.1.1", "10.0.0.1"),
        ("10.0.0.1", "127.1", "10.0.0.1"),
        ("not an address", "198.51.100.1", ""),
    ],
)
def test_only_a_trusted_proxy_is_believed(peer, forwarded, address):
    scope = {
        "client": (peer, 1) if peer else None,
        "headers": [(b"x-forwarded-for", forwarded.encode())],
    }
    assert client_address(scope, PROXIES) == address


def test_a_line_that_the_proxy_adds_counts_after_the_caller_s_own():
    scope = {
        "client": ("10.0.0.1", 1),
        "headers": [
            (b"x-forwarded-for", b"6.6.6.6"),
            (b"x-forwarded-for", b"198.51.100.1"),
        ],
    }
    assert client_address(scope, PROXIES) == "198.51.100.1"


@pytest.mark.parametrize(
    "name", [b"forwarded", b"x-real-ip", b"x-client-ip", b"cf-connecting-ip", b"via"]
)
def test_no_other_header_is_believed(name):
    scope = {"client": ("10.0.0.1", 1), "headers": [(name, b"for=198.51.100.1")]}
    assert client_address(scope, PROXIES) == "10.0.0.1"


def test_without_the_setting_nobody_is_believed():
    scope = {
        "client": ("127.0.0.1", 1),
        "headers": [(b"x-forwarded-for", b"198.51.100.1")],
    }
    assert client_address(scope, ()) == "127.0.0.1"
