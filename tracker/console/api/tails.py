"""The logs as they go on: server-sent events, each of them one row in JSON."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tracker.console.api.calls import Call, Parameter
from tracker.console.api.logs import (
    OF_CLICKS,
    OF_CONVERSIONS,
    OF_DELIVERIES,
    OF_POSTBACKS,
)
from tracker.console.pages import person_of
from tracker.console.tail import MEDIA_TYPE, follow
from tracker.domain.person import Permission
from tracker.store.journal import (
    ListedClick,
    OwnClick,
    OwnConversion,
    own_click,
    own_conversion,
)
from tracker.store.reports import ListedConversion, ListedDelivery, ListedPostback


async def clicks(request: Request) -> Response:
    """As they are folded."""
    return await _followed(request, "clicks", own_click)


async def postbacks(request: Request) -> Response:
    """As they are decided."""
    return await _followed(request, "postbacks")


async def conversions(request: Request) -> Response:
    """As they come, and not again when they change."""
    return await _followed(request, "conversions", own_conversion)


async def deliveries(request: Request) -> Response:
    """As they become owed."""
    return await _followed(request, "deliveries")


async def _followed(
    request: Request, name: str, own: Callable[[Any], Any] | None = None
) -> Response:
    """Rows as the log has them for who asks; `own` makes a partner's of them."""
    is_staff = person_of(request).scope is None
    show = None if is_staff else own

    def tell(rows: Sequence[Any]) -> str:
        return "".join(_event(show(one) if show else one) for one in rows)

    return await follow(request, name, tell)


def _event(row: Any) -> str:
    """JSON has no line ends of its own, so one line holds a row."""
    return f"data: {msgspec.json.encode(row).decode()}\n\n"


def _tail(
    endpoint: Callable[[Request], Awaitable[Response]],
    filters: Sequence[Parameter],
    row: Any,
    own: Any = None,
) -> Call:
    return Call(
        "GET",
        f"/{endpoint.__name__}/tail",
        endpoint,
        Permission.OWN if own else Permission.SEE,
        "The same log as it goes on, each event a row in JSON",
        answer=row,
        own=None if own is row else own,
        parameters=filters,
        answer_type=MEDIA_TYPE,
    )


CALLS = (
    _tail(clicks, OF_CLICKS, ListedClick, OwnClick),
    _tail(postbacks, OF_POSTBACKS, ListedPostback),
    _tail(conversions, OF_CONVERSIONS, ListedConversion, OwnConversion),
    _tail(deliveries, OF_DELIVERIES, ListedDelivery, ListedDelivery),
)
