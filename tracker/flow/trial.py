"""
A postback tried from end to end: what would be decided, and what partners be told.

Nothing of it is written, and nobody is called; `flow/sending.py` alone does that.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tracker.domain.call import Call
from tracker.domain.judgement import mention_of
from tracker.domain.macro_values import Occasion
from tracker.domain.postback import MASK, Postback, tokens_of
from tracker.flow.explanation import (
    Explanation,
    explain_postback,
    explain_quarantined,
)
from tracker.flow.rehearsal import Rehearsal, rehearse_calls
from tracker.flow.trace import TracedClick, find_click
from tracker.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What would come of a postback, decision and calls.

    There are no calls where nothing would change. It `took_token` where `***` stood for
    the advertiser's own token.
    """

    explanation: Explanation
    rehearsal: Rehearsal | None = None
    took_token: bool = False


async def try_postback(
    runtime: Runtime,
    postback: Postback,
    call: Call | None = None,
    made_up: TracedClick | None = None,
) -> Trial:
    """
    By the catalog in force, and all that is known now.

    What logs and pages have in place of a token stands for the right one here, so that
    nobody needs to have it.
    """
    sent = _with_token(runtime, postback)
    explanation = await explain_postback(runtime, sent, call, made_up=made_up)
    rehearsal = await _rehearsed(runtime, explanation, made_up)
    if sent == postback:
        return Trial(explanation, rehearsal)
    return Trial(_believed(explanation), rehearsal, took_token=True)


async def try_quarantined(runtime: Runtime, postback_id: str) -> Trial:
    """The same for one in quarantine: what a release would come to; NotFoundError."""
    explanation = await explain_quarantined(runtime, postback_id)
    return Trial(explanation, await _rehearsed(runtime, explanation, None))


def _with_token(runtime: Runtime, postback: Postback) -> Postback:
    digest = postback.token_digest
    if not digest or not runtime.hasher.matches(digest, [MASK]):
        return postback
    advertiser = mention_of(postback, runtime.rules()).advertiser
    if advertiser is None:
        return postback
    tokens = tokens_of(runtime.catalog.advertiser(advertiser), runtime.catalog)
    if not tokens:
        return postback
    return postback.but(token_digest=runtime.hasher.digest(tokens[0]))


def _believed(explanation: Explanation) -> Explanation:
    """Of the token no more is said than that it counts."""
    read = [
        replace(one, counts=True, note="") if "token" in one.meanings else one
        for one in explanation.parameters
    ]
    return replace(explanation, parameters=read)


async def _rehearsed(
    runtime: Runtime, explanation: Explanation, made_up: TracedClick | None
) -> Rehearsal | None:
    decision, click = explanation.decision, explanation.click
    if decision.change is None or decision.after is None:
        return None
    known = click or await find_click(runtime, decision.after.click_id)
    occasion = Occasion(
        decision.change,
        decision.after,
        known.record,
        runtime.catalog,
        explanation.postback.parameters,
    )
    is_made_up = made_up is not None and made_up.id == known.id
    found = Rehearsal(occasion, known, is_made_up)
    return rehearse_calls(found, datetime.now(UTC))
