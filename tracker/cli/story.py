"""A trace in words: one line of events in order of time, or one document."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from rich.table import Table
from rich.text import Text

from tracker.cli.output import full_time, print_rich, readable
from tracker.domain.click import SUBS, Click
from tracker.domain.delivery import EXPLANATIONS, DeadReason, Failure, HeldReason
from tracker.domain.meter import Reading
from tracker.domain.outcome import REASONS, Reason
from tracker.domain.remedy import REMEDIES
from tracker.domain.unfilled import names_with_macro
from tracker.flow.trace import Trace, TracedClick
from tracker.store.reports import (
    ListedChange,
    ListedConversion,
    ListedDelivery,
    ListedPostback,
    PastAttempt,
)

FOUND_IN = {
    "redis": "its record is in Redis",
    "postgres": "its record is in Postgres",
    "id": "no store has its record; this much says the id itself",
    "nowhere": "it is not a click of ours",
}

_MOST_SHOWN = 300
"""Characters of one value; --json has all of them."""

_EXPLAINED: tuple[type[StrEnum], ...] = (HeldReason, DeadReason, Failure)


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something that happened: when, what, in one line, and what more there is to it.

    `follows` is the moment it cannot have been before: what a release from
    quarantine made counts from the arrival, yet comes after the release.
    """

    at: datetime | None
    what: str
    headline: str
    details: Sequence[str] = ()
    follows: datetime | None = None

    @property
    def place(self) -> datetime:
        """Where it stands in the story; what has no time comes first."""
        return self.follows or self.at or datetime.min.replace(tzinfo=UTC)


