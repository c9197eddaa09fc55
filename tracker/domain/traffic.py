"""Whose clicks they are: what address and agent tell, in the few words of reports."""

from hashlib import blake2b

from tracker.domain.click_id import ClickClass, SigningKeys
from tracker.domain.neighbourhood import neighbourhood_of
from tracker.domain.value import Value
from tracker.domain.visitor import Device, device_of

TRAFFIC = (
    "visit", "bot", "datacenter", "head", "prefetch", "refused", "test", "repeated",
)  # fmt: skip
"""All that a click can be; only `visit` was a person's."""

COUNTED_TRAFFIC = tuple(word for word in TRAFFIC if word != "test")
"""What reports have: tests are counted nowhere."""

DEVICES = ("desktop", "phone", "tablet", "tv", "console", "other")

LONGEST_AGENT = 500
"""So much of a user agent is looked at; what tells stands at its beginning."""

_CONSOLES = ("playstation", "xbox", "nintendo")

_DEVICES = {
    Device.MOBILE: "phone",
    Device.TABLET: "tablet",
    Device.DESKTOP: "desktop",
    Device.TV: "tv",
    Device.BOT: "other",
    Device.OTHER: "other",
}


class Agent(Value, frozen=True):
    """What a user agent says it is; empty where it does not say."""

    device: str = ""
    os: str = ""
    browser: str = ""
    is_bot: bool = False


class Seen(Value, frozen=True):
    """
    What there is to see of a click, as its row has it.

    `visitor` is a keyed hash of whoever made it, for clicks that can be a first.
    """

    traffic: str
    country: str = ""
    device: str = ""
    os: str = ""
    browser: str = ""
    visitor: int | None = None

    def without_person(self) -> "Seen":
        """What may stay of a click that was erased: what it was counted by."""
        return Seen(self.traffic, self.country, self.device)


class VisitorHasher:
    """Tells visitors of an offer apart without keeping who they are."""

    def __init__(self, keys: SigningKeys) -> None:
        derived = keys.derive(b"first-visitor")
        self._key = derived.secrets[derived.signing]

    def digest(self, offer_number: int, address: str, user_agent: str) -> int:
        """64 bits, as Postgres counts them: from minus to plus."""
        said = f"{offer_number}\n{neighbourhood_of(address)}\n{user_agent}"
        digest = blake2b(
            said.encode(errors="replace"), key=self._key, digest_size=8
        ).digest()
        return int.from_bytes(digest, "big", signed=True)


def traffic_of(
    click_class: ClickClass, *, is_bot: bool = False, is_hosted: bool = False
) -> str:
    """A class in a word; of a visit, whether it was a person's."""
    if click_class is not ClickClass.VISIT:
        return click_class.word
    if is_bot:
        return "bot"
    return "datacenter" if is_hosted else "visit"


def device_in(user_agent: str) -> str:
    """What it runs on, in the words of reports."""
    if not user_agent:
        return ""
    said = user_agent.lower()
    if any(word in said for word in _CONSOLES):
        return "console"
    return _DEVICES[device_of(user_agent)]
