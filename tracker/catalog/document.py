"""
The schema of partners.yaml.

What can be judged from one value or one section is judged here; what takes two
(an offer that names an advertiser) in `tracker.catalog.crosschecks`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, WithJsonSchema, model_validator

from tracker.catalog.scalars import (
    Amount,
    ClickUrl,
    ContentType,
    Currency,
    DeliveryText,
    DeliveryUrl,
    Duration,
    Earning,
    Flag,
    HashText,
    Header,
    HmacKey,
    Host,
    Key,
    Name,
    Network,
    OfferUrl,
    Pattern,
    Proof,
    SigningSecret,
    Timezone,
    Window,
    Word,
    Worth,
)
from tracker.catalog.sections import Many, Section
from tracker.domain.catalog import Hash, OncePer, OnRepeat, Scope, Status
from tracker.domain.macros import parse_template
from tracker.domain.vocabulary import CANONICAL, Meaning

MAX_ENTRIES = 100_000
"""Of advertisers, offers and partners each."""

Answer = Literal["approved", "pending", "rejected", "ignored"]
Reveal = Literal["revenue"]


class SignatureSection(Section):
    """A signature of an advertiser's own making, in hex."""

    param: Word = Field("signature", description="the parameter that carries it")
    hash: Hash = Field("sha256", description="md5, sha1 or sha256")
    text: HashText = Field(
        description="what is hashed: parameters as they are sent, as in"
        " {cid}{total}${SECRET}, or {url} for the whole URL without the signature"
    )
    key: Proof | None = Field(
        None, description="makes it an HMAC; best as ${NAME}, a plain hash unless set"
    )

    @model_validator(mode="after")
    def _has_a_secret(self) -> Self:
        if self.key is None and not parse_template(self.text).secrets:
            raise ValueError(
                "needs a key, or a ${SECRET} in its text: anybody could make it"
            )
        return self


class AuthSection(Section):
    """What an advertiser's server must prove; several proofs must all hold."""

    token: Many[Proof] = Field(
        (), description="a secret it sends, best as ${NAME}; any one of a list will do"
    )
    allow_ips: Many[Network] = Field(
        (), description="addresses and networks it may call from"
    )
    hmac: Annotated[Many[HmacKey], Field(max_length=2)] = Field(
        (),
        description="keys that sign its calls, best as ${NAME}; one, or two for a"
        " change of keys",
    )
    signature: SignatureSection | None = Field(
        None, description="a signature of its own making"
    )
    none: Flag = Field(default=False, description="true: anybody may report to us")

    @model_validator(mode="after")
    def _is_explicit(self) -> Self:
        signed = self.hmac or self.signature
        is_proven = bool(self.token or self.allow_ips or signed)
        if self.none and is_proven:
            raise ValueError("'none: true' contradicts the proofs beside it: keep one")
        if not self.none and not is_proven:
            raise ValueError(
                "say what must be proven: token, hmac, signature, allow_ips,"
                " or 'none: true' for nothing"
            )
        return self


class ReplySection(Section):
    """What an advertiser's server wants to hear."""

    body: Annotated[str, Field(max_length=1000)] | None = Field(
        None, description="the text of a 2xx answer, in place of our JSON"
    )
    content_type: ContentType = "text/plain"
    always_200: Flag = Field(
        default=False, description="true: answer 200 to everything but 503"
    )


class AdvertiserPostbackSection(Section):
    """How an advertiser's server spells what it reports."""

    params: dict[Meaning, Many[Word]] = Field(
        {}, description="its names for our parameters, in order of preference"
    )
    goals: dict[Word, Key] = Field({}, description="its word for each of our goals")
    statuses: dict[Answer, Many[Word]] = Field(
        {}, description="its words for each of our statuses"
    )
    reply: ReplySection = ReplySection()


class AdvertiserSection(Section):
    """Owns offers, owes revenue."""

    name: Name | None = None
    auth: AuthSection = Field(
        description="say what its postbacks must prove: token, hmac, signature,"
        " allow_ips, or 'none: true' for nothing"
    )
    postback: AdvertiserPostbackSection = AdvertiserPostbackSection()
    reopen: Flag = Field(
        default=False, description="true: it may approve what it rejected before"
    )

    @model_validator(mode="after")
    def _has_a_name_for_each(self) -> Self:
        signature = self.auth.signature
        names = {**CANONICAL, **self.postback.params}
        taken = {name: meaning for meaning, own in names.items() for name in own}
        if signature and signature.param in taken:
            raise ValueError(
                f"auth.signature.param is also its name for {taken[signature.param]}"
            )
        return self


class GoalSection(Section):
    """An action that counts, and what it earns."""

    payout: Earning = Field(description="what the partner earns: 2.50 or 8%")
    revenue: Earning = Field(description="what the advertiser owes us: 4.00 or 12%")
    once_per: OncePer = Field("click", description="what may happen only once")
    scope: Scope = Field("advertiser", description="how far a transaction_id is unique")
    status: Status = Field(
        Status.APPROVED, description="where a conversion starts if nothing is said"
    )
    on_repeat: OnRepeat = Field(
        "status", description="what another postback for the same may change"
    )
    default: Flag = Field(
        default=False, description="true: what a postback without a goal means"
    )


class LimitsSection(Section):
    """Beyond these a postback is quarantined."""

    amount: Amount | None = None
    payout: Amount | None = None
    min_click_age: Duration | None = None


class OfferSection(Section):
    """What is promoted."""

    advertiser: Key = Field(description="the key of the advertiser that owns it")
    name: Name | None = None
    url: OfferUrl = Field(description="where visitors go; it must contain {click_id}")
    window: Window | None = Field(
        None, description="how long after a click a conversion counts; 30d unless set"
    )
    currency: Currency | None = None
    timezone: Timezone | None = None
    goals: dict[Key, GoalSection] = Field(
        min_length=1, max_length=200, description="the actions that count"
    )
    deeplinks: Many[Host] = Field((), description="hosts that deep links may lead to")
    fallback_url: ClickUrl | None = None
    paused: Flag = False
    limits: LimitsSection = LimitsSection()


class TermsSection(Section):
    """A partner's own terms for a goal; what is absent is as the offer says."""

    payout: Earning | None = None
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


class Document(Section):
    """The whole of partners.yaml."""

    version: Annotated[Literal["1"], WithJsonSchema({"enum": [1, "1"]})] = Field(
        description="the version of this format: 1"
    )
    currency: Currency = Field(description="the currency of reports, such as USD")
    timezone: Timezone = Field("UTC", description="of caps and report days")
    rates: dict[Currency, Worth] = Field(
        {}, description="what one unit of a currency is worth in ours"
    )
    fallback_url: ClickUrl | None = Field(
        None, description="where visitors of unknown links go; a 404 unless set"
    )
    advertisers: dict[Key, AdvertiserSection] = Field({}, max_length=MAX_ENTRIES)
    offers: dict[Key, OfferSection] = Field({}, max_length=MAX_ENTRIES)
    partners: dict[Key, PartnerSection] = Field({}, max_length=MAX_ENTRIES)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of partners.yaml, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Document.model_json_schema(mode="validation"),
        "title": "partners.yaml",
    }
