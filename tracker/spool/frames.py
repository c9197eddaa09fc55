"""
How a record lies on disk: framed, so that it can be found though its file is damaged.

    4 bytes    the mark
    8          number, one more than that of the record before
    1          kind
    4          length of the body
    n          body
    8          BLAKE2b of all the above
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from mmap import mmap

_MARK = b"\xf5tr\x01"
_HEAD = struct.Struct(">4sQBI")
_DIGEST_BYTES = 8


class Kind(IntEnum):
    """What a record holds."""

    CLICK = 1
    POSTBACK = 2


@dataclass(frozen=True, slots=True)
class Record:
    """Something that waits; numbers give the order in which it came."""

    number: int
    kind: Kind
    body: bytes


def make_frame(record: Record) -> bytes:
    """The record as it is kept."""
    head = _HEAD.pack(_MARK, record.number, record.kind, len(record.body))
    return head + record.body + _digest(head + record.body)


def read_frame(data: bytes) -> Record:
    """The record that the bytes begin with; raises ValueError if it is not whole."""
    if len(data) < _HEAD.size:
        raise ValueError("too short for a record")
    mark, number, kind, length = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if mark != _MARK or _digest(data[:end]) != data[end : end + _DIGEST_BYTES]:
        raise ValueError("not a whole record")
    return Record(number, Kind(kind), data[_HEAD.size : end])


def find_frames(data: bytes | mmap) -> Iterator[Record]:
    """Every whole record among other bytes, some perhaps more than once."""
    place = data.find(_MARK)
    while place >= 0:
        try:
            record = read_frame(_beginning(data, place))
        except ValueError:
            place = data.find(_MARK, place + 1)
        else:
            yield record
            place = data.find(_MARK, place + _HEAD.size + len(record.body))


def _beginning(data: bytes | mmap, place: int) -> bytes:
    """As much as the frame says it takes; a length that is wrong copies no more."""
    head = data[place : place + _HEAD.size]
    length = _HEAD.unpack(head)[3] if len(head) == _HEAD.size else 0
    return data[place : place + _HEAD.size + length + _DIGEST_BYTES]


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=_DIGEST_BYTES).digest()
