"""
A partner postback: the call that is wanted when a conversion changes.

A partner has its own, and so have an offer and the catalog as a whole, which are told
of every partner's conversions.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, Literal

from tracker.domain.errors import NotFoundError
from tracker.domain.macros import is_asked_for, parse_template

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Number(str):
    """A number as JSON spells it, digit for digit."""

    __slots__ = ()


Tree = Mapping[str, Any] | list[Any] | str | bool | None
"""A JSON document whose texts are templates, apart from each `Number`."""


ANY = "*"
"""Stands for any text but an empty one."""

MAX_DELAY = timedelta(days=3)
"""How long a call may wait by its postback's own wish."""

HashName = Literal["sha256", "sha1", "sha512", "md5"]
Encoding = Literal["hex", "base64", "base64url"]


@dataclass(frozen=True, slots=True)
class Span:
    """From `least` to `most`, both included; None is no bound."""

    least: Decimal | None = None
    most: Decimal | None = None

    def holds(self, value: Decimal | None) -> bool:
        """Whether the value lies in it; what is not known does not."""
        return (
            value is not None
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )


@dataclass(frozen=True, slots=True)
class When:
    """
    On what a postback fires; what is empty means any.

    `labels` are macros of the click, each with the texts that it may have; `amount`
    and `payout` are in the offer's currency.
    """

    goals: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    changes: bool = False
    offers: frozenset[str] = frozenset()
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    amount: Span | None = None
    payout: Span | None = None

    def likes(self, values: Mapping[str, str]) -> bool:
        """Whether the click's labels are among those it asks for."""
        return all(
            values.get(name, "") in wanted or (ANY in wanted and values.get(name))
            for name, wanted in self.labels.items()
        )


@dataclass(frozen=True, slots=True)
class Auth:
    """What a call proves who makes it with: basic with a `user`, else bearer."""

    secret: str
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """
    A signature of the receiver's own making, in a parameter or a header.

    `text` is what is hashed, with `key` as an HMAC; `value` is what is sent of it.
    """

    text: str
    key: str | None = None
    hash: HashName = "sha256"
    encoding: Encoding = "hex"
    param: str | None = None
    header: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """
    What is looked for in an answer; what is empty is not.

    `statuses` are `404` or `4xx`, `body` is a regular expression, and `json` says
    which texts may stand at a path, `*` being any.
    """

    statuses: frozenset[str] = frozenset()
    body: str | None = None
    json: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON text whose leaves are templates, and the filters for all of it."""

    json: str
    filters: str = ""

    @property
    def tree(self) -> Tree:
        """What it says."""
        return parse_tree(self.json)

    @property
    def wrapper(self) -> str:
        """The template that the text of the document is put into."""
        return f"{{{DOCUMENT}|{self.filters}}}" if self.filters else f"{{{DOCUMENT}}}"


DOCUMENT = "document"

Fields = Mapping[str, str | Document]
"""Of a form or a query, by name: templates, and documents sent as their JSON text."""


@dataclass(frozen=True)
class PartnerPostback:
    """
    A call that is wanted when a conversion changes.

    `url`, `body`, and the values of `query`, `form`, `json` and `headers` are
    templates; `query` goes behind the parameters of `url`, and of the bodies there is
    one at most. `json` is a JSON text, or a flat object as older
    snapshots have it. `success` is what an answer must be, a regular expression being
    short for a rule with that body; `final` and `retry` say which answers end it, and
    which never do. `secret` signs each call (Standard Webhooks), `sign` in another way.
    """

    id: str
    url: str
    method: Method = "GET"
    form: Fields | None = None
    json: Mapping[str, str] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    when: When = field(default_factory=When)
    success: Rule | str | None = None
    secret: str | None = None
    body: str | None = None
    content_type: str | None = None
    auth: Auth | None = None
    final: Rule | None = None
    retry: Rule | None = None
    sign: Signature | None = None
    delay: timedelta = timedelta()
    query: Fields = field(default_factory=dict)

    @cached_property
    def tree(self) -> Tree:
        """The JSON document that it sends, if any."""
        if self.json is None or not isinstance(self.json, str):
            return self.json
        return parse_tree(self.json)

    @cached_property
    def templates(self) -> tuple[str, ...]:
        """Everything in it that values are put into."""
        return (
            self.url,
            *([] if self.body is None else [self.body]),
            *_written(self.query),
            *_written(self.form or {}),
            *self.headers.values(),
            *([] if self.sign is None else [self.sign.text]),
            *leaves_of(self.tree),
        )

    @property
    def credentials(self) -> tuple[str, ...]:
        """What it proves itself with: nobody else may know it."""
        if self.auth is None and self.sign is None:
            return (self.secret,) if self.secret else ()
        password = self.auth.secret if self.auth else None
        key = self.sign.key if self.sign else None
        return tuple(text for text in (password, self.secret, key) if text)

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything in it that may name a `${SECRET}`."""
        user = (self.auth.user if self.auth else None) or ""
        value = (self.sign.value if self.sign else None) or ""
        return (*self.templates, *self.credentials, user, value, *self._wrappers)

    @property
    def _wrappers(self) -> Iterator[str]:
        for one in (*self.query.values(), *(self.form or {}).values()):
            if isinstance(one, Document):
                yield one.wrapper

    @cached_property
    def macros(self) -> frozenset[str]:
        """The names of all macros that it is told by, or chosen by."""
        asked = (parse_template(text).macros for text in self.templates)
        return frozenset(self.when.labels).union(*asked)

    @cached_property
    def asked(self) -> frozenset[str]:
        """Those of them whose values are kept only where they are asked for."""
        return frozenset(filter(is_asked_for, self.macros))


def find_by_id(postbacks: tuple[PartnerPostback, ...], key: str) -> PartnerPostback:
    """The one of that id; raises NotFoundError."""
    for postback in postbacks:
        if postback.id == key:
            return postback
    raise NotFoundError(f"there is no postback {key}")


@lru_cache(maxsize=16384)
def parse_tree(text: str) -> Tree:
    """A JSON text with its numbers as they are spelled."""
    tree: Tree = json.loads(text, parse_int=Number, parse_float=Number)
    return tree


def _written(fields: Fields) -> Iterator[str]:
    for one in fields.values():
        yield from leaves_of(one.tree) if isinstance(one, Document) else (one,)


def leaves_of(tree: Tree) -> Iterator[str]:
    """Every template in a tree."""
    match tree:
        case Number():
            return
        case str():
            yield tree
        case Mapping():
            for inner in tree.values():
                yield from leaves_of(inner)
        case list():
            for inner in tree:
                yield from leaves_of(inner)
