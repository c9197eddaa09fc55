"""
YAML as nodes that know their line.

The parser is libyaml's. Nodes are composed here from its events, because its own
composer ends the whole process where a file nests a hundred thousand brackets.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.cyaml import CBaseLoader

from tracker.catalog.faults import Fault, FaultyCatalogError

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 20

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_BARE = re.compile(r"true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS = frozenset({
    None, "!",
    "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq",
})  # fmt: skip
_HINTS = {
    "found character that cannot start any token": (
        "no value can start with this character: indent with spaces and not with"
        " tabs, and put quotes around text that starts with it"
    ),
    "mapping values are not allowed in this context": (
        "a colon is not allowed here: check how the line is indented, and put"
        " quotes around text that holds ': '"
    ),
    "found unexpected end of stream": "the file ends before the quotes are closed",
}


class Bare(str):
    """Text without quotes that JSON would read as a number or a boolean."""

    __slots__ = ()


@dataclass(slots=True)
class Scalar:
    """Text as it stands; `line` and `column` count from 1."""

    line: int
    column: int
    text: str
    is_plain: bool

    @property
    def value(self) -> str | None:
        """The text, or None where nothing is written."""
        if not self.is_plain:
            return self.text
        if self.text in _NULLS:
            return None
        return Bare(self.text) if _BARE.fullmatch(self.text) else self.text


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Keys and values in the order of the file, doubles included."""

    line: int
    column: int
    pairs: list[tuple["Node", "Node"]] = field(default_factory=list)


Node = Scalar | Sequence | Mapping


def decode(raw: str | bytes, name: str) -> str:
    """The file's text, without a byte order mark; it must be UTF-8 and printable."""
    if len(raw) > MAX_BYTES:
        raise _fault(name, 1, 1, f"larger than {MAX_BYTES // 2**20} MB")
    try:
        data = raw.encode() if isinstance(raw, str) else raw
        text = data.decode("utf-8-sig")
    except UnicodeError as error:
        raise _fault(name, *_not_utf8(raw, error)) from None
    if found := _UNPRINTABLE.search(text):
        message = f"the character U+{ord(found[0]):04X} is not allowed; is this text?"
        raise _fault(name, *_place(text[: found.start()]), message)
    return text


def compose(text: str, name: str) -> Node:
    """The file's one document; raises FaultyCatalogError where YAML ends."""
    loader = CBaseLoader(text)
    try:
        return _Composer(loader, name).document()
    except yaml.MarkedYAMLError as error:
        raise _fault(name, *_syntax(error)) from None
    except yaml.YAMLError as error:
        raise _fault(name, 1, 1, f"not YAML: {error}") from None
    finally:
        loader.dispose()


class _Composer:
    """A document from libyaml's events; an anchor is not known inside itself."""

    def __init__(self, loader: CBaseLoader, name: str) -> None:
        # Events of the parser have what the stubs call optional.
        untyped: Any = loader
        self._next = untyped.get_event
        self._name = name
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node:
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise _fault(self._name, 1, 1, "the file is empty")
        root = self._node(self._next(), 0)
        self._next()
        end = self._next()
        if not isinstance(end, yaml.StreamEndEvent):
            raise self._fault(end, "only one document is allowed: remove this '---'")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event)
        self._check(event, depth)
        node = self._composed(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _check(self, event: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._fault(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.tag not in _TAGS:
            message = f"the tag {event.tag[:60]!r} is not allowed: remove it"
            raise self._fault(event, message)

    def _aliased(self, event: Any) -> Node:
        try:
            return self._anchors[event.anchor]
        except KeyError:
            message = f"no anchor '&{event.anchor[:60]}' stands above"
            raise self._fault(event, message) from None

    def _composed(self, event: Any, depth: int) -> Node:
        place = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(*place, event.value, is_plain=not event.style)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(Sequence(*place), depth + 1)
        return self._mapping(Mapping(*place), depth + 1)

    def _sequence(self, node: Sequence, depth: int) -> Sequence:
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            node.items.append(self._node(event, depth))
        return node

    def _mapping(self, node: Mapping, depth: int) -> Mapping:
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth)
            node.pairs.append((key, self._node(self._next(), depth)))
        return node

    def _fault(self, event: Any, message: str) -> FaultyCatalogError:
        mark = event.start_mark
        return _fault(self._name, mark.line + 1, mark.column + 1, message)


def _fault(name: str, line: int, column: int, message: str) -> FaultyCatalogError:
    return FaultyCatalogError([Fault(name, line, column, "", message)])


def _not_utf8(raw: str | bytes, error: UnicodeError) -> tuple[int, int, str]:
    start = getattr(error, "start", 0)
    before = raw[:start]
    if isinstance(before, bytes):
        before = before.decode("utf-8-sig", errors="replace")
    return *_place(before), "not UTF-8 text: save the file as UTF-8"


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _syntax(error: yaml.MarkedYAMLError) -> tuple[int, int, str]:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "not YAML"
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return line, column, _HINTS.get(problem, f"not YAML: {_explained(error, problem)}")


def _explained(error: yaml.MarkedYAMLError, problem: str) -> str:
    if not (error.context and error.context_mark):
        return problem
    return f"{problem} {error.context} from line {error.context_mark.line + 1}"
