"""
Presets are put into the data of a file before anything in it is judged.

What the file says itself wins: mappings are merged key by key, anything else takes
the place of what the preset has, and a key with nothing after it removes that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from tracker.catalog.faults import Flaw, one_of, shorten, suggest
from tracker.catalog.nodes import Bare
from tracker.catalog.presets import (
    ARGUMENT,
    Argument,
    Preset,
    Side,
    SideName,
    get_preset,
    list_presets,
)
from tracker.catalog.reading import Data
from tracker.catalog.scalars import kind_of
from tracker.catalog.wire import check_host

Loc = tuple[str | int, ...]
Entries = dict[str, Data]

_HOST = "host"
"""The argument that is a host name wherever it stands."""


class _FlawedError(Exception):
    """A preset that cannot be put in, and why not."""

    def __init__(self, *flaws: Flaw) -> None:
        self.flaws = flaws


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a postback stands in the data, and what it says there."""

    loc: Loc
    side: SideName
    holder: Entries | list[Data]
    key: str | int
    said: Entries


class Expansion:
    """
    The presets that a file asks for, put into its data.

    `flaws` say which could not be.
    """

    def __init__(self, data: Entries) -> None:
        self.flaws: list[Flaw] = []
        self._places: dict[Loc, _Place] = {}
        self._failed: set[Loc] = set()
        for place in _find(data):
            self._places[place.loc] = place
            self._put(place)

    def placed(self, flaws: Iterable[Flaw]) -> Iterator[Flaw]:
        """
        Flaws of the data as flaws of the file.

        What a preset brought in is not in the file: its flaws belong to the name of the
        preset. Where one could not be put in, nothing else is to be said.
        """
        for flaw in flaws:
            place = self._around(flaw.loc)
            if place is None:
                yield flaw
            elif place.loc not in self._failed:
                yield _placed(flaw, place)

    def _around(self, loc: Loc) -> _Place | None:
        lengths = range(2, min(len(loc), 4) + 1) if self._places else ()
        found = (self._places.get(loc[:length]) for length in lengths)
        return next((place for place in found if place), None)

    def _put(self, place: _Place) -> None:
        try:
            expanded: Data = _expanded(place)
        except _FlawedError as error:
            self.flaws += error.flaws
            self._failed.add(place.loc)
            return
        # A list takes a number and a mapping a name, as each place has it.
        cast("dict[str | int, Data]", place.holder)[place.key] = expanded


def _find(data: Entries) -> Iterator[_Place]:
    """Every postback that names a preset, or arguments for one."""
    yield from _told((), data)
    for section in ("offers", "partners"):
        for key, entry in _mapping(data.get(section)).items():
            yield from _told((section, key), _mapping(entry))
    for key, entry in _mapping(data.get("advertisers")).items():
        advertiser = _mapping(entry)
        said = _mapping(advertiser.get("postback"))
        if _asks(said):
            loc = ("advertisers", key, "postback")
            yield _Place(loc, "advertiser", advertiser, "postback", said)


def _told(loc: Loc, entry: Entries) -> Iterator[_Place]:
    postbacks = entry.get("postbacks")
    if not isinstance(postbacks, list):
        return
    for index, said in enumerate(postbacks):
        if isinstance(said, dict) and _asks(said):
            place = (*loc, "postbacks", index)
            yield _Place(place, "partner", postbacks, index, said)


def _asks(said: Entries) -> bool:
    """A key with nothing after it counts as absent."""
    return said.get("preset") is not None or said.get("with") is not None


def _expanded(place: _Place) -> Entries:
    preset, side = _chosen(place)
    arguments = _arguments(place, preset, side)
    said = {k: v for k, v in place.said.items() if k not in {"preset", "with"}}
    filled = _filled(dict(side.postback), arguments)
    base: Entries = filled if isinstance(filled, dict) else {}
    if place.side == "partner":
        base.setdefault("id", preset.key)
    return _merged(base, said)


def _chosen(place: _Place) -> tuple[Preset, Side]:
    name, loc = place.said.get("preset"), (*place.loc, "preset")
    if name is None:
        message = "arguments of a preset, but no 'preset' beside them"
        raise _FlawedError(Flaw((*place.loc, "with"), message, at_key=True))
    if not isinstance(name, str):
        message = f"must be the name of a preset, not {kind_of(name)}"
        raise _FlawedError(Flaw(loc, message))
    if name not in list_presets():
        near = suggest(name, list_presets()) or "; 'tracker presets' lists them"
        raise _FlawedError(Flaw(loc, f"no preset {shorten(name)!r}{near}"))
    preset = get_preset(name)
    side = preset.side(place.side)
    if side is None:
        raise _FlawedError(Flaw(loc, _no_side(preset, place.side)))
    return preset, side


def _no_side(preset: Preset, side: SideName) -> str:
    if side == "advertiser":
        return f"the preset {preset.key} is for telling others, not for advertisers"
    return f"the preset {preset.key} is for advertisers, not for telling others"


