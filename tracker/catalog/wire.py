"""Networks, hosts, headers and statuses: what calls are made of."""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from tracker.catalog.scalars import LOOSE

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HOST = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
_ANSWER_STATUS = re.compile(r"[1-5](\d\d|xx)", re.ASCII)
_OUR_HEADERS = frozenset({
    "connection", "content-length", "content-type", "host", "transfer-encoding",
})  # fmt: skip


def check_network(text: str) -> str:
    """An address, or a block of them in CIDR notation."""
    try:
        return str(ip_network(text))
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError("has bits set after its prefix") from None
        raise ValueError(
            "must be an address or a network such as 203.0.113.0/24"
        ) from None


def check_host(text: str) -> str:
    """A host name alone, in ASCII."""
    host = text.lower().removesuffix(".")
    if not _HOST.fullmatch(host):
        raise ValueError(
            "must be a host name alone, such as shop.acme.example"
            " (no https://, no path, no port, no '*')"
        )
    return host


def check_header(text: str) -> str:
    """The name of a header that an operator may set."""
    if not HEADER_NAME.fullmatch(text):
        raise ValueError("is not the name of a header")
    if text.lower() in _OUR_HEADERS or text.lower().startswith("webhook-"):
        raise ValueError("this header is set by the tracker itself")
    return text


def check_sent_header(text: str) -> str:
    """The name of a header that somebody sends."""
    if not HEADER_NAME.fullmatch(text):
        raise ValueError("is not the name of a header")
    return text.lower()


def check_content_type(text: str) -> str:
    """`text/plain`, with parameters or without."""
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+(;[ -~]*)?", text, re.ASCII):
        raise ValueError("must be a content type such as text/plain")
    return text


def check_answer_status(text: str) -> str:
    """`404`, or `4xx` for all of its hundred."""
    if not _ANSWER_STATUS.fullmatch(text):
        raise ValueError("must be a status such as 404, or 4xx")
    return text


Network = Annotated[str, Field(max_length=64), AfterValidator(check_network)]
Host = Annotated[str, AfterValidator(check_host)]
Header = Annotated[str, AfterValidator(check_header)]
SentHeader = Annotated[str, AfterValidator(check_sent_header), LOOSE]
ContentType = Annotated[str, Field(max_length=200), AfterValidator(check_content_type)]
AnswerStatus = Annotated[
    str,
    AfterValidator(check_answer_status),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["2xx"]}),
]
