"""What a postback fires on, in words: its conditions, and which keep it silent."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from tracker.domain.delivery import is_wanted
from tracker.domain.macro_values import Occasion
from tracker.domain.outbound import Span, When

_ALWAYS = When(changes=True)


def spell_conditions(when: When) -> list[str]:
    """What a postback fires on, much as the file has it; nothing for everything."""
    asked = ((one.name, getattr(when, one.name)) for one in fields(When))
    return [f"{name}: {_spelled(value)}" for name, value in asked if value]


def find_silence(when: When, occasion: Occasion) -> Iterator[str]:
    """Each condition that would keep it silent though there were no other."""
    if occasion.change.kind == "amount" and not when.changes:
        yield "changes: true, and here the amount alone has changed"
    for one in fields(When):
        wanted = getattr(when, one.name)
        alone = replace(_ALWAYS, **{one.name: wanted})
        if wanted and not is_wanted(occasion, alone):
            yield f"{one.name}: {_spelled(wanted)}"


def _spelled(value: Any) -> str:
    """A condition, much as the file has it."""
    match value:
        case bool():
            return str(value).lower()
        case Mapping():
            inner = ", ".join(f"{k}: {_spelled(v)}" for k, v in value.items())
            return f"{{{inner}}}"
        case frozenset():
            return f"[{', '.join(sorted(map(str, value)))}]"
        case Span():
            bounds = {"min": value.least, "max": value.most}
            return _spelled({k: v for k, v in bounds.items() if v is not None})
        case _:
            return str(value)
