"""An advertiser: who owns offers, what it must prove, and what it calls things."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from tracker.domain.items import Items
from tracker.domain.money import Numerals
from tracker.domain.offer import Status
from tracker.domain.vocabulary import Meaning, Names
from tracker.domain.worth import Refunds

IGNORED = "ignored"
REFUNDED = "refunded"
"""What an advertiser may map a status word to, besides the three of `Status`."""

OUR_WORDS = frozenset({*Status, IGNORED, REFUNDED})
"""What a status may be called by anybody."""

OTHER = "*"
"""In place of a word of an advertiser's: any that is not listed."""

Hash = Literal["md5", "sha1", "sha256", "sha512"]
Spelling = Literal["hex", "base64", "base64url"]
KeySpelling = Literal["text", "hex", "base64"]


@dataclass(frozen=True, slots=True)
class Signature:
    """
    A signature of an advertiser's own making, in its `header`, else parameter `param`.

    `text` is a template over what was sent, by the names it was sent by. With a `key`
    it is an HMAC, else a plain hash; where only the `first` characters are sent, these
    must be right. What carries it may hold more: `read` is a pattern for the signature,
    `vars` are patterns for what the text takes from there. With `within` the `time`,
    named as in the text, must not be further away.
    """

    param: str
    hash: Hash
    text: str
    key: str | None = None
    header: str | None = None
    read: str | None = None
    vars: Mapping[str, str] = field(default_factory=dict)
    encoding: Spelling = "hex"
    key_encoding: KeySpelling = "text"
    first: int | None = None
    time: str = "timestamp"
    within: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Auth:
    """
    What an advertiser must prove; several proofs must all hold.

    `tokens` are templates of which one must match; `networks` are CIDR blocks; `hmac`
    are the live keys of our own kind of signature. `none` is the operator's explicit
    word that nothing is asked for.
    """

    tokens: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    none: bool = False
    hmac: tuple[str, ...] = ()
    signature: Signature | None = None

    @property
    def is_signed(self) -> bool:
        """Whether a signature of either kind is asked for."""
        return bool(self.hmac) or self.signature is not None


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What an advertiser's server wants to hear: `failure` when a postback went wrong.

    Both are templates with macros of their own (`tracker.domain.reply`).
    """

    body: str | None = None
    content_type: str = "text/plain"
    always_200: bool = False
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Advertiser:
    """
    Owns offers and reports conversions in words of its own.

    `names` lists its parameter names for each meaning, lower-cased, in order of
    preference; `goals`, `offers`, `currencies` and `statuses` translate its words,
    lower-cased, to ours.
    `extract` are patterns whose first group is the value of a meaning, `defaults` count
    for what was not sent, and `present` says what follows from a parameter that is
    there; these are in its words or ours. Of its `variants` the first that fits a call
    says how that is read.
    """

    key: str
    name: str
    auth: Auth
    names: Names = field(default_factory=dict)
    goals: Mapping[str, str] = field(default_factory=dict)
    offers: Mapping[str, str] = field(default_factory=dict)
    currencies: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    extract: Mapping[Meaning, str] = field(default_factory=dict)
    defaults: Mapping[Meaning, str] = field(default_factory=dict)
    present: Mapping[str, Mapping[Meaning, str]] = field(default_factory=dict)
    numerals: Numerals = field(default_factory=Numerals)
    items: Items | None = None
    reply: Reply = field(default_factory=Reply)
    refunds: Refunds = "each"
    reopen: bool = False
    is_retired: bool = False
    variants: "tuple[Variant, ...]" = ()

    @property
    def words(self) -> frozenset[str]:
        """All that it has a word for, in lower case."""
        return frozenset((*self.goals, *self.statuses, *self.offers, *self.currencies))

    @property
    def speakers(self) -> "tuple[Advertiser, ...]":
        """Itself, and as it speaks in each of its variants."""
        return (self, *(one.speaker for one in self.variants))


@dataclass(frozen=True, slots=True)
class Variant:
    """
    How an advertiser speaks in some of its calls.

    Those are the calls `when` all these parameters, lower-cased, say one of their
    words, where `*` is any. The `speaker` is the advertiser with the words of these.
    """

    when: Mapping[str, tuple[str, ...]]
    speaker: Advertiser

    def fits(self, said: Mapping[str, Collection[str]]) -> bool:
        """Whether it is how a call that says this is to be read."""
        return all(
            name in said and (OTHER in words or any(one in words for one in said[name]))
            for name, words in self.when.items()
        )


def meant_by(word: str, words: Mapping[str, str], ours: Container[str]) -> str:
    """
    What a word of an advertiser's stands for by its list of them.

    One that is not listed, and none of `ours`, is what `*` stands for; else itself.
    """
    listed = words.get(word.lower())
    if listed is not None:
        return listed
    other = words.get(OTHER)
    return word if other is None or word in ours else other
