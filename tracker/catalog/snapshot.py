"""
A compiled catalog as bytes: what processes hand each other, and keep on disk.

    tracker-catalog 3      the format's number, and a line feed
    16 bytes               BLAKE2b of what follows
    msgpack                head (version, hash, numbers) and draft

A draft is all but version and numbers, which Postgres gives when the catalog is put
in force; sealing it then takes no second look at its entries. Secrets stand in
neither: templates hold their names, and loading adds their values. Entries come in
slices, so that an event loop can breathe while it loads ten thousand of them.
"""

import asyncio
import gc
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import TypeVar

import msgspec

from tracker.catalog.check import CheckedCatalog
from tracker.catalog.compile import compile_unnumbered, keys_to_number
from tracker.catalog.environment import SecretNames, choose_secrets, secret_names
from tracker.domain.advertiser import Advertiser
from tracker.domain.catalog import Catalog, Kind, Numbers
from tracker.domain.errors import CatalogError
from tracker.domain.meter import what_counts
from tracker.domain.offer import Offer
from tracker.domain.outbound import PartnerPostback
from tracker.domain.partner import Partner

FORMAT = 3
"""What is written: who knows less must not think that less is to be proven, or paid."""

READABLE = (1, 2, 3)
"""
Format 1 has no signatures of postbacks; format 2 no dialects, and no caps, reviews or
schedules of offers.
"""

SLICE = 200
"""Entries that are decoded without a pause, in about 2 ms."""

_MAGIC = b"tracker-catalog %d\n"
_DIGEST_BYTES = 16
_HASHED_AT_ONCE = 1 << 20

Entry = TypeVar("Entry", Advertiser, Offer, Partner)
Counted = TypeVar("Counted", Offer, Partner)
Result = TypeVar("Result")


class _Terms(msgspec.Struct, array_like=True, frozen=True):
    """What a draft holds of the catalog itself; entries are slices of msgpack."""

    currency: str
    timezone: str
    rates: dict[str, Decimal]
    fallback_url: str | None
    needed: list[str]
    retired: list[str]
    advertisers: list[bytes]
    offers: list[bytes]
    partners: list[bytes]
    postbacks: tuple[PartnerPostback, ...] = ()


