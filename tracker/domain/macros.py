"""
Templates: text with macros, expanded in one pass.

    https://track.example/pb?cid={sub1}&payout={payout|percent:50}&key=${KEY}

`{name}` is a macro, filters follow a bar and their argument a colon. `${NAME}` is
a secret, put in as it is. `{{` and `}}` stand for one brace, and `$${X}` for the
text `${X}`. One pass means that a value which looks like a macro stays a value:

    wrong   text.replace("{sub1}", sub1).replace("{payout}", payout)
    right   every part of the template is looked at once, no value ever again

A visitor who sends `sub1={payout}` learns nothing that way.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from urllib.parse import quote

from tracker.domain.errors import TemplateError

CLICK_MACROS = frozenset({
    "click_id", "partner", "offer", "clicked_at",
    *(f"sub{number}" for number in range(1, 11)),
    "gclid", "gbraid", "wbraid", "fbclid", "ttclid", "msclkid",
})  # fmt: skip
"""What a click can fill: the macros of an offer's URL."""

CONVERSION_MACROS = frozenset({
    "click_id", "partner", "offer", "clicked_at",
    "advertiser", "goal", "status", "transaction_id", "amount", "currency",
    "payout", "revenue", "conversion_id", "change_id", "delivery_id",
    "converted_at", "changed_at",
})  # fmt: skip
"""What a conversion can fill by itself, even when its click's details are lost."""

DELIVERY_MACROS = CLICK_MACROS | CONVERSION_MACROS
"""The macros of a partner's postback."""

CLICK_DETAILS = DELIVERY_MACROS - CONVERSION_MACROS
"""What only the record of the click knows: its labels and ad-platform ids."""

_ORIGIN = re.compile(r"https?://[^\s/?#@{}\\]+(?=[/?#]|\Z)", re.IGNORECASE)

# What percent-encoding leaves as it is, and most values consist of (RFC 3986, 2.3).
_is_unreserved = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII).fullmatch
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,6})?", re.ASCII)

