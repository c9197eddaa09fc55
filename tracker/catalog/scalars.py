"""
What the text of partners.yaml can mean: one type for each kind of value.

Each takes the text as it stands in the file, and raises ValueError with a sentence
that says what would be right. None repeats its text where that may be a secret.
Those with templates look for `${NAME}` in the context `{"secrets": …}`.
"""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from ipaddress import ip_network
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from tracker.catalog.countries import COUNTRIES, MISTAKEN
from tracker.catalog.faults import one_of, suggest
from tracker.catalog.nodes import Bare
from tracker.catalog.patterns import check_carried, check_pattern, check_quick
from tracker.domain.errors import TemplateError
from tracker.domain.foreign import translation
from tracker.domain.items import COUNTED
from tracker.domain.macros import (
    CLICK_DETAILS,
    CLICK_MACROS,
    CLICK_PARAMETER,
    DELIVERY_MACROS,
    SENT_PARAMETER,
    Template,
    check_url,
    expand_text,
    parse_template,
)
from tracker.domain.members import is_selector
from tracker.domain.money import Rate
from tracker.domain.outbound import DOCUMENT, MAX_DELAY, Number
from tracker.domain.reply import MACROS as REPLY_MACROS
from tracker.domain.reply import is_known as is_known_to_replies
from tracker.domain.reply import list_macros
from tracker.domain.visitor import UNKNOWN
from tracker.domain.vocabulary import HEADER, PATH

MAX_WINDOW = timedelta(days=366)
MAX_DEDUP = timedelta(days=30)
MIN_KEY = 16
"""Characters of a key that signs postbacks."""

MIN_FIRST = 8
"""Characters of a signature of which only the beginning is sent."""

_MAX_PERCENT = 1000
_MAX_LEAF = 4096

_KEY = re.compile(r"[a-z0-9_-]{1,64}")
CURRENCY = re.compile(r"[A-Z]{3}")
_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)
_DURATION = re.compile(r"(\d{1,9})\s?([smhd])", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}", re.ASCII)
_WEIGHT = re.compile(r"\d{1,6}", re.ASCII)
_HOST = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
_PLACES = re.compile(r"[1-9]", re.ASCII)
_SEGMENT = re.compile(r"1?[1-9]|[12]0", re.ASCII)
_SEGMENT_NAME = re.compile(r"[a-z_][\w.-]{0,50}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_ANSWER_STATUS = re.compile(r"[1-5](\d\d|xx)", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_OUR_HEADERS = frozenset({
    "connection", "content-length", "content-type", "host", "transfer-encoding",
})  # fmt: skip


def as_text(value: object) -> str:
    """Text, and neither a list nor a mapping; quotes keep an empty one."""
    if isinstance(value, str):
        return value
    raise ValueError(f"must be text, not {kind_of(value)}")


def kind_of(value: object) -> str:
    """What an affiliate manager would call it."""
    if isinstance(value, str):
        return "text"
    kinds = {dict: "a mapping", list: "a list", type(None): "empty"}
    return kinds.get(type(value), "this")


def unquoted_macro(value: object) -> str:
    """To YAML `{payout}` without quotes is a mapping: what to write instead."""
    if not (isinstance(value, dict) and [*value.values()] == [None]):
        return ""
    (spelled,) = value
    if is_macro(spelled.partition("|")[0].strip(), DELIVERY_MACROS):
        return f'; put it in quotes: "{{{spelled}}}"'
    return ""


def is_macro(name: str, macros: Collection[str]) -> bool:
    """Whether a macro of this name is among them, or spelled like those with a dot."""
    if name.startswith(CLICK_PARAMETER):
        return "ip" in macros and len(name) > len(CLICK_PARAMETER)
    if name.startswith(SENT_PARAMETER):
        return "status" in macros and len(name) > len(SENT_PARAMETER)
    return name in macros


def parse_decimal(text: str) -> Decimal:
    """`2.50`: at most twelve digits, and six after the point."""
    if text.startswith("-"):
        raise ValueError("must not be negative")
    if not _DECIMAL.fullmatch(text):
        raise ValueError("must be a number such as 2.50, without separators")
    return Decimal(text)


