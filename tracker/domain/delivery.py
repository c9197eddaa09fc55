"""
A delivery: one call owed to one partner because a conversion changed.

What is owed, with which values, as which request, and what an answer means. The
values are frozen when the conversion changes; the template is the one in force at
each attempt.
"""

import base64
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, urlencode, urlsplit

from tracker import __version__
from tracker.domain import macros
from tracker.domain.catalog import Catalog
from tracker.domain.click import Click
from tracker.domain.conversion import Change, Conversion
from tracker.domain.errors import NotFoundError, TemplateError
from tracker.domain.identity import ChangeId, ConversionId, DeliveryId, delivery_id
from tracker.domain.macros import Template, expand_text, expand_url, parse_template
from tracker.domain.money import to_minor_unit
from tracker.domain.partner import Partner, PartnerPostback, When
from tracker.domain.value import Value

RETRY_DELAYS = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The wait after each failed attempt; when the next one fails too, it is dead."""

MAX_RETRY_AFTER = timedelta(hours=10)
"""A partner that asks for more patience is asked again after this."""

MAX_AGE = timedelta(days=7)
"""What is unfinished by then is dead."""

MAX_WAIT_FOR_CLICK = timedelta(hours=24)
"""How long the details of a click may be on their way."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read; the rest is cut."""

_JITTER = 0.2
_GONE = 410
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_URL_CHARACTERS = "".join(map(chr, range(0x21, 0x7F)))
_VISIBLE = re.compile(r"[!-~]*")
_USER_AGENT = f"tracker/{__version__}"


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
    Failure.NONE: "nothing went wrong",
    Failure.FORBIDDEN_ADDRESS: (
        "the host has an address that is neither public nor allowed"
    ),
    Failure.NO_ADDRESS: "the host's name could not be resolved",
    Failure.NO_CONNECTION: "nothing accepted the connection",
    Failure.BAD_CERTIFICATE: "the connection could not be secured",
    Failure.TIMEOUT: "no connection within 5 seconds, or no answer within 15",
    Failure.BROKEN_ANSWER: "what came back was cut off, or was not HTTP",
    Failure.BAD_STATUS: "the answer's status was not 2xx",
    Failure.NO_SUCCESS_PATTERN: "the answer's body lacked the success pattern",
    Failure.GONE: "the answer was 410, which pauses the lane",
    Failure.BAD_TEMPLATE: "the request could not be made from its template",
    Failure.WORKER_DIED: "the worker ended during the attempt; nobody knows its end",
}
"""One sentence for each reason."""


class Delivery(Value, frozen=True):
    """
    What is owed to a partner.

    `lane` is what fails or waits together: `partner/postback@host`. `number` is
    that of the change: for one conversion and postback they go in this order.
    `round` is 1, and one more for each replay. `has_click` says whether the values
    hold the details of the click. Until it is written, both times are the change's.
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
class Request:
    """A call, ready to be sent; `masked_url` has no secrets and may be shown."""

    method: str
    url: str
    masked_url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came of a call; without a status, `failure` says why.

    `body` is cut at `MAX_ANSWER`, `retry_after` is the header as it came. Where
    `is_reached` is false nothing proves that there is a server: no connection was
    made, or one that was kept from earlier calls stayed silent.
    """

    status: int | None
    body: bytes = b""
    duration: timedelta = timedelta()
    retry_after: str = ""
    failure: Failure = Failure.NONE
    detail: str = ""
    is_reached: bool = True


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


def owed_deliveries(
    change: Change,
    conversion: Conversion,
    partner: Partner,
    click: Click | None,
    catalog: Catalog,
) -> tuple[Delivery, ...]:
    """Every call that this change of the conversion owes to the partner."""
    return tuple(
        _owed(change, conversion, partner, postback, click, catalog)
        for postback in partner.postbacks
        if is_wanted(change, conversion.goal, postback.when)
    )


def is_wanted(change: Change, goal: str, when: When) -> bool:
    """
    Whether a postback fires: on entering a listed status.

    On a change of the amount alone only if it asks for `changes`.
    """
    if when.goals and goal not in when.goals:
        return False
    if when.statuses and change.status not in when.statuses:
        return False
    if change.kind == "amount":
        return when.changes
    return change.status != change.old_status


def find_postback(
    catalog: Catalog, partner: str, postback: str
) -> tuple[Partner, PartnerPostback]:
    """What is in force now; raises NotFoundError for what was removed."""
    found = catalog.partner(partner)
    if found.is_retired:
        raise NotFoundError(f"partner {partner} was removed")
    return found, found.postback(postback)


def macro_values(
    change: Change, conversion: Conversion, click: Click | None, delivery: DeliveryId
) -> dict[str, str]:
    """
    A value for every macro that has one; a macro without one is empty.

    Nothing here can be refused by Postgres: what came from outside was cleaned when
    it came.
    """
    values = {
        "delivery_id": delivery,
        **_conversion_values(change, conversion),
        **_money_values(change),
        **(click.labels() if click else {}),
    }
    return {name: value for name, value in values.items() if value}


