"""The logs, row by row: clicks, postbacks, conversions, deliveries, quarantine."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.api.calls import (
    CURSOR,
    LIMIT,
    Call,
    Parameter,
    answer_list,
    one_of,
    place_of,
)
from tracker.console.asking import Asked
from tracker.console.logs import (
    CLASSES,
    OUTCOMES,
    REASONS_OF_CLICKS,
    REASONS_OF_DELIVERIES,
    REASONS_OF_POSTBACKS,
    STATES,
    ask_clicks,
    ask_conversions,
    ask_deliveries,
    ask_postbacks,
    ask_quarantine,
    found_or_refused,
    list_clicks,
    list_conversions,
    list_deliveries,
    postback_wanted,
)
from tracker.console.pages import runtime_of
from tracker.domain.click import SUBS
from tracker.domain.offer import Status
from tracker.domain.outcome import Verdict
from tracker.domain.person import Permission
from tracker.domain.traffic import DEVICES, TRAFFIC
from tracker.store.journal import ListedClick, OwnClick, OwnConversion
from tracker.store.paging import Page
from tracker.store.reports import ListedConversion, ListedDelivery, ListedPostback

Listing: TypeAlias = Awaitable[Page[Any]]

_DAY = {"format": "date"}
_DAYS = (
    Parameter("from", "The first day, in UTC: 2026-11-22.", rules=_DAY),
    Parameter("to", "The last day, likewise; it is included.", rules=_DAY),
)
_LABELS = tuple(
    Parameter(name, f"Exactly this {name} of the click; one label at a time.")
    for name in SUBS
)
_PARTNER = Parameter("partner", "Its key.", is_for_staff=True)
_OFFER = Parameter("offer", "Its key.")
_ADVERTISER = Parameter("advertiser", "Its key.", is_for_staff=True)
_TRANSACTION = Parameter("transaction", "The advertiser's id of the order.")


def _word(name: str, words: Sequence[str]) -> Parameter:
    return Parameter(name, "One of these words.", rules=one_of(words))


OF_CLICKS = (
    _PARTNER,
    _ADVERTISER,
    _OFFER,
    _word("class", CLASSES),
    _word("reason", REASONS_OF_CLICKS),
    Parameter("country", "Two letters."),
    _word("device", DEVICES),
    _word("traffic", TRAFFIC),
    *_LABELS,
)
_OF_QUARANTINE = (_ADVERTISER, _word("reason", REASONS_OF_POSTBACKS), _TRANSACTION)
OF_POSTBACKS = (_word("outcome", OUTCOMES), *_OF_QUARANTINE)
OF_CONVERSIONS = (
    _PARTNER,
    _ADVERTISER,
    _OFFER,
    Parameter("goal", "Its key."),
    _word("status", tuple(Status)),
    _TRANSACTION,
)
OF_DELIVERIES = (
    _PARTNER,
    Parameter("postback", "Its id in the catalog."),
    _word("state", STATES),
    _word("reason", REASONS_OF_DELIVERIES),
)
"""What the rows of a log, and of its tail, can be filtered by."""


async def clicks(request: Request) -> Response:
    """As the page of clicks has them."""
    asked = _placed(request, ask_clicks)
    return await _answered(list_clicks(runtime_of(request), request, asked))


async def postbacks(request: Request) -> Response:
    """Likewise."""
    asked = _placed(request, ask_postbacks)
    journal = runtime_of(request).journal
    return await _answered(journal.list_postbacks(postback_wanted(asked), asked.place))


async def quarantine(request: Request) -> Response:
    """Likewise."""
    asked = _placed(request, ask_quarantine)
    wanted = postback_wanted(asked, Verdict.QUARANTINED)
    journal = runtime_of(request).journal
    return await _answered(journal.list_postbacks(wanted, asked.place))


async def conversions(request: Request) -> Response:
    """Likewise."""
    asked = _placed(request, ask_conversions)
    return await _answered(list_conversions(runtime_of(request), request, asked))


async def deliveries(request: Request) -> Response:
    """Likewise."""
    asked = _placed(request, ask_deliveries)
    return await _answered(list_deliveries(runtime_of(request), request, asked))


def _placed(request: Request, ask: Callable[[Request], Asked]) -> Asked:
    return replace(ask(request), place=place_of(request))


async def _answered(listing: Listing) -> Response:
    found = await found_or_refused(listing)
    return answer_list(found.rows, found.older)


def _log(  # noqa: PLR0913, PLR0917 - what a log is
    path: str,
    endpoint: Callable[[Request], Awaitable[Response]],
    says: str,
    filters: Sequence[Parameter],
    row: Any,
    own: Any = None,
) -> Call:
    """
    A log, the newest rows first.

    A page may be empty and have a `next`: so far was looked for what no index finds.
    """
    return Call(
        "GET",
        path,
        endpoint,
        Permission.OWN if own else Permission.SEE,
        f"{says}, the newest first",
        answer=row,
        own=None if own is row else own,
        parameters=(*filters, *_DAYS, CURSOR, LIMIT),
        is_list=True,
    )


CALLS = (
    _log("/clicks", clicks, "Clicks", OF_CLICKS, ListedClick, OwnClick),
    _log(
        "/postbacks",
        postbacks,
        "Postbacks as they came",
        OF_POSTBACKS,
        ListedPostback,
    ),
    _log(
        "/quarantine",
        quarantine,
        "Postbacks that are in quarantine still",
        _OF_QUARANTINE,
        ListedPostback,
    ),
    _log(
        "/conversions",
        conversions,
        "Conversions as they stand",
        (*OF_CONVERSIONS, *_LABELS),
        ListedConversion,
        OwnConversion,
    ),
    _log(
        "/deliveries",
        deliveries,
        "What partners are owed and were told, every round",
        OF_DELIVERIES,
        ListedDelivery,
        ListedDelivery,
    ),
)
