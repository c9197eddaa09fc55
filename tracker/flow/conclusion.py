"""What comes of a story in short: what counted, what did not, why, and what to do."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tracker.domain.click_id import ClickClass
from tracker.domain.outcome import Reason, Verdict
from tracker.domain.remedy import CLICK_REASONS, REMEDIES
from tracker.domain.spelling import counted, full_time, labelled
from tracker.flow.story import (
    Mood,
    click_reason,
    explanation,
    failure_of,
    meaning,
    money,
    remedy_of,
)
from tracker.flow.trace import Trace, TracedClick
from tracker.store.reports import ListedConversion, ListedDelivery, PastAttempt

_UNREPORTED = (
    "ask the advertiser whether it has called, and which URL: `tracker postback ask`"
    " writes it; a call whose click id was lost is in quarantine as missing_click_id,"
    " unknown_click or unfilled_macro"
)
_UNCOUNTED: dict[ClickClass, str] = {
    ClickClass.HEAD: "it was a HEAD request",
    ClickClass.PREFETCH: "a browser fetched it before anybody asked for it",
    ClickClass.REPEATED: "the same visitor had been there a moment before",
    ClickClass.TEST: "it was made as a test",
}
_BY_STATUS: dict[str, Mood] = {
    "approved": "good",
    "pending": "warn",
    "rejected": "bad",
}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """One thing that came of it, and what to do about it; "" for nothing."""

    mood: Mood
    sentence: str
    remedy: str = ""


def conclude(trace: Trace) -> list[Conclusion]:
    """
    The story in a few sentences, in the order in which things happen.

    What to do about it is nothing that a partner could do.
    """
    found = [
        *_of_click(trace.click),
        *_of_refusals(trace),
        *(_of_conversion(one, trace) for one in trace.conversions),
        *_of_silence(trace),
        *(_of_delivery(one, trace) for one in _latest(trace.deliveries)),
    ]
    return [replace(one, remedy="") for one in found] if trace.is_own else found


def _of_click(click: TracedClick | None) -> Iterator[Conclusion]:
    if click is None:
        return
    if click.facts is None:
        yield Conclusion("bad", f"This is no click of ours: {click.doubt}.")
        return
    if click.record is None:
        yield Conclusion(
            "warn",
            "No store has its record: only what its id says is known.",
            "nothing, if its day was dropped by retention; else it may still be in a"
            " spool of a web process",
        )
    reason = click_reason(click)
    sentence, remedy = CLICK_REASONS[reason]
    if click.facts.click_class is ClickClass.REFUSED:
        because = f": {sentence}" if sentence else ""
        yield Conclusion(
            "bad", f"The visitor was not sent to the offer{because}.", remedy
        )
    elif sentence:
        yield Conclusion("warn", f"Of the click: {sentence}.", remedy)
    if click.facts.click_class in _UNCOUNTED:
        why = _UNCOUNTED[click.facts.click_class]
        yield Conclusion(
            "warn", f"It is not counted as a visit until it converts: {why}."
        )


def _of_refusals(trace: Trace) -> Iterator[Conclusion]:
    """What is in quarantine still, each reason once."""
    refused = Counter(
        one.reason for one in trace.postbacks if one.outcome == Verdict.QUARANTINED
    )
    for reason, number in refused.items():
        is_or_are = "is" if number == 1 else "are"
        yield Conclusion(
            "bad",
            f"{counted(number, 'postback')} {is_or_are} in quarantine, {reason}:"
            f" {meaning(reason)}.",
            REMEDIES[Reason(reason)],
        )


def _of_conversion(one: ListedConversion, trace: Trace) -> Conclusion:
    changes = [each for each in trace.changes if each.conversion_id == one.id]
    last = changes[-1] if changes else None
    since = f" since {full_time(last.changed_at)}" if last else ""
    by = labelled(" by", last.operator or last.rule) if last else ""
    note = f" ({last.note})" if last and last.note else ""
    return Conclusion(
        _BY_STATUS[one.status],
        f"{one.goal} {one.id} is {one.status}{since}{by}{note}: {money(one)}.",
        _why_pending(one, trace),
    )


def _why_pending(one: ListedConversion, trace: Trace) -> str:
    if one.status != "pending":
        return ""
    reasons = [each.reason for each in trace.postbacks if each.conversion_id == one.id]
    held = {Reason.HELD_BY_CAP, Reason.IN_REVIEW} & {Reason(each) for each in reasons}
    if held:
        return REMEDIES[min(held)]
    return "wait for the advertiser's approval, or approve it by hand"


def _of_silence(trace: Trace) -> Iterator[Conclusion]:
    """Nothing was reported, or nobody was told."""
    if trace.is_own and not trace.conversions:
        yield Conclusion("", "No conversion has counted for it.")
    elif (
        trace.click and trace.click.facts and not (trace.postbacks or trace.conversions)
    ):
        yield Conclusion("warn", "Nobody has reported anything for it.", _UNREPORTED)
    told = {one.conversion_id for one in trace.deliveries}
    for one in trace.conversions:
        if one.id not in told:
            yield Conclusion(
                "warn",
                f"Nobody was to be told of {one.id}: no postback of {one.partner}"
                " wanted it.",
                f"see `when` of its postbacks: `tracker postback preview {one.id}`"
                " says what keeps each silent",
            )


def _latest(deliveries: Sequence[ListedDelivery]) -> list[ListedDelivery]:
    """The last round of each, in order."""
    return [*{one.id: one for one in deliveries}.values()]


def _of_delivery(one: ListedDelivery, trace: Trace) -> Conclusion:
    where = f"{one.partner}/{one.postback}"
    what = f"change #{one.number} of {one.conversion_id}"
    attempts = trace.attempts.get((one.id, one.round), ())
    match one.state:
        case "delivered":
            answer = _answer(attempts)
            return Conclusion("good", f"{where} was told of {what}{answer}.")
        case "owed":
            return _still_owed(one, f"{where} is not told yet of {what}", attempts)
        case _:
            word = "waits" if one.state == "held" else "was given up"
            sentence = f"The delivery to {where} of {what} {word}: {one.reason},"
            remedy = remedy_of(_last_failure(attempts)) or remedy_of(one.reason)
            mood: Mood = "warn" if one.state == "held" else "bad"
            return Conclusion(mood, f"{sentence} {explanation(one.reason)}.", remedy)


def _still_owed(
    one: ListedDelivery, sentence: str, attempts: Sequence[PastAttempt]
) -> Conclusion:
    due = f"; next try {full_time(one.due_at)}" if one.due_at else ""
    failure = _last_failure(attempts)
    if not failure:
        return Conclusion("warn", f"{sentence}{due}.")
    tried = counted(one.attempts, "attempt")
    why = f"{tried}, the last: {failure}, {explanation(failure)}"
    return Conclusion("warn", f"{sentence}: {why}{due}.", remedy_of(failure))


def _answer(attempts: Sequence[PastAttempt]) -> str:
    answered = [one for one in attempts if one.outcome == "delivered"]
    if not answered:
        return ""
    last = answered[-1]
    return f", and answered {last.http_status} at {full_time(last.started_at)}"


def _last_failure(attempts: Sequence[PastAttempt]) -> str:
    return failure_of(attempts[-1]) if attempts else ""
