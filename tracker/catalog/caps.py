"""Caps in partners.yaml: how they are written, and the values they become."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tracker.catalog.scalars import Key
from tracker.catalog.sections import Many, Section
from tracker.catalog.sums import Ceiling
from tracker.domain.cap import AtCap, Cap, Clicks, Measure, Span

MAX_CAPS = 50
"""Of one offer, or of one partner."""


class CapSection(Section):
    """At most so much in each hour, day or month, or in all."""

    of: Measure = Field("conversions", description="what is counted")
    goals: Many[Key] = Field((), description="only of these goals; of all unless set")
    per: Span = Field(description="hour, day, month, or total: in all")
    limit: Ceiling = Field(description="how much; sums of money are in the currency")
    then: AtCap = Field(
        "quarantine", description="what becomes of conversions beyond it"
    )
    clicks: Clicks = Field(
        "fallback", description="where visitors go while it is reached"
    )

    @model_validator(mode="after")
    def _counts_whole_conversions(self) -> Self:
        if self.of == "conversions" and self.limit % 1:
            raise ValueError("conversions are counted whole: the limit has no decimals")
        return self


class OfferCapSection(CapSection):
    """The same for an offer: for all partners together, or for each."""

    each: Literal["partner"] | None = Field(
        None, description="partner: each has as much for itself"
    )


CapSections = Annotated[tuple[CapSection, ...], Field(max_length=MAX_CAPS)]
OfferCapSections = Annotated[tuple[OfferCapSection, ...], Field(max_length=MAX_CAPS)]


def compile_caps(sections: Iterable[CapSection]) -> tuple[Cap, ...]:
    """The caps of a list."""
    return tuple([_cap(section) for section in sections])


def _cap(section: CapSection) -> Cap:
    return Cap(
        of=section.of,
        per=section.per,
        limit=section.limit,
        goals=frozenset(section.goals),
        then=section.then,
        clicks=section.clicks,
        each_partner=isinstance(section, OfferCapSection) and bool(section.each),
    )
