"""Advertisers in partners.yaml: how they are written, and the values they become."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tracker.catalog.parameters import Between, ItemName, Parameter, Position, ReplyText
from tracker.catalog.patterns import Extract
from tracker.catalog.presets import SideName
from tracker.catalog.presettable import Presettable
from tracker.catalog.proofs import HmacKey, Proof
from tracker.catalog.scalars import Flag, Key, Name, Word
from tracker.catalog.sections import Many, Section
from tracker.catalog.signatures import USUAL_PARAM, SignatureSection, compile_signature
from tracker.catalog.sums import Currency, Minor
from tracker.catalog.wire import ContentType, Network
from tracker.domain.advertiser import Advertiser, Auth, Reply, Variant
from tracker.domain.items import COUNTED, Items
from tracker.domain.members import is_selector
from tracker.domain.money import Mark, Numerals
from tracker.domain.vocabulary import CANONICAL, HEADER, PATH, Meaning, Vocabulary
from tracker.domain.worth import Refunds

Answer = Literal["approved", "pending", "rejected", "refunded", "ignored"]

Statable = Literal[
    "goal", "status", "amount", "currency", "revenue", "payout", "offer"
]  # fmt: skip
"""What can be said without being sent; who and which action is not among it."""


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

    body: ReplyText | None = Field(
        None, description="the text of a 2xx answer, in place of our JSON"
    )
    failure: ReplyText | None = Field(
        None, description="likewise, of every answer that is no 2xx"
    )
    content_type: ContentType = Field("text/plain", description="of both texts")
    always_200: Flag = Field(
        default=False, description="true: answer 200 to everything but 503"
    )


class AmountsSection(Section):
    """How an advertiser writes amounts."""

    decimal: Mark | None = Field(
        None, description="what stands before the fraction: point or comma"
    )
    minor: Minor = Field(
        default=False,
        description="true: in cents, 1250 for 12.50; micros: in millionths; or how many"
        " digits are the fraction",
    )
    refunds: Refunds = Field(
        "each",
        description="what the amount of a refund is: each, total (of all until then)"
        " or remaining",
    )


class ItemsSection(Section):
    """Where several items stand in one call; their sum is the amount."""

    amount: ItemName | None = Field(
        None, description="the parameter of an item's amount; # counts, as in AMT#"
    )
    quantity: ItemName | None = Field(
        None, description="the parameter of its quantity; 1 unless it is sent"
    )
    list: Parameter | None = Field(
        None, description="the one parameter that lists all items"
    )
    between: Between = Field("|", description="what stands between two items")
    within: Between = Field(":", description="what stands between fields of an item")
    amount_at: Position | None = Field(
        None, description="which field is the amount; the last one unless set"
    )
    quantity_at: Position | None = Field(
        None, description="which field is the quantity; 1 unless set"
    )

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if (self.amount is None) == (self.list is None):
            raise ValueError("say where items stand: either 'amount' or 'list'")
        if self.list and self.quantity:
            raise ValueError("'quantity' goes with 'amount'; with 'list' quantity_at")
        counted = [COUNTED in one for one in (self.amount, self.quantity) if one]
        if len({*counted}) > 1:
            raise ValueError("'amount' and 'quantity' must both have a #, or neither")
        if self.between == self.within:
            raise ValueError("'between' and 'within' must differ")
        return self


class SpellingSection(Section):
    """How calls of an advertiser's server spell what they report."""

    params: dict[Meaning, Many[Parameter]] = Field(
        {}, description="its names for our parameters, in order of preference"
    )
    extract: dict[Meaning, Extract] = Field(
        {},
        description="a regular expression whose first group is the value, in the first"
        " of all values in which it is found",
    )
    defaults: dict[Statable, Word] = Field(
        {}, description="what counts where nothing is sent, in its words or ours"
    )
    present: dict[Parameter, dict[Statable, Word]] = Field(
        {}, description="what follows from a parameter that is there with a value"
    )
    amounts: AmountsSection = AmountsSection()
    items: ItemsSection | None = Field(
        None, description="several items in one call; their sum is the amount"
    )
    goals: dict[Word, Key] = Field({}, description="its word for each of our goals")
    offers: dict[Word, Key] = Field({}, description="its word for each of our offers")
    currencies: dict[Word, Currency] = Field(
        {}, description="its word for each currency, such as 978 for EUR"
    )
    statuses: dict[Answer, Many[Word]] = Field(
        {}, description="its words for each of our statuses"
    )
    reply: ReplySection = ReplySection()

    @model_validator(mode="after")
    def _names_a_secret_once(self) -> Self:
        tokens = {*self.params.get("token", ())}
        for meaning, own in self.params.items():
            if meaning != "token" and not tokens.isdisjoint(own):
                raise ValueError(
                    f"the token has the same name as {meaning}: a token is never kept"
                )
        if any(map(is_selector, tokens)):
            raise ValueError("a token that is an entry of a list could not be hidden")
        return self

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        _refuse_ambiguous(self)
        return self


def _refuse_ambiguous(spelling: SpellingSection) -> None:
    mark = {"point": ".", "comma": ","}[spelling.amounts.decimal or "point"]
    items = spelling.items
    if items and items.list and mark in items.between + items.within:
        raise ValueError(
            f"{mark!r} stands before the fraction of an amount: it cannot stand"
            " between items, nor within one"
        )


class VariantSection(SpellingSection):
    """How some of its calls spell it, where that is not as the others do."""

    when: dict[Parameter, Many[Word]] = Field(
        min_length=1,
        description='which calls: by parameter, the words of which it says one; "*"'
        " if it only has to be there",
    )

    @model_validator(mode="after")
    def _can_fit(self) -> Self:
        for name, words in self.when.items():
            if not words:
                raise ValueError(f'no word of {name!r}: "*" is any')
        return self