def parse_ceiling(text: str) -> Decimal:
    """The limit of a cap: a decimal above zero."""
    ceiling = parse_decimal(text)
    if not ceiling:
        raise ValueError("must be more than zero; 'paused: true' takes nobody at all")
    return ceiling


def parse_worth(text: str) -> Decimal:
    """What a unit of a currency is worth: a decimal above zero."""
    worth = parse_decimal(text)
    if not worth:
        raise ValueError("must be more than zero")
    return worth


def parse_rate(text: str) -> Rate:
    """`2.50` is a sum in the offer's currency, `8%` a share of the amount."""
    if not text.endswith("%"):
        return Rate(parse_decimal(text))
    number = text[:-1].rstrip()
    if not _DECIMAL.fullmatch(number.removeprefix("-")):
        raise ValueError("must be a number such as 2.50, or a share such as 8%")
    share = parse_decimal(number)
    if share > _MAX_PERCENT:
        raise ValueError(f"must be at most {_MAX_PERCENT}%")
    return Rate(share, is_percent=True)


def parse_payout(text: str) -> Rate:
    """Like a rate; or `80% of revenue`, or `sent`, as the advertiser states it."""
    if text.strip().lower() == "sent":
        return Rate(Decimal(0), basis="sent")
    share, of, base = text.partition(" of ")
    if not of:
        return parse_rate(text)
    if base.strip() != "revenue" or not share.rstrip().endswith("%"):
        raise ValueError("must be such as 2.50, 8%, 80% of revenue, or sent")
    return replace(parse_rate(share.rstrip()), basis="revenue")


def parse_flag(text: str) -> bool:
    """`true` or `false`; yes, no, on and off are text."""
    flag = {"true": True, "false": False}.get(text.lower())
    if flag is None:
        raise ValueError("must be true or false")
    return flag


