"""
Macros that a sender left as text, because it had nothing to put in.

    {x} {{x}} ${x} $!{x} ${(x)!}   [x] [[x]] [=x=] [%x%]   (x) <x>
    %x% #x# ##x## __X__ !!!x!!!    REPLACE OPTIONAL

Encoded once too often they are macros all the same; where `%ad_id%` was not encoded at
all, reading it as a URL has made U+FFFD of its first letters.
"""

import re
from collections.abc import Iterable

_WORD = r"[A-Za-z_][\w .-]*"
_WHOLE = re.compile(
    r"\$?!?\{.*\}|\[.*\]|%(?:7B|5B).*%(?:7D|5D)"
    rf"|\({_WORD}\)|<{_WORD}>|(?:%[A-Za-z_]|\ufffd)\w*%|#+{_WORD}#+|__[A-Za-z_]\w*__"
    r"|!!!.*!!!|REPLACE|OPTIONAL"
)
_WITHIN = re.compile(
    rf"\{{{_WORD}\}}|\[{_WORD}\]|#{_WORD}#|%{_WORD}%|__[A-Za-z][A-Za-z_]*__"
)
ENDS = frozenset("}])>%#_!ELDd")
"""What a macro can end with: most values are told by this."""

MAX_LENGTH = 300
"""Longer values are none: no sender calls a macro that."""


def is_macro(text: str) -> bool:
    """Whether the text is a macro as a whole."""
    is_one = text[-1:] in ENDS and len(text) <= MAX_LENGTH
    return is_one and _WHOLE.fullmatch(text) is not None


def names_with_macro(parameters: Iterable[tuple[str, str]]) -> list[str]:
    """The parameters that are macros, or hold one."""
    return [name for name, value in parameters if is_macro(value) or has_macro(value)]


def has_macro(text: str) -> bool:
    """Whether there is a macro in the text, as in `aff-{click_id}`."""
    return len(text) <= MAX_LENGTH and _WITHIN.search(text) is not None
