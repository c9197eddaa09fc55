"""Partners in partners.yaml: how they are written, and the values they become."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from tracker.catalog.scalars import (
    DeliveryText,
    DeliveryUrl,
    Earning,
    Flag,
    Header,
    Key,
    Name,
    Pattern,
    Payout,
    SigningSecret,
)
from tracker.catalog.sections import Many, Section
from tracker.domain.catalog import UNNUMBERED
from tracker.domain.offer import Status
from tracker.domain.partner import GoalTerms, Partner, PartnerPostback, When

MAX_ENTRIES = 100_000
"""Of advertisers, offers and partners each."""


Reveal = Literal["revenue"]


class TermsSection(Section):
    """A partner's own terms for a goal; what is absent is as the offer says."""

    payout: Payout | None = None
    revenue: Earning | None = None


class OfferTermsSection(Section):
    """A partner's own terms for an offer."""

    goals: dict[Key, TermsSection] = Field({}, max_length=200)


class WhenSection(Section):
    """On what a partner's postback fires; what is absent means any."""

    goals: Many[Key] = ()
    statuses: Many[Status] = ()
    changes: Flag = Field(default=False, description="true: on a changed amount too")


class PartnerPostbackSection(Section):
    """A call that a partner wants when a conversion changes."""

    id: Key = Field(description="a name of its own, such as sales")
    url: DeliveryUrl = Field(description="where the partner is told")
    method: Literal["GET", "POST"] | None = None
    form: Annotated[dict[str, DeliveryText], Field(max_length=100)] | None = None
    json_: Annotated[dict[str, DeliveryText], Field(max_length=100)] | None = Field(
        None, alias="json"
    )
    headers: dict[Header, DeliveryText] = Field({}, max_length=50)
    when: WhenSection = WhenSection()
    success: Pattern | None = Field(
        None, description="what the answer must contain, besides a 2xx status"
    )
    secret: SigningSecret | None = Field(
        None, description="signs each call (Standard Webhooks); best as ${NAME}"
    )

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if self.form is not None and self.json_ is not None:
            raise ValueError("a call has a form or a json body, not both")
        if self.has_body and self.method == "GET":
            raise ValueError("a form or a json body needs 'method: POST'")
        return self

    @property
    def has_body(self) -> bool:
        """Whether the call sends more than its URL."""
        return self.form is not None or self.json_ is not None


def _shape(value: Any) -> str:
    if isinstance(value, str):
        return "(a word)"
    return "(a list)" if isinstance(value, list | tuple) else "(a mapping)"


Promotes = Annotated[
    Annotated[Literal["all"], Tag("(a word)")]
    | Annotated[tuple[Key, ...], Field(max_length=MAX_ENTRIES), Tag("(a list)")]
    | Annotated[
        dict[Key, OfferTermsSection], Field(max_length=MAX_ENTRIES), Tag("(a mapping)")
    ],
    Discriminator(_shape),
]


class PartnerSection(Section):
    """Sends traffic, earns payouts."""

    name: Name | None = None
    paused: Flag = False
    reveal: Many[Reveal] = Field((), description="macros it may see besides its own")
    offers: Promotes = Field(
        {}, description="what it may promote: a list, 'all', or offers with own terms"
    )
    postbacks: Annotated[tuple[PartnerPostbackSection, ...], Field(max_length=50)] = ()


def compile_partner(key: str, section: PartnerSection) -> Partner:
    """The partner that a section stands for."""
    return Partner(
        key=key,
        number=UNNUMBERED,
        name=section.name or key,
        offers=_promoted(section.offers),
        all_offers=section.offers == "all",
        postbacks=tuple(_postback(postback) for postback in section.postbacks),
        reveal=frozenset(section.reveal),
        is_paused=section.paused,
    )


def _promoted(
    offers: Iterable[str] | Mapping[str, OfferTermsSection],
) -> dict[str, dict[str, GoalTerms]]:
    if isinstance(offers, Mapping):
        return {key: _terms(section) for key, section in offers.items()}
    return {} if offers == "all" else {key: {} for key in offers}


def _terms(section: OfferTermsSection) -> dict[str, GoalTerms]:
    return {
        goal: GoalTerms(terms.payout, terms.revenue)
        for goal, terms in section.goals.items()
    }


def _postback(section: PartnerPostbackSection) -> PartnerPostback:
    return PartnerPostback(
        id=section.id,
        url=section.url,
        method=section.method or ("POST" if section.has_body else "GET"),
        form=section.form,
        json=section.json_,
        headers=section.headers,
        when=_when(section.when),
        success=section.success,
        secret=section.secret,
    )


def _when(section: WhenSection) -> When:
    return When(frozenset(section.goals), frozenset(section.statuses), section.changes)