def print_story(events: Iterable[Event]) -> None:
    """One event a row: the date only where it changes, details under the headline."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    day = ""
    for event in events:
        date, _, time = full_time(event.at).partition(" ") if event.at else ("", "", "")
        if date and date != day:
            table.add_row(date)
            day = date
        table.add_row(time, event.what, _told(event))
    print_rich(table)


def tell(trace: Trace) -> list[Event]:
    """Every event of the story, in order of time; causes before effects."""
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
    now = [_now(one) for one in trace.conversions]
    return sorted(events, key=lambda event: event.place) + now


def tell_click(click: TracedClick) -> list[Event]:
    """What is known of it, and how."""
    details = [click.id]
    if click.facts is None:
        details.append(f"{FOUND_IN[click.found_in]}: {click.doubt}")
        return [Event(None, "click", "forged or unknown", details)]
    details.append(FOUND_IN[click.found_in])
    if click.record:
        details += _record(click.record)
    visit = click.facts.click_class.name.lower()
    headline = f"{visit} by {click.partner} for {click.offer}"
    return [Event(click.clicked_at, "click", headline, details)]


def tell_postback(
    postback: ListedPostback, meters: Iterable[Reading] = ()
) -> list[Event]:
    """Its arrival, and its release where it was in quarantine."""
    details = _said(postback) + [_taken(one) for one in meters]
    arrived = Event(postback.received_at, "postback", _arrival(postback), details)
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


def trace_document(trace: Trace) -> dict[str, Any]:
    """The same for machines, with the sentence of every reason."""
    return {
        "asked": trace.asked,
        "click": _click_document(trace.click) if trace.click else None,
        "postbacks": [postback_document(one) for one in trace.postbacks],
        "conversions": [asdict(one) for one in trace.conversions],
        "changes": [asdict(one) for one in trace.changes],
        "deliveries": [delivery_document(one, trace) for one in trace.deliveries],
        "erasures": [asdict(one) for one in trace.erasures],
        "meters": trace.meters,
    }


def postback_document(postback: ListedPostback) -> dict[str, Any]:
    """A postback, and what its reasons mean."""
    was = postback.quarantined_for
    return {
        **asdict(postback),
        "meaning": _meaning(postback.reason),
        "remedy": REMEDIES[Reason(postback.reason)],
        "quarantined_meaning": _meaning(was) if was else None,
    }


def delivery_document(delivery: ListedDelivery, trace: Trace) -> dict[str, Any]:
    """A round of a delivery with its attempts, and what its reason means."""
    attempts = trace.attempts.get((delivery.id, delivery.round), ())
    return {
        **asdict(delivery),
        "meaning": _explanation(delivery.reason),
        "attempted": [
            {**asdict(one), "meaning": _explanation(_failure(one))} for one in attempts
        ],
    }


def _click_document(click: TracedClick) -> dict[str, Any]:
    facts, record = click.facts, click.record
    return {
        "id": click.id,
        "found_in": click.found_in,
        "doubt": click.doubt,
        "clicked_at": click.clicked_at,
        "class": facts.click_class.name.lower() if facts else None,
        "partner": click.partner or None,
        "offer": click.offer or None,
        "record": _record_document(record) if record else None,
    }


def _record_document(record: Click) -> dict[str, Any]:
    document = {name: getattr(record, name) for name in _RECORD_FIELDS}
    return {**document, "subs": _subs(record)}


_RECORD_FIELDS = (
    "catalog_version", "ad_ids", "params", "address", "user_agent", "referrer",
    "language", "destination", "route", "reason",
)  # fmt: skip


def _told(event: Event) -> Text:
    text = Text(readable(event.headline))
    for detail in event.details:
        text.append("\n")
        text.append(readable(_cut(detail)), style="dim")
    return text


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"


def _subs(record: Click) -> dict[str, str]:
    labels = zip(SUBS, record.subs, strict=True)
    return {name: label for name, label in labels if label}


def _record(record: Click) -> list[str]:
    """What a click left behind, each kind on a line; empty ones are left out."""
    lines = [
        _pairs(_subs(record)),
        _pairs(record.ad_ids),
        _pairs(record.params),
        _labelled("from", record.address),
        _labelled("with", record.user_agent),
        _labelled("language", record.language),
        _labelled("referred by", record.referrer),
        _labelled("sent to", record.destination),
        _labelled("route", record.route),
        _labelled("because", record.reason),
    ]
    return [line for line in lines if line]


def _pairs(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def _labelled(label: str, value: str) -> str:
    return f"{label} {value}" if value else ""


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
        f"{_meaning(reason)}{_where(postback, reason)}" if reason else "",
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
    return _labelled("conversion", postback.conversion_id or "")


def _release(postback: ListedPostback, at: datetime) -> Event:
    waived = f", waiving {postback.waived}" if postback.waived else ""
    details = [
        f"by {postback.released_by}{waived}",
        _meaning(postback.reason) if postback.reason else "",
        _concerns(postback),
    ]
    headline = f"judged again: {_verdict(postback)}"
    return Event(at, "release", headline, [one for one in details if one])


def _changed(change: ListedChange, released: Mapping[str, datetime | None]) -> Event:
    details = [
        _money(change),
        f"of {change.conversion_id}",
        f"by {change.postback_id or change.operator or change.rule}, {_terms(change)}",
        f"note: {change.note}" if change.note else "",
    ]
    return Event(
        change.changed_at,
        "change",
        _move(change),
        [one for one in details if one],
        follows=released.get(change.postback_id or ""),
    )


def _now(conversion: ListedConversion) -> Event:
    transaction = _labelled("transaction", conversion.transaction_id or "")
    details = [_money(conversion), conversion.id, transaction]
    headline = f"{conversion.goal} is {conversion.status}"
    return Event(None, "now", headline, [one for one in details if one])


def _move(change: ListedChange) -> str:
    if change.old_status is None:
        return f"#{change.number} created, {change.status}"
    if change.old_status == change.status:
        return f"#{change.number} amount, still {change.status}"
    return f"#{change.number} {change.old_status} → {change.status}"


def _money(change: ListedChange | ListedConversion) -> str:
    sums = f"payout {change.payout:f}, revenue {change.revenue:f}"
    if change.amount is not None:
        sums += f", amount {change.amount:f}"
    return f"{sums} {change.currency}"


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
    headline = f"owed to {where}, now {delivery.state}"
    return Event(delivery.created_at, "delivery", headline, details)


def _standing(delivery: ListedDelivery) -> str:
    if delivery.finished_at:
        ended = f"ended {full_time(delivery.finished_at)}"
    else:
        ended = f"next try {full_time(delivery.due_at)}" if delivery.due_at else "waits"
    tries = f"{delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"
    meaning = _explanation(delivery.reason)
    because = f": {delivery.reason}, {meaning}" if delivery.reason else ""
    return f"{tries}, {ended}{because}"


def _attempt(attempt: PastAttempt) -> Event:
    status = attempt.http_status or "no answer"
    explanation = _explanation(_failure(attempt))
    details = [
        _labelled(attempt.method, attempt.url),
        f"{attempt.error} ({explanation})" if attempt.error else "",
        _labelled("answer:", attempt.answer),
    ]
    headline = (
        f"#{attempt.number} {attempt.outcome}: {status}, {attempt.duration_ms} ms"
    )
    details = [detail for detail in details if detail]
    return Event(attempt.started_at, "attempt", headline, details)


def _failure(attempt: PastAttempt) -> str:
    """The reason at the start of an error, before what the library said."""
    return attempt.error.partition(":")[0]


def _meaning(reason: str) -> str:
    return REASONS[Reason(reason)][1]


def _explanation(reason: str) -> str:
    """The sentence of a reason of deliveries; "" for none."""
    for kind in _EXPLAINED:
        if reason and reason in set(kind):
            return EXPLANATIONS[kind(reason)]  # type: ignore[index]
    return ""
