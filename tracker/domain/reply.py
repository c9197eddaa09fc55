"""
What an advertiser's server is answered, where the file says so in words of its own.

    OK {conversion_id}
    {postback.eventId}:{status|map:duplicate=AGAIN,*=OK}
    {"ok": false, "why": "{reason}"}

Macros are these four words, and `postback.NAME` for any parameter that was sent but a
secret; filters may follow. All other braces are text, since JSON is full of them: `{{`
is two.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from tracker.domain.encoding import in_body
from tracker.domain.errors import TemplateError
from tracker.domain.macro_values import sent_value
from tracker.domain.macros import SENT_PARAMETER, Macro, parse_macro, value_of
from tracker.domain.vocabulary import Pairs

MACROS = ("status", "reason", "conversion_id", "postback_id")

_WORD = re.compile(r"\{((?:postback\.[^{}|\"\s]+|[A-Za-z_][\w.-]*)(?:\|[^{}]*)?)\}")


def fill_reply(
    template: str,
    said: Mapping[str, str | None],
    content_type: str,
    sent: Pairs = (),
) -> str:
    """The text; what is put in is written as its content type has it."""
    parts = _parts(template)
    if len(parts) == 1:
        return template
    encoding = in_body(content_type)
    return "".join(
        encoding.encode(_value(part, said, sent)) if isinstance(part, Macro) else part
        for part in parts
    )


def list_macros(template: str) -> list[Macro]:
    """All that it has; raises TemplateError for a filter that there is not."""
    return list(map(parse_macro, _WORD.findall(template)))


def is_known(name: str) -> bool:
    """Whether a reply can have a macro of this name."""
    return name in MACROS or name.startswith(SENT_PARAMETER)


def _value(macro: Macro, said: Mapping[str, str | None], sent: Pairs) -> str:
    if macro.name.startswith(SENT_PARAMETER):
        value = sent_value(sent, macro.name.removeprefix(SENT_PARAMETER))
    else:
        value = said.get(macro.name) or ""
    return value_of(macro, {macro.name: value}, {})


@lru_cache(maxsize=1024)
def _parts(template: str) -> list[str | Macro]:
    """Text and macros in turn; as text whatever an older version took for it."""
    try:
        return [
            parse_macro(part) if number % 2 else part
            for number, part in enumerate(_WORD.split(template))
        ]
    except TemplateError:
        return [template]
