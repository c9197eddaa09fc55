"""
Crockford's base32 in lower case: it sorts as text and forgives its reader.

The alphabet is 0-9 and a-z without i, l, o and u
(https://www.crockford.com/base32.html). Every value here is a multiple of five bytes
long and needs no padding.
"""

import re

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

# Ten bits at a time: half as many steps as characters.
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)

# What int() calls the digits of base 32.
_TO_DIGITS = str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_FORGIVEN = str.maketrans("ilo", "110")
_SPELLED = re.compile(f"[{ALPHABET}]+", re.ASCII)


def encode(data: bytes) -> str:
    """Eight characters for every five bytes."""
    number = int.from_bytes(data, "big")
    shifts = range(len(data) * 8 - 10, -1, -10)
    return "".join([_PAIRS[number >> shift & 1023] for shift in shifts])


def decode(text: str) -> bytes:
    """
    Five bytes for every eight characters.

    Case and the look-alikes i, l and o are forgiven; anything else, a `u` say,
    raises ValueError.
    """
    spelled = normalise(text)
    if len(spelled) % 8 or not _SPELLED.fullmatch(spelled):
        raise ValueError(f"{text[:40]!r} is not base32")
    number = int(spelled.translate(_TO_DIGITS), 32)
    return number.to_bytes(len(spelled) * 5 // 8, "big")


def normalise(text: str) -> str:
    """The one spelling in which an id is stored."""
    return text.lower().translate(_FORGIVEN)
