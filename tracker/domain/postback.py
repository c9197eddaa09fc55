"""An inbound postback: what an advertiser's server said, in its words and in ours."""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b

from tracker.domain.catalog import Advertiser, Catalog, Meaning
from tracker.domain.click_id import SigningKeys
from tracker.domain.identity import PostbackId
from tracker.domain.macros import expand_text, parse_template
from tracker.domain.outcome import Reason

MAX_BYTES = 32 * 1024
"""A query and a body longer than this together are `too_large`."""

MAX_PARAMETERS = 200
KEPT_OF_A_LARGE_ONE = 4096
"""Characters that are kept of a postback that was too large."""

MASK = "***"

CANONICAL: Mapping[Meaning, tuple[str, ...]] = {
    "click_id": ("click_id",),
    "transaction_id": ("transaction_id",),
    "goal": ("goal",),
    "status": ("status",),
    "amount": ("amount",),
    "currency": ("currency",),
    "revenue": ("revenue",),
    "offer": ("offer",),
    "token": ("token",),
}
"""Our own names; an advertiser's names for a meaning take their place."""

GENERIC = {**CANONICAL, "click_id": ("click_id", "cid", "clickid", "subid")}
"""The names on the route that serves all advertisers."""

# Other names that senders use for what must never be stored.
_SECRETS = frozenset({
    "access_token", "api_key", "apikey", "auth", "hash", "key", "password", "secret",
    "secure", "security_token", "sig", "sign", "signature",
})  # fmt: skip

# Placeholders that senders leave as text when they have nothing to put in:
# {x} {{x}} ${x} $!{x} [x] [[x]] [=x=] [%x%] %x% #x# ##x## __X__ !!!x!!!
_UNFILLED = re.compile(
    r"\$?!?\{.*\}|\[.*\]|%[A-Za-z_]+%|#+[A-Za-z_ ]+#+|__[A-Za-z_]+__|!!!.*!!!"
    r"|REPLACE|OPTIONAL"
)


@dataclass(frozen=True, slots=True)
class Postback:
    """
    A call as it arrived, its secrets replaced.

    `route` is the advertiser named in the path, None on the generic route.
    `parameters` are decoded names and values in the order they came.
    `fault` is what is wrong with the call as a whole.
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


@dataclass(frozen=True, slots=True)
class Statement:
    """
    What a postback says, by meaning; an empty value counts as absent.

    `unclear` are the meanings that were sent twice with different values.
    """

    values: Mapping[Meaning, str] = field(default_factory=dict)
    unclear: frozenset[Meaning] = frozenset()

    def get(self, meaning: Meaning) -> str | None:
        """The value of a meaning, None where there is none."""
        return self.values.get(meaning)

    def unfilled(self) -> bool:
        """Whether a macro of the sender's was left as text."""
        return any(
            _UNFILLED.fullmatch(value)
            for meaning, value in self.values.items()
            if meaning != "token"
        )


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
        """Whether the digest is of one of these, compared in constant time."""
        expected = [one for token in tokens for one in self._digests(token)]
        found = [hmac.compare_digest(digest, one) for one in expected]
        return True in found

    def _digests(self, token: str) -> Sequence[bytes]:
        """Under every key; made once for each token that is in force."""
        if token not in self._made:
            keys = self._keys.secrets.values()
            self._made[token] = tuple(_digest(token, key) for key in keys)
        return self._made[token]


def conceal(
    parameters: Iterable[tuple[str, str]],
    names: Mapping[Meaning, tuple[str, ...]],
    hasher: TokenHasher,
    bearer: str,
) -> tuple[tuple[tuple[str, str], ...], bytes | None]:
    """
    The parameters with every secret masked, and the digest of the token sent.

    A token that was sent twice, with different values, is nobody's.
    """
    pairs = tuple((clean(name), clean(value)) for name, value in parameters)
    sent = read_statement(pairs, {"token": names["token"]})
    token = bearer or ("\0" if sent.unclear else sent.get("token"))
    told = {name for meaning in names if meaning != "token" for name in names[meaning]}
    secret_names = (_SECRETS - told) | {*names["token"], *CANONICAL["token"]}
    masked = tuple(
        (name, MASK if value and _last(name) in secret_names else value)
        for name, value in pairs
    )
    return masked, hasher.digest(token) if token else None


def _last(name: str) -> str:
    """What a name is within its JSON object: of `auth.token` it is `token`."""
    return name.lower().rpartition(".")[2]


def clean(text: str) -> str:
    """What Postgres cannot keep as text, NUL and lone surrogates, is U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    sound = text.encode(errors="surrogatepass").decode(errors="replace")
    return sound.replace("\0", "\ufffd")


def names_of(advertiser: Advertiser | None) -> Mapping[Meaning, tuple[str, ...]]:
    """The parameter names an advertiser uses: its own, and ours where it has none."""
    if advertiser is None:
        return GENERIC
    return {**CANONICAL, **advertiser.names}


def tokens_of(advertiser: Advertiser, catalog: Catalog) -> list[str]:
    """The tokens that prove the advertiser, with their secrets filled in."""
    return [
        expand_text(parse_template(token), {}, catalog.secrets)
        for token in advertiser.auth.tokens
    ]


def read_statement(
    parameters: Iterable[tuple[str, str]],
    names: Mapping[Meaning, tuple[str, ...]],
) -> Statement:
    """Of several names for a meaning, the first that was sent with a value counts."""
    sent = _sent(parameters)
    values: dict[Meaning, str] = {}
    unclear: set[Meaning] = set()
    for meaning, spellings in names.items():
        found = next((sent[name] for name in spellings if name in sent), None)
        if found is not None:
            values[meaning] = found[0]
        if found is not None and len(set(found)) > 1:
            unclear.add(meaning)
    return Statement(values, frozenset(unclear))


def _sent(parameters: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    sent: dict[str, list[str]] = {}
    for name, value in parameters:
        if value.strip():
            sent.setdefault(name.lower(), []).append(value.strip())
    return sent


def _digest(token: str, key: bytes) -> bytes:
    return blake2b(token.encode(errors="replace"), key=key, digest_size=16).digest()
