"""
Filters: what may be done to a value before it is put into a template.

    {payout|percent:50}   {status|map:approved=1,*=0}   {click_id|hmac:ACME_KEY}

A filter follows a bar, its argument a colon. Each is a function of text that knows
nothing of what came before it. One that cannot read its value raises ValueError, and
the value passes as it is; one that needs a secret is given it when it is applied.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from tracker.domain.encoding import in_json

Mark = Literal["raw", "optional", "required", "typed"]
"""What a filter says of the place of its value, instead of changing the value."""

_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,9})?", re.ASCII)
_SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIRECTIVE = re.compile(r"%(:z|[%aAbBdfFGHIjmMpSTuVwyYz])")
_NEEDS_QUOTES = re.compile(r"[\",;\t\r\n]|^ | $")
_NOT_DIGITS = re.compile(r"[^0-9]+")
_HASHES = ("sha256", "sha1", "md5", "sha512")
_MAX_DECIMALS = 9
_MAX_LENGTH = 4096
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True)
class Filter:
    """
    A filter with its argument.

    `apply` takes the value and then that of each of the `secrets`, which are named
    here. Unless it `takes_empty`, an empty value stays so and it is not asked.
    """

    apply: Callable[..., str]
    secrets: tuple[str, ...] = ()
    takes_empty: bool = False
    mark: Mark | None = None


def parse_filter(spelled: str) -> Filter:
    """`percent:50`; raises ValueError with what would be right."""
    name, _, argument = spelled.strip().partition(":")
    maker = FILTERS.get(name)
    if maker is None:
        raise ValueError(f"no filter {name[:40]!r}; {_known_like(name)}")
    return maker(argument)


def parse_moment(value: str) -> datetime:
    """A time as our macros spell it; one without a zone is in UTC."""
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _known_like(name: str) -> str:
    close = get_close_matches(name[:40], FILTERS, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(sorted(FILTERS))}"


Maker = Callable[[str], Filter]


def _bare(name: str, apply: Callable[[str], str], mark: Mark | None = None) -> Maker:
    """A filter that takes no argument."""

    def make(argument: str) -> Filter:
        if argument:
            raise ValueError(f"{name} takes no argument")
        return Filter(apply, mark=mark)

    return make


def _default(argument: str) -> Filter:
    names = tuple(_SECRET.findall(argument))

    def apply(value: str, *known: str) -> str:
        return value or _filled(argument, known)

    return Filter(apply, names, takes_empty=True)


def _prefix(argument: str) -> Filter:
    names = tuple(_SECRET.findall(argument))
    return Filter(lambda value, *known: _filled(argument, known) + value, names)


def _suffix(argument: str) -> Filter:
    names = tuple(_SECRET.findall(argument))
    return Filter(lambda value, *known: value + _filled(argument, known), names)


def _filled(argument: str, known: tuple[str, ...]) -> str:
    """The argument with its secrets; they come in the order of their names."""
    if not known:
        return argument
    values = iter(known)
    return _SECRET.sub(lambda _: next(values), argument)


def _map(argument: str) -> Filter:
    pairs = [pair.partition("=") for pair in argument.split(",")]
    if not all(name and equals for name, equals, _ in pairs):
        raise ValueError("map wants approved=1,rejected=3")
    table = {name.strip(): value.strip() for name, _, value in pairs}

    def apply(value: str) -> str:
        return table.get(value, table.get("*", value))

    return Filter(apply, takes_empty=True)


def _replace(argument: str) -> Filter:
    old, equals, new = argument.partition("=")
    if not (old and equals):
        raise ValueError("replace wants old=new, as in replace:-=_")
    return Filter(lambda value: value.replace(old, new)[:_MAX_LENGTH])


def _first(argument: str) -> Filter:
    length = _count("first", argument, most=_MAX_LENGTH)
    return Filter(lambda value: value[:length])


def _percent(argument: str) -> Filter:
    if not _NUMBER.fullmatch(argument.strip()):
        raise ValueError("percent wants a number, as in percent:50")
    share = Decimal(argument.strip()) / 100
    return Filter(lambda value: _spelled(_number(value) * share, _decimals(value)))


def _round(argument: str) -> Filter:
    decimals = _count("round", argument or "2")
    return Filter(lambda value: _spelled(_number(value), decimals))


def _minor(argument: str) -> Filter:
    """Money has the decimals of its currency: all of them, unless told otherwise."""
    fixed = _count("minor", argument) if argument else None

    def apply(value: str) -> str:
        decimals = _decimals(value) if fixed is None else fixed
        return _spelled(_number(value).scaleb(decimals), 0)

    return Filter(apply)


def _as_number(value: str) -> str:
    return f"{_number(value):f}"


def _as_integer(value: str) -> str:
    return _spelled(_number(value), 0)


def _as_boolean(value: str) -> str:
    said = value.strip().lower()
    if said not in _TRUE | _FALSE:
        raise ValueError("neither true nor false")
    return "true" if said in _TRUE else "false"


def _number(value: str) -> Decimal:
    if not _NUMBER.fullmatch(value):
        raise ValueError("not a plain number")
    return Decimal(value)


def _decimals(value: str) -> int:
    return len(value.partition(".")[2])


def _spelled(number: Decimal, decimals: int) -> str:
    """Rounded half up to so many decimals, none of them an exponent."""
    exponent = Decimal(1).scaleb(-decimals)
    return f"{number.quantize(exponent, rounding=ROUND_HALF_UP):f}"


def _count(name: str, argument: str, most: int = _MAX_DECIMALS) -> int:
    if not argument.isdecimal() or int(argument[:5]) > most:
        raise ValueError(f"{name} wants a number from 0 to {most}, as in {name}:2")
    return int(argument)


def _unix(value: str) -> str:
    return str(int(parse_moment(value).timestamp()))


def _unix_ms(value: str) -> str:
    return str(round(parse_moment(value).timestamp() * 1000))


def _iso(value: str) -> str:
    return parse_moment(value).isoformat(timespec="seconds").replace("+00:00", "Z")


def _date(argument: str) -> Filter:
    if not argument or "%" in _DIRECTIVE.sub("", argument):
        raise ValueError("date wants a format such as date:%Y-%m-%d %H:%M:%S")
    return Filter(lambda value: _dated(parse_moment(value), argument))


def _dated(moment: datetime, wanted: str) -> str:
    # `%:z` is that of later versions of Python: +01:00 and not +0100.
    offset = moment.isoformat()[-6:]
    return moment.strftime(wanted.replace("%:z", offset))


def _zone(argument: str) -> Filter:
    try:
        zone = ZoneInfo(argument)
    except (ValueError, OSError, LookupError):
        raise ValueError("zone wants a name such as zone:Europe/Paris") from None

    def apply(value: str) -> str:
        return parse_moment(value).astimezone(zone).isoformat(timespec="milliseconds")

    return Filter(apply)


def _digest(name: str) -> Maker:
    def make(argument: str) -> Filter:
        spell = _spelling(name, argument)
        return Filter(lambda value: spell(hashlib.new(name, _bytes(value)).digest()))

    return make


def _hmac(argument: str) -> Filter:
    """`hmac:KEY:sha1:base64`; `KEY` names a secret, and may stand as `${KEY}`."""
    key, name, encoding = [*argument.split(":"), "", ""][:3]
    key = _SECRET.sub(r"\1", key.strip())
    name = name or "sha256"
    if not _NAME.fullmatch(key) or name not in _HASHES or argument.count(":") > 2:  # noqa: PLR2004 - the parts above
        raise ValueError(f"hmac wants hmac:KEY or hmac:KEY:HASH ({', '.join(_HASHES)})")
    spell = _spelling("hmac", encoding)

    def apply(value: str, secret: str) -> str:
        return spell(hmac.digest(secret.encode(), _bytes(value), name))

    return Filter(apply, (key,))


def _spelling(name: str, encoding: str) -> Callable[[bytes], str]:
    match encoding:
        case "" | "hex":
            return bytes.hex
        case "base64":
            return lambda digest: b64encode(digest).decode()
        case _:
            raise ValueError(f"{name} is spelled in hex or base64")


def _base64(value: str) -> str:
    return b64encode(_bytes(value)).decode()


def _bytes(value: str) -> bytes:
    return value.encode(errors="replace")


def _urlencode(value: str) -> str:
    return quote(value, safe="", errors="replace")


def _csv(value: str) -> str:
    """
    In quotes where it has to be.

    Source: https://www.rfc-editor.org/rfc/rfc4180, section 2; many files are
    separated by semicolons or tabs.
    """
    if not _NEEDS_QUOTES.search(value):
        return value
    return '"' + value.replace('"', '""') + '"'


def _unchanged(value: str) -> str:
    return value


UNREADABLE = (ValueError, ArithmeticError, InvalidOperation)
"""What a filter raises for a value that it cannot read."""

FILTERS: Mapping[str, Maker] = {
    "default": _default,
    "map": _map,
    "percent": _percent,
    "round": _round,
    "minor": _minor,
    "number": _bare("number", _as_number, "typed"),
    "integer": _bare("integer", _as_integer, "typed"),
    "boolean": _bare("boolean", _as_boolean, "typed"),
    "unix": _bare("unix", _unix),
    "unix_ms": _bare("unix_ms", _unix_ms),
    "iso": _bare("iso", _iso),
    "date": _date,
    "zone": _zone,
    "lower": _bare("lower", str.lower),
    "upper": _bare("upper", str.upper),
    "trim": _bare("trim", str.strip),
    "digits": _bare("digits", lambda value: _NOT_DIGITS.sub("", value)),
    "first": _first,
    "replace": _replace,
    "prefix": _prefix,
    "suffix": _suffix,
    "sha256": _digest("sha256"),
    "sha1": _digest("sha1"),
    "md5": _digest("md5"),
    "sha512": _digest("sha512"),
    "hmac": _hmac,
    "base64": _bare("base64", _base64),
    "urlencode": _bare("urlencode", _urlencode),
    "json": _bare("json", in_json),
    "csv": _bare("csv", _csv),
    "raw": _bare("raw", _unchanged, "raw"),
    "optional": _bare("optional", _unchanged, "optional"),
    "required": _bare("required", _unchanged, "required"),
}
"""Each takes its argument, "" if there is none, and raises ValueError for a bad one."""
