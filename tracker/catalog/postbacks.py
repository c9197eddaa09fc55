"""
Partner postbacks in partners.yaml: calls that are wanted when a conversion changes.

Partners, offers and the file as a whole have them, all of the same form.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from tracker.catalog.patterns import Pattern
from tracker.catalog.presettable import Presettable
from tracker.catalog.proofs import Credential, Proof, SigningSecret
from tracker.catalog.scalars import Flag, Key, LabelText, Name
from tracker.catalog.sections import FAULT, Many, Section, shape_of
from tracker.catalog.sums import Amount
from tracker.catalog.templates import (
    BodyText,
    DeliveryText,
    DeliveryUrl,
    JsonLeaf,
    Label,
    SignText,
    SignValue,
    check_document,
    unquoted_macro,
)
from tracker.catalog.times import Delay
from tracker.catalog.wire import AnswerStatus, ContentType, Header
from tracker.domain.macros import parse_template
from tracker.domain.offer import Status
from tracker.domain.outbound import (
    Auth,
    Document,
    Encoding,
    HashName,
    Method,
    Number,
    PartnerPostback,
    Rule,
    Signature,
    Span,
    Tree,
    When,
)


def _quoted(value: Any) -> Any:
    """A mapping, if it was meant for one."""
    if hint := unquoted_macro(value):
        raise PydanticCustomError(FAULT, "{message}", {"message": f"a mapping{hint}"})
    return value


if TYPE_CHECKING:
    JsonTree = Any
else:
    JsonTree = TypeAliasType(
        "JsonTree",
        Annotated[
            Annotated[
                dict[str, "JsonTree"],
                Field(max_length=500),
                BeforeValidator(_quoted),
                Tag("(a mapping)"),
            ]
            | Annotated[list["JsonTree"], Field(max_length=500), Tag("(a list)")]
            | Annotated[JsonLeaf, Tag("(a word)")]
            | Annotated[None, Tag("(nothing)")],
            Discriminator(shape_of),
        ],
    )


FieldValue = Annotated[
    Annotated[
        dict[str, JsonTree],
        Field(max_length=500),
        BeforeValidator(_quoted),
        Tag("(a mapping)"),
    ]
    | Annotated[list[JsonTree], Field(max_length=500), Tag("(a list)")]
    | Annotated[DeliveryText, Tag("(a word)")],
    Discriminator(shape_of),
]
"""What a field of a form or a query holds; a tree is sent as its JSON text."""


class SpanSection(Section):
    """A sum of money in the offer's currency; both ends are included."""

    min: Amount | None = Field(None, description="not less than this")
    max: Amount | None = Field(None, description="not more than this")

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("must have a min, a max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be more than max")
        return self


class WhenSection(Section):
    """On what a postback fires; what is absent means any."""

    goals: Many[Key] = Field((), description="only for these goals")
    statuses: Many[Status] = Field((), description="only on entering one of these")
    changes: Flag = Field(default=False, description="true: on a changed amount too")
    offers: Many[Key] = Field((), description="only for these offers")
    labels: dict[Label, Many[LabelText]] = Field(
        {}, max_length=30, description="sub2: [facebook]; '*' is anything but empty"
    )
    amount: SpanSection | None = None
    payout: SpanSection | None = None


class BasicSection(Section):
    """A user name and a password."""

    user: Credential = Field(description="a user name, without a colon")
    password: Credential | None = Field(None, description="best as ${NAME}")

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        if ":" in self.user:
            raise ValueError("a user name cannot have a colon in it")
        return self


class AuthSection(Section):
    """What a call proves who makes it with; one of these."""

    basic: BasicSection | None = None
    bearer: Credential | None = Field(None, description="a token, best as ${NAME}")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.basic is None) == (self.bearer is None):
            raise ValueError("write either 'basic: {user: …, password: …}' or 'bearer'")
        return self


class SignSection(Section):
    """A signature of the receiver's own making."""

    text: SignText = Field(
        description="what is hashed: macros, ${NAME}, {url}, {body}, {timestamp}"
    )
    key: Proof | None = Field(None, description="makes it an HMAC; best as ${NAME}")
    hash: HashName = Field("sha256", description="md5, sha1, sha256 or sha512")
    encoding: Encoding = Field(
        "hex", description="how it is written: hex, base64, base64url"
    )
    param: Name | None = Field(None, description="the parameter that carries it")
    header: Header | None = Field(None, description="or the header that does")
    value: SignValue | None = Field(
        None, description="what it says there, as in t={timestamp},v1={signature}"
    )

    @model_validator(mode="after")
    def _has_a_secret_and_a_place(self) -> Self:
        if self.key is None and not parse_template(self.text).secrets:
            raise ValueError(
                "needs a secret: a 'key', or ${NAME} in the text;"
                " anybody could make this signature"
            )
        if (self.param is None) == (self.header is None):
            raise ValueError("write either 'param' or 'header': what carries it")
        return self


class AnswerSection(Section):
    """What is looked for in an answer; what is absent is not."""

    status: Many[AnswerStatus] = Field((), description="such as 404, or 4xx")
    body: Pattern | None = Field(None, description="a regular expression")
    json_: dict[Name, Many[Name]] = Field(
        {}, alias="json", max_length=50, description="path: what may stand there; * any"
    )

    @model_validator(mode="after")
    def _looks_for_something(self) -> Self:
        if not (self.status or self.body is not None or self.json_):
            raise ValueError("must have a status, a body or a json path to look for")
        return self


def _text_or_rule(value: Any) -> str:
    return "(a word)" if isinstance(value, str) else "(a mapping)"


Success = Annotated[
    Annotated[Pattern, Tag("(a word)")] | Annotated[AnswerSection, Tag("(a mapping)")],
    Discriminator(_text_or_rule),
]


