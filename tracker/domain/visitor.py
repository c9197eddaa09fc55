"""
What a request tells of its visitor: country, device, language, and who comes again.

Nothing of it is found out before somebody asks.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from tracker.domain.neighbourhood import neighbourhood_of

Trait = Literal["countries", "devices", "languages"]
"""What rules can ask of a visitor."""

UNKNOWN = "unknown"
"""Stands for the country, or the language, of a visitor that nobody can tell."""

CountryOf = Callable[[str], str]
"""The country of an address, in two capital letters; "" where nobody knows."""

_MOST_READ = 200
"""Characters of an Accept-Language that are looked at."""


class Device(StrEnum):
    """What a user agent says it runs on."""

    MOBILE = "mobile"
    TABLET = "tablet"
    DESKTOP = "desktop"
    TV = "tv"
    BOT = "bot"
    OTHER = "other"


# What is looked for in a user agent in lower case, the first that is found counts.
_SAY: tuple[tuple[Device, tuple[str, ...]], ...] = (
    (
        Device.BOT,
        ("crawl", "spider", "slurp", "facebookexternalhit", "preview", "headless",
         "lighthouse", "curl/", "wget/", "python", "java/", "ruby", "perl", "libwww",
         "go-http-client"),
    ),
    (Device.TV, ("smart-tv", "smarttv", "appletv", "googletv", "android tv", "hbbtv")),
    (Device.TABLET, ("ipad", "tablet;", "tablet)", "kindle", "playbook")),
    (Device.MOBILE, ("mobile", "iphone", "ipod", "windows phone", "opera mini")),
    # Android says Mobile on phones alone.
    (Device.TABLET, ("android", "silk/")),
    (Device.DESKTOP, ("windows nt", "macintosh", "x11", "linux")),
)  # fmt: skip

# CUBOT is a phone.
_is_bot = re.compile(r"(?<!cu)bot\b").search


class Visitor:
    """Whoever made a request; `country_of` is asked once, and only if a rule asks."""

    def __init__(
        self, address: str, user_agent: str, accepts: str, country_of: CountryOf
    ) -> None:
        self._address = address
        self._user_agent = user_agent
        self._accepts = accepts
        self._country_of = country_of
        self._asked: dict[Trait, frozenset[str]] = {}

    def words(self, trait: Trait) -> frozenset[str]:
        """All that rules may call it: `de-ch` is `de` as well."""
        if trait not in self._asked:
            self._asked[trait] = self._find(trait)
        return self._asked[trait]

    @property
    def asked(self) -> Mapping[Trait, str]:
        """What was found out, each in its fullest word."""
        return {trait: max(words, key=len) for trait, words in self._asked.items()}

    @property
    def identity(self) -> bytes:
        """The same for the same visitor."""
        return identity_of(self._address, self._user_agent)

    def _find(self, trait: Trait) -> frozenset[str]:
        match trait:
            case "countries":
                return frozenset({self._country_of(self._address) or UNKNOWN})
            case "devices":
                return frozenset({device_of(self._user_agent)})
            case "languages":
                return _spellings(language_of(self._accepts) or UNKNOWN)


def identity_of(address: str, user_agent: str) -> bytes:
    """
    By what a visitor is known again: no cookie, and no store.

    Of an IPv6 address its first 64 bits count: devices change the others daily.
    """
    said = f"{neighbourhood_of(address)}\n{user_agent}"
    return blake2b(said.encode(errors="replace"), digest_size=16).digest()


@lru_cache(maxsize=4096)
def device_of(user_agent: str) -> Device:
    """By what it says itself; an iPad that asks for desktop pages says Macintosh."""
    said = user_agent.lower()
    if "bot" in said and _is_bot(said):
        return Device.BOT
    for device, words in _SAY:
        for word in words:
            if word in said:
                return device
    return Device.OTHER


@lru_cache(maxsize=4096)
def language_of(accepts: str) -> str:
    """
    The language that an Accept-Language header likes best, in lower case; "" if none.

    Of several that it likes equally the first counts (RFC 9110, 12.5.4).
    """
    best, most = "", 0.0
    for part in accepts[:_MOST_READ].lower().split(","):
        tag, _, parameters = part.partition(";")
        quality = _quality(parameters)
        if quality > most and tag.strip() not in {"", "*"}:
            best, most = tag.strip(), quality
    return best


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(float(value), 1.0)
    except ValueError:
        return 0.0


def _spellings(tag: str) -> frozenset[str]:
    parts = tag.split("-")
    return frozenset("-".join(parts[: end + 1]) for end in range(len(parts)))
