"""A snapshot is the catalog without its secrets; a damaged one is refused."""

import dataclasses
import stat
import typing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.catalog import (
    check_text,
    compile_catalog,
    draft_catalog,
    load_snapshot,
    read_copy,
    read_facts,
    seal_draft,
    take_snapshot,
    write_copy,
)
from tracker.catalog import snapshot as snapshots
from tracker.catalog.snapshot import FORMAT, READABLE
from tracker.domain.advertiser import Advertiser
from tracker.domain.errors import CatalogError
from tracker.domain.offer import Offer
from tracker.domain.outbound import Rule
from tracker.domain.partner import Partner

SANDBOX = Path(__file__).parents[2] / "partners.yaml"
SECRETS = {"SANDBOX_POSTBACK_TOKEN": "sandbox-token", "TRACKER_BASE_URL": "http://h:1"}
NUMBERS = {("partner", "bestdeals"): 3, ("offer", "acme-shoes"): 4}
WRITTEN = Path(__file__).with_name("snapshots")
WORDS = {
    "ACME_TOKEN": "token-token",
    "ACME_HMAC": "x" * 32,
    "BEST_KEY": "best-key",
    "TRACKER_BASE_URL": "http://h:1",
}
"""The secrets of what was written by earlier versions."""


@pytest.fixture(scope="module")
def checked():
    return check_text(SANDBOX.read_bytes(), "partners.yaml", SECRETS)


@pytest.fixture(scope="module")
def snapshot(checked):
    return take_snapshot(checked, version=5, numbers=NUMBERS)


async def test_a_snapshot_loads_as_what_it_was_made_of(checked, snapshot):
    catalog = compile_catalog(checked, SECRETS, version=5, numbers=NUMBERS)

    assert await load_snapshot(snapshot, SECRETS) == catalog


async def test_variants_outlive_a_snapshot():
    text = SANDBOX.read_text("utf-8").replace(
        "    auth: {", "    postback: {preset: stripe-charges}\n    auth: {", 1
    )
    varied = check_text(text, "partners.yaml", SECRETS)
    taken = take_snapshot(varied, version=5, numbers=NUMBERS)
    loaded = await load_snapshot(taken, SECRETS)

    (variant,) = next(iter(loaded.advertisers.values())).variants
    assert variant.when == {"type": ("charge.refunded",)}
    assert variant.speaker.refunds == "total"


def test_a_snapshot_names_itself(checked, snapshot):
    facts = read_facts(snapshot)

    assert (facts.version, facts.content_hash) == (5, checked.content_hash)
    assert facts.numbers == NUMBERS


def test_a_snapshot_holds_names_of_secrets_and_no_values(snapshot):
    assert b"${SANDBOX_POSTBACK_TOKEN}" in snapshot
    assert not any(value.encode() in snapshot for value in SECRETS.values())


async def test_a_snapshot_carries_what_was_retired(checked, snapshot):
    empty = check_text("version: 1\ncurrency: USD", "p.yaml", {})

    draft = draft_catalog(empty, snapshot)
    later = seal_draft(draft, version=6, numbers=NUMBERS)

    catalog = await load_snapshot(later, SECRETS)
    before = await load_snapshot(snapshot, SECRETS)
    shoes = before.offers["acme-shoes"]
    assert (draft.follows, sorted(draft.keys)) == (5, sorted(NUMBERS))
    assert catalog.offers == {"acme-shoes": replace(shoes, is_retired=True)}


async def test_a_secret_that_is_not_set_is_named(snapshot):
    with pytest.raises(CatalogError, match=r"not set, or empty: \$\{SANDBOX_POST"):
        await load_snapshot(snapshot, {"TRACKER_BASE_URL": "http://h:1"})


def test_a_draft_is_sealed_with_all_its_numbers_or_not_at_all(checked):
    with pytest.raises(CatalogError, match="no number for offer acme-shoes"):
        seal_draft(
            draft_catalog(checked), version=1, numbers={("partner", "bestdeals"): 1}
        )


async def test_a_snapshot_of_another_format_is_refused(snapshot):
    with pytest.raises(CatalogError, match="not a snapshot of format 3"):
        await load_snapshot(snapshot.replace(b" 3\n", b" 4\n", 1), SECRETS)


@pytest.mark.parametrize("number", [one for one in READABLE if one != FORMAT])
async def test_a_snapshot_of_an_earlier_format_is_read(number):
    """These were written by the versions of tracker that had these formats."""
    text = (WRITTEN / f"format-{number}.yaml").read_bytes()
    snapshot = (WRITTEN / f"format-{number}.snapshot").read_bytes()
    numbers = {("partner", "best"): 3, ("offer", "shoes"): 4}

    earlier = await load_snapshot(snapshot, WORDS)

    checked = check_text(text, "partners.yaml", WORDS)
    now = compile_catalog(checked, WORDS, version=5, numbers=numbers)
    assert as_spelled_now(earlier) == as_spelled_now(now)


def as_spelled_now(catalog):
    """JSON bodies as text, and a body that is to be answered as a rule."""
    best = catalog.partners["best"]
    told = [
        replace(one, json=repr(one.tree), success=rule_of(one.success))
        for one in best.postbacks
    ]
    return replace(catalog, partners={"best": replace(best, postbacks=tuple(told))})


def rule_of(success):
    return Rule(body=success) if isinstance(success, str) else success


def fields_of(kind, found):
    """Every field of the values that a snapshot holds."""
    for inner in typing.get_args(kind):
        fields_of(inner, found)
    names = getattr(kind, "__struct_fields__", ())
    if dataclasses.is_dataclass(kind):
        names = [one.name for one in dataclasses.fields(kind)]
    spelled = {f"{kind.__module__}.{kind.__name__}.{name}" for name in names}
    if not spelled <= found:
        found |= spelled
        for hint in typing.get_type_hints(kind).values():
            fields_of(hint, found)


def test_a_format_has_the_fields_that_it_had():
    """
    Who reads a snapshot skips the fields that it does not know.

    A field that asks for more, of a proof or a cap, say, needs another FORMAT, so
    that older processes refuse the snapshot. Until a format is released its fields
    may be added to its file; after that, it is a new file with a new number.
    """
    found = set()
    for kind in (snapshots._Sealed, snapshots._Terms, Advertiser, Offer, Partner):
        fields_of(kind, found)

    listed = (WRITTEN / f"format-{FORMAT}.txt").read_text().splitlines()
    assert sorted(found) == listed


@given(st.data())
def test_a_damaged_snapshot_is_refused(snapshot, data):
    place = data.draw(st.integers(0, len(snapshot) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(snapshot)
    damaged[place] ^= 1 << bit

    for wrong in (bytes(damaged), snapshot[:place]):
        with pytest.raises(CatalogError):
            read_facts(wrong)


def test_the_copy_on_disk_is_replaced_whole_and_private(tmp_path):
    path = tmp_path / "catalog.snapshot"
    path.write_bytes(b"old")

    write_copy(path, b"new")

    assert read_copy(path) == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_copy_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "copy"
    path.mkdir()

    with pytest.raises(OSError, match="directory"):
        write_copy(path, b"new")

    assert list(tmp_path.iterdir()) == [path]


def test_a_copy_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(CatalogError, match="no copy of the catalog: gone: No such"):
        read_copy(tmp_path / "gone")