class PostbackSection(Presettable):
    """A call that is wanted when a conversion changes."""

    id: Key = Field(description="a name of its own, such as sales")
    url: DeliveryUrl = Field(description="where the partner is told")
    method: Method | None = Field(None, description="GET, or POST with a body")
    headers: dict[Header, DeliveryText] = Field(
        {}, max_length=50, description="headers of its own"
    )
    auth: AuthSection | None = None
    query: dict[str, FieldValue] = Field(
        {}, max_length=100, description="parameters behind those of the url"
    )
    form: Annotated[dict[str, FieldValue], Field(max_length=100)] | None = Field(
        None, description="the fields of a form, sent as its body"
    )
    json_: JsonTree = Field(None, alias="json", description="any document")
    body: BodyText | None = Field(None, description="any other text")
    content_type: ContentType | None = Field(
        None, description="of the body; values are escaped for it"
    )
    when: WhenSection = WhenSection()
    delay: Delay | None = Field(None, description="how long it waits; at most 3d")
    success: Success | None = Field(
        None, description="what the answer must be; any 2xx unless set"
    )
    final: AnswerSection | None = Field(
        None, description="answers that end it: it is not tried again"
    )
    retry: AnswerSection | None = Field(
        None, description="answers that are tried again, whatever else they are"
    )
    secret: SigningSecret | None = Field(
        None, description="signs each call (Standard Webhooks); best as ${NAME}"
    )
    sign: SignSection | None = Field(None, description="signs each call its own way")

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if len(self.bodies) > 1:
            raise ValueError("a call has a form, a json body or a body, not several")
        if self.bodies and self.method == "GET":
            raise ValueError("this body needs 'method: POST'")
        if (self.body is not None) > (self.content_type is not None):
            raise ValueError(
                "a body needs a 'content_type', such as application/xml:"
                " values are escaped for it"
            )
        if self.content_type and not self.bodies:
            raise ValueError("a 'content_type' needs a body that it is of")
        return self

    @model_validator(mode="after")
    def _has_filters_that_there_are(self, info: ValidationInfo) -> Self:
        for fields in (self.query, self.form or {}):
            for one in compile_fields(fields).values():
                if isinstance(one, Document):
                    check_document(one.wrapper, info)
        return self

    @model_validator(mode="after")
    def _is_authorized_once(self) -> Self:
        if self.auth and "authorization" in {name.lower() for name in self.headers}:
            raise ValueError("either 'auth' or a header Authorization, not both")
        return self

    @property
    def bodies(self) -> list[str]:
        """What the call sends besides its URL."""
        written = {"form": self.form, "json": self.json_, "body": self.body}
        return [kind for kind, content in written.items() if content is not None]


Postbacks = Annotated[tuple[PostbackSection, ...], Field(max_length=50)]


def compile_postbacks(
    sections: Iterable[PostbackSection],
) -> tuple[PartnerPostback, ...]:
    """The postbacks that sections stand for."""
    return tuple(_postback(section) for section in sections)


def _postback(section: PostbackSection) -> PartnerPostback:
    return PartnerPostback(
        id=section.id,
        url=section.url,
        method=section.method or ("POST" if section.bodies else "GET"),
        query=compile_fields(section.query),
        form=None if section.form is None else compile_fields(section.form),
        json=None if section.json_ is None else spell_tree(section.json_),
        body=section.body,
        content_type=section.content_type,
        headers=section.headers,
        auth=_auth(section.auth),
        when=_when(section.when),
        success=_rule(section.success),
        final=_rule(section.final),
        retry=_rule(section.retry),
        secret=section.secret,
        sign=_signature(section.sign),
        delay=section.delay or timedelta(),
    )


def spell_tree(tree: Tree) -> str:
    """A tree as JSON text, its numbers digit for digit, its empty leaves as null."""
    match tree:
        case Number():
            return tree
        case list():
            return f"[{','.join(map(spell_tree, tree))}]"
        case dict():
            pairs = (f"{json.dumps(k)}:{spell_tree(v)}" for k, v in tree.items())
            return f"{{{','.join(pairs)}}}"
        case _:
            return json.dumps(tree)


def compile_fields(fields: Mapping[str, Tree]) -> dict[str, str | Document]:
    """Filters behind the name of a tree are for the text that is made of it."""
    compiled: dict[str, str | Document] = {}
    for spelled, value in fields.items():
        if isinstance(value, str):
            compiled[spelled] = value
        else:
            name, _, filters = spelled.partition("|")
            compiled[name.strip()] = Document(spell_tree(value), filters)
    return compiled


def _auth(section: AuthSection | None) -> Auth | None:
    if section is None:
        return None
    if section.basic:
        return Auth(section.basic.password or "", section.basic.user)
    return Auth(section.bearer or "")


def _rule(section: AnswerSection | str | None) -> Rule | None:
    """A text alone stands for what the body must contain."""
    if section is None:
        return None
    if isinstance(section, str):
        return Rule(body=section)
    return Rule(frozenset(section.status), section.body, section.json_)


def _when(section: WhenSection) -> When:
    return When(
        goals=frozenset(section.goals),
        statuses=frozenset(section.statuses),
        changes=section.changes,
        offers=frozenset(section.offers),
        labels={name: frozenset(texts) for name, texts in section.labels.items()},
        amount=_span(section.amount),
        payout=_span(section.payout),
    )


def _span(section: SpanSection | None) -> Span | None:
    return Span(section.min, section.max) if section else None


def _signature(section: SignSection | None) -> Signature | None:
    if section is None:
        return None
    return Signature(
        text=section.text,
        key=section.key,
        hash=section.hash,
        encoding=section.encoding,
        param=section.param,
        header=section.header,
        value=section.value,
    )