def parse_duration(text: str) -> timedelta:
    """`30d`, `12h`, `90m`, `45s`; at most 366 days."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError("must be a time such as 30d, 12h, 90m or 45s")
    if int(found[1]) > MAX_WINDOW.total_seconds():
        raise ValueError("must be at most 366d")
    duration = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if duration > MAX_WINDOW:
        raise ValueError("must be at most 366d")
    return duration


def parse_window(text: str) -> timedelta:
    """A duration above zero."""
    window = parse_duration(text)
    if not window:
        raise ValueError("must be more than zero; 30d is usual")
    return window


def parse_dedup(text: str) -> timedelta:
    """A duration above zero, and short enough for a store in memory."""
    window = parse_duration(text)
    if not timedelta() < window <= MAX_DEDUP:
        raise ValueError("must be more than zero, and at most 30d")
    return window


def parse_moment(text: str) -> datetime:
    """`2026-12-01T00:00`, or a day for its beginning; whose time zone comes later."""
    if not _MOMENT.fullmatch(text):
        raise ValueError(
            "must be a time such as 2026-12-01T00:00, or a day; it is in the offer's"
            " time zone"
        )
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such day or time") from None


def parse_end(text: str) -> datetime:
    """Likewise; a day for its end."""
    moment = parse_moment(text)
    return moment if ":" in text else moment + timedelta(days=1)


def parse_weight(text: str) -> int:
    """A share among others: a whole number."""
    if not _WEIGHT.fullmatch(text):
        raise ValueError("must be a whole number such as 70")
    return int(text)


def parse_minor(text: str) -> bool | int:
    """Whether amounts are in cents; or how many digits of them are the fraction."""
    if text == "micros":
        return 6
    if _PLACES.fullmatch(text):
        return int(text)
    try:
        return parse_flag(text)
    except ValueError as error:
        raise ValueError(f"{error}, micros, or how many digits: 1 to 9") from None


def check_country(text: str) -> str:
    """Two letters of ISO 3166, or `unknown`."""
    code = text.upper()
    if code in COUNTRIES:
        return code
    if text.lower() == UNKNOWN:
        return UNKNOWN
    meant = MISTAKEN.get(code)
    raise ValueError(
        f"there is no country {text[:20]!r}; "
        + (f"did you mean {meant!r}?" if meant else "write two letters such as US")
    )


def check_language(text: str) -> str:
    """`de`, or `de-ch` for one of its kinds, or `unknown`."""
    tag = text.lower().replace("_", "-")
    if tag != UNKNOWN and not _LANGUAGE.fullmatch(tag):
        raise ValueError("must be a language such as de, or de-ch")
    return tag


def parse_delay(text: str) -> timedelta:
    """A duration of three days at most: longer than that nothing may be owed."""
    delay = parse_duration(text)
    if delay > MAX_DELAY:
        raise ValueError(f"must be at most {MAX_DELAY.days}d")
    return delay


def check_label(text: str) -> str:
    """The name of a macro that the click fills."""
    if not is_macro(text, CLICK_DETAILS):
        raise ValueError(
            "must be a label of the click, such as sub2 or click.NAME"
            f"{suggest(text, CLICK_DETAILS)}"
        )
    return text


def check_key(text: str) -> str:
    """How advertisers, offers, partners, goals and postbacks are named in links."""
    if not _KEY.fullmatch(text):
        raise ValueError(
            "a key has 1 to 64 lower-case letters, digits, '-' and '_' and nothing else"
        )
    return text


def check_currency(text: str) -> str:
    """Three capital letters; whether there is such a currency is asked elsewhere."""
    if not CURRENCY.fullmatch(text):
        raise ValueError("must be three capital letters such as USD")
    return text


def check_timezone(text: str) -> str:
    """A name of the IANA database."""
    if not _is_timezone(text):
        near = suggest(text, available_timezones())
        raise ValueError(
            f"no such time zone{near or '; write one such as Europe/Paris'}"
        )
    return text


def check_network(text: str) -> str:
    """An address, or a block of them in CIDR notation."""
    try:
        return str(ip_network(text))
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError("has bits set after its prefix") from None
        raise ValueError(
            "must be an address or a network such as 203.0.113.0/24"
        ) from None


def check_host(text: str) -> str:
    """A host name alone, in ASCII."""
    host = text.lower().removesuffix(".")
    if not _HOST.fullmatch(host):
        raise ValueError(
            "must be a host name alone, such as shop.acme.example"
            " (no https://, no path, no port, no '*')"
        )
    return host


def check_header(text: str) -> str:
    """The name of a header that an operator may set."""
    if not _HEADER.fullmatch(text):
        raise ValueError("is not the name of a header")
    if text.lower() in _OUR_HEADERS or text.lower().startswith("webhook-"):
        raise ValueError("this header is set by the tracker itself")
    return text


def check_content_type(text: str) -> str:
    """`text/plain`, with parameters or without."""
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+(;[ -~]*)?", text, re.ASCII):
        raise ValueError("must be a content type such as text/plain")
    return text


def check_word(text: str) -> str:
    """A word of an advertiser's, compared without regard to case."""
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip().lower()


def check_parameter(text: str) -> str:
    """The name of a parameter, or `path:2`, `path:ref`, or `header:x-click-id`."""
    name = check_word(text)
    kind, colon, which = name.partition(":")
    is_segment = _SEGMENT.fullmatch(which) or _SEGMENT_NAME.fullmatch(which)
    if f"{kind}{colon}" == PATH and not is_segment:
        raise ValueError(
            "after path: stands which segment, 1 to 20, or the word before its colon"
        )
    if f"{kind}{colon}" == HEADER and not _HEADER.fullmatch(which):
        raise ValueError("after header: stands the name of a header")
    if "{" in name or "}" in name:
        raise ValueError("must be the name of one parameter: no macro is possible here")
    if "=" in name and not is_selector(name):
        raise ValueError("an entry of a list is chosen by list[key=value].member")
    return name


def check_item(text: str) -> str:
    """The name of a parameter, in which one `#` stands for the number of the item."""
    name = check_word(text)
    if name.count(COUNTED) > 1:
        raise ValueError("only one # can stand for the number of the item")
    if is_selector(name):
        raise ValueError("items are all entries of a list: none can be chosen here")
    return name


def parse_position(text: str) -> int:
    """Which field of an item, counted from 1."""
    if not _SEGMENT.fullmatch(text):
        raise ValueError("must be a number from 1 to 20")
    return int(text)


