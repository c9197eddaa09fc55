"""A postback explained: step by step in words, or as one document."""

from dataclasses import asdict
from typing import Any

from tracker.cli.output import print_lines
from tracker.domain.outcome import REASONS
from tracker.domain.remedy import REMEDIES
from tracker.flow.explanation import Decision, Explanation
from tracker.flow.steps import list_steps
from tracker.flow.trace import TracedClick

Line = tuple[str, str]


def print_explanation(found: Explanation) -> None:
    """One step a line, in the order of judgement."""
    print_lines(list_steps(found))


def explanation_document(found: Explanation) -> dict[str, Any]:
    """The same for machines, with the sentence of every reason."""
    postback, click = found.postback, found.click
    return {
        "method": postback.method,
        "path": postback.path,
        "advertiser": found.advertiser,
        "parameters": [asdict(one) for one in found.parameters],
        "unfilled": found.unfilled,
        "click": _click_document(click) if click else None,
        "proof": {
            "asked": found.asked,
            "holds": found.is_proven,
            "address_assumed": found.is_assumed,
        },
        **_decision_document(found.decision),
        "stands": asdict(found.before) if found.before else None,
        "otherwise": found.otherwise and _decision_document(found.otherwise),
    }


def _click_document(click: TracedClick) -> dict[str, Any]:
    return {
        "id": click.id,
        "found_in": click.found_in,
        "doubt": click.doubt,
        "partner": click.partner,
        "offer": click.offer,
        "clicked_at": click.clicked_at,
    }


def _decision_document(decision: Decision) -> dict[str, Any]:
    outcome = decision.outcome
    return {
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "meaning": REASONS[outcome.reason][1],
        "remedy": REMEDIES[outcome.reason],
        "http_status": outcome.http_status,
        "goal": decision.goal,
        "keys": decision.keys,
        "conversion": decision.after,
        "told": decision.told,
    }
