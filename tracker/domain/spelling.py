"""How what we know is written for people, on a terminal and on a page alike."""

from collections.abc import Mapping
from datetime import datetime


def full_time(moment: datetime) -> str:
    """`2026-11-22 10:04:05.123`."""
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}"


def counted(number: int, noun: str) -> str:
    """`1 attempt`, `2 attempts`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def sentence(text: str) -> str:
    """What is wrong, as an error has it, with a capital and an end."""
    end = "" if text.endswith((".", "?", "!")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


def labelled(label: str, value: object) -> str:
    """The value behind its label; nothing where it is empty."""
    return f"{label} {value}" if value else ""


def assigned(values: Mapping[str, str]) -> str:
    """`sub1=banner sub2=top`."""
    return " ".join(f"{name}={value}" for name, value in values.items())
