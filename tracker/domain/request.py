"""How a postback becomes a call: its templates, filled with the values of a change."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tracker import __version__
from tracker.domain import macros
from tracker.domain.encoding import in_one_line
from tracker.domain.errors import MissingValueError, TemplateError
from tracker.domain.filters import parse_moment
from tracker.domain.identity import DeliveryId, uuid_of
from tracker.domain.macros import (
    Template,
    expand_body,
    expand_text,
    expand_url,
    is_present,
    missing_macro,
    parse_template,
    typed_macro,
    value_of,
)
from tracker.domain.outbound import (
    DOCUMENT,
    Auth,
    Document,
    Fields,
    Number,
    PartnerPostback,
    Signature,
    Tree,
    leaves_of,
)

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

# All that is visible but `#`: a fragment is never sent, and what is behind it was
# meant to be.
_URL_CHARACTERS = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")
_SENDABLE = re.compile(r"[!-\"$-~]*")
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
_USER_AGENT = f"tracker/{__version__}"

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A call, ready to be sent; `masked_url` has no secrets and may be shown."""

    method: str
    url: str
    masked_url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def build_request(
    postback: PartnerPostback,
    values: Texts,
    secrets: Texts,
    delivery: DeliveryId,
    now: datetime,
) -> Request:
    """
    The call that a postback makes of these values; raises TemplateError.

    Where a value is missing that it requires, that is a MissingValueError.
    Values are encoded for where they stand: none can add a parameter, a header
    or a line, or change where the call goes.
    """
    values = {**values, "now": spell_moment(now)}
    if "uuid" in postback.macros:
        values["uuid"] = uuid_of(delivery)
    try:
        _demand(_whole(postback), values, secrets)
        url = _checked(postback.url, secrets)
        body = _body(postback, values, secrets)
        headers = _own_headers(postback, values, secrets) | _kind(postback)
        headers |= _standard_headers(postback, secrets, delivery, body, now)
        called = shown = _called(postback, url, values, secrets)
        if url.secrets or postback.query:
            shown = _called(postback, url, values, macros.masked(secrets))
        request = Request(postback.method, called, shown, headers, body)
        if postback.sign is None:
            return request
        return _signed(request, postback.sign, values, secrets)
    except KeyError as missing:
        raise TemplateError(f"the secret {missing} is not set") from None


def host_of(url: str, secrets: Texts) -> str:
    """The host a call goes to; no value can change it, so none is needed."""
    names = parse_template(url).secrets
    return _host_of(url, tuple((name, secrets.get(name, "")) for name in names))


@lru_cache(maxsize=16384)
def _host_of(url: str, known: tuple[tuple[str, str], ...]) -> str:
    return urlsplit(expand_url(parse_template(url), {}, dict(known))).netloc.lower()


