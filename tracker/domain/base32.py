"""
Crockford's base32 in lower case: it sorts as text and forgives its reader.

The alphabet is 0-9 and a-z without i, l, o and u
(https://www.crockford.com/base32.html). It is the "extended hex" alphabet of
RFC 4648 under another name, so the standard library does the work. Every value
here is a multiple of five bytes long and needs no padding.
"""

import binascii
from base64 import b32hexdecode, b32hexencode

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

_HEX = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_TO_OURS = bytes.maketrans(_HEX.encode(), ALPHABET.encode())
_TO_HEX = str.maketrans(ALPHABET, _HEX)
_FORGIVEN = str.maketrans("ilo", "110")


def encode(data: bytes) -> str:
    """Eight characters for every five bytes."""
    return b32hexencode(data).translate(_TO_OURS).decode()


def decode(text: str) -> bytes:
    """
    Five bytes for every eight characters.

    Case and the look-alikes i, l and o are forgiven; anything else, a `u` say,
    raises ValueError.
    """
    spelled = normalise(text)
    if not set(spelled) <= set(ALPHABET):
        raise ValueError(f"{text[:40]!r} is not base32")
    try:
        return b32hexdecode(spelled.translate(_TO_HEX))
    except binascii.Error as error:
        raise ValueError(f"{text[:40]!r} is not base32") from error


def normalise(text: str) -> str:
    """The one spelling in which an id is stored."""
    return text.lower().translate(_FORGIVEN)
