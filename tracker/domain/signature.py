"""
What the signatures of a call prove; and how those of our kind are made.

Ours is an HMAC-SHA256, in hex, over six parts with a line feed between them:

    tracker-v1
    1795341600            when it was signed, in seconds since 1970
    order-1.3f8c          the nonce: 8 to 100 of A-Z a-z 0-9 . _ ~ -
    /postback/acme        the path as the tracker is called
    click_id=…&goal=…     the query as it is sent, "" if there is none
    {"amount": "49.90"}   the body as it is sent, "" if there is none

It comes as a header, `Tracker-Signature: t=TIME,n=NONCE,v1=HEX`, or as the last
parameters of the query, `…&timestamp=TIME&nonce=NONCE&signature=HEX`; these three are
then no part of the query that is signed. What follows a line feed inside of the body
cannot be taken for another part: only the body, which is the last, can hold one.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import blake2b

from tracker.domain.advertiser import Advertiser
from tracker.domain.call import Call
from tracker.domain.catalog import Catalog
from tracker.domain.macros import expand_text, parse_template
from tracker.domain.money import Mark
from tracker.domain.own_signature import judge_own
from tracker.domain.value import Value

HEADER = "Tracker-Signature"
TOLERANCE = timedelta(seconds=300)
"""So far may the clock of a signer be from ours, either way."""

_VERSION = b"tracker-v1"
_TIME = r"(?P<time>\d{1,12})"
_NONCE = r"(?P<nonce>[A-Za-z0-9._~-]{8,100})"
_HEX = r"(?P<signature>[0-9a-fA-F]{64})"
_IN_HEADER = re.compile(f"t={_TIME},n={_NONCE},v1={_HEX}", re.ASCII)
_IN_QUERY = re.compile(
    f"(?:(?P<query>.*)&)?timestamp={_TIME}&nonce={_NONCE}&signature={_HEX}",
    re.ASCII | re.DOTALL,
)


class Nonce(Value, frozen=True):
    """
    What a signed call is known by when it comes again.

    `content` is a hash of what was signed with it.
    """

    text: str
    content: bytes


class Proof(Value, frozen=True):
    """
    What the signatures of a call proved when it arrived; nothing in it is secret.

    `advertiser` is whose keys they were held against, `held` are the kinds that were
    right, named as in the file. One of ours that is right, but too old or from the
    future, is `is_stale`, and one of its own `is_own_stale`. Where it came in a file,
    the `operator` who brought that vouches for it, and nothing else is asked; with a
    `decimal` mark amounts are written as the file has them, not as the advertiser does.
    """

    advertiser: str
    held: tuple[str, ...] = ()
    is_stale: bool = False
    nonce: Nonce | None = None
    operator: str | None = None
    is_own_stale: bool = False
    decimal: Mark | None = None


class Message(Value, frozen=True):
    """What a signature of our kind covers."""

    timestamp: str
    nonce: str
    path: str
    query: str
    body: bytes

    def text(self) -> bytes:
        """The six parts."""
        parts = (self.timestamp, self.nonce, self.path, self.query)
        return b"\n".join([_VERSION, *map(_bytes, parts), self.body])


class _Claim(Value, frozen=True):
    """A signature of our kind as it was sent, and what it has to cover."""

    message: Message
    signature: str


def kinds_asked(advertiser: Advertiser) -> tuple[str, ...]:
    """The kinds of signatures that its calls must have, all of them."""
    auth = advertiser.auth
    return _true(hmac=bool(auth.hmac), signature=auth.signature is not None)


def prove(
    call: Call, advertiser: Advertiser, catalog: Catalog, now: datetime
) -> Proof | None:
    """What the call proves, of what is asked, as it arrives; None if nothing is."""
    if not advertiser.auth.is_signed:
        return None
    claim = _read_claim(call)
    if claim is not None and not _is_ours(claim, advertiser, catalog):
        claim = None
    is_stale = claim is not None and not _is_fresh(claim.message, now)
    rule = advertiser.auth.signature
    own = judge_own(call, rule, catalog, now) if rule else "wrong"
    return Proof(
        advertiser=advertiser.key,
        held=_true(hmac=claim is not None, signature=own != "wrong"),
        is_stale=is_stale,
        nonce=_nonce(claim.message) if claim and not is_stale else None,
        is_own_stale=own == "stale",
    )


def _true(**kinds: bool) -> tuple[str, ...]:
    return tuple(kind for kind, is_so in kinds.items() if is_so)


def is_nonce(text: str) -> bool:
    """Whether it can be one."""
    return re.fullmatch(_NONCE, text, re.ASCII) is not None


def sign(key: str, message: Message) -> str:
    """The signature of our kind, in hex."""
    return hmac.digest(key.encode(), message.text(), "sha256").hex()


def signature_header(message: Message, signature: str) -> str:
    """The value of `Tracker-Signature`."""
    return f"t={message.timestamp},n={message.nonce},v1={signature}"


def secrets_of(advertiser: Advertiser, catalog: Catalog) -> list[str]:
    """Its keys as they are, so that they can be kept out of logs."""
    own = advertiser.auth.signature
    keys = [own.key] if own and own.key else []
    return _filled([*advertiser.auth.hmac, *keys], catalog.secrets)


def _read_claim(call: Call) -> _Claim | None:
    """A header counts first; then nothing of the query is left out."""
    if call.header:
        found = _IN_HEADER.fullmatch(call.header.strip())
        query = call.query
    else:
        found = _IN_QUERY.fullmatch(call.query)
        query = (found["query"] or "") if found else ""
    if found is None:
        return None
    message = Message(found["time"], found["nonce"], call.path, query, call.body)
    return _Claim(message, found["signature"])


def _is_ours(claim: _Claim, advertiser: Advertiser, catalog: Catalog) -> bool:
    """Whether one of the live keys made it; each is tried, whichever is right."""
    sent = claim.signature.lower()
    made = [
        sign(key, claim.message)
        for key in _filled(advertiser.auth.hmac, catalog.secrets)
    ]
    return True in [hmac.compare_digest(sent, one) for one in made]


def _is_fresh(message: Message, now: datetime) -> bool:
    return abs(int(message.timestamp) - now.timestamp()) <= TOLERANCE.total_seconds()


def _nonce(message: Message) -> Nonce:
    """The time is no part of the content: who signs a retry anew repeats itself."""
    content = message.but(timestamp="", nonce="").text()
    return Nonce(message.nonce, blake2b(content, digest_size=16).digest())


def _filled(templates: Iterable[str], secrets: Mapping[str, str]) -> list[str]:
    return [expand_text(parse_template(one), {}, secrets) for one in templates]


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
