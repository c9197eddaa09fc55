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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from tracker.domain.encoding import AS_IT_IS, IN_URL, Encoding, in_body
from tracker.domain.errors import TemplateError
from tracker.domain.filters import UNREADABLE, Filter, Mark, parse_filter

_LINK_MACROS = frozenset({
    "click_id", "partner", "offer", "clicked_at",
    *(f"sub{number}" for number in range(1, 11)),
    "gclid", "gbraid", "wbraid", "fbclid", "ttclid", "msclkid",
})  # fmt: skip

_VISIT_MACROS = frozenset({"ip", "user_agent", "referrer", "language"})

CLICK_MACROS = _LINK_MACROS | _VISIT_MACROS | {"partner_name", "offer_name"}
"""What a click can fill: the macros of an offer's URL."""

CONVERSION_MACROS = frozenset({
    "click_id", "partner", "offer", "clicked_at",
    "advertiser", "goal", "status", "transaction_id", "amount", "currency",
    "payout", "revenue", "conversion_id", "change_id", "delivery_id",
    "converted_at", "changed_at",
    "partner_name", "offer_name", "advertiser_name",
    "change", "old_status", "amount_change", "payout_change", "revenue_change",
    "sent_amount", "sent_currency", "now", "uuid",
})  # fmt: skip
"""What a conversion can fill by itself, even when its click's details are lost."""

DELIVERY_MACROS = CLICK_MACROS | CONVERSION_MACROS
"""The macros of a partner's postback, apart from those with a dot."""

ASKED_MACROS = _VISIT_MACROS | {
    "partner_name", "offer_name", "advertiser_name",
    "change", "old_status", "amount_change", "payout_change", "revenue_change",
    "sent_amount", "sent_currency",
}  # fmt: skip
"""Those of them that are kept with a delivery only where its postback asks for them."""

CLICK_DETAILS = DELIVERY_MACROS - CONVERSION_MACROS
"""What only the record of the click knows: its labels, ad-platform ids, the visit."""

CLICK_PARAMETER = "click."
"""`{click.NAME}` is any other parameter that the click's link had."""

SENT_PARAMETER = "postback."
"""`{postback.NAME}` is any parameter of the postback that caused the change."""

SECRET_REVENUES = frozenset({"revenue", "revenue_change"})
"""What a partner sees only where it is revealed to it."""

_ORIGIN = re.compile(r"https?://[^\s/?#@{}\\]+(?=[/?#]|\Z)", re.IGNORECASE)

# A macro becomes a character that no host can hold.
_MARKED = Encoding(lambda _: "{", lambda _: "{")

