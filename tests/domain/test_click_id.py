from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain import base32
from tracker.domain.click_id import (
    LENGTH,
    MAX_NUMBER,
    ClickClass,
    ClickIdMint,
    SigningKeys,
    facts_of,
    shard_of,
)
from tracker.domain.errors import ForgedClickIdError, UnknownClickIdError
from tracker.domain.identity import moment

KEYS = SigningKeys(0, {0: bytes(range(32)), 3: bytes(range(32, 64))})

# Published vectors: another implementation of the format, given the keys above,
# must read these ids as exactly these facts.
VECTORS = [
    (
        "000000000000008000010001ernhgs1f",
        (datetime(2024, 1, 1, tzinfo=UTC), 0, 1, ClickClass.VISIT, 1, 1),
    ),
    (
        "2n0cxbkv0ynwvvr104k7001agjsv8skq",
        (
            datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=UTC),
            7,
            0xABCDEF,
            ClickClass.HEAD,
            4711,
            42,
        ),
    ),
    (
        "zx8wjc00zzzzzzrwzzzzzzzzqhywwwmh",
        (
            datetime(2058, 10, 1, tzinfo=UTC),
            255,
            0xFFFFFF,
            ClickClass.TEST,
            MAX_NUMBER,
            MAX_NUMBER,
        ),
    ),
]


@pytest.fixture(scope="module")
def mint():
    return ClickIdMint(KEYS)


def an_id(mint, **changed):
    facts = {
        "now": datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=UTC),
        "shard": 7,
        "click_class": ClickClass.VISIT,
        "partner_number": 4711,
        "offer_number": 42,
    }
    return mint.mint(**{**facts, **changed})


numbers = st.integers(1, MAX_NUMBER)
moments = st.integers(0, 2**40 - 1).map(moment)


@given(moments, st.integers(0, 255), st.sampled_from(ClickClass), numbers, numbers)
def test_an_id_tells_what_it_was_made_of(
    mint, now, shard, click_class, partner_number, offer_number
):
    click_id = mint.mint(
        now=now,
        shard=shard,
        click_class=click_class,
        partner_number=partner_number,
        offer_number=offer_number,
    )
    facts = mint.read(click_id)
    assert len(click_id) == LENGTH
    assert facts.clicked_at == now
    assert (facts.shard, facts.click_class) == (shard, click_class)
    assert shard_of(click_id) == shard
    assert (facts.partner_number, facts.offer_number) == (partner_number, offer_number)


@pytest.mark.parametrize(("click_id", "facts"), VECTORS)
def test_the_published_vectors_hold(mint, click_id, facts):
    read = mint.read(click_id)
    clicked_at, shard, counter, click_class, partner, offer = facts
    assert (read.clicked_at, read.shard, read.counter) == (clicked_at, shard, counter)
    assert read.click_class is click_class
    assert (read.partner_number, read.offer_number) == (partner, offer)


def test_case_and_look_alikes_are_forgiven(mint):
    """Senders upper-case ids, and people read 1 as l and 0 as O."""
    click_id = an_id(mint)
    misread = click_id.upper().replace("1", "l").replace("0", "O")
    assert mint.read(misread) == mint.read(click_id)
    assert mint.read(misread).id == click_id


def test_every_single_character_that_is_changed_is_refused(mint):
    click_id = an_id(mint)
    changed = [
        click_id[:place] + other + click_id[place + 1 :]
        for place in range(LENGTH)
        for other in base32.ALPHABET
        if other != click_id[place]
    ]
    believed = [text for text in changed if _is_believed(mint, text)]
    assert (len(changed), believed) == (LENGTH * 31, [])


def test_ids_sort_by_time(mint):
    start = datetime(2026, 11, 22, tzinfo=UTC)
    ids = [an_id(mint, now=start + timedelta(milliseconds=n)) for n in range(500)]
    assert ids == sorted(ids)


def test_ids_of_one_millisecond_differ(mint):
    assert len({an_id(mint) for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    "text", ["", "0", "u" * LENGTH, "é" * LENGTH, "0" * 31, "0" * 33, "z" * LENGTH]
)
def test_what_is_not_our_format_is_unknown(mint, text):
    with pytest.raises(UnknownClickIdError):
        mint.read(text)


def test_another_key_forges(mint):
    stranger = ClickIdMint(SigningKeys(0, {0: b"not the key at all"}))
    with pytest.raises(ForgedClickIdError):
        mint.read(an_id(stranger))


def test_an_older_key_verifies_and_a_retired_one_does_not(mint):
    older = ClickIdMint(SigningKeys(3, KEYS.secrets))
    retired = ClickIdMint(SigningKeys(5, {5: b"retired"}))
    assert mint.read(an_id(older)).partner_number == 4711
    with pytest.raises(UnknownClickIdError):
        mint.read(an_id(retired))


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(mint, text):
    assert not _is_believed(mint, text)


def test_our_own_records_are_read_without_a_key(mint):
    click_id = an_id(mint)
    assert facts_of(click_id) == mint.read(click_id)


def _is_believed(mint, text):
    try:
        mint.read(text)
    except (ForgedClickIdError, UnknownClickIdError):
        return False
    return True
