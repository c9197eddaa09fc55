"""What an advertiser calls things, and what it is answered."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from tracker.catalog.faults import one_of, suggest
from tracker.catalog.scalars import LOOSE, check_word, from_text, schema
from tracker.catalog.wire import HEADER_NAME
from tracker.domain.errors import TemplateError
from tracker.domain.items import COUNTED
from tracker.domain.members import is_selector
from tracker.domain.reply import MACROS as REPLY_MACROS
from tracker.domain.reply import is_known as is_known_to_replies
from tracker.domain.reply import list_macros
from tracker.domain.vocabulary import HEADER, PATH

_SEGMENT = re.compile(r"1?[1-9]|[12]0", re.ASCII)
_SEGMENT_NAME = re.compile(r"[a-z_][\w.-]{0,50}", re.ASCII)


def check_parameter(text: str) -> str:
    """The name of a parameter, or `path:2`, `path:ref`, or `header:x-click-id`."""
    name = check_word(text)
    kind, colon, which = name.partition(":")
    is_segment = _SEGMENT.fullmatch(which) or _SEGMENT_NAME.fullmatch(which)
    if f"{kind}{colon}" == PATH and not is_segment:
        raise ValueError(
            "after path: stands which segment, 1 to 20, or the word before its colon"
        )
    if f"{kind}{colon}" == HEADER and not HEADER_NAME.fullmatch(which):
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


def check_macro_name(text: str) -> str:
    """What may stand between braces, and is no filter."""
    if not text.strip() or set(text) & set("{}|$"):
        raise ValueError("must be what stands between the braces, such as timestamp")
    return text.strip()


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


Parameter = Annotated[
    str, Field(max_length=200), AfterValidator(check_parameter), LOOSE
]
ItemName = Annotated[str, Field(max_length=200), AfterValidator(check_item), LOOSE]
Between = Annotated[str, Field(min_length=1, max_length=10), LOOSE]
Position = Annotated[int, from_text(parse_position), schema("integer", "2")]
MacroName = Annotated[str, Field(max_length=200), AfterValidator(check_macro_name)]
ReplyText = Annotated[str, Field(max_length=1000), AfterValidator(check_reply)]
