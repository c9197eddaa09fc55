"""
Signatures of an advertiser's own making: how they are told from made-up ones.

What was signed must be what counts. A text that names parameters covers these; one
with the whole URL leaves no room for a body, one with the whole body none for a query,
and one that names nothing that was sent covers nothing, whoever signed it.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Literal
from urllib.parse import parse_qsl

from tracker.domain.advertiser import Signature
from tracker.domain.call import Call
from tracker.domain.catalog import Catalog
from tracker.domain.dialect import Dialect
from tracker.domain.filters import parse_moment
from tracker.domain.macros import expand_text, parse_template
from tracker.domain.vocabulary import HEADER, is_part

Standing = Literal["right", "stale", "wrong"]

WHOLE_URL = "url"
"""In the text: the URL without the parameter that carries the signature."""

WHOLE_BODY = "body"
"""The body, byte for byte."""

SORTED = "sorted"
"""All parameters but the signature, `a=1&b=2`, by name."""

WHOLES = frozenset({WHOLE_URL, WHOLE_BODY, SORTED})

MAX_CARRIED = 512
"""What carries a signature is not looked through any further."""

_MAX_SIGNATURES = 10
_SECONDS = re.compile(r"\d{1,16}", re.ASCII)
_MILLISECONDS_FROM = 10**11
_URL_SAFE = str.maketrans("-_ ", "+/+")


class _UncoveredError(ValueError):
    """The signature says nothing of this call, whatever it is."""


def judge_own(call: Call, rule: Signature, catalog: Catalog, now: datetime) -> Standing:
    """Whether the signature is what the rule makes of the call, and not too old."""
    try:
        carried = _carried(call, rule)
        dialect = catalog.dialect(call.route).of(call.parameters)
        values = _values(call, rule, carried, dialect)
        text = expand_text(parse_template(rule.text), values, catalog.secrets)
        if not _is_made(rule, carried, _bytes(text), catalog.secrets):
            return "wrong"
        return "right" if _is_fresh(rule, values, now) else "stale"
    except ValueError:
        return "wrong"


def _carried(call: Call, rule: Signature) -> str:
    """The text with the signature in it; sent twice it is nobody's."""
    sent = call.sent_header(rule.header) if rule.header else call.sent(rule.param)
    if len(sent) != 1:
        raise _UncoveredError
    return sent.pop()[:MAX_CARRIED].strip()


def _values(
    call: Call, rule: Signature, carried: str, dialect: Dialect
) -> Mapping[str, str]:
    """
    What the macros of its text stand for: parameters by the names they were sent by.

    Raises ValueError if that is not what counts.
    """
    macros = parse_template(rule.text).macros
    _check_covered(call, rule, macros, dialect)
    read = {name: _found(pattern, carried) for name, pattern in rule.vars.items()}
    named = {name: read.get(name, _sent(call, name)) for name in macros - WHOLES}
    _check_counts(call, named, dialect)
    wholes = {name: _MAKE[name](call, rule) for name in macros & WHOLES}
    return {**named, **wholes}


def _check_covered(
    call: Call, rule: Signature, macros: frozenset[str], dialect: Dialect
) -> None:
    """Nothing that is said may stand where the text does not look."""
    match WHOLE_URL in macros, WHOLE_BODY in macros:
        case _ if SORTED in macros:
            is_covered = True
        case True, False:
            is_covered = not call.body
        case False, True:
            known = {*map(str.lower, macros), *_of_proof(rule, dialect)}
            is_covered = _names(call.query) <= known
        case False, False:
            own = macros - rule.vars.keys()
            is_covered = any("".join(call.sent(name.lower())) for name in own)
        case _:
            is_covered = True
    if not is_covered:
        raise _UncoveredError


def _of_proof(rule: Signature, dialect: Dialect) -> set[str]:
    """The parameters that say nothing, and only prove."""
    vocabulary = dialect.vocabulary
    tokens = vocabulary.names["token"]
    alone = {name for name in tokens if vocabulary.meanings(name) == ["token"]}
    return alone if rule.header else {*alone, rule.param}


def _names(query: str) -> set[str]:
    return {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)}


def _sent(call: Call, name: str) -> str:
    """Of a parameter or header the one value, "" if it was not sent."""
    name = name.lower()
    is_header = name.startswith(HEADER)
    sent = call.sent_header(name[len(HEADER) :]) if is_header else call.sent(name)
    if len(sent) > 1:
        raise _UncoveredError
    return sent.pop() if sent else ""


