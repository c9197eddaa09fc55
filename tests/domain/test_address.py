from ipaddress import ip_address, ip_network

import pytest

from tracker.domain.address import is_allowed, is_odd_literal, is_public

PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "168.63.129.15",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
    "2001:4860:4860::8888",
    "2001:200::1",
    "2600:1:2:3:1:5efe:127.0.0.1",
    "::ffff:1.1.1.1",
]

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::1.1.1.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:1.1.1.1",
    "64:ff9b::7f00:1",
    "64:ff9b::1.1.1.1",
    "64:ff9b:1::1",
    "100::1",
    "2600:1:2:3:0:5efe:127.0.0.1",
    "2600:1:2:3:200:5efe:10.0.0.1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "3fff:fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_may_be_called(text):
    assert is_public(ip_address(text))
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_an_address_that_is_not_public_may_not_be_called(text):
    assert not is_public(ip_address(text))
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::7"])
def test_an_allowed_network_may_be_called_though_it_is_not_public(text):
    allowed = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

    assert is_allowed(ip_address(text), allowed)
    assert not is_allowed(ip_address("192.168.0.1"), allowed)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0X7F.0.0.1",
        "127.0.0.1.",
        "256.256.256.256",
        "partner.example.1",
        "0x",
    ],
)
def test_an_address_in_an_odd_spelling_is_known(host):
    assert is_odd_literal(host)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "1.1.1.1", "::1", "partner.example", "1.partner.example", "7up.com"],
)
def test_names_and_plain_addresses_are_not_odd(host):
    assert not is_odd_literal(host)