def _arguments(place: _Place, preset: Preset, side: Side) -> Mapping[str, Data]:
    """What each `<name>` stands for; None for an optional one that is not set."""
    said = place.said.get("with")
    if said is not None and not isinstance(said, dict):
        message = f"must be a mapping ('key: value'), not {kind_of(said)}"
        raise _FlawedError(Flaw((*place.loc, "with"), message))
    given = {name: value for name, value in (said or {}).items() if value is not None}
    flaws = [*_unknown(place, preset, side, given), *_missing(place, side, given)]
    flaws += [*_not_a_host(place, given), *_not_text(place, side, given)]
    if flaws:
        raise _FlawedError(*flaws)
    return {name: _value(given.get(name), one) for name, one in side.needs.items()}


def _value(said: Data, argument: Argument) -> Data:
    """What was said, as text though it looks like a number, unless one is wanted."""
    if said is None:
        return argument.unless_set
    return str(said) if isinstance(said, Bare) and not argument.is_typed else said


def _unknown(
    place: _Place, preset: Preset, side: Side, given: Iterable[str]
) -> Iterator[Flaw]:
    for name in given:
        if name not in side.needs:
            known = f"; there are {one_of(side.needs)}" if side.needs else ""
            near = suggest(name, side.needs) or known
            message = f"{preset.key} takes no such argument{near}"
            yield Flaw((*place.loc, "with", name), message, at_key=True)


def _missing(place: _Place, side: Side, given: Mapping[str, Data]) -> Iterator[Flaw]:
    for name, argument in side.needs.items():
        if argument.is_required and name not in given:
            message = f"needs 'with: {{{name}: …}}': {argument.about}"
            yield Flaw((*place.loc, "preset"), message)


def _not_a_host(place: _Place, given: Mapping[str, Data]) -> Iterator[Flaw]:
    host = given.get(_HOST)
    if isinstance(host, str) and "${" not in host and not _is_host(host):
        message = "must be a host name alone, such as track.example; a port may follow"
        yield Flaw((*place.loc, "with", _HOST), message)


def _is_host(text: str) -> bool:
    name, colon, port = text.partition(":")
    try:
        check_host(name)
    except ValueError:
        return False
    return port.isdecimal() if colon else True


def _not_text(place: _Place, side: Side, given: Mapping[str, Data]) -> Iterator[Flaw]:
    """A list or a mapping can stand alone, and not in the midst of text."""
    odd = {name for name, value in given.items() if not isinstance(value, str)}
    for name in odd & set(_amid_text(dict(side.postback))) if odd else ():
        message = f"must be text, not {kind_of(given[name])}"
        yield Flaw((*place.loc, "with", name), message)


def _amid_text(part: Data) -> Iterator[str]:
    if isinstance(part, str):
        yield from () if ARGUMENT.fullmatch(part) else ARGUMENT.findall(part)
    inner = part.values() if isinstance(part, dict) else part
    for one in inner if isinstance(part, dict | list) and inner else ():
        yield from _amid_text(one)


def _filled(part: Data, arguments: Mapping[str, Data]) -> Data:
    """
    The part with every argument in its place; None if it vanishes.

    So does what becomes empty by that.
    """
    if isinstance(part, str):
        return _put_in(part, arguments) if "<" in part else part
    if isinstance(part, list) and part:
        items = [_filled(item, arguments) for item in part]
        return [item for item in items if item is not None] or None
    if isinstance(part, dict) and part:
        pairs = ((key, _filled(inner, arguments)) for key, inner in part.items())
        return {key: inner for key, inner in pairs if inner is not None} or None
    return part


def _put_in(text: str, arguments: Mapping[str, Data]) -> Data:
    """An argument that stands alone stays what it is, be it a list or a number."""
    alone = ARGUMENT.fullmatch(text)
    if alone and alone[1] in arguments:
        return arguments[alone[1]]
    unset = [name for name, value in arguments.items() if value is None]
    shorter = _without(text, [f"<{name}>" for name in unset])
    if shorter is None:
        return None
    texts = {k: value for k, value in arguments.items() if isinstance(value, str)}
    return ARGUMENT.sub(lambda found: texts.get(found[1], found[0]), shorter)


def _without(text: str, unset: list[str]) -> str | None:
    """The parameters of a URL that miss nothing; what is no URL goes whole."""
    if not any(place in text for place in unset):
        return text
    path, mark, query = text.partition("?")
    if not mark or any(place in path for place in unset):
        return None
    kept = [one for one in query.split("&") if not any(p in one for p in unset)]
    return path + mark * bool(kept) + "&".join(kept)


def _placed(flaw: Flaw, place: _Place) -> Flaw:
    """At its own place, if the file says what is wrong; else at the preset's name."""
    depth, part = len(place.loc), cast("Data", place.said)
    for step in flaw.loc[depth:]:
        if isinstance(part, dict) and step in part:
            part = part[str(step)]
        elif isinstance(part, list) and isinstance(step, int) and step < len(part):
            part = part[step]
        elif isinstance(part, dict | list) and not _is_remark(step):
            message = f"{flaw.message} (in the preset {place.said['preset']})"
            return Flaw((*place.loc, "preset"), message)
    return flaw


def _is_remark(step: str | int) -> bool:
    """A word of the schema's about what it took a value for: `(a list)`."""
    return isinstance(step, str) and step[:1] in {"(", "["}


def _merged(base: Entries, own: Entries) -> Entries:
    merged = dict(base)
    for key, value in own.items():
        before = base.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[key] = _merged(before, value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _mapping(value: Data) -> Entries:
    return value if isinstance(value, dict) else {}
