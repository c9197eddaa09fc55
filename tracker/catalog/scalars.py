"""
What a text of partners.yaml can mean: one type for each kind of value.

Each takes the text as it stands in the file, and raises ValueError with a sentence
that says what would be right. None repeats its text where that may be a secret.

Here are those that any section has; the others stand by what they are about.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

_KEY = re.compile(r"[a-z0-9_-]{1,64}")


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


def from_text(parse: Callable[[str], Any]) -> PlainValidator:
    """Takes nothing but text, and makes of it what `parse` does."""
    return PlainValidator(lambda value: parse(as_text(value)))


def schema(kind: str, example: str) -> WithJsonSchema:
    """Editors read numbers and booleans where we read text, so both are allowed."""
    kinds = sorted({kind, "string"})
    return WithJsonSchema({"type": kinds, "examples": [example]})


def parse_flag(text: str) -> bool:
    """`true` or `false`; yes, no, on and off are text."""
    flag = {"true": True, "false": False}.get(text.lower())
    if flag is None:
        raise ValueError("must be true or false")
    return flag


def check_key(text: str) -> str:
    """How advertisers, offers, partners, goals and postbacks are named in links."""
    if not _KEY.fullmatch(text):
        raise ValueError(
            "a key has 1 to 64 lower-case letters, digits, '-' and '_' and nothing else"
        )
    return text


def check_word(text: str) -> str:
    """A word of an advertiser's, compared without regard to case."""
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip().lower()


LOOSE = WithJsonSchema({"type": ["string", "number", "boolean"]})

Key = Annotated[
    str,
    AfterValidator(check_key),
    WithJsonSchema({"type": "string", "pattern": f"^{_KEY.pattern}$"}),
]
Name = Annotated[str, Field(min_length=1, max_length=200), LOOSE]
Word = Annotated[str, Field(max_length=200), AfterValidator(check_word), LOOSE]
Flag = Annotated[bool, from_text(parse_flag), schema("boolean", "true")]
LabelText = Annotated[str, Field(max_length=512), LOOSE]
