"""
How an advertiser says things, besides what it calls them.

What a postback says is read in this order: its parameters by name; of each the part
that `extract` finds; what `present` makes of a parameter that is there at all; the sum
of its items, where no amount was sent; and `defaults` for what nobody said. Before all
of it a variant is chosen, where there are any, which is a dialect of its own.
"""

import re
from collections.abc import Sequence
from functools import cached_property

from tracker.domain.advertiser import Advertiser, Variant
from tracker.domain.click_id import LENGTH
from tracker.domain.items import COUNTED, read_items
from tracker.domain.members import is_selector
from tracker.domain.unfilled import is_macro
from tracker.domain.vocabulary import (
    NOTHING,
    Meaning,
    Pairs,
    Statement,
    Vocabulary,
    is_part,
)

MAX_EXTRACTED = 256
"""A longer value is taken as it came: to look through it might take long."""

ABSENT = NOTHING | {"false", "no", "off"}
"""
What a parameter says that is there and still denies what its presence would mean.

So does a zero, however it is written.
"""


_HEAD_ENDS = re.compile(r"[.\[]")


class Dialect:
    """What the postbacks of an advertiser say; without one, of anybody."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        advertiser: Advertiser | None,
        variants: "Sequence[tuple[Variant, Dialect]]" = (),
    ) -> None:
        self.vocabulary = vocabulary
        self._own = advertiser
        self._variants = variants
        self.choosing = frozenset(name for one, _ in variants for name in one.when)
        self._is_plain = advertiser is None or not (
            advertiser.extract
            or advertiser.present
            or advertiser.items
            or advertiser.defaults
        )

    @property
    def speaker(self) -> Advertiser | None:
        """Who says things like this."""
        return self._own

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The parts of the path and the headers that it or a variant asks for."""
        present = self._own.present if self._own else ()
        asked = [*self.vocabulary.parts, *filter(is_part, (*present, *self.choosing))]
        asked += [name for _, one in self._variants for name in one.parts]
        return tuple(dict.fromkeys(asked))

    def of(self, parameters: Pairs) -> "Dialect":
        """The one to read a call by: that of the first variant that fits, or this."""
        if not self._variants:
            return self
        said: dict[str, set[str]] = {}
        for name, value in parameters:
            if value.strip() and name.lower() in self.choosing:
                said.setdefault(name.lower(), set()).add(value.strip().lower())
        fitting = (one for variant, one in self._variants if variant.fits(said))
        return next(fitting, self)

    @cached_property
    def _names(self) -> frozenset[str]:
        """All that it or a variant asks for, but parts of the call."""
        own = self._own
        said = [*own.present, *(own.items.names if own.items else ())] if own else []
        listed = (*self.vocabulary.spellings, *said, *self.choosing)
        asked = frozenset(name for name in listed if not is_part(name))
        return asked.union(*(one._names for _, one in self._variants))  # noqa: SLF001 - of its own class

    @cached_property
    def selectors(self) -> tuple[str, ...]:
        """The names that choose an entry of a list in JSON."""
        return tuple(sorted(filter(is_selector, self._names)))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The paths in JSON at which each item says something, or nothing."""
        rule = self._own.items if self._own else None
        names = [one for one in (rule.amount, rule.quantity) if one] if rule else []
        own = [name for name in names if "." in name and COUNTED not in name]
        listed = [name for _, one in self._variants for name in one.columns]
        return tuple(dict.fromkeys((*own, *listed)))

    @cached_property
    def heads(self) -> frozenset[str]:
        """The fields of a form whose JSON text it asks to look into."""
        nested = [name for name in self._names if _HEAD_ENDS.search(name)]
        return frozenset(_HEAD_ENDS.split(name)[0] for name in nested)

    def read(self, parameters: Pairs) -> Statement:
        """What they say."""
        if self._own is None or self._is_plain:
            return self.vocabulary.read(parameters)
        pairs = [*parameters]
        named = self._extracted(self.vocabulary.read(pairs), pairs)
        implied, names = self._implied(pairs)
        said = self._with_items(
            Statement(
                {**named.values, **implied},
                named.unclear - implied.keys(),
                {**named.names, **names},
            ),
            pairs,
        )
        defaults = dict(self._own.defaults)
        if said.items:
            defaults.pop("amount", None)
        return said.but(values={**defaults, **said.values})

    def said_elsewhere(self, parameters: Pairs) -> frozenset[Meaning]:
        """What is said by parameters that are no names for it."""
        if self._own is None or self._is_plain:
            return frozenset()
        pairs = [*parameters]
        named = self.vocabulary.read(pairs)
        extracted = self._extracted(named, pairs)
        said: set[Meaning] = {*self._implied(pairs)[0]}
        said |= {
            one
            for one in self._patterns
            if extracted.names.get(one) != named.names.get(one)
        }
        if self._has_items(pairs):
            said.add("amount")
        return frozenset(said)

    def _extracted(
        self, said: Statement, pairs: Sequence[tuple[str, str]]
    ) -> Statement:
        """With what the patterns find in the first of all values that has it."""
        values, names, unclear = {**said.values}, {**said.names}, {*said.unclear}
        for meaning in self._patterns:
            found = self._found(meaning, pairs)
            if found:
                names[meaning], values[meaning] = found[0]
                parts = {part for name, part in found if name == names[meaning]}
                unclear.discard(meaning)
                unclear |= {meaning} if len(parts) > 1 else set()
        return said.but(values=values, names=names, unclear=frozenset(unclear))

    def _found(
        self, meaning: Meaning, pairs: Sequence[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        """What its pattern finds in which parameters, the preferred names first."""
        return [
            (name, part)
            for spelling in self.vocabulary.names.get(meaning, ())
            for name, text in pairs
            if name.lower() == spelling
            and (part := self._extract(meaning, text.strip()))
        ]

    def _extract(self, meaning: Meaning, text: str) -> str:
        """The part that its pattern finds; what is a click id as it is stays whole."""
        if len(text) > MAX_EXTRACTED:
            return ""
        if meaning == "click_id" and len(text) == LENGTH and text.isalnum():
            return text
        found = self._patterns[meaning].search(text)
        return (found[found.re.groups and 1] or text) if found else ""

    @cached_property
    def _patterns(self) -> dict[Meaning, re.Pattern[str]]:
        extract = self._own.extract if self._own else {}
        return {
            meaning: re.compile(pattern, re.IGNORECASE)
            for meaning, pattern in extract.items()
        }

    def _implied(
        self, pairs: Sequence[tuple[str, str]]
    ) -> tuple[dict[Meaning, str], dict[Meaning, str]]:
        """What follows from parameters that are there; of two the first one listed."""
        present = self._own.present if self._own else {}
        sent = {
            name.lower(): (name, value.strip())
            for name, value in pairs
            if name.lower() in present and _is_there(value)
        }
        values: dict[Meaning, str] = {}
        names: dict[Meaning, str] = {}
        for listed, meant in present.items():
            name, text = sent.get(listed, ("", ""))
            for meaning, value in meant.items() if name else ():
                if meaning not in values:
                    values[meaning] = text if is_macro(text) else value
                    names[meaning] = name
        return values, names

    def _with_items(self, said: Statement, pairs: list[tuple[str, str]]) -> Statement:
        rule = self._own.items if self._own else None
        if rule is None or "amount" in said.values or "amount" in said.unclear:
            return said
        try:
            return said.but(items=read_items(rule, pairs))
        except ValueError:
            return said.but(unclear=said.unclear | {"amount"})

    def _has_items(self, pairs: Sequence[tuple[str, str]]) -> bool:
        rule = self._own.items if self._own else None
        beginnings = (
            tuple(name.partition(COUNTED)[0] for name in rule.names) if rule else ()
        )
        return any(name.lower().startswith(beginnings) for name, _ in pairs)


def _is_there(value: str) -> bool:
    text = value.strip().lower()
    is_zero = not text.strip("+-0.,")
    return not is_zero and text not in ABSENT