def needs_click(postback: PartnerPostback) -> bool:
    """Whether one of its templates asks for what only the click knows."""
    asked = (parse_template(text).macros for text in _templates(postback))
    return any(names & macros.CLICK_DETAILS for names in asked)


def judge_missing_click(delivery: Delivery, now: datetime) -> Hold | Dead:
    """What becomes of a delivery that needs details of a click nobody has yet."""
    if now - delivery.created_at < MAX_WAIT_FOR_CLICK:
        return Hold(HeldReason.CLICK_DETAILS)
    return Dead(DeadReason.CLICK_DETAILS_LOST)


def revealed(partner: Partner, values: Mapping[str, str]) -> Mapping[str, str]:
    """The values without those that the partner may not see."""
    return values if "revenue" in partner.reveal else {**values, "revenue": ""}


def build_request(
    postback: PartnerPostback,
    values: Mapping[str, str],
    secrets: Mapping[str, str],
    delivery: DeliveryId,
    now: datetime,
) -> Request:
    """
    The call that a postback makes of these values; raises TemplateError.

    Values are encoded for where they stand: none can add a parameter, a header
    or a line, or change where the call goes.
    """
    try:
        url = _checked(postback.url, secrets)
        content_type, body = _body(postback, values, secrets)
        headers = _own_headers(postback, values, secrets) | content_type
        headers |= _standard_headers(postback, secrets, delivery, body, now)
    except KeyError as missing:
        raise TemplateError(f"the secret {missing} is not set") from None
    called = shown = _ascii(expand_url(url, values, secrets))
    if url.secrets:
        shown = _ascii(expand_url(url, values, macros.masked(secrets)))
    return Request(
        method=postback.method,
        url=called,
        masked_url=shown,
        headers=headers,
        body=body,
    )


def sign(secret: str, delivery: str, timestamp: int, body: bytes) -> str:
    """
    The value of `webhook-signature`, as Standard Webhooks has it.

    HMAC-SHA256 over `id.timestamp.body`, in base64; a secret is `whsec_` and
    base64, or plain text.
    Source: https://github.com/standard-webhooks/standard-webhooks
    """
    signed = f"{delivery}.{timestamp}.".encode() + body
    mac = hmac.digest(_signing_key(secret), signed, sha256)
    return "v1," + base64.b64encode(mac).decode()


def judge_answer(
    answer: Answer,
    postback: PartnerPostback,
    attempts: int,
    now: datetime,
    chance: float,
) -> Verdict:
    """
    What an answer means for its delivery.

    `attempts` counts this one, `chance` is a random number from 0 to 1.
    """
    failure = _failure(answer, postback)
    if failure is Failure.NONE:
        return Delivered()
    if failure is Failure.GONE:
        return Hold(HeldReason.PAUSED_LANE, failure)
    return judge_failure(
        failure, attempts, chance, asked=retry_after(answer.retry_after, now)
    )


def judge_failure(
    failure: Failure,
    attempts: int,
    chance: float,
    asked: timedelta = timedelta(),
    waited: timedelta = timedelta(),
) -> Retry | Dead:
    """
    When to try again: by the schedule, later if the partner `asked` for it.

    What it has `waited` already, since the call was made, is part of the delay.
    """
    if attempts > len(RETRY_DELAYS):
        return Dead(DeadReason.ATTEMPTS_EXHAUSTED, failure)
    delay = RETRY_DELAYS[attempts - 1] * (1 + _JITTER * (2 * chance - 1)) - waited
    return Retry(failure, max(delay, min(asked, MAX_RETRY_AFTER)))