class AdvertiserPostbackSection(Presettable, SpellingSection):
    """How an advertiser's server spells what it reports."""

    side: ClassVar[SideName] = "advertiser"

    variants: Annotated[tuple[VariantSection, ...], Field(max_length=50)] = Field(
        (), description="calls that are spelled in another way; the first that fits"
    )

    @model_validator(mode="after")
    def _can_be_told_apart_in_variants(self) -> Self:
        for spelling in self.spellings[1:]:
            _refuse_ambiguous(spelling)
        return self

    @property
    def spellings(self) -> list[SpellingSection]:
        """Its own, and those of its variants put over it."""
        return [self, *(_overlaid(self, one) for one in self.variants)]


def _overlaid(base: SpellingSection, over: SpellingSection) -> SpellingSection:
    """What the one over it says wins, in mappings key by key."""
    names = over.model_fields_set & SpellingSection.model_fields.keys()
    return base.model_copy(
        update={one: _merged(getattr(base, one), getattr(over, one)) for one in names}
    )


def _merged(before: object, own: object) -> object:
    """Its own keys come last, so that they win where words are turned into ours."""
    if isinstance(before, dict) and isinstance(own, dict):
        return {**{k: v for k, v in before.items() if k not in own}, **own}
    if isinstance(own, AmountsSection | ReplySection) and isinstance(before, Section):
        said = {one: getattr(own, one) for one in own.model_fields_set}
        return before.model_copy(update=said)
    return own


class AdvertiserSection(Section):
    """Owns offers, owes revenue."""

    name: Name | None = Field(None, description="its name; the key unless set")
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
        spelled = [{**CANONICAL, **one.params} for one in self.postback.spellings]
        taken = {name: what for one in spelled for what in one for name in one[what]}
        param = (signature.param or USUAL_PARAM) if signature else ""
        if signature and not signature.header and param in taken:
            raise ValueError(
                f"auth.signature.param is also its name for {taken[param]}"
            )
        return self

    @model_validator(mode="after")
    def _signs_what_counts(self) -> Self:
        signature = self.auth.signature
        told = [
            name
            for one in self.postback.spellings
            for what, own in (*one.params.items(), ("", one.present))
            if what != "token"
            for name in own
        ]
        covered = signature.parameters if signature else frozenset()
        headers = [n for n in told if n.startswith(HEADER) and n not in covered]
        if (self.auth.hmac or signature) and headers:
            raise ValueError(
                f"no signature covers a header that it does not name, so {headers[0]!r}"
                " could be anybody's"
            )
        if unread := sorted(n for n in covered if n.startswith(PATH) and n not in told):
            raise ValueError(f"auth.signature.text: {unread[0]!r} is not in params")
        return self

    @model_validator(mode="after")
    def _chooses_by_what_is_kept(self) -> Self:
        """A secret is masked before anybody reads it again."""
        spelled = [{**CANONICAL, **one.params} for one in self.postback.spellings]
        signature = self.auth.signature
        signed = [signature.param or USUAL_PARAM] if signature else []
        chosen = [name for one in self.postback.variants for name in one.when]
        for name in chosen:
            if any(Vocabulary(names, signed).hides(name) for names in spelled):
                raise ValueError(f"{name!r} is a secret: no variant can be told by it")
            if self.auth.hmac and name.startswith(HEADER):
                raise ValueError(
                    f"no signature covers a header: {name!r} could choose any variant"
                )
        return self


def compile_advertiser(key: str, section: AdvertiserSection) -> Advertiser:
    """The advertiser that a section stands for."""
    own, *over = [_speaker(key, section, one) for one in section.postback.spellings]
    listed = zip(section.postback.variants, over, strict=True)
    return replace(
        own, variants=tuple(Variant(one.when, speaker) for one, speaker in listed)
    )


def _speaker(
    key: str, section: AdvertiserSection, postback: SpellingSection
) -> Advertiser:
    """The advertiser as it speaks in calls that are spelled so."""
    words = postback.statuses.items()
    return Advertiser(
        key=key,
        name=section.name or key,
        auth=_auth(section.auth),
        names=dict(postback.params),
        goals=dict(postback.goals),
        offers=dict(postback.offers),
        currencies=dict(postback.currencies),
        statuses={word: status for status, listed in words for word in listed},
        extract=dict(postback.extract),
        defaults=dict(postback.defaults.items()),
        present={n: dict(meant.items()) for n, meant in postback.present.items()},
        numerals=_numerals(postback.amounts),
        items=_items(postback.items),
        refunds=postback.amounts.refunds,
        reply=_reply(postback.reply),
        reopen=section.reopen,
    )


def _numerals(section: AmountsSection) -> Numerals:
    minor = section.minor
    if isinstance(minor, bool):
        return Numerals(section.decimal, is_minor=minor)
    return Numerals(section.decimal, places=minor)


def _auth(section: AuthSection) -> Auth:
    return Auth(
        tokens=section.token,
        networks=section.allow_ips,
        none=section.none,
        hmac=section.hmac,
        signature=compile_signature(section.signature),
    )


def _reply(section: ReplySection) -> Reply:
    return Reply(
        section.body, section.content_type, section.always_200, section.failure
    )


def _items(section: ItemsSection | None) -> Items | None:
    if section is None:
        return None
    return Items(
        amount=section.amount,
        quantity=section.quantity,
        listed=section.list,
        between=section.between,
        within=section.within,
        amount_at=section.amount_at,
        quantity_at=section.quantity_at,
    )
