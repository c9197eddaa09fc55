"""
Presets: what well-known trackers and networks are told, and what they tell us.

Each is a file of plain YAML, `presets/NAME.yaml`:

    name: Example                       # what people call it
    source: [https://docs.example/…]    # where that is published
    seen: 2026-11                       # when it was looked up
    partner:                            # how one who uses it is told …
      needs: {host: its tracking domain}
      postback: {url: "https://<host>/postback?cid={sub1}"}
    advertiser:                         # … and how one who uses it calls us
      postback: {params: {click_id: [cid]}}

`<host>` is an argument, put in as text before any template is parsed. What one is about
can be said with more, `{about: …, unless_set: …, optional: true, typed: true}`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from tracker.catalog.faults import shorten, suggest
from tracker.catalog.reading import Data, Source
from tracker.domain.errors import NotFoundError
from tracker.domain.link import Macro

SideName = Literal["partner", "advertiser"]

ARGUMENT = re.compile(r"<([a-z][a-z0-9_]*)>")

_FOLDER = files("tracker.catalog") / "presets"
_SUFFIX = ".yaml"

_LABEL = re.compile(r"\{(sub\d+)\}")
_NAMED_MACRO = re.compile(r"the label with its (\S*[^\w\s]\S*)")


@dataclass(frozen=True, slots=True)
class Argument:
    """
    What a preset has to be told; `unless_set` is what it is otherwise.

    One that `is_optional` takes the parameter or field it stands in with it. One that
    `is_typed` may be a number in JSON, if it is written without quotes.
    """

    about: str
    unless_set: Data = None
    is_optional: bool = False
    is_typed: bool = False

    @property
    def is_required(self) -> bool:
        """Whether there is no saying without it."""
        return self.unless_set is None and not self.is_optional


@dataclass(frozen=True, slots=True)
class Side:
    """
    One of the two ways a preset can be used: a postback, with places in it.

    `ask` is the query of the address that the other side is to be given, in its own
    macros, and `link` what an offer's URL has to hand on.
    """

    postback: Mapping[str, Data]
    needs: Mapping[str, Argument] = field(default_factory=dict)
    ask: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Preset:
    """A dialect that has a name."""

    key: str
    name: str
    source: tuple[str, ...]
    seen: str
    partner: Side | None = None
    advertiser: Side | None = None
    note: str = ""

    def side(self, name: SideName) -> Side | None:
        """How it is told, or how it calls; None if nobody has written that down."""
        return self.partner if name == "partner" else self.advertiser

    @property
    def sides(self) -> list[SideName]:
        """The sides it has."""
        both: tuple[SideName, ...] = ("partner", "advertiser")
        return [name for name in both if self.side(name)]


@lru_cache(maxsize=1)
def list_presets() -> tuple[str, ...]:
    """The keys of all presets there are, in order."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return tuple(
        sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
    )


@lru_cache(maxsize=256)
def get_preset(key: str) -> Preset:
    """The preset of that key; raises NotFoundError."""
    data: Any = Source(read_preset(key), f"{key}{_SUFFIX}").data
    return Preset(
        key=key,
        name=data["name"],
        source=tuple(data["source"]),
        seen=data["seen"],
        partner=_side(data.get("partner")),
        advertiser=_side(data.get("advertiser")),
        note=data.get("note") or "",
    )


@lru_cache(maxsize=1)
def list_macros() -> tuple[Macro, ...]:
    """The macros of traffic sources that go into labels, as far as presets know."""
    presets = [get_preset(key) for key in list_presets()]
    return tuple(
        macro
        for preset in presets
        if preset.partner
        for macro in _macros(preset.name, preset.partner)
    )


def _macros(source: str, side: Side) -> Iterator[Macro]:
    for name, argument in side.needs.items():
        label = _LABEL.fullmatch(str(argument.unless_set))
        text = _NAMED_MACRO.fullmatch(argument.about)
        if label and text:
            yield Macro(source, text[1], f"{name} id", label[1])


def read_preset(key: str) -> str:
    """Its file as it stands; raises NotFoundError."""
    if key not in list_presets():
        near = suggest(key, list_presets())
        raise NotFoundError(f"there is no preset {shorten(key)!r}{near}")
    return (_FOLDER / f"{key}{_SUFFIX}").read_text("utf-8")


def _side(data: Any) -> Side | None:
    if data is None:
        return None
    needs = {name: _argument(said) for name, said in data.get("needs", {}).items()}
    return Side(data["postback"], needs, data.get("ask", ""), data.get("link", ""))


def _argument(said: Any) -> Argument:
    if isinstance(said, str):
        return Argument(said)
    flags = (said.get(name) == "true" for name in ("optional", "typed"))
    return Argument(said["about"], said.get("unless_set"), *flags)
