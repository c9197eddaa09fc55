"""Countries, languages and shares: how visitors are told apart."""

import re
from typing import Annotated

from pydantic import AfterValidator

from tracker.catalog.countries import COUNTRIES, MISTAKEN
from tracker.catalog.scalars import LOOSE, from_text, schema
from tracker.domain.visitor import UNKNOWN

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}", re.ASCII)
_WEIGHT = re.compile(r"\d{1,6}", re.ASCII)


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


def parse_weight(text: str) -> int:
    """A share among others: a whole number."""
    if not _WEIGHT.fullmatch(text):
        raise ValueError("must be a whole number such as 70")
    return int(text)


Country = Annotated[str, AfterValidator(check_country), LOOSE]
Language = Annotated[str, AfterValidator(check_language), LOOSE]
Weight = Annotated[int, from_text(parse_weight), schema("integer", "70")]
