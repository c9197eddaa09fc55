"""What a partner's server answered, and what that means for a delivery."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from tracker.domain.delivery import (
    Dead,
    DeadReason,
    Delivered,
    Failure,
    HeldReason,
    Hold,
    Retry,
    Verdict,
)
from tracker.domain.outbound import PartnerPostback, Rule

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

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read; the rest is cut."""

MAX_SEARCHED = 2048
"""Characters of an answer that patterns are looked for in; JSON is read whole."""

_JITTER = 0.2
_GONE = 410
_ANY = "*"
_2XX = Rule(statuses=frozenset({"2xx"}))
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)


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
    match failure:
        case Failure.NONE:
            return Delivered()
        case Failure.GONE:
            return Hold(HeldReason.PAUSED_LANE, failure)
        case Failure.FINAL_ANSWER:
            return Dead(DeadReason.REFUSED, failure)
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


def _failure(answer: Answer, postback: PartnerPostback) -> Failure:
    """Of the postback's rules `retry` comes first, then `final`, then `success`."""
    if answer.status is None:
        return answer.failure
    if postback.retry and any(_findings(answer, postback.retry)):
        return Failure.RETRY_ANSWER
    if postback.final and any(_findings(answer, postback.final)):
        return Failure.FINAL_ANSWER
    return _shortfall(answer, answer.status, _success(postback))


def _success(postback: PartnerPostback) -> Rule:
    if not isinstance(postback.success, str):
        return postback.success or _2XX
    return Rule(body=postback.success)


def _shortfall(answer: Answer, status: int, wanted: Rule) -> Failure:
    """What the answer lacks of a success; nothing if it is one."""
    if not _has_status(status, wanted.statuses or _2XX.statuses):
        return Failure.GONE if status == _GONE else Failure.BAD_STATUS
    if not all(_findings(answer, wanted)):
        return Failure.NO_SUCCESS_PATTERN
    return Failure.NONE


def _findings(answer: Answer, rule: Rule) -> list[bool]:
    """For each thing that a rule looks for, whether it is there."""
    found = []
    if rule.statuses:
        found.append(_has_status(answer.status or 0, rule.statuses))
    if rule.body is not None:
        looked_through = _text(answer.body)[:MAX_SEARCHED]
        found.append(re.search(rule.body, looked_through) is not None)
    if rule.json:
        document = _document(answer.body)
        found += [
            _is_one_of(_at(document, path), wanted)
            for path, wanted in rule.json.items()
        ]
    return found


def _has_status(status: int, wanted: frozenset[str]) -> bool:
    return str(status) in wanted or f"{status // 100}xx" in wanted


def _document(body: bytes) -> Any:
    """The answer as JSON, its numbers as they are spelled; None if it is none."""
    try:
        return json.loads(_text(body), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None


def _at(document: Any, path: str) -> Any:
    """What stands at `data.0.id`; None where nothing does."""
    for step in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(step)
        elif isinstance(document, list) and step.isdecimal():
            document = document[int(step)] if int(step) < len(document) else None
        else:
            return None
    return document


def _is_one_of(found: Any, wanted: tuple[str, ...]) -> bool:
    if isinstance(found, bool):
        found = "true" if found else "false"
    return found is not None and (_ANY in wanted or found in wanted)


def _text(body: bytes) -> str:
    return body[:MAX_ANSWER].decode(errors="replace")


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
