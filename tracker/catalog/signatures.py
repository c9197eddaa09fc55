"""An advertiser's own signature in partners.yaml, and the value it becomes."""

import hashlib
from typing import Self

from pydantic import Field, ValidationInfo, model_validator

from tracker.catalog.faults import one_of, suggest
from tracker.catalog.parameters import MacroName
from tracker.catalog.patterns import Carried
from tracker.catalog.proofs import FirstOf, HashText, Proof
from tracker.catalog.scalars import Word
from tracker.catalog.sections import Section
from tracker.catalog.times import Window
from tracker.catalog.wire import SentHeader
from tracker.domain.advertiser import Hash, KeySpelling, Signature, Spelling
from tracker.domain.macros import expand_text, parse_template
from tracker.domain.own_signature import WHOLES, read_key
from tracker.domain.vocabulary import HEADER, is_part

USUAL_PARAM = "signature"


class SignatureSection(Section):
    """A signature of an advertiser's own making."""

    param: Word | None = Field(
        None, description="the parameter that carries it; signature unless set"
    )
    header: SentHeader | None = Field(None, description="or the header that does")
    read: Carried | None = Field(
        None,
        description="a regular expression for the signature in what carries it, as in"
        " v1=([0-9a-f]+); any one that it finds will do",
    )
    vars: dict[MacroName, Carried] = Field(
        {},
        max_length=10,
        description="regular expressions for what else stands there, by the name that"
        " the text has for it, as in timestamp: t=([0-9]+)",
    )
    hash: Hash = Field("sha256", description="md5, sha1, sha256 or sha512")
    encoding: Spelling = Field("hex", description="hex, base64 or base64url")
    text: HashText = Field(
        description="what is hashed: parameters as they are sent, as in"
        " {cid}{total}${SECRET}, {header:X-Time}, and {body}, {url} (without the"
        " signature) or {sorted} for all of it"
    )
    key: Proof | None = Field(
        None, description="makes it an HMAC; best as ${NAME}, a plain hash unless set"
    )
    key_encoding: KeySpelling = Field(
        "text", description="what the key is spelled in: text, hex or base64"
    )
    first: FirstOf | None = Field(
        None, description="only so many of its characters are sent, at least 8"
    )
    within: Window | None = Field(
        None, description="so far may its time be from ours, such as 300s"
    )
    time: MacroName = Field(
        "timestamp", description="what that time is called in the text"
    )

    @property
    def parameters(self) -> frozenset[str]:
        """What its text names, but for what is no parameter; in lower case."""
        named = parse_template(self.text).macros - WHOLES - self.vars.keys()
        return frozenset(map(str.lower, named))

    @property
    def covers_all(self) -> bool:
        """Whether the text has the whole of something."""
        return bool(parse_template(self.text).macros & WHOLES)

    @model_validator(mode="after")
    def _has_a_secret(self) -> Self:
        if self.key is None and not parse_template(self.text).secrets:
            raise ValueError(
                "needs a key, or a ${SECRET} in its text: anybody could make it"
            )
        return self

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if self.param and self.header:
            raise ValueError("write either 'param' or 'header': what carries it")
        if self.param and is_part(self.param):
            raise ValueError(f"a header is 'header: X', no 'param: {self.param}'")
        carrier = f"{HEADER}{self.header}" if self.header else self.param
        if (carrier or USUAL_PARAM) in self.parameters:
            raise ValueError(f"no signature can cover itself: {carrier or USUAL_PARAM}")
        return self

    @model_validator(mode="after")
    def _covers_something(self) -> Self:
        headers = {name for name in self.parameters if name.startswith(HEADER)}
        if not self.covers_all and self.parameters <= headers:
            raise ValueError(
                "'text' must contain a parameter, such as {click_id}, or {body}, {url}"
                " or {sorted}: this one would do for any call"
            )
        return self

    @model_validator(mode="after")
    def _uses_what_it_reads(self) -> Self:
        macros = parse_template(self.text).macros
        if taken := self.vars.keys() & WHOLES:
            raise ValueError(f"'vars' cannot have {one_of(sorted(taken))}: it is ours")
        if idle := sorted(self.vars.keys() - macros):
            raise ValueError(f"{{{idle[0]}}} is read, but not in the text")
        if self.within and self.time not in macros:
            raise ValueError(
                f"'within' needs the time in the text: {{{self.time}}}, or what"
                f" 'time' says{suggest(self.time, macros)}"
            )
        if not self.within and "time" in self.model_fields_set:
            raise ValueError("'time' goes with 'within', such as within: 300s")
        return self

    @model_validator(mode="after")
    def _is_as_long(self) -> Self:
        bits = hashlib.new(self.hash).digest_size * 8
        length = bits // 4 if self.encoding == "hex" else -(-bits // 6)
        if self.first is not None and self.first > length:
            raise ValueError(f"'first' can be at most {length} of a {self.hash}")
        return self

    @model_validator(mode="after")
    def _has_a_readable_key(self, info: ValidationInfo) -> Self:
        if self.key is None and self.key_encoding != "text":
            raise ValueError("'key_encoding' needs a key")
        secrets = (info.context or {}).get("secrets", {})
        try:
            key = expand_text(parse_template(self.key or ""), {}, secrets)
            read_key(key, self.key_encoding)
        except KeyError:
            return self
        except ValueError:
            raise ValueError(f"'key' is not {self.key_encoding}") from None
        return self


def compile_signature(section: SignatureSection | None) -> Signature | None:
    """The rule that a section stands for."""
    if section is None:
        return None
    return Signature(
        param=section.param or USUAL_PARAM,
        header=section.header,
        read=section.read,
        vars=dict(section.vars),
        hash=section.hash,
        encoding=section.encoding,
        text=section.text,
        key=section.key,
        key_encoding=section.key_encoding,
        first=section.first,
        time=section.time,
        within=section.within,
    )
