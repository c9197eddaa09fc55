"""
A trace in words: what comes of it in short, and one line of events in order of time.

The command line prints it and the console shows it; neither has words of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from tracker.domain.click import SUBS, Click, ClickReason
from tracker.domain.delivery import EXPLANATIONS, DeadReason, Failure, HeldReason
from tracker.domain.meter import Reading
from tracker.domain.outcome import REASONS, Reason, Verdict
from tracker.domain.remedy import CLICK_REASONS, DELIVERY_REMEDIES, REMEDIES
from tracker.domain.spelling import assigned, counted, full_time, labelled
from tracker.domain.unfilled import names_with_macro
from tracker.flow.trace import Trace, TracedClick
from tracker.store.reports import (
    ListedChange,
    ListedConversion,
    ListedDelivery,
    ListedPostback,
    PastAttempt,
    SeenVisitor,
)

FOUND_IN = {
    "redis": "its record is among the latest clicks",
    "postgres": "its record is in the click log",
    "id": "no store has its record; this much says the id itself",
    "nowhere": "it is not a click of ours",
}

Mood = Literal["", "good", "warn", "bad"]
Subject = (
    TracedClick
    | ListedPostback
    | ListedChange
    | ListedDelivery
    | PastAttempt
    | ListedConversion
)

_EXPLAINED: tuple[type[StrEnum], ...] = (HeldReason, DeadReason, Failure)
_MOODS: Mapping[str, Mood] = {
    "accepted": "good", "updated": "good", "approved": "good", "delivered": "good",
    "duplicate": "warn", "ignored": "warn", "pending": "warn", "owed": "warn",
    "held": "warn", "unknown": "warn", "orphan": "warn",
    "quarantined": "bad", "rejected": "bad", "dead": "bad", "failed": "bad",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something that happened: when, what, in one line, and what more there is to it.

    `follows` is the moment it cannot have been before: what a release from
    quarantine made counts from the arrival, yet comes after the release. `remedy` is
    what to do about it, `subject` what a page can do something with.
    """

    at: datetime | None
    what: str
    headline: str
    details: Sequence[str] = ()
    follows: datetime | None = None
    mood: Mood = ""
    remedy: str = ""
    subject: Subject | None = None

    @property
    def place(self) -> datetime:
        """Where it stands in the story; what has no time comes first."""
        return self.follows or self.at or datetime.min.replace(tzinfo=UTC)


def tell(trace: Trace) -> list[Event]:
    """
    Every event of the story, in order of time; causes before effects.

    What to do about each is for operators alone.
    """
    events = tell_click(trace.click) if trace.click else []
    for postback in trace.postbacks:
        events += tell_postback(postback, trace.meters.get(postback.id, ()))
    released = {one.id: one.released_at for one in trace.postbacks if one.conversion_id}
    events += [_changed(one, released) for one in trace.changes]
    events += tell_deliveries(trace)
    events += [
        Event(one.erased_at, "erasure", f"all it told was erased by {one.erased_by}")
        for one in trace.erasures
    ]
    events.sort(key=lambda event: event.place)
    events += [_now(one) for one in trace.conversions]
    return [replace(one, remedy="") for one in events] if trace.is_own else events


def tell_click(click: TracedClick) -> list[Event]:
    """What is known of it, and how."""
    details = [click.id]
    if click.facts is None:
        details.append(f"{FOUND_IN[click.found_in]}: {click.doubt}")
        headline = "forged or unknown"
        return [Event(None, "click", headline, details, mood="bad", subject=click)]
    details.append(FOUND_IN[click.found_in])
    if click.seen:
        details += filter(None, [_taken_for(click.seen)])
    if click.record:
        details += _record(click.record)
    visit = click.facts.click_class.word
    headline = f"{visit} by {click.partner} for {click.offer}"
    remedy = CLICK_REASONS[click_reason(click)][1]
    mood: Mood = "bad" if visit == "refused" else "warn" if remedy else ""
    return [
        Event(
            click.clicked_at,
            "click",
            headline,
            details,
            mood=mood,
            remedy=remedy,
            subject=click,
        )
    ]


