"""
A delivery: one call owed to one partner because a conversion changed.

What is owed, with which values, as which request, and what an answer means. The
values are frozen when the conversion changes; the template is the one in force at
each attempt.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tracker.domain.catalog import Catalog
from tracker.domain.click import Click
from tracker.domain.errors import NotFoundError
from tracker.domain.identity import ChangeId, ConversionId, DeliveryId, delivery_id
from tracker.domain.macro_values import Occasion, asked_values, macro_values
from tracker.domain.macros import SECRET_REVENUES, asks_for_click
from tracker.domain.offer import Offer
from tracker.domain.outbound import PartnerPostback, When, find_by_id
from tracker.domain.partner import Partner
from tracker.domain.request import host_of
from tracker.domain.value import Value

OF_OFFER = "offer:"
"""What the name of an offer begins with where it is told of conversions."""

UNDECIDED = "when"
"""Stands among the values of a delivery whose labels nobody knew when it was owed."""

EVERYBODY = "*"
"""The name under which the catalog as a whole is told."""

MAX_AGE = timedelta(days=7)
"""What is unfinished by then is dead."""

MAX_WAIT_FOR_CLICK = timedelta(hours=24)
"""How long the details of a click may be on their way."""


class HeldReason(StrEnum):
    """Why a delivery waits, and does not become due by itself."""

    PAUSED_LANE = "paused_lane"
    REMOVED_POSTBACK = "removed_postback"
    CLICK_DETAILS = "click_details"


class DeadReason(StrEnum):
    """Why a delivery was given up; `replay` owes it again."""

    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    EXPIRED = "expired"
    CLICK_DETAILS_LOST = "click_details_lost"
    REFUSED = "refused"
    NOT_WANTED = "not_wanted"


class Failure(StrEnum):
    """Why one attempt did not deliver; the next may."""

    NONE = ""
    FORBIDDEN_ADDRESS = "forbidden_address"
    NO_ADDRESS = "no_address"
    NO_CONNECTION = "no_connection"
    BAD_CERTIFICATE = "bad_certificate"
    TIMEOUT = "timeout"
    BROKEN_ANSWER = "broken_answer"
    BAD_STATUS = "bad_status"
    NO_SUCCESS_PATTERN = "no_success_pattern"
    GONE = "gone"
    FINAL_ANSWER = "final_answer"
    RETRY_ANSWER = "retry_answer"
    BAD_TEMPLATE = "bad_template"
    WORKER_DIED = "worker_died"


EXPLANATIONS: Mapping[HeldReason | DeadReason | Failure, str] = {
    HeldReason.PAUSED_LANE: "a 410 paused the lane, until an operator resumes it",
    HeldReason.REMOVED_POSTBACK: "the partner or its postback is not in the catalog",
    HeldReason.CLICK_DETAILS: "the details of its click have not arrived yet",
    DeadReason.ATTEMPTS_EXHAUSTED: "the last attempt of the schedule failed too",
    DeadReason.EXPIRED: "it was still unfinished after seven days",
    DeadReason.CLICK_DETAILS_LOST: (
        "the template needs details of the click that did not arrive within a day"
    ),
    DeadReason.REFUSED: "the answer was one that `final` lists",
    DeadReason.NOT_WANTED: (
        "its click came late and has not the labels of `when`, or a value that the"
        " template requires is empty"
    ),
    Failure.NONE: "nothing went wrong",
    Failure.FORBIDDEN_ADDRESS: (
        "the host has an address that is neither public nor allowed"
    ),
    Failure.NO_ADDRESS: "the host's name could not be resolved",
    Failure.NO_CONNECTION: "nothing accepted the connection",
    Failure.BAD_CERTIFICATE: "the connection could not be secured",
    Failure.TIMEOUT: "no connection within 5 seconds, or no answer within 15",
    Failure.BROKEN_ANSWER: "what came back was cut off, or was not HTTP",
    Failure.BAD_STATUS: "the answer's status was no success",
    Failure.NO_SUCCESS_PATTERN: "the answer's body lacked what success asks for",
    Failure.GONE: "the answer was 410, which pauses the lane",
    Failure.FINAL_ANSWER: "the answer was one that `final` lists, and ends it",
    Failure.RETRY_ANSWER: "the answer was one that `retry` lists",
    Failure.BAD_TEMPLATE: "the request could not be made from its template",
    Failure.WORKER_DIED: "the worker ended during the attempt; nobody knows its end",
}
"""One sentence for each reason."""


class Delivery(Value, frozen=True):
    """
    What is owed to a partner, or to another audience: `partner` is its key.

    `lane` is what fails or waits together: `partner/postback@host`. `number` is
    that of the change: for one conversion and postback they go in this order.
    `round` is 1, and one more for each replay. `has_click` says whether the values
    hold the details of the click. Until it is written, both times are the change's,
    but for the delay that its postback wants.
    """

    id: DeliveryId
    change_id: ChangeId
    conversion_id: ConversionId
    partner: str
    postback: str
    lane: str
    number: int
    macro_values: Mapping[str, str]
    has_click: bool
    created_at: datetime
    due_at: datetime
    round: int = 1
    attempts: int = 0
    held_reason: HeldReason | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The partner was told."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Due again after `delay`."""

    failure: Failure
    delay: timedelta


