"""
The click id: 20 bytes that name a click and prove that we made it.

    bits  40  milliseconds since 2024-01-01 UTC
           8  shard
          24  counter of the process, started at random
           2  format version, 0
           3  number of the signing key
           3  class
          20  number of the partner
          20  number of the offer
          40  MAC over all of the above: keyed BLAKE2b, truncated

Written as 32 characters of base32 (`tracker.domain.base32`), so ids sort by time,
survive being lower- or upper-cased, and fit a column made for an MD5.
"""

import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum
from hashlib import blake2b
from typing import NewType

from tracker.domain import base32
from tracker.domain.errors import ForgedClickIdError, UnknownClickIdError
from tracker.domain.identity import milliseconds, moment
from tracker.domain.value import Value

ClickId = NewType("ClickId", str)

LENGTH = 32
MAX_NUMBER = (1 << 20) - 1
"""The largest number a partner or an offer can have."""

MAX_TEXT, MAX_RUNS = 1000, 8
"""So much of a text is looked through for an id, and so many may seem to be one."""

_RUN = re.compile(rf"(?<![0-9A-Za-z])[0-9A-Za-z]{{{LENGTH}}}(?![0-9A-Za-z])", re.ASCII)

_VERSION = 0
_MAC_BYTES = 5
_BODY_BYTES = 15
_COUNTER_MASK = (1 << 24) - 1


class ClickClass(IntEnum):
    """What kind of visit a click is; only `VISIT` counts before a conversion."""

    VISIT = 0
    HEAD = 1
    PREFETCH = 2
    REFUSED = 3
    TEST = 4
    REPEATED = 5

    @property
    def word(self) -> str:
        """What people and programs call it: `visit`, `refused`, `repeated`."""
        return self.name.lower()