def retry_after(text: str, now: datetime) -> timedelta:
    """
    How long a `Retry-After` asks to wait; nothing for what cannot be read, or is past.

    Seconds or an HTTP date (RFC 9110, 10.2.3).
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return timedelta(seconds=int(text))
    try:
        return max(timedelta(), _aware(parsedate_to_datetime(text)) - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return timedelta()


def _owed(  # noqa: PLR0913, PLR0917 - a delivery is where all of them meet
    change: Change,
    conversion: Conversion,
    partner: Partner,
    postback: PartnerPostback,
    click: Click | None,
    catalog: Catalog,
) -> Delivery:
    identity = delivery_id(change.id, partner.key, postback.id)
    return Delivery(
        id=identity,
        change_id=change.id,
        conversion_id=conversion.id,
        partner=partner.key,
        postback=postback.id,
        lane=lane_of(partner, postback, catalog.secrets),
        number=change.number,
        macro_values=macro_values(change, conversion, click, identity),
        has_click=click is not None,
        created_at=change.changed_at,
        due_at=change.changed_at,
        held_reason=_held_reason(partner, postback, click),
    )


def lane_of(
    partner: Partner, postback: PartnerPostback, secrets: Mapping[str, str]
) -> str:
    """`partner/postback@host`; no value can change the host, so none is needed."""
    names = parse_template(postback.url).secrets
    known = tuple((name, secrets.get(name, "")) for name in names)
    return f"{partner.key}/{postback.id}@{_host_of(postback.url, known)}"


@lru_cache(maxsize=16384)
def _host_of(url: str, known: tuple[tuple[str, str], ...]) -> str:
    return urlsplit(expand_url(parse_template(url), {}, dict(known))).netloc.lower()


def _held_reason(
    partner: Partner, postback: PartnerPostback, click: Click | None
) -> HeldReason | None:
    if partner.is_retired:
        return HeldReason.REMOVED_POSTBACK
    if click is None and needs_click(postback):
        return HeldReason.CLICK_DETAILS
    return None


def _checked(url: str, secrets: Mapping[str, str]) -> Template:
    """The template; raises TemplateError for one that leads anywhere."""
    names = parse_template(url).secrets
    return _checked_once(url, tuple((name, secrets[name]) for name in names))


@lru_cache(maxsize=16384)
def _checked_once(url: str, known: tuple[tuple[str, str], ...]) -> Template:
    template = parse_template(url)
    macros.check_url(template, dict(known))
    return template


def _templates(postback: PartnerPostback) -> Sequence[str]:
    named = (postback.form or {}, postback.json or {}, postback.headers)
    return [postback.url, *(text for texts in named for text in texts.values())]


def _conversion_values(change: Change, conversion: Conversion) -> dict[str, str]:
    return {
        "click_id": conversion.click_id,
        "partner": conversion.partner,
        "offer": conversion.offer,
        "advertiser": conversion.advertiser,
        "goal": conversion.goal,
        "transaction_id": conversion.transaction_id or "",
        "conversion_id": conversion.id,
        "change_id": change.id,
        "status": change.status.value,
        "clicked_at": _time(conversion.clicked_at),
        "converted_at": _time(conversion.converted_at),
        "changed_at": _time(change.changed_at),
    }


def _money_values(change: Change) -> dict[str, str]:
    money = change.money
    return {
        "currency": money.currency,
        "amount": _sum(money.amount, money.currency),
        "payout": _sum(money.payout, money.currency),
        "revenue": _sum(money.revenue, money.currency),
    }


def _sum(value: Decimal | None, currency: str) -> str:
    return "" if value is None else f"{to_minor_unit(value, currency):f}"


@lru_cache(maxsize=1024)
def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _ascii(url: str) -> str:
    """Whatever a URL may not hold is percent-encoded, and nothing else is touched."""
    if _VISIBLE.fullmatch(url):
        return url
    return quote(url, safe=_URL_CHARACTERS, errors="replace")


def _body(
    postback: PartnerPostback, values: Mapping[str, str], secrets: Mapping[str, str]
) -> tuple[dict[str, str], bytes]:
    """The header that names its kind, and the body."""
    if postback.form is not None:
        pairs = _filled(postback.form, values, secrets)
        kind = "application/x-www-form-urlencoded"
        return {"Content-Type": kind}, urlencode(pairs, errors="replace").encode()
    if postback.json is not None:
        pairs = _filled(postback.json, values, secrets)
        text = json.dumps(pairs, separators=(",", ":"))
        return {"Content-Type": "application/json"}, text.encode()
    return {}, b""


def _filled(
    texts: Mapping[str, str], values: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    return {
        name: expand_text(parse_template(text), values, secrets)
        for name, text in texts.items()
    }


def _own_headers(
    postback: PartnerPostback, values: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, str]:
    """The postback's headers, each on one line whatever its values are."""
    filled = _filled(postback.headers, values, secrets)
    return {name: _CONTROLS.sub(" ", text).strip() for name, text in filled.items()}


def _standard_headers(
    postback: PartnerPostback,
    secrets: Mapping[str, str],
    delivery: DeliveryId,
    body: bytes,
    now: datetime,
) -> dict[str, str]:
    headers = {"User-Agent": _USER_AGENT, "X-Tracker-Delivery": str(delivery)}
    if postback.secret is None:
        return headers
    secret = expand_text(parse_template(postback.secret), {}, secrets)
    timestamp = int(now.timestamp())
    return headers | {
        "webhook-id": delivery,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, delivery, timestamp, body),
    }


def _signing_key(secret: str) -> bytes:
    kind, _, encoded = secret.partition("whsec_")
    if kind or not encoded:
        return secret.encode()
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise TemplateError("the signing secret is not base64 after whsec_") from None


def _failure(answer: Answer, postback: PartnerPostback) -> Failure:
    if answer.status is None:
        return answer.failure
    if answer.status == _GONE:
        return Failure.GONE
    if answer.status // 100 != 2:  # noqa: PLR2004 - 2xx
        return Failure.BAD_STATUS
    if postback.success and not re.search(postback.success, _text(answer.body)):
        return Failure.NO_SUCCESS_PATTERN
    return Failure.NONE


def _text(body: bytes) -> str:
    return body[:MAX_ANSWER].decode(errors="replace")


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
