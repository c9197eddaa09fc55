"""
Where an offer's visitors are sent, when not all of them go to one place.

The first rule that fits a visitor wins. Of weighted destinations a visitor always
gets the same one, by weighted rendezvous hashing (Schindelhauer and Schomaker,
"Weighted distributed hash tables", 2005): nothing is stored, and a changed weight
moves no visitors but those whom the new shares must move.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from tracker.domain.visitor import UNKNOWN, Trait, Visitor

_BITS = 52
"""So many fit into a float with a half added, below one."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A template that visitors may be sent to, and its share among others."""

    url: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """
    Which visitors go to these destinations; to the offer's fallback if there are none.

    All of `only` must hold, none of `excepted`. Whoever's country or language is not
    known is neither of a list nor safely outside of it, so that the rule does not fit,
    unless `only` names the unknown.
    """

    only: Mapping[Trait, frozenset[str]] = field(default_factory=dict)
    excepted: Mapping[Trait, frozenset[str]] = field(default_factory=dict)
    destinations: tuple[Destination, ...] = ()

    def fits(self, visitor: Visitor) -> bool:
        """Whether the visitor is one of those it is for."""
        return all(
            not words.isdisjoint(visitor.words(trait))
            for trait, words in self.only.items()
        ) and all(
            visitor.words(trait).isdisjoint({UNKNOWN, *words})
            for trait, words in self.excepted.items()
        )


@dataclass(frozen=True, slots=True)
class Targeting:
    """Rules in their order, and where those go whom none of them fits."""

    rules: tuple[Rule, ...]
    destinations: tuple[Destination, ...]

    def urls(self) -> Iterator[str]:
        """Every template that a visitor may be sent to."""
        for destinations in (
            self.destinations,
            *(one.destinations for one in self.rules),
        ):
            yield from (one.url for one in destinations)

    def asks_for(self, trait: Trait) -> bool:
        """Whether any rule looks at it."""
        return any(trait in {**rule.only, **rule.excepted} for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Choice:
    """
    The URL a visitor goes to, None for the fallback, and `why`, in pairs.

    `rule=2 destination=1 country=DE device=mobile`: rules and destinations count
    from 1, as they stand in the file.
    """

    url: str | None
    why: str


def choose(targeting: Targeting, visitor: Visitor) -> Choice:
    """Where this visitor goes, now and whenever it comes again."""
    number, destinations = _fitting(targeting, visitor)
    said = [f"rule={number or 'none'}"] if targeting.rules else []
    chosen = destinations[0].url if destinations else None
    if len(destinations) > 1:
        place = pick(destinations, visitor.identity)
        chosen = destinations[place].url
        said.append(f"destination={place + 1}")
    said += [f"{_SINGULAR[trait]}={word}" for trait, word in visitor.asked.items()]
    return Choice(chosen, " ".join(said))


def pick(destinations: Sequence[Destination], identity: bytes) -> int:
    """The place of one of them, by weight, always the same for an identity."""
    scores = [_score(one, identity) for one in destinations]
    return scores.index(max(scores))


def _fitting(
    targeting: Targeting, visitor: Visitor
) -> tuple[int, tuple[Destination, ...]]:
    for number, rule in enumerate(targeting.rules, 1):
        if rule.fits(visitor):
            return number, rule.destinations
    return 0, targeting.destinations


def _score(destination: Destination, identity: bytes) -> float:
    digest = blake2b(destination.url.encode(), key=identity, digest_size=8).digest()
    number = int.from_bytes(digest) >> (64 - _BITS)
    return -destination.weight / math.log((number + 0.5) / 2**_BITS)


_SINGULAR: Mapping[Trait, str] = {
    "countries": "country",
    "devices": "device",
    "languages": "language",
}
