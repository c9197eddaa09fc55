"""
The values of `${NAME}`: read once, passed along, never stored or shown.

Nothing here raises with a value in its message.
"""

import re
import secrets as chance
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tracker.domain.advertiser import Advertiser
from tracker.domain.catalog import Catalog
from tracker.domain.errors import CatalogError
from tracker.domain.macros import parse_template
from tracker.domain.offer import Offer
from tracker.domain.outbound import PartnerPostback
from tracker.domain.partner import Partner

# A filter's key may stand by its bare name.
_MAY_NAME_ONE = re.compile(r"\$\{|hmac:")


@dataclass(frozen=True, slots=True)
class SecretNames:
    """What a catalog refers to; `retired` only in entries that were removed."""

    needed: frozenset[str] = frozenset()
    retired: frozenset[str] = frozenset()


def read_secrets(
    environ: Mapping[str, str], path: Path | None = None
) -> dict[str, str]:
    """
    The environment, and over it the secrets file.

    The file has lines `NAME=value`; empty lines and those that start with `#` are
    skipped, and one pair of quotes around a value is taken off. Raises CatalogError
    with the number of a line that is none of these.
    """
    if path is None:
        return dict(environ)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise CatalogError(f"{path.name}: cannot be read: {_reason(error)}") from None
    return {**environ, **dict(_assignments(text, path.name))}


def choose_secrets(secrets: Mapping[str, str], names: SecretNames) -> dict[str, str]:
    """
    Only the values a catalog refers to; raises CatalogError for those not set.

    An entry that was removed may refer to a secret that was removed with it. It
    gets a value that nobody can know, so that nobody can prove it any more.
    """
    missing = sorted(name for name in names.needed if not secrets.get(name))
    if missing:
        listed = ", ".join(f"${{{name}}}" for name in missing)
        raise CatalogError(f"not set, or empty: {listed}")
    chosen = {name: secrets[name] for name in names.needed}
    for name in names.retired - names.needed:
        chosen[name] = secrets.get(name) or chance.token_hex(32)
    return chosen


def secret_names(catalog: Catalog) -> SecretNames:
    """The names of all `${NAME}` in the catalog's templates."""
    entries: list[Advertiser | Offer | Partner] = [
        *catalog.advertisers.values(),
        *catalog.offers.values(),
        *catalog.partners.values(),
    ]
    kept = chain.from_iterable(_texts(e) for e in entries if not e.is_retired)
    gone = chain.from_iterable(_texts(e) for e in entries if e.is_retired)
    needed = _names(chain(kept, [catalog.fallback_url], _told(catalog.postbacks)))
    return SecretNames(needed, _names(gone) - needed)


def _names(texts: Iterable[str | None]) -> frozenset[str]:
    return frozenset(
        name
        for text in texts
        if text and _MAY_NAME_ONE.search(text)
        for name in parse_template(text).secrets
    )


def _texts(entry: Advertiser | Offer | Partner) -> Iterator[str | None]:
    match entry:
        case Advertiser():
            yield from (*entry.auth.tokens, *entry.auth.hmac)
            if entry.auth.signature:
                yield from (entry.auth.signature.text, entry.auth.signature.key)
        case Offer():
            yield from (entry.url, entry.fallback_url, *_told(entry.postbacks))
            if entry.targeting:
                yield from entry.targeting.urls()
        case Partner():
            yield from _told(entry.postbacks)


def _told(postbacks: Iterable[PartnerPostback]) -> Iterator[str]:
    for postback in postbacks:
        yield from postback.texts


def _assignments(text: str, name: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key, equals, value = stripped.removeprefix("export ").partition("=")
        if not equals or not key.strip().isidentifier():
            raise CatalogError(f"{name}:{number}: write NAME=value")
        yield key.strip(), _unquoted(value.strip())


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError):
        return error.strerror or "no reason given"
    return "not UTF-8 text"
