"""Secrets that somebody has to know, and what signatures are made of."""

import base64
import binascii
import re
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from tracker.catalog.parameters import check_parameter
from tracker.catalog.scalars import LOOSE, from_text, schema
from tracker.catalog.templates import secrets_of, template_of
from tracker.domain.errors import TemplateError
from tracker.domain.macros import expand_text, parse_template

MIN_KEY = 16
"""Characters of a key that signs postbacks."""

MIN_FIRST = 8
"""Characters of a signature of which only the beginning is sent."""


def check_credential(text: str, info: ValidationInfo) -> str:
    """A user name or a password: `${NAME}`, maybe empty, no macros."""
    template_of(text, info, ())
    return text


def check_proof(text: str, info: ValidationInfo) -> str:
    """A secret that somebody must know: `${NAME}`, never empty, no macros."""
    if not _expanded(text, info).strip():
        raise ValueError("must not be empty")
    return text


def check_hmac_key(text: str, info: ValidationInfo) -> str:
    """A secret too long to be guessed from the signatures it makes."""
    key = _expanded(check_proof(text, info), info)
    if len(key) < MIN_KEY:
        raise ValueError(f"must have at least {MIN_KEY} characters")
    return text


def check_signing_secret(text: str, info: ValidationInfo) -> str:
    """What signs a partner's calls; `whsec_` announces base64 (Standard Webhooks)."""
    secret = _expanded(check_proof(text, info), info)
    if secret.startswith("whsec_") and not _is_base64(secret.removeprefix("whsec_")):
        raise ValueError("what follows whsec_ must be base64")
    return text


def check_hash_text(text: str, info: ValidationInfo) -> str:
    """What a signature is made of: any parameter by its name, and `${NAME}`."""
    try:
        macros = parse_template(text).macros
    except TemplateError as error:
        raise ValueError(str(error)) from None
    if not macros:
        raise ValueError("must contain a parameter, such as {click_id}, or {url}")
    template_of(text, info, macros)
    for name in macros:
        check_parameter(name)
    return text


def parse_first(text: str) -> int:
    """How many characters; fewer could be tried one after the other."""
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or int(text) < MIN_FIRST:
        raise ValueError(f"must be a number of at least {MIN_FIRST}")
    return int(text)


def _expanded(text: str, info: ValidationInfo) -> str:
    """The secret itself; no macro is possible in one."""
    return expand_text(template_of(text, info, ()), {}, secrets_of(info))


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


Credential = Annotated[
    str, Field(max_length=1000), AfterValidator(check_credential), LOOSE
]
Proof = Annotated[str, Field(max_length=500), AfterValidator(check_proof), LOOSE]
HmacKey = Annotated[str, Field(max_length=500), AfterValidator(check_hmac_key), LOOSE]
SigningSecret = Annotated[
    str, Field(max_length=500), AfterValidator(check_signing_secret)
]
HashText = Annotated[str, Field(max_length=1000), AfterValidator(check_hash_text)]
FirstOf = Annotated[int, from_text(parse_first), schema("integer", "8")]