@dataclass(frozen=True, slots=True)
class Dead:
    """Given up, until somebody replays it."""

    reason: DeadReason
    failure: Failure = Failure.NONE


@dataclass(frozen=True, slots=True)
class Hold:
    """Waits outside the schedule; `failure` is set if a call was made."""

    reason: HeldReason
    failure: Failure = Failure.NONE


Verdict = Delivered | Retry | Dead | Hold


class Audience(Value, frozen=True):
    """
    Who is told of a conversion, and by which postbacks.

    `key` is the partner's; `offer:KEY` is the offer that is told of every partner's
    conversions, `*` the catalog as a whole.
    """

    key: str
    postbacks: tuple[PartnerPostback, ...]
    is_retired: bool = False
    sees_revenue: bool = True


def owed_deliveries(occasion: Occasion) -> tuple[Delivery, ...]:
    """Every call that is owed for a change of a conversion."""
    return tuple(
        _owed(occasion, audience, postback)
        for audience in audiences_of(occasion)
        for postback in audience.postbacks
        if is_wanted(occasion, postback.when)
    )


def is_wanted(occasion: Occasion, when: When) -> bool:
    """
    Whether a postback fires: on entering a listed status.

    On a change of the amount alone only if it asks for `changes`.
    """
    change, conversion = occasion.change, occasion.conversion
    if when.goals and conversion.goal not in when.goals:
        return False
    if when.statuses and change.status not in when.statuses:
        return False
    if when.offers and conversion.offer not in when.offers:
        return False
    if change.kind == "amount" and not when.changes:
        return False
    if change.kind != "amount" and change.status == change.old_status:
        return False
    return _is_worth_it(occasion, when) and _is_liked(occasion, when)


def _is_worth_it(occasion: Occasion, when: When) -> bool:
    money = occasion.change.money
    if when.amount and not when.amount.holds(money.amount):
        return False
    return when.payout is None or when.payout.holds(money.payout)


def _is_liked(occasion: Occasion, when: When) -> bool:
    """As long as nobody knows the click, its labels may yet be those asked for."""
    if not when.labels or occasion.click is None:
        return True
    asked = asked_values(occasion, when.labels)
    return when.likes(occasion.click.labels() | asked)


def find_audience(catalog: Catalog, key: str) -> Audience:
    """Who is told now under that key; raises NotFoundError for what was removed."""
    found = _audience(catalog, key)
    if found.is_retired:
        raise NotFoundError(f"{key} was removed")
    return found


def find_postback(
    catalog: Catalog, audience: str, postback: str
) -> tuple[Audience, PartnerPostback]:
    """What is in force now; raises NotFoundError for what was removed."""
    found = find_audience(catalog, audience)
    return found, find_by_id(found.postbacks, postback)


