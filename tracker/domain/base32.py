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

_LOOK_ALIKES = {"i": "1", "l": "1", "o": "0"}
_LOOK_ALIKE = re.compile(f"[{''.join(_LOOK_ALIKES)}]")
_FORGIVEN = str.maketrans(_LOOK_ALIKES)

# What int() calls the digits of base 32, of either case; whatever is none is "?".
_DIGITS = dict(zip(ALPHABET, "0123456789abcdefghijklmnopqrstuv", strict=True))
_READ_AS = _DIGITS | _LOOK_ALIKES
_TO_DIGITS = "".join(
    _READ_AS.get(chr(code).lower(), "?") for code in range(256)
).encode()


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
    digits = text.encode(errors="replace").translate(_TO_DIGITS)
    if not digits or len(digits) % 8 or b"?" in digits:
        raise ValueError(f"{text[:40]!r} is not base32")
    return int(digits, 32).to_bytes(len(digits) * 5 // 8, "big")


def normalise(text: str) -> str:
    """The one spelling in which an id is stored."""
    lowered = text.lower()
    return lowered.translate(_FORGIVEN) if _LOOK_ALIKE.search(lowered) else lowered
