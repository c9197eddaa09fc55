"""The logs: clicks, postbacks, conversions, deliveries and quarantine, page by page."""

from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.asking import (
    DAYS,
    LABEL,
    Asked,
    Field,
    advertiser_field,
    bad_request,
    offer_field,
    partner_field,
    read_asked,
)
from tracker.console.pages import Page, page, person_of, runtime_of
from tracker.domain.catalog import Catalog
from tracker.domain.click import ClickReason
from tracker.domain.click_id import ClickClass
from tracker.domain.delivery import DeadReason, HeldReason
from tracker.domain.judgement import WAIVABLE
from tracker.domain.number import read_number
from tracker.domain.offer import Status
from tracker.domain.outcome import Reason, Verdict
from tracker.domain.person import Permission
from tracker.domain.remedy import REMEDIES
from tracker.domain.traffic import DEVICES, TRAFFIC
from tracker.flow.story import meaning
from tracker.runtime import Runtime
from tracker.store.journal import (
    ClickWanted,
    ConversionWanted,
    DeliveryWanted,
    PostbackWanted,
)
from tracker.store.paging import Page as Found
from tracker.store.reports import PastAttempt

Rows = TypeVar("Rows")

CLASSES = tuple(one.word for one in ClickClass)
OUTCOMES = tuple(one for one in Verdict if one is not Verdict.SPOOLED)
STATES = ("owed", "held", "delivered", "dead")
REASONS_OF_CLICKS = tuple(filter(None, ClickReason))
REASONS_OF_POSTBACKS = tuple(filter(None, Reason))
REASONS_OF_DELIVERIES = (*HeldReason, *DeadReason)

_COUNTED_DAYS = timedelta(days=30)


async def show_clicks(request: Request) -> Response:
    """Clicks; a partner sees its own."""
    asked = ask_clicks(request)
    found = await found_or_refused(list_clicks(runtime_of(request), request, asked))
    return page(request, "clicks.html", asked=asked, found=found)


async def show_postbacks(request: Request) -> Response:
    """Postbacks as they came, believed or not."""
    asked = ask_postbacks(request)
    wanted = postback_wanted(asked)
    found = await found_or_refused(
        runtime_of(request).journal.list_postbacks(wanted, asked.place)
    )
    return page(
        request,
        "postbacks.html",
        asked=asked,
        found=found,
        meaning=meaning,
        remedy=remedy,
    )


async def show_conversions(request: Request) -> Response:
    """Conversions as they stand; a partner sees its own."""
    asked = ask_conversions(request)
    found = await found_or_refused(
        list_conversions(runtime_of(request), request, asked)
    )
    return page(request, "conversions.html", asked=asked, found=found)


async def show_deliveries(request: Request) -> Response:
    """What is owed, held, delivered and dead, and what the last answer was."""
    runtime = runtime_of(request)
    asked = ask_deliveries(request)
    found = await found_or_refused(list_deliveries(runtime, request, asked))
    is_staff = person_of(request).scope is None
    return page(
        request,
        "deliveries.html",
        asked=asked,
        found=found,
        last=await last_attempts(runtime, found.rows),
        lanes=await runtime.lanes.list_stopped() if is_staff else (),
    )


async def show_quarantine(request: Request) -> Response:
    """What is in quarantine still, by reason, with what to do about each."""
    runtime = runtime_of(request)
    asked = ask_quarantine(request)
    wanted = postback_wanted(asked, Verdict.QUARANTINED)
    until = asked.until or datetime.now(UTC)
    since = asked.since or until - _COUNTED_DAYS
    return page(
        request,
        "quarantine.html",
        asked=asked,
        found=await found_or_refused(
            runtime.journal.list_postbacks(wanted, asked.place)
        ),
        refusals=await runtime.journal.count_quarantined(since, until),
        since=since,
        waivable=sorted(WAIVABLE),
        released=_number(request, "released"),
        stayed=_number(request, "stayed"),
        meaning=meaning,
        remedy=remedy,
    )


async def list_clicks(runtime: Runtime, request: Request, asked: Asked) -> Found[Any]:
    """As the one who asks may see them."""
    wanted = click_wanted(asked, runtime.catalog)
    own = person_of(request).scope
    if own is None:
        return await runtime.journal.list_clicks(wanted, asked.place)
    return await runtime.journal.list_own_clicks(own, wanted, asked.place)


async def list_conversions(
    runtime: Runtime, request: Request, asked: Asked
) -> Found[Any]:
    """Likewise."""
    wanted = conversion_wanted(asked)
    own = person_of(request).scope
    if own is None:
        return await runtime.journal.list_conversions(wanted, asked.place)
    return await runtime.journal.list_own_conversions(own, wanted, asked.place)


async def list_deliveries(
    runtime: Runtime, request: Request, asked: Asked
) -> Found[Any]:
    """Likewise."""
    wanted = delivery_wanted(asked)
    own = person_of(request).scope
    if own is None:
        return await runtime.journal.list_deliveries(wanted, asked.place)
    return await runtime.journal.list_own_deliveries(own, wanted, asked.place)


async def last_attempts(
    runtime: Runtime, deliveries: Sequence[Any]
) -> dict[tuple[str, int], PastAttempt]:
    """The last try at each, by delivery and round."""
    if not deliveries:
        return {}
    made = await runtime.reports.list_attempts_of(
        (one.id for one in deliveries),
        first_day=min(one.created_at for one in deliveries).date(),
    )
    return {(one.delivery_id, one.round): one for one in made}