def tell_postback(
    postback: ListedPostback, meters: Iterable[Reading] = ()
) -> list[Event]:
    """Its arrival, and its release where it was in quarantine."""
    details = _said(postback) + [_taken(one) for one in meters]
    is_settled = postback.released_at is not None
    outcome = "quarantined" if postback.quarantined_for else postback.outcome
    arrived = Event(
        postback.received_at,
        "postback",
        _arrival(postback),
        details,
        mood=_MOODS[outcome],
        remedy="" if is_settled else REMEDIES[Reason(postback.reason)],
        subject=postback,
    )
    if postback.released_at is None:
        return [arrived]
    return [arrived, _release(postback, postback.released_at)]


def tell_deliveries(trace: Trace) -> list[Event]:
    """Each with its attempts."""
    events = []
    for delivery in trace.deliveries:
        events.append(_owed(delivery))
        attempts = trace.attempts.get((delivery.id, delivery.round), ())
        events += [_attempt(one) for one in attempts]
    return events


def explanation(reason: str) -> str:
    """The sentence of a reason of deliveries; "" for none."""
    word = _delivery_reason(reason)
    return EXPLANATIONS[word] if word else ""


def remedy_of(reason: str) -> str:
    """What to do about it; "" for none."""
    word = _delivery_reason(reason)
    return DELIVERY_REMEDIES[word] if word else ""


def failure_of(attempt: PastAttempt) -> str:
    """The reason at the start of an error, before what the library said."""
    return attempt.error.partition(":")[0]


def _taken_for(seen: SeenVisitor) -> str:
    """`taken for a visit, unique, FR, phone, iOS, Safari`, as far as is known."""
    first = "unique" if seen.is_unique else ""
    words = (seen.traffic, first, seen.country, seen.device, seen.os, seen.browser)
    return labelled("taken for", ", ".join(filter(None, words)))


def click_reason(click: TracedClick) -> ClickReason:
    """Why it was refused, or its deep link not followed, as far as that is known."""
    word = click.record.reason if click.record else ""
    return ClickReason(word) if word in set(ClickReason) else ClickReason.NONE


def meaning(reason: str) -> str:
    """The sentence of a reason of postbacks."""
    return REASONS[Reason(reason)][1]


def subs_of(record: Click) -> dict[str, str]:
    """The labels that a click has."""
    labels = zip(SUBS, record.subs, strict=True)
    return {name: label for name, label in labels if label}


def money(change: ListedChange | ListedConversion) -> str:
    """`payout 4.00, revenue 6.00, amount 50.00 USD`, as far as it may be seen."""
    sums = {
        "payout": change.payout,
        "revenue": change.revenue,
        "amount": change.amount,
    }
    said = [f"{name} {one:f}" for name, one in sums.items() if one is not None]
    return f"{', '.join(said)} {change.currency}"


def _record(record: Click) -> list[str]:
    """What a click left behind, each kind on a line; empty ones are left out."""
    lines = [
        assigned(subs_of(record)),
        assigned(record.ad_ids),
        assigned(record.params),
        labelled("from", record.address),
        labelled("with", record.user_agent),
        labelled("language", record.language),
        labelled("referred by", record.referrer),
        labelled("sent to", record.destination),
        labelled("route", record.route),
        labelled("because", record.reason),
    ]
    return [line for line in lines if line]


def _arrival(postback: ListedPostback) -> str:
    """What was decided when it came, whatever was decided since."""
    if postback.quarantined_for:
        return f"quarantined: {postback.quarantined_for}"
    return _verdict(postback)


def _verdict(postback: ListedPostback) -> str:
    because = f": {postback.reason}" if postback.reason else ""
    return f"{postback.outcome}{because}"


def _said(postback: ListedPostback) -> list[str]:
    reason = postback.quarantined_for or postback.reason
    details = [
        postback.id,
        f"{meaning(reason)}{_where(postback, reason)}" if reason else "",
        f"{postback.method} {postback.path}{_source(postback)}",
        " ".join(f"{name}={value}" for name, value in postback.parameters),
        _proven(postback),
        "" if postback.released_at else _concerns(postback),
    ]
    return [detail for detail in details if detail]


def _taken(reading: Reading) -> str:
    """How much of a cap is taken now, in the period that the postback arrived in."""
    full = reading.enough is not None and reading.taken >= reading.enough
    state = "no room" if full else "room"
    return f"taken: {_short(reading.taken)} {reading.meter}, {state}"