class _Sealed(msgspec.Struct, array_like=True, frozen=True):
    version: int
    content_hash: str
    partners: dict[str, int]
    offers: dict[str, int]
    body: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """
    A compiled catalog that has no version and no numbers yet.

    `follows` is the version whose retired entries it carries, 0 if none: put in
    force after another one, it would lose what that one had. `caps` are what its caps
    count.
    """

    content_hash: str
    follows: int
    keys: list[tuple[Kind, str]] = field(repr=False)
    body: bytes = field(repr=False)
    caps: list[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What a snapshot says of itself."""

    version: int
    content_hash: str
    numbers: Numbers


def draft_catalog(checked: CheckedCatalog, previous: bytes | None = None) -> Draft:
    """
    Compile a checked file; `previous` is the snapshot now in force.

    Takes seconds for ten thousand partners: not for an event loop.
    """
    former = _drained(_steps(previous)) if previous else None
    catalog = compile_unnumbered(checked.document, former)
    return Draft(
        content_hash=checked.content_hash,
        follows=former.version if former else 0,
        keys=keys_to_number(catalog),
        body=_ENCODER.encode(_terms(catalog)),
        caps=sorted({what_counts(one, catalog) for one in catalog.list_caps()}),
    )


def seal_draft(draft: Draft, *, version: int, numbers: Numbers) -> bytes:
    """The snapshot of a draft; raises CatalogError where a number is missing."""
    missing = [key for key in draft.keys if key not in numbers]
    if missing:
        raise CatalogError(f"no number for {' '.join(missing[0])}")
    sealed = _Sealed(
        version,
        draft.content_hash,
        _numbers_of("partner", draft, numbers),
        _numbers_of("offer", draft, numbers),
        draft.body,
    )
    payload = _ENCODER.encode(sealed)
    digest = blake2b(payload, digest_size=_DIGEST_BYTES).digest()
    return _MAGIC % FORMAT + digest + payload


def take_snapshot(
    checked: CheckedCatalog,
    *,
    version: int,
    numbers: Numbers,
    previous: bytes | None = None,
) -> bytes:
    """Draft and seal in one go, where nothing else waits."""
    draft = draft_catalog(checked, previous)
    return seal_draft(draft, version=version, numbers=numbers)


async def load_snapshot(data: bytes, secrets: Mapping[str, str]) -> Catalog:
    """
    The catalog in a snapshot, with the values of its secrets.

    Lets the event loop run between slices. Raises CatalogError for another format,
    for damage, and for a secret that is not set.
    """
    with _undisturbed():
        steps = _steps(data, secrets)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                catalog: Catalog = done.value
                return catalog
            await asyncio.sleep(0)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """
    No garbage is looked for meanwhile, nor among what was loaded ever after.

    With ten thousand partners, each full collection would stop the loop for 70 ms;
    a catalog has no cycles and goes when the last reference to it goes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


def read_facts(data: bytes) -> SnapshotFacts:
    """Version, hash and numbers of a snapshot, its entries unread."""
    sealed = _drained(_opened(data))
    return SnapshotFacts(sealed.version, sealed.content_hash, _numbers(sealed))


def _drained(steps: Generator[None, None, Result]) -> Result:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: Result = done.value
            return result


def _terms(catalog: Catalog) -> _Terms:
    names = secret_names(catalog)
    return _Terms(
        currency=catalog.currency,
        timezone=catalog.timezone,
        rates=dict(catalog.rates),
        fallback_url=catalog.fallback_url,
        needed=sorted(names.needed),
        retired=sorted(names.retired),
        advertisers=_sliced(catalog.advertisers.values()),
        offers=_sliced(catalog.offers.values()),
        partners=_sliced(catalog.partners.values()),
        postbacks=catalog.postbacks,
    )


def _sliced(entries: Iterable[Entry]) -> list[bytes]:
    remaining = iter(entries)
    slices = iter(lambda: list(islice(remaining, SLICE)), [])
    return [_ENCODER.encode(part) for part in slices]


def _numbers_of(kind: Kind, draft: Draft, numbers: Numbers) -> dict[str, int]:
    return {key: numbers[kind, key] for one, key in draft.keys if one == kind}


def _numbers(sealed: _Sealed) -> dict[tuple[Kind, str], int]:
    numbers: dict[tuple[Kind, str], int] = {}
    numbers.update({("partner", key): n for key, n in sealed.partners.items()})
    numbers.update({("offer", key): n for key, n in sealed.offers.items()})
    return numbers


def _steps(
    data: bytes, secrets: Mapping[str, str] | None = None
) -> Generator[None, None, Catalog]:
    """A catalog, in steps of which each is short; without `secrets`, without them."""
    try:
        return (yield from _loaded(data, secrets))
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise CatalogError(f"the snapshot is damaged: {error}") from error


def _loaded(
    data: bytes, secrets: Mapping[str, str] | None
) -> Generator[None, None, Catalog]:
    sealed = yield from _opened(data)
    yield
    terms = _TERMS.decode(sealed.body)
    yield
    names = SecretNames(frozenset(terms.needed), frozenset(terms.retired))
    return Catalog(
        version=sealed.version,
        currency=terms.currency,
        timezone=terms.timezone,
        advertisers=(yield from _entries(terms.advertisers, _ADVERTISERS)),
        offers=(yield from _numbered(terms.offers, _OFFERS, sealed.offers)),
        partners=(yield from _numbered(terms.partners, _PARTNERS, sealed.partners)),
        rates=terms.rates,
        fallback_url=terms.fallback_url,
        postbacks=terms.postbacks,
        secrets={} if secrets is None else choose_secrets(secrets, names),
    )


def _entries(
    slices: Iterable[bytes], decoder: msgspec.msgpack.Decoder[list[Entry]]
) -> Generator[None, None, dict[str, Entry]]:
    entries: dict[str, Entry] = {}
    for part in slices:
        entries.update((entry.key, entry) for entry in decoder.decode(part))
        yield
    return entries


def _numbered(
    slices: Iterable[bytes],
    decoder: msgspec.msgpack.Decoder[list[Counted]],
    numbers: Mapping[str, int],
) -> Generator[None, None, dict[str, Counted]]:
    entries: dict[str, Counted] = {}
    for part in slices:
        for entry in decoder.decode(part):
            entries[entry.key] = replace(entry, number=numbers[entry.key])
        yield
    return entries


def _opened(data: bytes) -> Generator[None, None, _Sealed]:
    if not data.startswith(tuple(_MAGIC % number for number in READABLE)):
        raise CatalogError(f"not a snapshot of format {FORMAT}")
    rest = memoryview(data)[len(_MAGIC % FORMAT) :]
    digest, payload = rest[:_DIGEST_BYTES], rest[_DIGEST_BYTES:]
    if (yield from _digest(payload)) != digest:
        raise CatalogError("the snapshot is damaged: its digest is another")
    yield
    return _SEALED.decode(payload)


def _digest(payload: memoryview) -> Generator[None, None, bytes]:
    hashed = blake2b(digest_size=_DIGEST_BYTES)
    for start in range(0, len(payload), _HASHED_AT_ONCE):
        hashed.update(payload[start : start + _HASHED_AT_ONCE])
        yield
    return hashed.digest()


_ENCODER = msgspec.msgpack.Encoder()
_SEALED = msgspec.msgpack.Decoder(_Sealed)
_TERMS = msgspec.msgpack.Decoder(_Terms)
_ADVERTISERS = msgspec.msgpack.Decoder(list[Advertiser])
_OFFERS = msgspec.msgpack.Decoder(list[Offer])
_PARTNERS = msgspec.msgpack.Decoder(list[Partner])
