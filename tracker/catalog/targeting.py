"""Where an offer's visitors go, in partners.yaml: weighted destinations, and rules."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tracker.catalog.sections import Many, Section
from tracker.catalog.templates import OfferUrl
from tracker.catalog.visitors import Country, Language, Weight
from tracker.domain.targeting import Destination, Rule, Targeting
from tracker.domain.visitor import Device, Trait

TRAITS: tuple[Trait, ...] = ("countries", "devices", "languages")


class DestinationSection(Section):
    """One of the places that visitors are spread over."""

    url: OfferUrl = Field(description="it must contain {click_id}")
    weight: Weight = Field(1, description="its share, of the sum of all weights")


class TraitsSection(Section):
    """What can be asked of a visitor; all that is listed must hold."""

    countries: Many[Country] = Field((), description="such as US; or unknown")
    devices: Many[Device] = ()
    languages: Many[Language] = Field((), description="such as de, or de-ch")


def _are_apart(
    destinations: Sequence[DestinationSection],
) -> Sequence[DestinationSection]:
    if len({one.url for one in destinations}) < len(destinations):
        raise ValueError("the same url stands twice: give it one weight")
    if destinations and not any(one.weight for one in destinations):
        raise ValueError("one weight at least must be more than 0")
    return destinations


class RuleSection(TraitsSection):
    """For whom there is another destination, or none."""

    except_: TraitsSection = Field(
        TraitsSection(), alias="except", description="whoever is any of these is not"
    )
    url: OfferUrl | None = Field(
        None, description="where they go; it must contain {click_id}"
    )
    destinations: Annotated[tuple[DestinationSection, ...], Field(max_length=100)] = (
        Field((), description="or several places, each with its weight")
    )
    to: Literal["fallback"] | None = Field(
        None, description="fallback: refused, and sent to the fallback URL"
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not any(getattr(place, trait) for place in self._asked for trait in TRAITS):
            raise ValueError(
                "say whom it is for: countries, devices, languages or except;"
                " whom no rule fits goes to the offer's url"
            )
        if sum(map(bool, (self.url, self.destinations, self.to))) != 1:
            raise ValueError("needs one of url, destinations or 'to: fallback'")
        _are_apart(self.destinations)
        return self

    @property
    def _asked(self) -> tuple[TraitsSection, TraitsSection]:
        return self, self.except_


class SpreadSection(Section):
    """What an offer says of where its visitors go."""

    url: OfferUrl | None = Field(
        None, description="where visitors go; it must contain {click_id}"
    )
    destinations: Annotated[tuple[DestinationSection, ...], Field(max_length=100)] = (
        Field((), description="in place of url: several, each with its weight")
    )
    targeting: Annotated[tuple[RuleSection, ...], Field(max_length=1000)] = Field(
        (), description="the first rule that fits a visitor says where it goes"
    )

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.url and self.destinations:
            raise ValueError("has a url or destinations, not both")
        if not self.url and not self.destinations:
            raise ValueError("'url' is missing: where visitors go")
        _are_apart(self.destinations)
        return self


def compile_targeting(section: SpreadSection) -> Targeting | None:
    """None where all visitors go to one place."""
    if not section.targeting and not section.destinations:
        return None
    return Targeting(
        rules=tuple(_rule(one) for one in section.targeting),
        destinations=_destinations(section.url, section.destinations),
    )


def first_url(section: SpreadSection) -> str:
    """The one that stands for all."""
    return _destinations(section.url, section.destinations)[0].url


def _rule(section: RuleSection) -> Rule:
    return Rule(
        only=_traits(section),
        excepted=_traits(section.except_),
        destinations=_destinations(section.url, section.destinations),
    )


def _traits(section: TraitsSection) -> dict[Trait, frozenset[str]]:
    listed = {trait: frozenset(getattr(section, trait)) for trait in TRAITS}
    return {trait: words for trait, words in listed.items() if words}


def _destinations(
    url: str | None, several: Sequence[DestinationSection]
) -> tuple[Destination, ...]:
    one = (Destination(url),) if url else ()
    return one or tuple(Destination(it.url, it.weight) for it in several)
