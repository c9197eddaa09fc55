"""How a value is put into its place, so that it cannot leave it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from urllib.parse import quote, quote_plus

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

# What percent-encoding leaves as it is, and most values consist of (RFC 3986, 2.3).
_is_unreserved = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a value is written in some place, and how one that a filter says is raw."""

    encode: Callable[[str], str]
    encode_raw: Callable[[str], str]


def in_one_line(value: str) -> str:
    """Nothing in it starts another line, or ends a header."""
    return _CONTROLS.sub(" ", value)


def in_json(value: str) -> str:
    """As it stands between the quotes of a JSON text."""
    return json.dumps(value)[1:-1]


@lru_cache(maxsize=256)
def in_body(content_type: str) -> Encoding:
    """For a body of that type; one that nobody knows has its lines kept apart."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith("json"):
        return Encoding(in_json, str)
    if kind.endswith(("xml", "html")):
        return Encoding(_in_markup, str)
    if kind == "application/x-www-form-urlencoded":
        return Encoding(_in_form, str)
    return Encoding(in_one_line, str)


def _percent_encoded(value: str) -> str:
    if _is_unreserved(value):
        return value
    return quote(value, safe="", errors="replace")


def _kept_in_url(value: str) -> str:
    """Only what no URL may hold is encoded, and what would end it: a fragment."""
    return quote(value, safe="%:/?[]@!$&'()*+,;=", errors="replace")


def _in_markup(value: str) -> str:
    return escape(_NOT_IN_XML.sub(" ", value))


def _in_form(value: str) -> str:
    return quote_plus(value, errors="replace")


IN_URL = Encoding(_percent_encoded, _kept_in_url)
AS_IT_IS = Encoding(str, str)
