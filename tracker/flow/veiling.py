"""
A catalog's text for people who may read it but not edit it: no literal secrets.

Secrets should be references (`${NAME}`), which stay. What stands in their place, or is
known as a secret, is masked; where that is in doubt too much is masked, not too little.
"""

import re
from collections.abc import Iterator, Sequence

from tracker.logs import MASK, mask, names_secret

_SECRET_KEYS = frozenset(
    {"hmac", "key", "keys", "salt", "bearer", "basic", "user", "text"}
)
"""Keys that hold secrets and do not say so."""

_KEY = re.compile(r"""["']?(?P<name>[\w.-]+)["']?\s*:(?:\s+|$)""")
_REFERENCES = re.compile(r"""(?:\$\{\w+\}|[\s,\[\]"'|>&*-])*""")
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'""")
_COMMENT = re.compile(r"(?:^|\s)#.*")


def veil(text: str) -> list[str]:
    """The lines of a catalog without literal secrets."""
    return [mask(line) for line in _veiled(text.splitlines())]


def _veiled(lines: Sequence[str]) -> Iterator[str]:
    """What goes on below a secret's key is indented further, or a list."""
    depth: int | None = None
    for line in lines:
        if depth is not None and line.strip() and not _goes_on(line, depth):
            depth = None
        if depth is not None:
            yield _whole(line)
            continue
        shown, is_open = _line(line)
        depth = _depth(line) if is_open else None
        yield shown


def _goes_on(line: str, depth: int) -> bool:
    written = line.lstrip()
    indent = len(line) - len(written)
    return (
        indent > depth
        or written[:1] in {"]", "}"}
        or (indent == depth and written[:1] == "-")
    )


def _depth(line: str) -> int:
    """Where its key stands; the dash of a list is no key."""
    lead = re.match(r"\s*(?:-\s+)*", line)
    return lead.end() if lead else 0


def _whole(line: str) -> str:
    if _REFERENCES.fullmatch(_COMMENT.sub("", line)):
        return line
    return line[: _depth(line)] + MASK


def _line(line: str) -> tuple[str, bool]:
    """The line with the values of its secrets masked, and whether one may go on."""
    shown, at = "", 0
    for found in _KEY.finditer(line):
        if found.start() < at or not _is_secret(found["name"]):
            continue
        end = _end_of_value(line, found.end())
        value = line[found.end() : end]
        masked = value if _REFERENCES.fullmatch(value) else MASK
        shown += line[at : found.end()] + masked
        at = end
    return shown + line[at:], 0 < at >= len(line.rstrip())


def _end_of_value(line: str, start: int) -> int:
    """Where it ends for certain; otherwise the end of the line."""
    if quoted := _QUOTED.match(line, start):
        return quoted.end()
    if line[start : start + 1] == "[" and (end := line.find("]", start)) > 0:
        return end + 1
    before = line[:start]
    is_inside = before.count("{") > before.count("}")
    closing = re.compile(r"[,}]").search(line, start) if is_inside else None
    return closing.start() if closing else len(line)


def _is_secret(name: str) -> bool:
    plain = name.lower().replace("-", "_")
    return plain in _SECRET_KEYS or names_secret(plain)