_SPECIAL = re.compile(
    r"\$\$\{(?P<literal>[^{}]*)\}"
    r"|\$\{(?P<secret>[A-Za-z_][A-Za-z0-9_]*)\}"
    r"|(?P<open>\{\{)|(?P<close>\}\})"
    r"|\{(?P<macro>[^{}]*)\}"
    r"|(?P<stray>[{}])"
)


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to the environment; its value is never stored."""

    name: str


@dataclass(frozen=True, slots=True)
class Macro:
    """A name, and the filters its value passes through, in order."""

    name: str
    filters: tuple[Callable[[str], str], ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """
    A text with places in it, as the operator `%` takes it, and what stands in them.

    `macros` and `secrets` are the names of those in it.
    """

    text: str
    places: tuple[Secret | Macro, ...]
    macros: frozenset[str]
    secrets: frozenset[str]


class _Masked(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "***"


BASE_URL = "TRACKER_BASE_URL"
"""The one `${NAME}` that is no secret: where this tracker is."""


def masked(secrets: Mapping[str, str]) -> Mapping[str, str]:
    """Pass it in place of the secrets, and the text can be shown and stored."""
    return _Masked({name: secrets[name] for name in secrets if name == BASE_URL})


@lru_cache(maxsize=16384)
def parse_template(text: str) -> Template:
    """
    The template that `text` spells; raises TemplateError with its position.

    Whether its macros exist is for the caller: an offer's URL knows fewer than a
    partner's postback.
    """
    parts: list[str | Secret | Macro] = []
    end = 0
    for found in _SPECIAL.finditer(text):
        parts.append(text[end : found.start()])
        parts.append(_part(found))
        end = found.end()
    parts.append(text[end:])
    return Template(
        text="".join(map(_spelled, parts)),
        places=tuple(part for part in parts if not isinstance(part, str)),
        macros=frozenset(part.name for part in parts if isinstance(part, Macro)),
        secrets=frozenset(part.name for part in parts if isinstance(part, Secret)),
    )


def expand_url(
    template: Template, values: Mapping[str, str], secrets: Mapping[str, str]
) -> str:
    """Every value percent-encoded: none can leave the place where it stands."""
    return _expand(template, values, secrets, _percent_encoded)


def expand_text(
    template: Template, values: Mapping[str, str], secrets: Mapping[str, str]
) -> str:
    """Values as they are, for a form or a JSON body that is encoded afterwards."""
    return _expand(template, values, secrets, str)


def check_url(template: Template, secrets: Mapping[str, str]) -> None:
    """
    Scheme, host and port must stand before the first macro; no user name in them.

    Raises TemplateError otherwise.
    """
    # A macro becomes a character that no host can hold.
    marked = _expand(template, {}, secrets, lambda _: "{")
    if not _ORIGIN.match(marked):
        raise TemplateError(
            "must start with http:// or https://, a host and a slash,"
            " with no macro and no user name among them"
        )


def _expand(
    template: Template,
    values: Mapping[str, str],
    secrets: Mapping[str, str],
    encoded: Callable[[str], str],
) -> str:
    texts = [
        encoded(_value(place, values))
        if isinstance(place, Macro)
        else secrets[place.name]
        for place in template.places
    ]
    return template.text % tuple(texts)


def _value(macro: Macro, values: Mapping[str, str]) -> str:
    value = values.get(macro.name, "")
    for apply in macro.filters:
        try:
            value = apply(value)
        except (ValueError, ArithmeticError):
            # A label is whatever a visitor sent: what a filter cannot read
            # passes as it is, so that no value keeps a visitor from arriving.
            continue
    return value


def _percent_encoded(value: str) -> str:
    if _is_unreserved(value):
        return value
    return quote(value, safe="", errors="replace")


def _spelled(part: str | Secret | Macro) -> str:
    return part.replace("%", "%%") if isinstance(part, str) else "%s"


def _part(found: re.Match[str]) -> str | Secret | Macro:
    match found.lastgroup:
        case "literal":
            return "${" + found["literal"] + "}"
        case "secret":
            return Secret(found["secret"])
        case "open" | "close":
            return found[0][0]
        case "macro":
            return _macro(found["macro"], found.start())
        case _:
            raise TemplateError(
                f"a lone {found[0]!r}; write it twice to mean itself", found.start()
            )


def _macro(text: str, position: int) -> Macro:
    name, *filters = text.split("|")
    if not name.strip():
        raise TemplateError("a macro without a name", position)
    try:
        return Macro(name.strip(), tuple(_filter(spelled) for spelled in filters))
    except ValueError as error:
        raise TemplateError(f"{{{text}}}: {error}", position) from error


def _filter(spelled: str) -> Callable[[str], str]:
    name, _, argument = spelled.strip().partition(":")
    maker = FILTERS.get(name)
    if maker is None:
        raise ValueError(f"no filter {name!r}; there are {', '.join(sorted(FILTERS))}")
    return maker(argument)


def _default(argument: str) -> Callable[[str], str]:
    return lambda value: value or argument


def _map(argument: str) -> Callable[[str], str]:
    pairs = [pair.partition("=") for pair in argument.split(",")]
    if not all(name and equals for name, equals, _ in pairs):
        raise ValueError("map wants approved=1,rejected=3")
    table = {name.strip(): value.strip() for name, _, value in pairs}
    return lambda value: table.get(value, table.get("*", value))


def _percent(argument: str) -> Callable[[str], str]:
    try:
        share = Decimal(argument) / 100
    except InvalidOperation:
        raise ValueError("percent wants a number, as in percent:50") from None
    return lambda value: _share_of(value, share)


def _share_of(value: str, share: Decimal) -> str:
    """With as many decimals as the value has."""
    if not _NUMBER.fullmatch(value):
        raise ValueError("not a plain number")
    exponent = Decimal(1).scaleb(-len(value.partition(".")[2]))
    return str((Decimal(value) * share).quantize(exponent, rounding=ROUND_HALF_UP))


def _unix(argument: str) -> Callable[[str], str]:
    if argument:
        raise ValueError("unix takes no argument")
    return lambda value: str(int(datetime.fromisoformat(value).timestamp()))


FILTERS: Mapping[str, Callable[[str], Callable[[str], str]]] = {
    "default": _default,
    "map": _map,
    "percent": _percent,
    "unix": _unix,
}
"""Each takes its argument, "" if there is none, and raises ValueError for a bad one."""