_SPECIAL = re.compile(
    r"\$\$\{(?P<literal>[^{}]*)\}"
    r"|\$\{(?P<secret>[A-Za-z_][A-Za-z0-9_]*)\}"
    r"|(?P<open>\{\{)|(?P<close>\}\})"
    r"|\{(?P<macro>(?:[^{}]|(?<=\$)\{[A-Za-z_][A-Za-z0-9_]*\})*)\}"
    r"|(?P<stray>[{}])"
)


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to the environment; its value is never stored."""

    name: str


@dataclass(frozen=True, slots=True)
class Macro:
    """
    A name, and the filters its value passes through, in order.

    `secrets` are those that the filters need, `marks` what they say of its place.
    """

    name: str
    filters: tuple[Filter, ...] = ()
    secrets: frozenset[str] = frozenset()
    marks: frozenset[Mark] = frozenset()


@dataclass(frozen=True, slots=True)
class Template:
    """
    A text with places in it, as the operator `%` takes it, and what stands in them.

    `macros` and `secrets` are the names of those in it, `source` is how it was
    spelled, `is_optional` says that it vanishes with the value of a macro, and
    `is_required` that what it stands in does. `asked` are those of the macros that are
    worked out only where a template asks for them.
    """

    text: str
    places: tuple[Secret | Macro, ...]
    macros: frozenset[str]
    secrets: frozenset[str]
    source: str = ""
    is_optional: bool = False
    is_required: bool = False
    asked: frozenset[str] = frozenset()


MASK = "***"


class _Masked(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return MASK


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
    asked = [part for part in parts if isinstance(part, Macro)]
    named = {part.name for part in parts if isinstance(part, Secret)}
    return Template(
        text="".join(map(_spelled, parts)),
        places=tuple(part for part in parts if not isinstance(part, str)),
        macros=frozenset(macro.name for macro in asked),
        secrets=frozenset(named.union(*(macro.secrets for macro in asked))),
        source=text,
        is_optional=any("optional" in macro.marks for macro in asked),
        is_required=any("required" in macro.marks for macro in asked),
        asked=frozenset(macro.name for macro in asked if is_asked_for(macro.name)),
    )


def asks_for_click(names: Iterable[str]) -> bool:
    """Whether one of these macros is known only to the record of the click."""
    return any(
        name in CLICK_DETAILS or name.startswith(CLICK_PARAMETER) for name in names
    )


def is_asked_for(name: str) -> bool:
    """Whether its value is worked out only where a template asks for it."""
    return name in ASKED_MACROS or "." in name


def expand_url(
    template: Template, values: Mapping[str, str], secrets: Mapping[str, str]
) -> str:
    """
    Every value percent-encoded: none can leave the place where it stands.

    A parameter of the query with an optional macro that is empty is left out.
    """
    if template.is_optional:
        return _expand_present(template, values, secrets)
    return _expand(template, values, secrets, IN_URL)


def expand_text(
    template: Template, values: Mapping[str, str], secrets: Mapping[str, str]
) -> str:
    """Values as they are, for a form or a JSON body that is encoded afterwards."""
    return _expand(template, values, secrets, AS_IT_IS)


def expand_body(
    template: Template,
    values: Mapping[str, str],
    secrets: Mapping[str, str],
    content_type: str,
) -> str:
    """Every value escaped for its surroundings, except where a filter says `raw`."""
    return _expand(template, values, secrets, in_body(content_type))


def is_present(
    template: Template, values: Mapping[str, str], secrets: Mapping[str, str]
) -> bool:
    """Whether none of its optional or required macros is empty."""
    if not (template.is_optional or template.is_required):
        return True
    marked = _marked(template, {"optional", "required"})
    return all(value_of(macro, values, secrets) for macro in marked)


def missing_macro(
    template: Template, values: Mapping[str, str], secrets: Mapping[str, str]
) -> Macro | None:
    """The first of its required macros that is empty, if any."""
    if not template.is_required:
        return None
    marked = _marked(template, {"required"})
    return next((one for one in marked if not value_of(one, values, secrets)), None)


def typed_macro(template: Template) -> Macro | None:
    """The macro that is all of the template, if a filter gives it a type."""
    place = template.places[0] if template.text == "%s" else None
    return place if isinstance(place, Macro) and "typed" in place.marks else None


def value_of(
    macro: Macro, values: Mapping[str, str], secrets: Mapping[str, str]
) -> str:
    """The value after its filters, not encoded for any place."""
    value = values.get(macro.name, "")
    for one in macro.filters:
        if not (value or one.takes_empty):
            continue
        try:
            known = [secrets[name] for name in one.secrets] if one.secrets else ()
            value = one.apply(value, *known)
        except UNREADABLE:
            # A label is whatever a visitor sent: what a filter cannot read
            # passes as it is, so that no value keeps a visitor from arriving.
            continue
    return value


def check_url(template: Template, secrets: Mapping[str, str]) -> None:
    """
    Scheme, host and port must stand before the first macro; no user name in them.

    Raises TemplateError otherwise.
    """
    marked = _expand(template, {}, secrets, _MARKED)
    if not _ORIGIN.match(marked):
        raise TemplateError(
            "must start with http:// or https://, a host and a slash,"
            " with no macro and no user name among them"
        )


def _marked(template: Template, marks: AbstractSet[Mark]) -> Iterator[Macro]:
    for place in template.places:
        if isinstance(place, Macro) and place.marks & marks:
            yield place


def _expand(
    template: Template,
    values: Mapping[str, str],
    secrets: Mapping[str, str],
    encoding: Encoding,
) -> str:
    encode = encoding.encode
    texts = [
        secrets[place.name]
        if isinstance(place, Secret)
        else _filtered(place, values, secrets, encoding)
        if place.filters
        else encode(values.get(place.name, ""))
        for place in template.places
    ]
    return template.text % tuple(texts)


def _filtered(
    macro: Macro,
    values: Mapping[str, str],
    secrets: Mapping[str, str],
    encoding: Encoding,
) -> str:
    if macro.secrets and isinstance(secrets, _Masked):
        return MASK
    encode = encoding.encode_raw if "raw" in macro.marks else encoding.encode
    return encode(value_of(macro, values, secrets))


def _expand_present(
    template: Template, values: Mapping[str, str], secrets: Mapping[str, str]
) -> str:
    path, parameters, fragment = _split_url(template.source)
    query = "&".join(
        _expand(one, values, secrets, IN_URL)
        for one in parameters
        if is_present(one, values, secrets)
    )
    before = _expand(path, values, secrets, IN_URL)
    after = _expand(fragment, values, secrets, IN_URL)
    return f"{before}?{query}{after}" if query else before + after


@lru_cache(maxsize=16384)
def _split_url(source: str) -> tuple[Template, tuple[Template, ...], Template]:
    """What stands before the query, its parameters, and what stands behind it."""
    # Whatever a macro or a filter is spelled with separates nothing.
    plain = _SPECIAL.sub(lambda found: "_" * len(found[0]), source)
    end = len(plain.partition("#")[0])
    start = len(plain[:end].partition("?")[0])
    parameters = []
    at = start + 1
    for text in plain[at:end].split("&") if start < end else ():
        parameters.append(parse_template(source[at : at + len(text)]))
        at += len(text) + 1
    return (
        parse_template(source[:start]),
        tuple(parameters),
        parse_template(source[end:]),
    )


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
            return parse_macro(found["macro"], found.start())
        case _:
            raise TemplateError(
                f"a lone {found[0]!r}; write it twice to mean itself", found.start()
            )


def parse_macro(text: str, position: int = 0) -> Macro:
    """What stands in braces; raises TemplateError for a filter that there is not."""
    name, *filters = text.split("|")
    if not name.strip():
        raise TemplateError("a macro without a name", position)
    try:
        return _with_filters(name.strip(), list(map(parse_filter, filters)))
    except ValueError as error:
        raise TemplateError(f"{{{text}}}: {error}", position) from error


def _with_filters(name: str, filters: Sequence[Filter]) -> Macro:
    return Macro(
        name,
        filters=tuple(filters),
        secrets=frozenset(secret for one in filters for secret in one.secrets),
        marks=frozenset(one.mark for one in filters if one.mark),
    )
