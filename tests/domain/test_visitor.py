import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.visitor import Device, device_of, identity_of, language_of

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
)
AGENTS = {
    IPHONE: Device.MOBILE,
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/131.0.0.0 Mobile Safari/537.36": Device.MOBILE,
    "Mozilla/5.0 (Linux; Android 11; CUBOT X30) AppleWebKit/537.36 Chrome/130.0.0.0"
    " Mobile Safari/537.36": Device.MOBILE,
    "Mozilla/5.0 (Android 15; Mobile; rv:132.0) Gecko/132.0": Device.MOBILE,
    "Mozilla/5.0 (Linux; Android 14; SM-X910) AppleWebKit/537.36 Chrome/131.0.0.0"
    " Safari/537.36": Device.TABLET,
    "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15"
    " Mobile/15E148": Device.TABLET,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101"
    " Firefox/132.0": Device.DESKTOP,
    "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; Tablet PC 2.0) like Gecko": (
        Device.DESKTOP
    ),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
    " Version/18.1 Safari/605.1.15": Device.DESKTOP,
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36": Device.DESKTOP,
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36": Device.TV,
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": (
        Device.BOT
    ),
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) Mobile Safari/537.36 (compatible;"
    " Googlebot/2.1)": Device.BOT,
    "curl/8.11.0": Device.BOT,
    "facebookexternalhit/1.1": Device.BOT,
    "": Device.OTHER,
    "Opaque": Device.OTHER,
}


@pytest.mark.parametrize(("user_agent", "device"), AGENTS.items())
def test_a_user_agent_says_what_it_runs_on(user_agent, device):
    assert device_of(user_agent) is device


@pytest.mark.parametrize(
    ("accepts", "language"),
    [
        ("de-CH,de;q=0.9,en;q=0.8", "de-ch"),
        ("en;q=0.8, fr", "fr"),
        ("en;q=0.5,de;q=0.5", "en"),
        ("*, es;q=0.1", "es"),
        ("nl;q=0", ""),
        ("pt-BR ; q=0.7 , it;q=high", "pt-br"),
        ("", ""),
    ],
)
def test_the_language_that_is_liked_best_counts(accepts, language):
    assert language_of(accepts) == language


@given(st.text())
def test_no_header_keeps_a_visitor_from_arriving(text):
    assert device_of(text) in Device
    assert "," not in language_of(text)


def test_a_visitor_is_known_by_address_and_agent():
    one = identity_of("203.0.113.9", IPHONE)

    assert identity_of("203.0.113.9", IPHONE) == one
    assert identity_of("203.0.113.8", IPHONE) != one
    assert identity_of("203.0.113.9", "curl/8") != one


def test_a_device_that_changes_its_ipv6_address_is_the_same():
    same = {identity_of(f"2001:db8:1:2::{n}", IPHONE) for n in range(9)}

    assert len(same) == 1
    assert identity_of("2001:db8:1:3::1", IPHONE) not in same
