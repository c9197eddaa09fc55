"""
What partners would be told: of a past click, a past conversion, or a made-up one.

Everything is made by what makes it in earnest: the click by `draw_click`, the
conversion by a ledger that stands empty, each call by `build_request`. Nothing is
written, and nobody is called.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

from tracker.domain.catalog import Catalog
from tracker.domain.click import Visit, draw_click, plan_visit
from tracker.domain.click_id import ClickClass, ClickFacts, ClickId
from tracker.domain.conversion import Cause, Change, ChangeKind, Ledger
from tracker.domain.delivery import (
    Audience,
    audiences_of,
    find_postback,
    revealed,
)
from tracker.domain.errors import (
    NotFoundError,
    QuarantinedError,
    RefusedChangeError,
    TemplateError,
)
from tracker.domain.firing import find_silence
from tracker.domain.identity import (
    ChangeId,
    ConversionId,
    DeliveryId,
    new_postback_id,
)
from tracker.domain.judgement import Admitted, propose
from tracker.domain.macro_values import Occasion, asked_values, macro_values
from tracker.domain.macros import MASK, SENT_PARAMETER, asks_for_click, masked
from tracker.domain.money import Numerals
from tracker.domain.offer import Status
from tracker.domain.outbound import PartnerPostback
from tracker.domain.outcome import REASONS, Reason
from tracker.domain.postback import Postback
from tracker.domain.request import Request, build_request
from tracker.domain.vocabulary import Meaning, Pairs, Statement
from tracker.domain.worth import Money
from tracker.flow.trace import TracedClick, find_click
from tracker.runtime import Runtime
from tracker.store.reports import ListedChange, ListedDelivery

_TEST_ORDER = "test-order"
_HARMLESS_URL = "https://masked.invalid/"
_UNSAID = {
    Reason.MISSING_AMOUNT: "amount",
    Reason.MISSING_GOAL: "goal",
    Reason.UNKNOWN_GOAL: "goal",
}
_OF_THE_ID = frozenset({"click_id", "clicked_at", "partner", "offer"})

_MADE_BY_THE_CALL = {
    "now": "the time of each attempt",
    "uuid": "made of the id of the delivery",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """
    What is rehearsed: the click or conversion `asked` for, or a visit that is made up.

    `said` is what an advertiser would say of it, in our words or its own.
    """

    asked: str = ""
    visit: Visit | None = None
    said: Mapping[Meaning, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FilledMacro:
    """A macro of a postback, its value, and where that is from, or why it is empty."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class RehearsedCall:
    """
    One postback: the call it would make, or why it would not.

    `audience` is who is told: the partner, `offer:KEY` or `*`. `silence` has the
    conditions that keep it silent; `problem` says why there is no call. What is
    `shown` has no secrets.
    """

    audience: str
    postback: PartnerPostback
    silence: Sequence[str]
    macros: Sequence[FilledMacro]
    problem: str = ""
    request: Request | None = None
    shown: Request | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What there is to tell, of which click, and each call that may tell it."""

    occasion: Occasion
    click: TracedClick
    is_made_up: bool = False
    calls: Sequence[RehearsedCall] = ()


async def rehearse(runtime: Runtime, choice: Choice) -> Rehearsal:
    """
    What would be told of it, by the catalog in force.

    Raises NotFoundError for an id that is not there, UnknownLinkError for a link that
    is not listed, and RefusedChangeError where no conversion would come of it.
    """
    now = datetime.now(UTC)
    return rehearse_calls(await _find(runtime, choice, now), now)


def rehearse_calls(found: Rehearsal, now: datetime) -> Rehearsal:
    """The same with each call that may tell it."""
    calls = [
        _rehearsed(audience, postback, found, now)
        for audience in audiences_of(found.occasion)
        for postback in audience.postbacks
    ]
    return replace(found, calls=calls)


def choose_call(rehearsal: Rehearsal, postback: str = "") -> RehearsedCall:
    """The call of that name, or the only one; raises NotFoundError."""
    calls = name_calls(rehearsal)
    if not postback and len(calls) == 1:
        return rehearsal.calls[0]
    if postback not in calls:
        wrong = f"no postback {postback!r}" if postback else "name the postback"
        raise NotFoundError(f"{wrong}; there are {', '.join(calls) or 'none'}")
    return calls[postback]


def name_calls(rehearsal: Rehearsal) -> dict[str, RehearsedCall]:
    """
    Each call by the name that `choose_call` knows it by.

    `sales` is the partner's own; those of others are `offer:KEY/sales` and `*/sales`.
    """
    own = rehearsal.occasion.conversion.partner
    return {_name(one, own): one for one in rehearsal.calls}


def _name(call: RehearsedCall, own: str) -> str:
    name = call.postback.id
    return name if call.audience == own else f"{call.audience}/{name}"


async def spell_delivery(runtime: Runtime, delivery: ListedDelivery) -> Request | None:
    """
    The call of a delivery by the template in force now, without secrets.

    None where its postback was removed, or no call can be made.
    """
    catalog, now = runtime.catalog, datetime.now(UTC)
    identity = DeliveryId(delivery.id)
    values = await runtime.reports.get_values(delivery)
    try:
        audience, postback = find_postback(catalog, delivery.partner, delivery.postback)
        seen = revealed(audience, values)
        request = build_request(postback, seen, catalog.secrets, identity, now)
        veiled = _veiled(postback, seen, catalog.secrets, identity, now)
    except (NotFoundError, TemplateError):
        return None
    return _shown(request, veiled, postback)


async def _find(runtime: Runtime, choice: Choice, now: datetime) -> Rehearsal:
    if choice.visit is not None:
        return _imagined(runtime, choice.visit, choice.said, now)
    if choice.asked.startswith("cv_"):
        return await _remembered(runtime, ConversionId(choice.asked))
    click = await find_click(runtime, choice.asked)
    if click.facts is None:
        raise NotFoundError(f"{choice.asked}: {click.doubt}")
    return _converted(runtime, click, click.facts, choice.said, now)


def _imagined(
    runtime: Runtime, visit: Visit, said: Mapping[Meaning, str], now: datetime
) -> Rehearsal:
    click = imagine_click(runtime, visit, now)
    facts = runtime.mint.read(click.id)
    return replace(_converted(runtime, click, facts, said, now), is_made_up=True)


def imagine_click(
    runtime: Runtime, visit: Visit, now: datetime, *, click_id: str = ""
) -> TracedClick:
    """
    A click that nobody made, of the class of tests; it is kept nowhere.

    With the id of one that was made up before it is that one again. Raises
    UnknownLinkError for a link that is not listed.
    """
    plan = plan_visit(visit, runtime.catalog, now=now)
    made = ClickId(click_id) or runtime.mint.mint(
        now=now,
        shard=0,
        click_class=ClickClass.TEST,
        partner_number=plan.partner.number,
        offer_number=plan.offer.number,
    )
    facts = runtime.mint.read(made)
    return TracedClick(
        facts.id,
        "nowhere",
        facts=facts,
        partner=plan.partner.key,
        offer=plan.offer.key,
        record=draw_click(plan, facts.id, runtime.seal, now=facts.clicked_at),
    )


def _converted(
    runtime: Runtime,
    click: TracedClick,
    facts: ClickFacts,
    said: Mapping[Meaning, str],
    now: datetime,
) -> Rehearsal:
    """A conversion as it would come of the click, were it reported in time."""
    catalog, ledger = runtime.catalog, Ledger({}, [])
    rules = runtime.rules().but(waived=Reason.REFUSED_CLICK)
    try:
        proposal = propose(_admitted(catalog, facts, said, now), rules)
        if proposal is None:
            raise RefusedChangeError("this status is ignored: nobody is told")
        ledger.decide(proposal, rules)
    except QuarantinedError as error:
        meaning = REASONS[error.reason][1]
        unsaid = _UNSAID.get(error.reason)
        raise RefusedChangeError(
            f"no conversion would come of it: {error.reason}, {meaning}"
            + (f"; say its {unsaid}" if unsaid else "")
        ) from None
    (change,) = ledger.changes
    conversion, sent = ledger.get_after(change), tuple(said.items())
    occasion = Occasion(change, conversion, click.record, catalog, sent)
    return Rehearsal(occasion, click)


def _admitted(
    catalog: Catalog, facts: ClickFacts, said: Mapping[Meaning, str], now: datetime
) -> Admitted:
    """What its advertiser would have said of it, in time, with amounts as we write."""
    offer = catalog.offer_numbered(facts.offer_number)
    advertiser = replace(catalog.advertiser(offer.advertiser), numerals=Numerals())
    in_time = min(now, facts.clicked_at + offer.window)
    at = max(in_time, facts.clicked_at + offer.limits.min_click_age)
    statement = Statement({"transaction_id": _TEST_ORDER, **said})
    postback = Postback(new_postback_id(at), at, "", "", "")
    return Admitted(postback, statement, advertiser, facts)


async def _remembered(runtime: Runtime, asked: ConversionId) -> Rehearsal:
    """A conversion as it stands, and the change that it had last."""
    catalog = runtime.catalog
    async with runtime.conversions.rehearsal() as opened:
        ledger = await opened.lock_conversion(asked, catalog)
    conversion = ledger.get(asked)
    *earlier, last = await runtime.reports.list_changes_of([asked])
    change = Change(
        id=ChangeId(last.id),
        conversion_id=asked,
        number=last.number,
        kind=cast("ChangeKind", last.kind),
        old_status=Status(last.old_status) if last.old_status else None,
        status=Status(last.status),
        money=conversion.money,
        cause=Cause(last.changed_at, last.catalog_version),
        old_money=_money(earlier[-1]) if earlier else None,
    )
    click = await find_click(runtime, conversion.click_id)
    sent = await _sent(runtime, last)
    return Rehearsal(Occasion(change, conversion, click.record, catalog, sent), click)


def _money(change: ListedChange) -> Money:
    revenue = change.revenue or Decimal(0)
    return Money(change.currency, change.payout, revenue, change.amount)


async def _sent(runtime: Runtime, change: ListedChange) -> Pairs:
    """What the postback said that made the change, if one did and is still kept."""
    if change.postback_id is None:
        return ()
    try:
        return (await runtime.reports.get_postback(change.postback_id)).parameters
    except NotFoundError:
        return ()


def _rehearsed(
    audience: Audience, postback: PartnerPostback, found: Rehearsal, now: datetime
) -> RehearsedCall:
    occasion = found.occasion
    delivery = DeliveryId(f"test-{occasion.change.id.removeprefix('ch_')}")
    values = _values(occasion, postback, delivery)
    seen = revealed(audience, values)
    names = sorted(postback.macros)
    call = RehearsedCall(
        audience=audience.key,
        postback=postback,
        silence=list(find_silence(postback.when, occasion)),
        macros=[_filled(name, seen, found) for name in names],
    )
    try:
        request = build_request(postback, seen, occasion.catalog.secrets, delivery, now)
        veiled = _veiled(postback, seen, occasion.catalog.secrets, delivery, now)
    except TemplateError as error:
        return replace(call, problem=str(error))
    return replace(call, request=request, shown=_shown(request, veiled, postback))


def _values(
    occasion: Occasion, postback: PartnerPostback, delivery: DeliveryId
) -> Mapping[str, str]:
    """What would be frozen into its delivery, whether it fires or not."""
    change, conversion, click = occasion.change, occasion.conversion, occasion.click
    asked = asked_values(occasion, postback.asked)
    return {**macro_values(change, conversion, click, delivery), **asked}


def _filled(name: str, values: Mapping[str, str], found: Rehearsal) -> FilledMacro:
    value, source = values.get(name, ""), _source(name, found)
    if value:
        return FilledMacro(name, value, f"from {source}")
    if name in _MADE_BY_THE_CALL:
        return FilledMacro(name, "", _MADE_BY_THE_CALL[name])
    return FilledMacro(name, "", f"empty: {source} has none")


def _source(name: str, found: Rehearsal) -> str:
    """Where the value of a macro comes from, or would."""
    if asks_for_click([name]):
        return "the made-up click" if found.is_made_up else "the click"
    if name.startswith(SENT_PARAMETER):
        return "the postback that caused it"
    if name in _OF_THE_ID:
        return "the id of the click"
    if name.endswith("_name"):
        return "the catalog"
    conversion = found.occasion.conversion
    return f"the conversion: goal {conversion.goal} of {conversion.offer}"


def _veiled(
    postback: PartnerPostback,
    values: Mapping[str, str],
    secrets: Mapping[str, str],
    delivery: DeliveryId,
    now: datetime,
) -> Request:
    """Its headers and its body, made of secrets that are masked."""
    harmless = replace(postback, url=_HARMLESS_URL, secret=None, sign=None)
    return build_request(harmless, values, masked(secrets), delivery, now)


def _shown(request: Request, veiled: Request, postback: PartnerPostback) -> Request:
    """The call for people: with what was veiled in place of what it is made of."""
    headers = {**request.headers, **veiled.headers}
    if postback.sign and postback.sign.header:
        headers[postback.sign.header] = MASK
    return replace(request, url=request.masked_url, headers=headers, body=veiled.body)