class ClickFacts(Value, frozen=True):
    """What a click id says by itself, with no store asked."""

    id: ClickId
    clicked_at: datetime
    shard: int
    counter: int
    click_class: ClickClass
    partner_number: int
    offer_number: int

    @property
    def day(self) -> date:
        """The UTC day of the click, and so the partition it is kept in."""
        return self.clicked_at.date()


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Secrets by number (0 to 7): one signs, all of them verify."""

    signing: int
    secrets: Mapping[int, bytes] = field(repr=False)

    def derive(self, purpose: bytes) -> "SigningKeys":
        """Keys for one purpose, so that no proof serves for another."""
        derived = {
            number: blake2b(secret, person=purpose).digest()
            for number, secret in self.secrets.items()
        }
        return SigningKeys(self.signing, derived)

    def fingerprints(self) -> dict[int, bytes]:
        """What tells these keys from others, and nothing about them."""
        derived = self.derive(b"fingerprint").secrets
        return {number: key[:16] for number, key in derived.items()}


class ClickIdMint:
    """
    Makes and reads click ids.

    The counter distinguishes the clicks that one process mints in a millisecond;
    it starts at random, so two processes are unlikely to meet, and the store
    decides when they do.
    """

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys.derive(b"click-id")
        self._signers = {
            number: blake2b(key=secret, digest_size=_MAC_BYTES)
            for number, secret in self._keys.secrets.items()
        }
        self._counter = secrets.randbits(24)

    def mint(
        self,
        *,
        now: datetime,
        shard: int,
        click_class: ClickClass,
        partner_number: int,
        offer_number: int,
    ) -> ClickId:
        """A fresh, signed id; every number must fit the bits above."""
        self._counter = (self._counter + 1) & _COUNTER_MASK
        kind = (_VERSION << 3 | self._keys.signing) << 3 | click_class
        origin = (shard << 24 | self._counter) << 8 | kind
        link = partner_number << 20 | offer_number
        number = (milliseconds(now) << 40 | origin) << 40 | link
        body = number.to_bytes(_BODY_BYTES, "big")
        mac = self._mac(body, self._keys.signing)
        return ClickId(base32.encode(body + mac))

    def read(self, text: str) -> ClickFacts:
        """
        The facts in a click id that we made.

        Raises UnknownClickIdError for another format or a retired key, and
        ForgedClickIdError for our format with a wrong MAC.
        """
        body, mac = _split(text)
        number = int.from_bytes(body, "big")
        if number >> 46 & 3 != _VERSION:
            raise UnknownClickIdError("the id has a format of another version")
        key = number >> 43 & 7
        if key not in self._signers:
            raise UnknownClickIdError("the id was signed with a key that is retired")
        if not hmac.compare_digest(mac, self._mac(body, key)):
            raise ForgedClickIdError("the id was not signed by us")
        return _facts(ClickId(base32.normalise(text)), number)

    def find(self, text: str) -> ClickFacts:
        """
        The facts in the click id that a text is, or that stands in it.

        In a text that is none, it is any run of 32 letters and digits between other
        characters that proves to be ours: `abc~ID~x`, `ID_suffix`. Raises as `read`
        does, and UnknownClickIdError where two different ones are ours.
        """
        try:
            return self.read(text)
        except UnknownClickIdError:
            runs = {base32.normalise(run) for run in _RUN.findall(text[:MAX_TEXT])}
            if not 0 < len(runs) <= MAX_RUNS:
                raise
        return self._only_one_of(runs)

    def _only_one_of(self, runs: Iterable[str]) -> ClickFacts:
        """Of those that are all wrong a forged one counts, or guessing were free."""
        found: list[ClickFacts] = []
        forged: ForgedClickIdError | None = None
        for run in runs:
            try:
                found.append(self.read(run))
            except ForgedClickIdError as error:
                forged = error
            except UnknownClickIdError:
                continue
        if len(found) == 1:
            return found[0]
        if forged and not found:
            raise forged
        raise UnknownClickIdError(f"{len(found)} click ids of ours stand in it")

    def _mac(self, body: bytes, key: int) -> bytes:
        signer = self._signers[key].copy()
        signer.update(body)
        return signer.digest()


def facts_of(click_id: ClickId) -> ClickFacts:
    """
    The facts in an id of our own records; its MAC was judged when it came.

    Text that is no click id raises UnknownClickIdError.
    """
    body, _ = _split(click_id)
    return _facts(click_id, int.from_bytes(body, "big"))


def one_spelling(text: str) -> str:
    """The one spelling of what has the form of an id; any other text as it is."""
    try:
        _split(text)
    except UnknownClickIdError:
        return text
    return base32.normalise(text)


def first_at(now: datetime) -> ClickId:
    """No id of that time or later sorts before it; a bound for ranges, and no click."""
    number = milliseconds(now) << 120
    return ClickId(base32.encode(number.to_bytes(_BODY_BYTES + _MAC_BYTES, "big")))


def shard_of(click_id: ClickId) -> int:
    """The shard in an id of ours, without reading the rest of it."""
    value = base32.ALPHABET.index
    return value(click_id[8]) << 3 | value(click_id[9]) >> 2


def _split(text: str) -> tuple[bytes, bytes]:
    if len(text) != LENGTH:
        raise UnknownClickIdError(f"a click id has {LENGTH} characters")
    try:
        data = base32.decode(text)
    except ValueError as error:
        raise UnknownClickIdError(str(error)) from error
    return data[:_BODY_BYTES], data[_BODY_BYTES:]


def _facts(click_id: ClickId, number: int) -> ClickFacts:
    try:
        click_class = ClickClass(number >> 40 & 7)
    except ValueError as error:
        raise UnknownClickIdError("the id has a class of another version") from error
    return ClickFacts(
        id=click_id,
        clicked_at=moment(number >> 80),
        shard=number >> 72 & 0xFF,
        counter=number >> 48 & _COUNTER_MASK,
        click_class=click_class,
        partner_number=number >> 20 & MAX_NUMBER,
        offer_number=number & MAX_NUMBER,
    )
