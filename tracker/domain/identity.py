"""The ids of everything but a click: a kind, an underscore, and base32 text."""

import random
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import NewType
from uuid import UUID, uuid5

from tracker.domain import base32

PostbackId = NewType("PostbackId", str)
ConversionId = NewType("ConversionId", str)
ChangeId = NewType("ChangeId", str)
DeliveryId = NewType("DeliveryId", str)

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
"""Times inside ids are milliseconds since then, in 40 bits: enough until 2058."""

_MILLISECOND = timedelta(milliseconds=1)
_LENGTH = 24
_DELIVERIES = UUID("4f6d0c1e-3a57-5b8e-9c52-7d1e86a0b3f4")


def new_postback_id(now: datetime) -> PostbackId:
    """`pb_` and 24 characters: 40 bits of time, 80 of chance."""
    return PostbackId("pb_" + _timed(now))


def conversion_id_of(postback: PostbackId) -> ConversionId:
    """`cv_` and what follows in the id of the postback that made it."""
    return ConversionId("cv_" + postback.removeprefix("pb_"))


def change_id_of(postback: PostbackId) -> ChangeId:
    """`ch_` and the same: a postback makes one change at most."""
    return ChangeId("ch_" + postback.removeprefix("pb_"))


def new_change_id(now: datetime) -> ChangeId:
    """Of an operator's change: `ch_` and 24 characters, as a postback's."""
    return ChangeId("ch_" + _timed(now))


def delivery_id(change: ChangeId, partner: str, postback: str) -> DeliveryId:
    """The same for the same change and partner postback, so it survives retries."""
    digest = blake2b(f"{change}\n{partner}\n{postback}".encode(), digest_size=15)
    return DeliveryId("dl_" + base32.encode(digest.digest()))


def uuid_of(delivery: str) -> str:
    """
    The UUID that a delivery is also known by, the same in every attempt and replay.

    Source: https://www.rfc-editor.org/rfc/rfc9562, version 5
    """
    return str(uuid5(_DELIVERIES, delivery))


@lru_cache(maxsize=1024)
def postback_day(postback: str) -> date:
    """
    The UTC day a postback arrived, and so the partition it is kept in.

    Anything that is not a postback's id raises ValueError.
    """
    kind, _, text = postback.partition("_")
    if kind != "pb" or len(text) != _LENGTH:
        raise ValueError(f"{postback!r} is not the id of a postback")
    return moment(int.from_bytes(base32.decode(text)[:5], "big")).date()


def milliseconds(now: datetime) -> int:
    """Milliseconds since `EPOCH`; an aware time before it counts as 0."""
    return max(0, (now - EPOCH) // _MILLISECOND)


def moment(milliseconds: int) -> datetime:
    """The UTC time so many milliseconds after `EPOCH`."""
    return EPOCH + milliseconds * _MILLISECOND


def _timed(now: datetime) -> str:
    number = milliseconds(now) << 80 | random.getrandbits(80)
    return base32.encode(number.to_bytes(15, "big"))
