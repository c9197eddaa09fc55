"""What would be told, or was as a test: in words, or as one document."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from tracker.cli.output import print_lines, readable
from tracker.domain.request import Request
from tracker.domain.spelling import full_time
from tracker.flow.rehearsal import FilledMacro, Rehearsal, RehearsedCall
from tracker.flow.sending import SentCall
from tracker.flow.steps import spelled_money

Line = tuple[str, str]


def print_rehearsal(found: Rehearsal) -> None:
    """The conversion, and each call with its macros."""
    print_lines(_conversion(found))
    for call in found.calls:
        print()
        print_lines(_call(call))
    if not found.calls:
        print("\nnobody has a postback: nobody is told")


def rehearsal_document(found: Rehearsal) -> dict[str, Any]:
    """The same for machines."""
    return {
        "made_up": found.is_made_up,
        "click_id": found.click.id,
        "partner": found.occasion.conversion.partner,
        "offer": found.occasion.conversion.offer,
        "conversion": found.occasion.conversion,
        "calls": [_call_document(one) for one in found.calls],
    }


def print_sent(sent: SentCall) -> None:
    """The call, the answer, and how that would be judged."""
    print_lines(_sent(sent))


def sent_document(sent: SentCall) -> dict[str, Any]:
    """The same for machines."""
    answer = sent.answer
    return {
        **_call_document(sent.call),
        "http_status": answer.status,
        "answer": sent.said,
        "duration_ms": answer.duration // timedelta(milliseconds=1),
        "judged": sent.judged,
        "failure": sent.failure or None,
        "detail": answer.detail,
    }


def _conversion(found: Rehearsal) -> Iterator[Line]:
    conversion, change = found.occasion.conversion, found.occasion.change
    made_up = "made up, " if found.is_made_up else ""
    yield "click", f"{found.click.id}, {made_up}{full_time(conversion.clicked_at)}"
    yield "by", f"{conversion.partner} for {conversion.offer}"
    yield "goal", f"{conversion.goal}, {change.status}"
    yield "money", spelled_money(change.money)


def _call(call: RehearsedCall) -> Iterator[Line]:
    yield f"{call.audience}/{call.postback.id}", _standing(call)
    if call.shown:
        yield from _request(call.shown)
    for one in call.macros:
        yield f"  {{{one.name}}}", _macro(one)


def _standing(call: RehearsedCall) -> str:
    if call.problem:
        return f"cannot be told: {call.problem}"
    if call.silence:
        return f"would not be told: it fires only on {' and '.join(call.silence)}"
    delay = call.postback.delay
    return f"would be told {f'after {delay}' if delay else 'at once'}"


def _request(request: Request) -> Iterator[Line]:
    yield f"  {request.method}", request.url
    for name, value in sorted(request.headers.items()):
        yield f"  {name}", value
    if request.body:
        yield "  body", request.body.decode(errors="replace")


def _macro(one: FilledMacro) -> str:
    return f"= {one.value}, {one.source}" if one.value else one.source


def _call_document(call: RehearsedCall) -> dict[str, Any]:
    request = call.shown
    return {
        "audience": call.audience,
        "postback": call.postback.id,
        "delay_s": int(call.postback.delay.total_seconds()),
        "fires": not (call.silence or call.problem),
        "silenced_by": call.silence,
        "problem": call.problem or None,
        "method": request.method if request else None,
        "url": request.url if request else None,
        "headers": dict(request.headers) if request else None,
        "body": request.body.decode(errors="replace") if request else None,
        "macros": [asdict(one) for one in call.macros],
    }


def _sent(sent: SentCall) -> Iterator[Line]:
    if sent.call.shown:
        yield from ((name.strip(), text) for name, text in _request(sent.call.shown))
    answer = sent.answer
    milliseconds = answer.duration // timedelta(milliseconds=1)
    yield "answer", f"{answer.status or 'none'}, {milliseconds} ms"
    if answer.body:
        yield "", readable(sent.said)
    yield "judged", sent.judgement
    if answer.detail:
        yield "", answer.detail
