"""
The file as plain data, every scalar as text, and the way back to its lines.

YAML 1.1, which PyYAML speaks, reads `NO` as a boolean, `1:30` as ninety and
`2024-01-01` as a date. Here nothing is guessed: the schema gives the types.
"""

from tracker.catalog.faults import Fault, FaultyCatalogError, Flaw, shorten
from tracker.catalog.nodes import (
    MAX_DEPTH,
    Mapping,
    Node,
    Scalar,
    Sequence,
    compose,
    decode,
)

MAX_NODES = 2_000_000
"""Aliases count as often as they are used, so that ten lines cannot fill memory."""

Data = str | list["Data"] | dict[str, "Data"] | None
"""Text, lists and mappings; None where nothing is written."""

_Index = dict[str, tuple[Node, Node]]


class Source:
    """
    A file that was read: its `data`, and where each part of it stands.

    Raises FaultyCatalogError for what is not YAML, or more of it than we take.
    `faults` are those of reading: keys that stand twice, or are not text.
    """

    def __init__(self, raw: str | bytes, name: str) -> None:
        self.name = name
        self.faults: list[Fault] = []
        self.data: dict[str, Data] = {}
        self._left = MAX_NODES
        self._indexes: dict[int, _Index] = {}
        self._root = compose(decode(raw, name), name)
        self._read()

    def fault(self, flaw: Flaw) -> Fault:
        """The flaw at its line; steps that are not in the file are left out."""
        key = node = self._root
        path = ""
        for step in flaw.loc:
            if found := self._descend(node, step):
                key, node = found
                path += f"[{step}]" if isinstance(step, int) else f".{shorten(step)}"
        return self._at(key if flaw.at_key else node, flaw.message, path.lstrip("."))

    def _read(self) -> None:
        if not isinstance(self._root, Mapping):
            message = "must be a mapping, with lines such as 'version: 1'"
            raise FaultyCatalogError([self._at(self._root, message)])
        self.data = self._mapping(self._root, 0)

    def _descend(self, node: Node, step: str | int) -> tuple[Node, Node] | None:
        if isinstance(node, Mapping):
            return self._index(node, 0).get(str(step))
        if isinstance(node, Sequence) and isinstance(step, int):
            return node.items[step], node.items[step]
        return None

    def _value(self, node: Node, depth: int) -> Data:
        self._count(node, depth)
        if isinstance(node, Scalar):
            return node.value
        if isinstance(node, Sequence):
            return [self._value(item, depth + 1) for item in node.items]
        return self._mapping(node, depth)

    def _mapping(self, node: Mapping, depth: int) -> dict[str, Data]:
        pairs = self._index(node, depth).items()
        return {key: self._value(value, depth + 1) for key, (_, value) in pairs}

    def _count(self, node: Node, depth: int) -> None:
        self._left -= 1
        if self._left < 0:
            message = f"more than {MAX_NODES:,} values, aliases included"
            raise FaultyCatalogError([self._at(node, message)])
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels"
            raise FaultyCatalogError([self._at(node, message)])

    def _index(self, node: Mapping, depth: int) -> _Index:
        index = self._indexes.get(id(node))
        if index is None:
            index = self._indexes[id(node)] = self._indexed(node, depth)
        return index

    def _indexed(self, node: Mapping, depth: int) -> _Index:
        own: _Index = {}
        merged: _Index = {}
        for key, value in node.pairs:
            self._count(key, depth)
            if _is_merge(key):
                merged = self._merged(value, depth + 1) | merged
            else:
                self._add(own, key, value)
        # What a mapping says itself wins over what it merges in.
        return merged | own

    def _add(self, own: _Index, key: Node, value: Node) -> None:
        if not isinstance(key, Scalar):
            self.faults.append(self._at(key, "a key must be text"))
        elif key.text in own:
            message = f"stands twice; first in line {own[key.text][0].line}"
            self.faults.append(self._at(key, message, shorten(key.text)))
        else:
            own[key.text] = key, value

    def _merged(self, value: Node, depth: int) -> _Index:
        parts = value.items if isinstance(value, Sequence) else [value]
        index: _Index = {}
        for part in parts:
            if isinstance(part, Mapping):
                self._count(part, depth)
                index = self._index(part, depth) | index
                self._left -= len(index)
            else:
                self.faults.append(self._at(part, "'<<' takes a mapping: '<<: *name'"))
        return index

    def _at(self, node: Node, message: str, path: str = "") -> Fault:
        return Fault(self.name, node.line, node.column, path, message)


def _is_merge(key: Node) -> bool:
    return isinstance(key, Scalar) and key.is_plain and key.text == "<<"
