"""
Texts with macros: where visitors go, and what partners are told.

They look for `${NAME}` in the context `{"secrets": …}`.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from tracker.catalog.faults import suggest
from tracker.catalog.nodes import Bare
from tracker.catalog.scalars import LOOSE, as_text
from tracker.domain.errors import TemplateError
from tracker.domain.foreign import translation
from tracker.domain.macros import (
    CLICK_DETAILS,
    CLICK_MACROS,
    CLICK_PARAMETER,
    DELIVERY_MACROS,
    SENT_PARAMETER,
    Template,
    check_url,
    parse_template,
)
from tracker.domain.outbound import DOCUMENT, Number

_MAX_LEAF = 4096


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


def check_label(text: str) -> str:
    """The name of a macro that the click fills."""
    if not is_macro(text, CLICK_DETAILS):
        raise ValueError(
            "must be a label of the click, such as sub2 or click.NAME"
            f"{suggest(text, CLICK_DETAILS)}"
        )
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
    template_of(text, info, DELIVERY_MACROS)
    return text


def check_sign_text(text: str, info: ValidationInfo) -> str:
    """What a signature is made of: also the call itself, and its time."""
    template_of(text, info, DELIVERY_MACROS | {"url", "body", "timestamp"})
    return text


def check_document(text: str, info: ValidationInfo) -> str:
    """The filters that a document passes through, as those of a macro."""
    template = template_of(text, info, {DOCUMENT})
    if template.is_optional or template.is_required:
        raise ValueError("a document that is empty is left out by itself")
    return text


def check_sign_value(text: str, info: ValidationInfo) -> str:
    """What is sent of a signature; what it covers need not be sent once more."""
    template = template_of(text, info, {"signature", "timestamp"})
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


def template_of(text: str, info: ValidationInfo, macros: Iterable[str]) -> Template:
    """A template that has these macros only, and no secret that is not set."""
    try:
        template = parse_template(text)
    except TemplateError as error:
        raise ValueError(str(error)) from None
    unset = _unset(template, secrets_of(info))
    wrong = [*_unknown(template, frozenset(macros)), *unset]
    if wrong:
        raise ValueError("; ".join(wrong))
    return template


def secrets_of(info: ValidationInfo) -> Mapping[str, str]:
    """What there is for `${NAME}`, by name."""
    context = info.context or {}
    secrets: Mapping[str, str] = context.get("secrets", {})
    return secrets


def _url(text: str, info: ValidationInfo, macros: Iterable[str]) -> Template:
    template = template_of(text, info, macros)
    try:
        check_url(template, secrets_of(info))
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


OfferUrl = Annotated[str, Field(max_length=4096), AfterValidator(check_offer_url)]
ClickUrl = Annotated[str, Field(max_length=4096), AfterValidator(check_click_url)]
DeliveryUrl = Annotated[str, Field(max_length=4096), AfterValidator(check_delivery_url)]
DeliveryText = Annotated[
    str, Field(max_length=4096), AfterValidator(check_delivery_text), LOOSE
]
SignText = Annotated[str, Field(max_length=1000), AfterValidator(check_sign_text)]
SignValue = Annotated[str, Field(max_length=500), AfterValidator(check_sign_value)]
Label = Annotated[str, AfterValidator(check_label)]
JsonLeaf = Annotated[
    Any,
    PlainValidator(check_json_leaf),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
BodyText = Annotated[
    str, Field(max_length=16_384), AfterValidator(check_delivery_text), LOOSE
]