def _short(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _where(postback: ListedPostback, reason: str) -> str:
    """Which of its parameters were left as they are in the sender's template."""
    if reason != Reason.UNFILLED_MACRO:
        return ""
    names = names_with_macro(postback.parameters)
    return f": {', '.join(names)}" if names else ""


def _source(postback: ListedPostback) -> str:
    return f" from {postback.address}" if postback.address else ""


def _proven(postback: ListedPostback) -> str:
    """What its signatures were worth, where any were asked for."""
    proof = postback.proof
    if proof is None:
        return ""
    if proof.get("operator"):
        return f"brought in a file of {proof['advertiser']}'s by {proof['operator']}"
    held = ", ".join(proof["held"]) or "nothing"
    stale = ", but not in time" if proof["is_stale"] else ""
    return f"signed for {proof['advertiser']}: {held} held{stale}"


def _concerns(postback: ListedPostback) -> str:
    return labelled("conversion", postback.conversion_id)


def _release(postback: ListedPostback, at: datetime) -> Event:
    waived = f", waiving {postback.waived}" if postback.waived else ""
    details = [
        f"by {postback.released_by}{waived}",
        meaning(postback.reason) if postback.reason else "",
        _concerns(postback),
    ]
    return Event(
        at,
        "release",
        f"judged again: {_verdict(postback)}",
        [one for one in details if one],
        mood=_MOODS[postback.outcome],
        remedy=REMEDIES[Reason(postback.reason)],
        subject=postback if postback.outcome == Verdict.QUARANTINED else None,
    )


def _changed(change: ListedChange, released: Mapping[str, datetime | None]) -> Event:
    by = change.postback_id or change.operator or change.rule
    details = [
        money(change),
        f"of {change.conversion_id}",
        f"{labelled('by', by)}{', ' if by else ''}{_terms(change)}",
        f"note: {change.note}" if change.note else "",
    ]
    return Event(
        change.changed_at,
        "change",
        _move(change),
        [one for one in details if one],
        follows=released.get(change.postback_id or ""),
        mood=_MOODS[change.status],
        subject=change,
    )


def _now(conversion: ListedConversion) -> Event:
    transaction = labelled("transaction", conversion.transaction_id)
    details = [money(conversion), conversion.id, transaction]
    return Event(
        None,
        "now",
        f"{conversion.goal} is {conversion.status}",
        [one for one in details if one],
        mood=_MOODS[conversion.status],
        subject=conversion,
    )


def _move(change: ListedChange) -> str:
    if change.old_status is None:
        return f"#{change.number} created, {change.status}"
    if change.old_status == change.status:
        return f"#{change.number} amount, still {change.status}"
    return f"#{change.number} {change.old_status} → {change.status}"


def _terms(change: ListedChange) -> str:
    return f"under catalog version {change.catalog_version}"


def _owed(delivery: ListedDelivery) -> Event:
    again = f", round {delivery.round}" if delivery.round > 1 else ""
    details = [
        delivery.id,
        f"for change #{delivery.number} of {delivery.conversion_id}{again}",
        _standing(delivery),
    ]
    where = f"{delivery.partner}/{delivery.postback}"
    return Event(
        delivery.created_at,
        "delivery",
        f"owed to {where}, now {delivery.state}",
        details,
        mood=_MOODS[delivery.state],
        remedy=remedy_of(delivery.reason),
        subject=delivery,
    )


def _standing(delivery: ListedDelivery) -> str:
    if delivery.finished_at:
        ended = f"ended {full_time(delivery.finished_at)}"
    else:
        ended = f"next try {full_time(delivery.due_at)}" if delivery.due_at else "waits"
    because = (
        f": {delivery.reason}, {explanation(delivery.reason)}"
        if delivery.reason
        else ""
    )
    return f"{counted(delivery.attempts, 'attempt')}, {ended}{because}"


def _attempt(attempt: PastAttempt) -> Event:
    status = attempt.http_status or "no answer"
    failure = failure_of(attempt)
    details = [
        labelled(attempt.method, attempt.url),
        f"{attempt.error} ({explanation(failure)})" if attempt.error else "",
        labelled("answer:", attempt.answer),
    ]
    return Event(
        attempt.started_at,
        "attempt",
        f"#{attempt.number} {attempt.outcome}: {status}, {attempt.duration_ms} ms",
        [detail for detail in details if detail],
        mood=_MOODS[attempt.outcome],
        remedy=remedy_of(failure),
        subject=attempt,
    )


def _delivery_reason(reason: str) -> HeldReason | DeadReason | Failure | None:
    for kind in _EXPLAINED:
        if reason and reason in set(kind):
            return kind(reason)  # type: ignore[return-value]
    return None