def check_reply(text: str) -> str:
    """An answer; braces that hold no word are text."""
    try:
        macros = list_macros(text)
    except TemplateError as error:
        raise ValueError(str(error)) from None
    for macro in macros:
        if not is_known_to_replies(macro.name):
            known = one_of(f"{{{name}}}" for name in (*REPLY_MACROS, "postback.NAME"))
            near = suggest(macro.name, REPLY_MACROS) or f"; there are {known}"
            raise ValueError(f"unknown macro {{{macro.name}}}{near}")
        if macro.secrets:
            raise ValueError(f"{{{macro.name}}}: no secret is possible in a reply")
    return text


def check_offer_url(text: str, info: ValidationInfo) -> str:
    """Where visitors go; a click that cannot be named could never be paid."""
    template = _landing(text, info)
    if "click_id" not in template.macros:
        raise ValueError(
            "must contain {click_id}, or no postback could ever name its click"
        )
    return text


def check_click_url(text: str, info: ValidationInfo) -> str:
    """Where visitors go who are not sent to an offer."""
    _landing(text, info)
    return text


def check_delivery_url(text: str, info: ValidationInfo) -> str:
    """Where a partner is told."""
    _url(text, info, DELIVERY_MACROS)
    return text


def check_delivery_text(text: str, info: ValidationInfo) -> str:
    """A value of a form, a JSON body or a header."""
    _template(text, info, DELIVERY_MACROS)
    return text


def check_sign_text(text: str, info: ValidationInfo) -> str:
    """What a signature is made of: also the call itself, and its time."""
    _template(text, info, DELIVERY_MACROS | {"url", "body", "timestamp"})
    return text


def check_document(text: str, info: ValidationInfo) -> str:
    """The filters that a document passes through, as those of a macro."""
    template = _template(text, info, {DOCUMENT})
    if template.is_optional or template.is_required:
        raise ValueError("a document that is empty is left out by itself")
    return text


def check_sign_value(text: str, info: ValidationInfo) -> str:
    """What is sent of a signature; what it covers need not be sent once more."""
    template = _template(text, info, {"signature", "timestamp"})
    if "signature" not in template.macros:
        raise ValueError("must contain {signature}, as in sha256={signature}")
    return text


def check_json_leaf(value: object, info: ValidationInfo) -> str | bool:
    """A template; without quotes what JSON reads as a number or a boolean is one."""
    text = as_text(value)
    if isinstance(value, Bare):
        return {"true": True, "false": False}.get(text, Number(text))
    if len(text) > _MAX_LEAF:
        raise ValueError(f"must have at most {_MAX_LEAF} characters")
    return check_delivery_text(text, info)


def check_answer_status(text: str) -> str:
    """`404`, or `4xx` for all of its hundred."""
    if not _ANSWER_STATUS.fullmatch(text):
        raise ValueError("must be a status such as 404, or 4xx")
    return text


def check_credential(text: str, info: ValidationInfo) -> str:
    """A user name or a password: `${NAME}`, maybe empty, no macros."""
    _template(text, info, ())
    return text


def check_proof(text: str, info: ValidationInfo) -> str:
    """A secret that somebody must know: `${NAME}`, never empty, no macros."""
    if not expand_text(_template(text, info, ()), {}, _secrets(info)).strip():
        raise ValueError("must not be empty")
    return text


def check_hmac_key(text: str, info: ValidationInfo) -> str:
    """A secret too long to be guessed from the signatures it makes."""
    key = expand_text(_template(check_proof(text, info), info, ()), {}, _secrets(info))
    if len(key) < MIN_KEY:
        raise ValueError(f"must have at least {MIN_KEY} characters")
    return text


def check_hash_text(text: str, info: ValidationInfo) -> str:
    """What a signature is made of: any parameter by its name, and `${NAME}`."""
    try:
        macros = parse_template(text).macros
    except TemplateError as error:
        raise ValueError(str(error)) from None
    if not macros:
        raise ValueError("must contain a parameter, such as {click_id}, or {url}")
    _template(text, info, macros)
    for name in macros:
        check_parameter(name)
    return text


def check_sent_header(text: str) -> str:
    """The name of a header that somebody sends."""
    if not _HEADER.fullmatch(text):
        raise ValueError("is not the name of a header")
    return text.lower()