@lru_cache(maxsize=1024)
def spell_moment(moment: datetime) -> str:
    """A time as macros have it: in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def sign(secret: str, delivery: str, timestamp: int, body: bytes) -> str:
    """
    The value of `webhook-signature`, as Standard Webhooks has it.

    HMAC-SHA256 over `id.timestamp.body`, in base64; a secret is `whsec_` and
    base64, or plain text.
    Source: https://github.com/standard-webhooks/standard-webhooks
    """
    signed = f"{delivery}.{timestamp}.".encode() + body
    mac = hmac.digest(_signing_key(secret), signed, sha256)
    return "v1," + base64.b64encode(mac).decode()


def render_tree(tree: Tree, values: Texts, secrets: Texts) -> str:
    """
    The JSON text of a tree, its templates filled.

    An empty leaf is left out, and so is what becomes empty by that; what is written
    as an empty list or mapping stays one. A required leaf that is empty takes its
    mapping with it; MissingValueError where nothing is left by that.
    """
    rendered = _rendered(tree, values, secrets)
    if not rendered:
        _demand(leaves_of(tree), values, secrets)
    return rendered or ("[]" if isinstance(tree, list) else "{}")


def _whole(postback: PartnerPostback) -> Iterator[str]:
    """The templates without whose required values there is no call."""
    yield postback.url
    for one in (*postback.query.values(), *(postback.form or {}).values()):
        if isinstance(one, str):
            yield one
    if postback.body is not None:
        yield postback.body


def _demand(texts: Iterable[str], values: Texts, secrets: Texts) -> None:
    for text in texts:
        if macro := missing_macro(parse_template(text), values, secrets):
            raise MissingValueError(f"{{{macro.name}}} is required, and is empty")


def _signed(
    request: Request, rule: Signature, values: Texts, secrets: Texts
) -> Request:
    """The call with a signature over what it was without one."""
    covered = {
        **values,
        "url": request.url,
        "body": request.body.decode(errors="replace"),
        "timestamp": str(int(parse_moment(values["now"]).timestamp())),
    }
    signature = _made(rule, covered, secrets)
    if rule.param is None:
        headers = {**request.headers, rule.header or "": signature}
        return replace(request, headers=headers)
    return replace(
        request,
        url=_with_parameter(request.url, rule.param, quote(signature, safe="")),
        masked_url=_with_parameter(request.masked_url, rule.param, macros.MASK),
    )


def _made(rule: Signature, covered: Texts, secrets: Texts) -> str:
    """The signature over a text, and around it what its receiver wants."""
    text = expand_text(parse_template(rule.text), covered, secrets)
    signature = _digest(rule, text.encode(errors="replace"), secrets)
    if rule.value is None:
        return signature
    values = {**covered, "signature": signature}
    return in_one_line(expand_text(parse_template(rule.value), values, secrets))


def _digest(rule: Signature, text: bytes, secrets: Texts) -> str:
    if rule.key is None:
        digest = hashlib.new(rule.hash, text).digest()
    else:
        key = expand_text(parse_template(rule.key), {}, secrets).encode()
        digest = hmac.digest(key, text, rule.hash)
    match rule.encoding:
        case "hex":
            return digest.hex()
        case "base64url":
            return base64.urlsafe_b64encode(digest).decode()
        case _:
            return base64.b64encode(digest).decode()


def _called(
    postback: PartnerPostback, url: Template, values: Texts, secrets: Texts
) -> str:
    """The URL with the query that the postback adds to it."""
    called = _ascii(expand_url(url, values, secrets))
    for name, value in _filled(postback.query, values, secrets).items():
        # An asterisk may stand in a query, and is what a mask is made of.
        called = _with_parameter(called, name, quote(value, safe="*", errors="replace"))
    return called


def _with_parameter(url: str, name: str, value: str) -> str:
    """The URL with a parameter behind its others."""
    between = "&" if "?" in url else "?"
    return f"{url}{between}{quote(name, safe='')}={value}"


def _checked(url: str, secrets: Texts) -> Template:
    """The template; raises TemplateError for one that leads anywhere."""
    names = parse_template(url).secrets
    return _checked_once(url, tuple((name, secrets[name]) for name in names))


@lru_cache(maxsize=16384)
def _checked_once(url: str, known: tuple[tuple[str, str], ...]) -> Template:
    template = parse_template(url)
    macros.check_url(template, dict(known))
    return template


def _ascii(url: str) -> str:
    """Whatever a URL may not hold is percent-encoded, and nothing else is touched."""
    if _SENDABLE.fullmatch(url):
        return url
    return quote(url, safe=_URL_CHARACTERS, errors="replace")


def _kind(postback: PartnerPostback) -> dict[str, str]:
    """The header that names what the body is."""
    usual = FORM if postback.form is not None else JSON
    if postback.form is None and postback.tree is None and postback.body is None:
        return {}
    return {"Content-Type": postback.content_type or usual}


def _body(postback: PartnerPostback, values: Texts, secrets: Texts) -> bytes:
    if postback.form is not None:
        pairs = _filled(postback.form, values, secrets)
        return urlencode(pairs, errors="replace").encode()
    if postback.tree is not None:
        return render_tree(postback.tree, values, secrets).encode()
    if postback.body is not None:
        template, kind = parse_template(postback.body), postback.content_type or ""
        text = expand_body(template, values, secrets, kind)
        return text.encode(errors="replace")
    return b""


def _filled(fields: Fields, values: Texts, secrets: Texts) -> dict[str, str]:
    """Each text filled, without those that vanish with a value."""
    filled = ((k, _field(one, values, secrets)) for k, one in fields.items())
    return {name: text for name, text in filled if text is not None}


def _field(field: str | Document, values: Texts, secrets: Texts) -> str | None:
    if isinstance(field, Document):
        document = {DOCUMENT: _rendered(field.tree, values, secrets)}
        wrapper = parse_template(field.wrapper)
        return expand_text(wrapper, document, secrets) if document[DOCUMENT] else None
    template = parse_template(field)
    if not is_present(template, values, secrets):
        return None
    return expand_text(template, values, secrets)


def _rendered(tree: Tree, values: Texts, secrets: Texts) -> str:
    """Nothing for what is empty, unless it was written so."""
    match tree:
        case None:
            return ""
        case bool():
            return "true" if tree else "false"
        case Number():
            return tree
        case str():
            return _leaf(tree, values, secrets)
        case _ if not tree:
            return "[]" if isinstance(tree, list) else "{}"
        case _:
            return _branch(tree, values, secrets)


def _branch(tree: Mapping[str, Any] | list[Any], values: Texts, secrets: Texts) -> str:
    if isinstance(tree, list):
        items = (_rendered(inner, values, secrets) for inner in tree)
        return _enclosed("[", items, "]")
    if any(_is_missing(leaf, values, secrets) for leaf in tree.values()):
        return ""
    fields = ((k, _rendered(v, values, secrets)) for k, v in tree.items())
    pairs = (f"{json.dumps(name)}:{value}" for name, value in fields if value)
    return _enclosed("{", pairs, "}")


def _is_missing(leaf: Tree, values: Texts, secrets: Texts) -> bool:
    if not isinstance(leaf, str) or isinstance(leaf, Number):
        return False
    return missing_macro(parse_template(leaf), values, secrets) is not None


def _enclosed(start: str, parts: Iterator[str], end: str) -> str:
    inner = ",".join(part for part in parts if part)
    return f"{start}{inner}{end}" if inner else ""


def _leaf(text: str, values: Texts, secrets: Texts) -> str:
    template = parse_template(text)
    if not is_present(template, values, secrets):
        return ""
    if macro := typed_macro(template):
        value = value_of(macro, values, secrets)
        if value in {"true", "false"} or _JSON_NUMBER.fullmatch(value):
            return value
    filled = expand_text(template, values, secrets)
    return json.dumps(filled) if filled else ""


def _own_headers(
    postback: PartnerPostback, values: Texts, secrets: Texts
) -> dict[str, str]:
    """The postback's headers, each on one line whatever its values are."""
    filled = _filled(postback.headers, values, secrets)
    if postback.auth:
        filled["Authorization"] = _authorization(postback.auth, secrets)
    return {name: in_one_line(text).strip() for name, text in filled.items()}


def _authorization(auth: Auth, secrets: Texts) -> str:
    secret = expand_text(parse_template(auth.secret), {}, secrets)
    if auth.user is None:
        return f"Bearer {secret}"
    user = expand_text(parse_template(auth.user), {}, secrets)
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def _standard_headers(
    postback: PartnerPostback,
    secrets: Texts,
    delivery: DeliveryId,
    body: bytes,
    now: datetime,
) -> dict[str, str]:
    headers = {"X-Tracker-Delivery": str(delivery)}
    if "user-agent" not in map(str.lower, postback.headers):
        headers["User-Agent"] = _USER_AGENT
    if postback.secret is None:
        return headers
    secret = expand_text(parse_template(postback.secret), {}, secrets)
    timestamp = int(now.timestamp())
    return headers | {
        "webhook-id": delivery,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, delivery, timestamp, body),
    }


def _signing_key(secret: str) -> bytes:
    kind, _, encoded = secret.partition("whsec_")
    if kind or not encoded:
        return secret.encode()
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise TemplateError("the signing secret is not base64 after whsec_") from None