def _found(pattern: str, carried: str) -> str:
    found = re.search(pattern, carried)
    if found is None:
        raise _UncoveredError
    return found[found.re.groups and 1] or ""


def _check_counts(call: Call, named: Mapping[str, str], dialect: Dialect) -> None:
    """Another name for the same may say nothing else."""
    statement = dialect.vocabulary.read(call.parameters)
    elsewhere = dialect.said_elsewhere(call.parameters)
    for name, value in named.items():
        meanings = dialect.vocabulary.meanings(name)
        counts = {statement.get(one) or "" for one in meanings}
        if counts - {dialect.vocabulary.meant(value)} or elsewhere & {*meanings}:
            raise _UncoveredError


def _url(call: Call, rule: Signature) -> str:
    parts = call.query.split("&") if call.query else []
    if not rule.header:
        parts = [one for one in parts if one.partition("=")[0].lower() != rule.param]
    return f"{call.origin}{call.path}" + (f"?{'&'.join(parts)}" if parts else "")


def _body(call: Call, _: Signature) -> str:
    return call.body.decode()


def _sorted(call: Call, rule: Signature) -> str:
    """
    None may hold what stands between two, which could be taken for two of them.

    Nor may a name be there twice: the order would be lost.
    """
    pairs = [
        (name, value)
        for name, value in call.parameters
        if not is_part(name) and (rule.header or name.lower() != rule.param)
    ]
    if any("&" in name + value or "=" in name for name, value in pairs):
        raise _UncoveredError
    if len({name for name, _ in pairs}) < len(pairs):
        raise _UncoveredError
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


_MAKE: Mapping[str, Callable[[Call, Signature], str]] = {
    WHOLE_URL: _url,
    WHOLE_BODY: _body,
    SORTED: _sorted,
}


def _is_made(
    rule: Signature, carried: str, text: bytes, secrets: Mapping[str, str]
) -> bool:
    """Whether one of those that were sent is right; each is tried, whichever is."""
    made = _bytes(_spelled(rule, _digest(rule, text, secrets)))
    sent = [_bytes(_plain(rule, one)) for one in _signatures(rule, carried)]
    return True in [hmac.compare_digest(one, made) for one in sent]


def _signatures(rule: Signature, carried: str) -> list[str]:
    """A sender that changes its key sends one of each."""
    if rule.read is None:
        return [carried]
    found = re.finditer(rule.read, carried)
    return [one[one.re.groups and 1] or "" for one in islice(found, _MAX_SIGNATURES)]


def _digest(rule: Signature, text: bytes, secrets: Mapping[str, str]) -> bytes:
    if rule.key is None:
        return hashlib.new(rule.hash, text).digest()
    key = expand_text(parse_template(rule.key), {}, secrets)
    return hmac.digest(read_key(key, rule.key_encoding), text, rule.hash)


def read_key(key: str, encoding: str) -> bytes:
    """The bytes that a key stands for; raises ValueError."""
    match encoding:
        case "hex":
            return bytes.fromhex(key)
        case "base64":
            return base64.b64decode(key.removeprefix("whsec_"), validate=True)
        case _:
            return _bytes(key)


def _spelled(rule: Signature, digest: bytes) -> str:
    is_hex = rule.encoding == "hex"
    text = digest.hex() if is_hex else base64.b64encode(digest).decode().rstrip("=")
    return text[: rule.first]


def _plain(rule: Signature, sent: str) -> str:
    """As we spell it: `sha256=` is left away, base64 is read in either alphabet."""
    text = sent.strip()
    if text[: len(rule.hash) + 1].lower() == f"{rule.hash}=":
        text = text[len(rule.hash) + 1 :]
    if rule.encoding == "hex":
        return text.lower()
    return text.translate(_URL_SAFE).rstrip("=")


def _is_fresh(rule: Signature, values: Mapping[str, str], now: datetime) -> bool:
    if rule.within is None:
        return True
    return abs(_moment(values[rule.time]) - now) <= rule.within


def _moment(text: str) -> datetime:
    """Seconds or milliseconds since 1970, or ISO 8601."""
    if not _SECONDS.fullmatch(text.strip()):
        return parse_moment(text.strip())
    number = int(text)
    seconds = number if number < _MILLISECONDS_FROM else number / 1000
    return datetime.fromtimestamp(seconds, UTC)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