def check_macro_name(text: str) -> str:
    """What may stand between braces, and is no filter."""
    if not text.strip() or set(text) & set("{}|$"):
        raise ValueError("must be what stands between the braces, such as timestamp")
    return text.strip()


def parse_first(text: str) -> int:
    """How many characters; fewer could be tried one after the other."""
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or int(text) < MIN_FIRST:
        raise ValueError(f"must be a number of at least {MIN_FIRST}")
    return int(text)


def check_signing_secret(text: str, info: ValidationInfo) -> str:
    """What signs a partner's calls; `whsec_` announces base64 (Standard Webhooks)."""
    secret = expand_text(
        _template(check_proof(text, info), info, ()), {}, _secrets(info)
    )
    if secret.startswith("whsec_") and not _is_base64(secret.removeprefix("whsec_")):
        raise ValueError("what follows whsec_ must be base64")
    return text


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


@lru_cache(maxsize=1024)
def _is_timezone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        return False
    return True


def _url(text: str, info: ValidationInfo, macros: Iterable[str]) -> Template:
    template = _template(text, info, macros)
    try:
        check_url(template, _secrets(info))
    except TemplateError as error:
        raise ValueError(str(error)) from None
    # What a filter is told is no part of the URL: its value is encoded as any.
    if re.search(r"\s", template.text):
        raise ValueError("must not contain spaces; write %20")
    return template


def _landing(text: str, info: ValidationInfo) -> Template:
    """Where visitors go: whatever is known of them, they arrive."""
    template = _url(text, info, CLICK_MACROS)
    if template.is_required:
        raise ValueError("a visitor has to go somewhere: nothing can be 'required'")
    return template


def _template(text: str, info: ValidationInfo, macros: Iterable[str]) -> Template:
    try:
        template = parse_template(text)
    except TemplateError as error:
        raise ValueError(str(error)) from None
    wrong = [*_unknown(template, frozenset(macros)), *_unset(template, _secrets(info))]
    if wrong:
        raise ValueError("; ".join(wrong))
    return template


def _unknown(template: Template, macros: frozenset[str]) -> list[str]:
    named = sorted(template.macros)
    return [_no_macro(name, macros) for name in named if not is_macro(name, macros)]


def _no_macro(name: str, macros: frozenset[str]) -> str:
    if not macros:
        return f"no macro is possible here: {{{name}}}"
    if is_macro(name, DELIVERY_MACROS):
        return f"{{{name}}} is not known yet when somebody clicks"
    return f"unknown macro {{{name}}}{translation(name, sorted(macros))}"


def _unset(template: Template, secrets: Mapping[str, str]) -> list[str]:
    missing = sorted(name for name in template.secrets if not secrets.get(name))
    return [f"${{{name}}} is not set, or empty" for name in missing]


def _secrets(info: ValidationInfo) -> Mapping[str, str]:
    context = info.context or {}
    secrets: Mapping[str, str] = context.get("secrets", {})
    return secrets


def _from_text(parse: Callable[[str], Any]) -> PlainValidator:
    return PlainValidator(lambda value: parse(as_text(value)))


def _schema(kind: str, example: str) -> WithJsonSchema:
    """Editors read numbers and booleans where we read text, so both are allowed."""
    kinds = sorted({kind, "string"})
    return WithJsonSchema({"type": kinds, "examples": [example]})


_LOOSE = WithJsonSchema({"type": ["string", "number", "boolean"]})

