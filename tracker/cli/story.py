"""A trace as it is printed: in words, or as one document."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from tracker.cli.output import print_rich, readable
from tracker.domain.click import Click
from tracker.domain.outcome import Reason
from tracker.domain.remedy import REMEDIES
from tracker.domain.spelling import full_time
from tracker.flow.conclusion import Conclusion, conclude
from tracker.flow.story import Event, explanation, failure_of, meaning, subs_of
from tracker.flow.trace import Trace, TracedClick
from tracker.store.reports import ListedDelivery, ListedPostback

_MOST_SHOWN = 300
"""Characters of one value; --json has all of them."""


def print_story(
    events: Iterable[Event], conclusions: Iterable[Conclusion] = ()
) -> None:
    """
    What comes of it, and then one event a row.

    The date stands only where it changes, details and remedies under the headline.
    """
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for one in conclusions:
        table.add_row("", "so", _lines(one.sentence, [_to_do(one.remedy)]))
    day = ""
    for event in events:
        date, _, time = full_time(event.at).partition(" ") if event.at else ("", "", "")
        if date and date != day:
            table.add_row(date)
            day = date
        lines = [*event.details, _to_do(event.remedy)]
        table.add_row(time, event.what, _lines(event.headline, lines))
    print_rich(table)


def trace_document(trace: Trace) -> dict[str, Any]:
    """The same for machines, with the sentence of every reason."""
    return {
        "asked": trace.asked,
        "conclusions": conclude(trace),
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
        "meaning": meaning(postback.reason),
        "remedy": REMEDIES[Reason(postback.reason)],
        "quarantined_meaning": meaning(was) if was else None,
    }


def delivery_document(delivery: ListedDelivery, trace: Trace) -> dict[str, Any]:
    """A round of a delivery with its attempts, and what its reason means."""
    attempts = trace.attempts.get((delivery.id, delivery.round), ())
    return {
        **asdict(delivery),
        "meaning": explanation(delivery.reason),
        "attempted": [
            {**asdict(one), "meaning": explanation(failure_of(one))} for one in attempts
        ],
    }


def _click_document(click: TracedClick) -> dict[str, Any]:
    facts, record = click.facts, click.record
    return {
        "id": click.id,
        "found_in": click.found_in,
        "doubt": click.doubt,
        "clicked_at": click.clicked_at,
        "class": facts.click_class.word if facts else None,
        "partner": click.partner or None,
        "offer": click.offer or None,
        "record": _record_document(record) if record else None,
    }


def _record_document(record: Click) -> dict[str, Any]:
    document = {name: getattr(record, name) for name in _RECORD_FIELDS}
    return {**document, "subs": subs_of(record)}


_RECORD_FIELDS = (
    "catalog_version", "ad_ids", "params", "address", "user_agent", "referrer",
    "language", "destination", "route", "reason",
)  # fmt: skip


def _to_do(remedy: str) -> str:
    return f"do: {remedy}" if remedy else ""


def _lines(headline: str, details: Iterable[str]) -> Text:
    text = Text(readable(headline))
    for detail in filter(None, details):
        text.append("\n")
        text.append(readable(_cut(detail)), style="dim")
    return text


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"
