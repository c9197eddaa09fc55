"""
What an advertiser's server is answered, where the file says so in words of its own.

    OK {conversion_id}
    {"ok": false, "why": "{reason}"}

Macros are these four words in braces; all other braces are text, since JSON is full of
them.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache

MACROS = ("status", "reason", "conversion_id", "postback_id")

_MACRO = re.compile(rf"\{{({'|'.join(MACROS)})\}}")
_WORD = re.compile(r"\{([A-Za-z_]\w*)\}")


def fill_reply(template: str, said: Mapping[str, str | None], content_type: str) -> str:
    """The text; in JSON what is put in is escaped as the inside of a string."""
    parts = _parts(template)
    if len(parts) == 1:
        return template
    spell = _in_json if "json" in content_type else str
    words = {name: spell(said.get(name) or "") for name in MACROS}
    return "".join(
        words[part] if number % 2 else part for number, part in enumerate(parts)
    )


def unknown_words(template: str) -> list[str]:
    """What looks like a macro and is none."""
    return [word for word in _WORD.findall(template) if word not in MACROS]


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


@lru_cache(maxsize=1024)
def _parts(template: str) -> list[str]:
    """Text and the names of macros in turn."""
    return _MACRO.split(template)