Key = Annotated[
    str,
    AfterValidator(check_key),
    WithJsonSchema({"type": "string", "pattern": f"^{_KEY.pattern}$"}),
]
Name = Annotated[str, Field(min_length=1, max_length=200), _LOOSE]
Word = Annotated[str, Field(max_length=200), AfterValidator(check_word), _LOOSE]
Flag = Annotated[bool, _from_text(parse_flag), _schema("boolean", "true")]
Amount = Annotated[Decimal, _from_text(parse_decimal), _schema("number", "2.50")]
Worth = Annotated[Decimal, _from_text(parse_worth), _schema("number", "1.08")]
Ceiling = Annotated[Decimal, _from_text(parse_ceiling), _schema("number", "100")]
Earning = Annotated[Rate, _from_text(parse_rate), _schema("number", "8%")]
Payout = Annotated[Rate, _from_text(parse_payout), _schema("number", "80% of revenue")]
Parameter = Annotated[
    str, Field(max_length=200), AfterValidator(check_parameter), _LOOSE
]
ItemName = Annotated[str, Field(max_length=200), AfterValidator(check_item), _LOOSE]
Between = Annotated[str, Field(min_length=1, max_length=10), _LOOSE]
Minor = Annotated[
    bool | int,
    _from_text(parse_minor),
    WithJsonSchema({"type": ["boolean", "integer", "string"], "examples": ["true"]}),
]
Position = Annotated[int, _from_text(parse_position), _schema("integer", "2")]
Extract = Annotated[str, Field(max_length=500), AfterValidator(check_quick)]
Carried = Annotated[str, Field(max_length=500), AfterValidator(check_carried)]
ReplyText = Annotated[str, Field(max_length=1000), AfterValidator(check_reply)]
Duration = Annotated[timedelta, _from_text(parse_duration), _schema("string", "12h")]
Delay = Annotated[timedelta, _from_text(parse_delay), _schema("string", "10m")]
Window = Annotated[timedelta, _from_text(parse_window), _schema("string", "30d")]
Dedup = Annotated[timedelta, _from_text(parse_dedup), _schema("string", "10m")]
Moment = Annotated[
    datetime, _from_text(parse_moment), _schema("string", "2026-12-01T00:00")
]
End = Annotated[datetime, _from_text(parse_end), _schema("string", "2026-12-24T18:00")]
Weight = Annotated[int, _from_text(parse_weight), _schema("integer", "70")]
Country = Annotated[str, AfterValidator(check_country), _LOOSE]
Language = Annotated[str, AfterValidator(check_language), _LOOSE]
Currency = Annotated[str, AfterValidator(check_currency)]
Timezone = Annotated[str, Field(max_length=64), AfterValidator(check_timezone)]
Network = Annotated[str, Field(max_length=64), AfterValidator(check_network)]
Host = Annotated[str, AfterValidator(check_host)]
Header = Annotated[str, AfterValidator(check_header)]
Pattern = Annotated[str, Field(max_length=500), AfterValidator(check_pattern)]
ContentType = Annotated[str, Field(max_length=200), AfterValidator(check_content_type)]
OfferUrl = Annotated[str, Field(max_length=4096), AfterValidator(check_offer_url)]
ClickUrl = Annotated[str, Field(max_length=4096), AfterValidator(check_click_url)]
DeliveryUrl = Annotated[str, Field(max_length=4096), AfterValidator(check_delivery_url)]
DeliveryText = Annotated[
    str, Field(max_length=4096), AfterValidator(check_delivery_text), _LOOSE
]
SignText = Annotated[str, Field(max_length=1000), AfterValidator(check_sign_text)]
SignValue = Annotated[str, Field(max_length=500), AfterValidator(check_sign_value)]
Label = Annotated[str, AfterValidator(check_label)]
LabelText = Annotated[str, Field(max_length=512), _LOOSE]
JsonLeaf = Annotated[
    Any,
    PlainValidator(check_json_leaf),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
AnswerStatus = Annotated[
    str,
    AfterValidator(check_answer_status),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["2xx"]}),
]
BodyText = Annotated[
    str, Field(max_length=16_384), AfterValidator(check_delivery_text), _LOOSE
]
Credential = Annotated[
    str, Field(max_length=1000), AfterValidator(check_credential), _LOOSE
]
Proof = Annotated[str, Field(max_length=500), AfterValidator(check_proof), _LOOSE]
HmacKey = Annotated[str, Field(max_length=500), AfterValidator(check_hmac_key), _LOOSE]
SentHeader = Annotated[str, AfterValidator(check_sent_header), _LOOSE]
MacroName = Annotated[str, Field(max_length=200), AfterValidator(check_macro_name)]
FirstOf = Annotated[int, _from_text(parse_first), _schema("integer", "8")]
HashText = Annotated[str, Field(max_length=1000), AfterValidator(check_hash_text)]
SigningSecret = Annotated[
    str, Field(max_length=500), AfterValidator(check_signing_secret)
]