def ask_clicks(request: Request) -> Asked:
    """The filters of clicks."""
    catalog = runtime_of(request).catalog
    fields = (
        *_of_staff(request, partner_field(catalog), advertiser_field(catalog)),
        offer_field(catalog, person_of(request).scope),
        Field("class", "Kind", CLASSES),
        Field("reason", "Reason", REASONS_OF_CLICKS),
        Field("country", "Country"),
        Field("device", "Device", DEVICES),
        Field("traffic", "Traffic", TRAFFIC),
        *LABEL,
        *DAYS,
    )
    return read_asked(request, "/clicks", fields)


def ask_postbacks(request: Request) -> Asked:
    """The filters of postbacks."""
    fields = (
        advertiser_field(runtime_of(request).catalog),
        Field("outcome", "Outcome", OUTCOMES),
        Field("reason", "Reason", REASONS_OF_POSTBACKS),
        Field("transaction", "Transaction"),
        *DAYS,
    )
    return read_asked(request, "/postbacks", fields)


def ask_quarantine(request: Request) -> Asked:
    """The filters of quarantine."""
    fields = (
        advertiser_field(runtime_of(request).catalog),
        Field("reason", "Reason", REASONS_OF_POSTBACKS),
        Field("transaction", "Transaction"),
        *DAYS,
    )
    return read_asked(request, "/quarantine", fields)


def ask_conversions(request: Request) -> Asked:
    """The filters of conversions."""
    catalog = runtime_of(request).catalog
    fields = (
        *_of_staff(request, partner_field(catalog), advertiser_field(catalog)),
        offer_field(catalog, person_of(request).scope),
        Field("goal", "Goal"),
        Field("status", "Status", tuple(Status)),
        Field("transaction", "Transaction"),
        *LABEL,
        *DAYS,
    )
    return read_asked(request, "/conversions", fields)


def ask_deliveries(request: Request) -> Asked:
    """The filters of deliveries."""
    catalog = runtime_of(request).catalog
    fields = (
        *_of_staff(request, partner_field(catalog)),
        Field("postback", "Postback"),
        Field("state", "State", STATES),
        Field("reason", "Reason", REASONS_OF_DELIVERIES),
        *DAYS,
    )
    return read_asked(request, "/deliveries", fields)


def click_wanted(asked: Asked, catalog: Catalog) -> ClickWanted:
    """Clicks know offers: those of an advertiser are those of the catalog in force."""
    chosen = asked.get("class")
    return ClickWanted(
        partner=asked.get("partner"),
        offers=_offers(asked, catalog),
        click_class=ClickClass[chosen.upper()] if chosen else None,
        reason=asked.get("reason"),
        country=asked.get("country"),
        device=asked.get("device"),
        traffic=asked.get("traffic"),
        label=asked.label,
        since=asked.since,
        until=asked.until,
    )


def postback_wanted(asked: Asked, outcome: str | None = None) -> PostbackWanted:
    """Of that outcome, or of the one that was asked for."""
    return PostbackWanted(
        outcome=outcome or asked.get("outcome"),
        reason=asked.get("reason"),
        advertiser=asked.get("advertiser"),
        transaction_id=asked.get("transaction"),
        since=asked.since,
        until=asked.until,
    )


def conversion_wanted(asked: Asked) -> ConversionWanted:
    """As it was asked."""
    return ConversionWanted(
        status=asked.get("status"),
        partner=asked.get("partner"),
        offer=asked.get("offer"),
        advertiser=asked.get("advertiser"),
        goal=asked.get("goal"),
        transaction_id=asked.get("transaction"),
        label=asked.label,
        since=asked.since,
        until=asked.until,
    )


def delivery_wanted(asked: Asked) -> DeliveryWanted:
    """As it was asked."""
    return DeliveryWanted(
        state=asked.get("state"),
        partner=asked.get("partner"),
        postback=asked.get("postback"),
        reason=asked.get("reason"),
        since=asked.since,
        until=asked.until,
    )


async def found_or_refused(listing: Awaitable[Found[Rows]]) -> Found[Rows]:
    """A cursor that is none of the log's is the asker's mistake."""
    try:
        return await listing
    except ValueError as error:
        raise bad_request(str(error)) from error


def _of_staff(request: Request, *fields: Field) -> tuple[Field, ...]:
    """A partner has no use for them, and no right to them."""
    return fields if person_of(request).scope is None else ()


def _offers(asked: Asked, catalog: Catalog) -> list[str] | None:
    offer, advertiser = asked.get("offer"), asked.get("advertiser")
    if advertiser is None:
        return [offer] if offer else None
    offers = [
        key for key, one in catalog.offers.items() if one.advertiser == advertiser
    ]
    return offers if offer is None else [key for key in offers if key == offer]


def _number(request: Request, name: str) -> int | None:
    """A count that the address carries since something was done."""
    return read_number(request.query_params.get(name, ""), _MOST_COUNTED)


def remedy(reason: str) -> str:
    """What to do about the reason of a postback."""
    return REMEDIES[Reason(reason)]


_MOST_COUNTED = 99_999

PAGES = (
    Page("/clicks", show_clicks, needs=Permission.OWN),
    Page("/postbacks", show_postbacks, needs=Permission.SEE),
    Page("/conversions", show_conversions, needs=Permission.OWN),
    Page("/deliveries", show_deliveries, needs=Permission.OWN),
    Page("/quarantine", show_quarantine, needs=Permission.SEE),
)
