"""How lines end: CR LF or LF, and as they were though a browser sends its own."""

import re
from collections.abc import Sequence

from tracker.domain.difference import match_lines

_LINE_END = re.compile(r"\r\n|\r|\n")


def with_line_ends(text: str, like: str) -> str:
    """
    The text with the ends of lines that the other has: a browser sends its own.

    A line that both have ends as it does there, a new one as most of them do.
    """
    lines = _LINE_END.split(text)
    if "\r" not in like:
        return "\n".join(lines)
    ends: list[str] = _LINE_END.findall(like)
    if len(set(ends)) == 1:
        return ends[0].join(lines)
    return _joined(lines, _LINE_END.split(like), ends, max(ends, key=ends.count))


def _joined(
    lines: Sequence[str], known: Sequence[str], ends: Sequence[str], usual: str
) -> str:
    chosen = [usual] * len(lines)
    for kind, there, end, here, _ in match_lines(known, lines):
        kept = ends[there:end] if kind == "equal" else ()
        chosen[here : here + len(kept)] = kept
    chosen[-1] = ""
    return "".join(line + end for line, end in zip(lines, chosen, strict=True))
