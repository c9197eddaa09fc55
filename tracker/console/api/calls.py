"""
How a call of the API is declared, read and answered.

A declaration says all there is to say about a call: who may make it, what it takes and
what it answers. The description that programs read is made of nothing else.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import HEADERS, Page, person_of
from tracker.domain.number import read_number
from tracker.domain.person import Permission
from tracker.store.paging import Place

PREFIX = "/api/v1"
MAX_BODY = 2 * 1024 * 1024
"""Bytes; a catalog of ten thousand partners is not larger."""

MAX_ROWS = 500
USUAL_ROWS = 50

_SPELLINGS: Mapping[str, frozenset[str]] = {
    "application/json": frozenset({"application/json"}),
    "application/yaml": frozenset(
        {"application/yaml", "application/x-yaml", "text/yaml"}
    ),
}
"""Media types that say the same; what a body is must be said rightly, or not at all."""

Body = TypeVar("Body")


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    Something in the query, in the path where that names it, or in a header.

    `rules` are what JSON Schema has on its values. One `is_for_staff` that a partner's
    token must not give, and one that `may_be_empty` says something by that.
    """

    name: str
    says: str
    kind: str = "string"
    rules: Mapping[str, Any] = field(default_factory=dict)
    is_required: bool = False
    is_repeated: bool = False
    is_header: bool = False
    is_for_staff: bool = False
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """
    A call, whose path begins behind `/api/v1`.

    `answer` is the type of its JSON, of each row where `is_list`; None where the answer
    has no body. `own` is what a partner gets instead. Where `answer_type` is not JSON,
    that is the type of its parts. `example` is a body.
    """

    method: str
    path: str
    endpoint: Callable[[Request], Awaitable[Response]]
    needs: Permission
    says: str
    answer: Any = None
    own: Any = None
    parameters: Sequence[Parameter] = ()
    body: Any = None
    body_type: str = "application/json"
    is_list: bool = False
    status: int = HTTPStatus.OK
    example: Any = None
    answer_type: str = "application/json"

    def page(self) -> Page:
        """What the application serves; what a call does, it notes itself."""
        endpoint = self._strict()
        path = PREFIX + self.path
        return Page(path, endpoint, self.needs, (self.method,), notes=False)

    def _strict(self) -> Callable[[Request], Awaitable[Response]]:
        """A filter that nobody reads would answer what nobody asked for."""
        known = {one.name: one for one in self.parameters}

        @wraps(self.endpoint)
        async def ask(request: Request) -> Response:
            is_staff = person_of(request).scope is None
            for name in request.query_params:
                _refuse_parameter(known.get(name), request, name, is_staff=is_staff)
            self._refuse_type(request)
            return await self.endpoint(request)

        return ask

    def _refuse_type(self, request: Request) -> None:
        """A form, above all, is no JSON: whoever sends one has misread something."""
        said = request.headers.get("content-type", "")
        is_empty = request.headers.get("content-length") == "0"
        if not self.body or not said or is_empty:
            return
        media_type = said.partition(";")[0].strip().lower()
        if media_type not in _SPELLINGS[self.body_type]:
            raise HTTPException(415, f"the body must be {self.body_type}")


CURSOR = Parameter(
    "cursor", "What `next` of the answer before said; empty at first.",
    may_be_empty=True,
)  # fmt: skip
LIMIT = Parameter(
    "limit",
    "So many rows at most.",
    "integer",
    {"minimum": 1, "maximum": MAX_ROWS, "default": USUAL_ROWS},
)


def answer(value: object, status: int = HTTPStatus.OK) -> Response:
    """A value as JSON: decimals as text, times as RFC 3339 in UTC."""
    body = msgspec.json.encode(value)
    return Response(body, status, HEADERS, "application/json")


def answer_list(rows: Sequence[object], next_cursor: str = "") -> Response:
    """Rows, and the cursor of what follows; null at the end."""
    return answer({"items": rows, "next": next_cursor or None})


def place_of(request: Request) -> Place:
    """Where the rows that are wanted begin, and how many they are."""
    cursor = request.query_params.get(CURSOR.name, "")
    return Place(older_than=cursor, size=limit_of(request))


def done() -> Response:
    """It was done, and there is nothing to say about it."""
    return Response(None, HTTPStatus.NO_CONTENT, HEADERS)


def limit_of(request: Request) -> int:
    """How many rows are wanted; 400 for what is no such number."""
    text = request.query_params.get(LIMIT.name) or str(USUAL_ROWS)
    rows = read_number(text, MAX_ROWS)
    if not rows:
        raise HTTPException(400, f"limit must be a number from 1 to {MAX_ROWS}")
    return rows


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The JSON body as that type; 400, 413 or 422 where it is none."""
    text = await read_text(request)
    try:
        body = msgspec.json.decode(text or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise HTTPException(422, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from error
    # It nests no deeper than its type does by now.
    json.loads(text or b"{}", object_pairs_hook=_refuse_repeated)
    return body


def one_of(words: Iterable[str]) -> Mapping[str, Any]:
    """The rule of a parameter that has one of these words."""
    return {"enum": [str(one) for one in words]}


async def read_text(request: Request) -> bytes:
    """The body as it came; 413 where it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"more than {MAX_BODY} bytes")
    return bytes(body)


def _refuse_parameter(
    one: Parameter | None, request: Request, name: str, *, is_staff: bool
) -> None:
    values = request.query_params.getlist(name)
    if one is None or (one.is_for_staff and not is_staff):
        raise HTTPException(400, f"there is no parameter {name[:40]!r}")
    if len(values) > 1 and not one.is_repeated:
        raise HTTPException(400, f"{name} is given more than once")
    if not all(values) and not one.may_be_empty:
        raise HTTPException(400, f"{name} is empty: leave it out")


def _refuse_repeated(pairs: Sequence[tuple[str, Any]]) -> None:
    """Of two amounts nobody knows which was meant."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise HTTPException(422, "the body says something twice")
