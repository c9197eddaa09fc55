"""An inbound postback: what an advertiser's server sent, its secrets replaced."""

import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import chain

from tracker.domain.advertiser import Advertiser
from tracker.domain.catalog import Catalog
from tracker.domain.click_id import SigningKeys
from tracker.domain.dialect import Dialect
from tracker.domain.identity import PostbackId
from tracker.domain.macros import expand_text, parse_template
from tracker.domain.outcome import Reason
from tracker.domain.signature import Proof
from tracker.domain.value import Value
from tracker.domain.vocabulary import PATH, Pairs, Vocabulary, find_segment

MAX_BYTES = 32 * 1024
"""A query and a body longer than this together are `too_large`."""

MAX_PARAMETERS = 1000
"""Whole orders come as JSON: a shop sends several hundred values of one."""

KEPT_OF_A_LARGE_ONE = 4096
"""Characters that are kept of a postback that was too large."""

MASK = "***"

_DIGEST_BYTES = 16


class Postback(Value, frozen=True):
    """
    A call as it arrived, its secrets replaced.

    `route` is the advertiser named in the path, None on the generic route.
    `parameters` are decoded names and values in the order they came.
    `fault` is what is wrong with the call as a whole, `proof` what its signatures
    proved when it arrived.
    """

    id: PostbackId
    received_at: datetime
    method: str
    path: str
    address: str
    route: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    token_digest: bytes | None = None
    fault: Reason = Reason.NONE
    proof: Proof | None = None


class TokenHasher:
    """
    Keyed hashes of tokens: the only form in which one is stored or compared.

    Older keys still verify, so that a postback in quarantine outlives a rotation.
    """

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys.derive(b"token")
        self._made: dict[str, Sequence[bytes]] = {}

    def digest(self, token: str) -> bytes:
        """Under the key that signs now."""
        return _digest(token, self._keys.secrets[self._keys.signing])

    def matches(self, digest: bytes, tokens: Iterable[str]) -> bool:
        """Whether a digest in it is of one of these, compared in constant time."""
        expected = [one for token in tokens for one in self._digests(token)]
        sent = [
            digest[start : start + _DIGEST_BYTES]
            for start in range(0, len(digest), _DIGEST_BYTES)
        ]
        return True in [
            hmac.compare_digest(one, other) for one in sent for other in expected
        ]

    def _digests(self, token: str) -> Sequence[bytes]:
        """Under every key; made once for each token that is in force."""
        if token not in self._made:
            keys = self._keys.secrets.values()
            self._made[token] = tuple(_digest(token, key) for key in keys)
        return self._made[token]


def conceal(
    parameters: Pairs, vocabulary: Vocabulary, hasher: TokenHasher, bearer: str
) -> tuple[tuple[tuple[str, str], ...], bytes | None]:
    """
    The parameters with every secret masked, and the digest of the token sent.

    One in a header may have been put there by somebody on the way, for his own ends: a
    token beside it is as good, and both digests are kept, one behind the other. A
    parameter that was sent twice, with different values, is nobody's token.
    """
    pairs = list(parameters)
    if not all(map(str.isprintable, chain.from_iterable(pairs))):
        pairs = [(clean(name), clean(value)) for name, value in pairs]
    sent = vocabulary.read_token(pairs)
    token = "\0" if sent.unclear else sent.get("token")
    masked = _masked(pairs, vocabulary)
    digests = [hasher.digest(one) for one in (token, bearer) if one]
    return masked, b"".join(digests) or None


def _masked(pairs: Pairs, vocabulary: Vocabulary) -> tuple[tuple[str, str], ...]:
    masked = [
        (name, MASK if value and vocabulary.hides(name) else value)
        for name, value in pairs
    ]
    return tuple(masked)


def reread(postback: Postback, dialect: Dialect, hasher: TokenHasher) -> Postback:
    """
    The postback by names that came into the catalog after it had arrived.

    Segments of its path are there still, and so is a secret that nobody knew for one,
    which is masked now; a header that was not asked for then is gone.
    """
    read = {name.lower() for name, _ in postback.parameters}
    asked = [name for name in dialect.parts if name not in read]
    found = [(name, text) for name in asked for text in _segment(postback.path, name)]
    parameters = (*found, *postback.parameters)
    digest = postback.token_digest
    vocabulary = dialect.of(parameters).vocabulary
    token = vocabulary.read_token(parameters).get("token")
    if digest is None and token and token != MASK:
        digest = hasher.digest(token)
    return postback.but(
        path=_masked_path(postback.path, vocabulary),
        parameters=_masked(parameters, vocabulary),
        token_digest=digest,
    )


def _masked_path(path: str, vocabulary: Vocabulary) -> str:
    """Its segments are counted from the one that names the advertiser."""
    segments = enumerate(path.split("/"), start=-2)
    return "/".join(
        conceal_segment(number, one, vocabulary) if number > 0 else one
        for number, one in segments
    )


def conceal_segment(number: int, segment: str, vocabulary: Vocabulary) -> str:
    """A segment of the path, the first behind the advertiser's being 1, masked."""
    if segment and vocabulary.hides(f"{PATH}{number}"):
        return MASK
    key, colon, _ = segment.partition(":")
    is_secret = colon and vocabulary.hides(f"{PATH}{key}")
    return f"{key}:{MASK}" if is_secret else segment


def _segment(path: str, name: str) -> list[str]:
    """The segment of that name, behind the one that names the advertiser."""
    if not name.startswith(PATH):
        return []
    found = find_segment(path.strip("/").split("/")[1:], name)
    return [one for one in found if one and one != MASK]


def clean(text: str) -> str:
    """What Postgres cannot keep as text, NUL and lone surrogates, is U+FFFD."""
    if text.isprintable():
        return text
    sound = text.encode(errors="surrogatepass").decode(errors="replace")
    return sound.replace("\0", "\ufffd")


def tokens_of(advertiser: Advertiser, catalog: Catalog) -> list[str]:
    """The tokens that prove the advertiser, with their secrets filled in."""
    return [
        expand_text(parse_template(token), {}, catalog.secrets)
        for token in advertiser.auth.tokens
    ]


def _digest(token: str, key: bytes) -> bytes:
    return blake2b(
        token.encode(errors="replace"), key=key, digest_size=_DIGEST_BYTES
    ).digest()