def audiences_of(occasion: Occasion) -> Iterator[Audience]:
    """Everybody who has postbacks for a conversion, whether they fire or not."""
    catalog, conversion = occasion.catalog, occasion.conversion
    yield _of_partner(catalog.partner(conversion.partner))
    offer = catalog.offers.get(conversion.offer)
    if offer and offer.postbacks:
        yield _of_offer(offer)
    if catalog.postbacks:
        yield Audience(EVERYBODY, catalog.postbacks)


def _audience(catalog: Catalog, key: str) -> Audience:
    if key == EVERYBODY:
        return Audience(EVERYBODY, catalog.postbacks)
    if not key.startswith(OF_OFFER):
        return _of_partner(catalog.partner(key))
    offer = catalog.offers.get(key.removeprefix(OF_OFFER))
    if offer is None:
        raise NotFoundError(f"no {key}")
    return _of_offer(offer)


def _of_partner(partner: Partner) -> Audience:
    sees_revenue = "revenue" in partner.reveal
    return Audience(partner.key, partner.postbacks, partner.is_retired, sees_revenue)


def _of_offer(offer: Offer) -> Audience:
    return Audience(OF_OFFER + offer.key, offer.postbacks, offer.is_retired)


def needs_click(postback: PartnerPostback) -> bool:
    """Whether one of its templates asks for what only the click knows."""
    return asks_for_click(postback.macros)


def judge_missing_click(delivery: Delivery, now: datetime) -> Hold | Dead:
    """What becomes of a delivery that needs details of a click nobody has yet."""
    if now - delivery.created_at < MAX_WAIT_FOR_CLICK:
        return Hold(HeldReason.CLICK_DETAILS)
    return Dead(DeadReason.CLICK_DETAILS_LOST)


def is_still_wanted(delivery: Delivery, postback: PartnerPostback) -> bool:
    """Whether a click that came after its conversion has the labels asked for."""
    values = delivery.macro_values
    return UNDECIDED not in values or postback.when.likes(values)


def revealed(audience: Audience, values: Mapping[str, str]) -> Mapping[str, str]:
    """The values without those that a partner may not see."""
    if audience.sees_revenue:
        return values
    return {**values, **dict.fromkeys(SECRET_REVENUES, "")}


def _owed(
    occasion: Occasion, audience: Audience, postback: PartnerPostback
) -> Delivery:
    change, conversion, click = occasion.change, occasion.conversion, occasion.click
    identity = delivery_id(change.id, audience.key, postback.id)
    values = macro_values(change, conversion, click, identity)
    if postback.asked:
        values |= asked_values(occasion, postback.asked)
    if click is None and needs_click(postback):
        values |= _unknown_yet(postback)
    return Delivery(
        id=identity,
        change_id=change.id,
        conversion_id=conversion.id,
        partner=audience.key,
        postback=postback.id,
        lane=lane_of(audience, postback, occasion.catalog.secrets),
        number=change.number,
        macro_values=values,
        has_click=click is not None,
        created_at=change.changed_at,
        due_at=change.changed_at + postback.delay,
        held_reason=_held_reason(audience, postback, click),
    )


def _unknown_yet(postback: PartnerPostback) -> dict[str, str]:
    """What stands in place of what the click will tell, so that it is looked for."""
    missing = {name: "" for name in postback.asked if asks_for_click([name])}
    return missing | ({UNDECIDED: "labels"} if postback.when.labels else {})


def lane_of(
    audience: Audience, postback: PartnerPostback, secrets: Mapping[str, str]
) -> str:
    """`audience/postback@host`; no value can change the host, so none is needed."""
    return f"{audience.key}/{postback.id}@{host_of(postback.url, secrets)}"


def _held_reason(
    audience: Audience, postback: PartnerPostback, click: Click | None
) -> HeldReason | None:
    if audience.is_retired:
        return HeldReason.REMOVED_POSTBACK
    if click is None and needs_click(postback):
        return HeldReason.CLICK_DETAILS
    return None
