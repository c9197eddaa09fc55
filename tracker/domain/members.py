"""
JSON as parameters: its members by their paths.

    {"a": {"b": 1}}                     a.b=1
    {"lines": [{"p": 5}, {"p": 7}]}     lines.p=5  lines.p=7

A name may choose one entry of a list, by its place or by what it says of itself; what
is chosen is a parameter too, under that very name. Keys and values are compared without
regard to case.

    lines[0].p   lines[-1].p            the first, and the last
    attributes[name=click_id].value     the one whose name is click_id
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any

MAX_DEPTH = 10
MAX_NAME = 200

_SELECTOR = re.compile(
    r"(?:[^\[\]=]*\[(?:-?\d{1,3}|[^\[\]=]+=[^\[\]]*)\](?=[.\[]|\Z))+[^\[\]=]*", re.ASCII
)
_STEP = re.compile(r"\[(?P<choice>[^\]]*)\]|(?P<key>[^.\[\]]+)")

Pairs = list[tuple[str, str]]


class Members(list[tuple[str, Any]]):
    """A JSON object with all its members, so that a repeated one is seen."""


def read_json(text: bytes | str) -> Any:
    """Numbers stay as they were written: money is never a float."""
    return json.loads(
        text,
        object_pairs_hook=Members,
        parse_float=str,
        parse_int=str,
        parse_constant=str,
    )


def flattened(
    name: str, value: Any, columns: Collection[str] = (), depth: int = 0
) -> Iterator[tuple[str, str]]:
    """
    `{"a": {"b": 1}}` is the parameter `a.b`; null is empty.

    In a list each entry has all of the `columns` beneath it, empty where it says
    nothing, so that the first value of each belongs to the first entry.
    """
    if depth > MAX_DEPTH:
        raise ValueError("nested too deep")
    if isinstance(value, Members):
        for key, inner in value:
            path = f"{name}.{key}" if name else key
            yield from flattened(path[:MAX_NAME], inner, columns, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            pairs = flattened(name, inner, columns, depth + 1)
            yield from _filled_up(name, [*pairs], columns) if columns else pairs
    elif isinstance(value, bool):
        yield name, str(value).lower()
    else:
        yield name, value or ""


def _filled_up(name: str, pairs: Pairs, columns: Collection[str]) -> Pairs:
    said = {sent.lower() for sent, _ in pairs}
    above = f"{name}.".lower() if name else ""
    beneath = [one for one in columns if one.startswith(above)]
    return [*pairs, *((one, "") for one in beneath if one not in said)]


def is_selector(name: str) -> bool:
    """Whether it chooses an entry of a list; `items[][price]` is only a name."""
    return name[-1:] != "." and _SELECTOR.fullmatch(name) is not None


def selected(tree: Any, names: Iterable[str]) -> Pairs:
    """What each of these names chooses."""
    return [
        pair
        for name in names
        for found in _found(tree, name)
        for pair in flattened(name, found)
        if not isinstance(found, Members)
    ]


def _found(tree: Any, name: str) -> list[Any]:
    found = [tree]
    for key, choice in _steps(name):
        step = _chosen if choice else _members
        found = [inner for one in found for inner in step(one, choice or key)]
    return found


@lru_cache(maxsize=1024)
def _steps(name: str) -> tuple[tuple[str, str], ...]:
    """A key and "", or "" and what stands in brackets."""
    return tuple(
        (found["key"] or "", found["choice"] or "") for found in _STEP.finditer(name)
    )


def _members(value: Any, key: str) -> list[Any]:
    """What has this key; of a list, what its entries have."""
    if isinstance(value, Members):
        return [inner for name, inner in value if name.lower() == key]
    entries = value if isinstance(value, list) else []
    return [found for entry in entries for found in _members(entry, key)]


def _chosen(value: Any, choice: str) -> list[Any]:
    if isinstance(value, Members) or not isinstance(value, list):
        return []
    key, equals, wanted = choice.partition("=")
    if not equals:
        place = int(choice)
        return value[place:][:1] if -len(value) <= place < len(value) else []
    return [one for one in value if wanted in _texts(one, key.strip())]


def _texts(entry: Any, key: str) -> set[str]:
    found = _members(entry, key) if isinstance(entry, Members) else []
    return {text.strip().lower() for one in found for _, text in flattened("", one)}
