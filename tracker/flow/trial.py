"""
A postback tried from end to end: what would be decided, and what partners be told.

Nothing of it is written, and nobody is called; `send_test` alone does that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tracker.domain.call import Call
from tracker.domain.click import Visit
from tracker.domain.errors import NotFoundError, RefusedChangeError
from tracker.domain.example import example_url
from tracker.domain.invitation import invite
from tracker.domain.judgement import mention_of
from tracker.domain.link import find_link
from tracker.domain.macro_values import Occasion
from tracker.domain.postback import MASK, Postback, tokens_of
from tracker.flow.explanation import (
    Explanation,
    explain_postback,
    explain_quarantined,
)
from tracker.flow.rehearsal import (
    Choice,
    Rehearsal,
    choose_call,
    imagine_click,
    rehearse,
    rehearse_calls,
)
from tracker.flow.sending import SentCall, send_rehearsed
from tracker.flow.steps import Line, list_steps
from tracker.flow.trace import TracedClick, find_click
from tracker.runtime import Runtime

Arrived = tuple[Postback, Call]
"""A postback as it was read, and the call that it came by."""


@dataclass(frozen=True, slots=True)
class Subject:
    """
    What is tried: a click, a conversion or a postback by its id, or a click made up.

    `asked` is a real id. Without it the click is made up of the link and its `labels`;
    `made` is the id of the one that was made up before.
    """

    asked: str = ""
    partner: str = ""
    offer: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    made: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What would come of it, decision and calls.

    Nothing is explained where nobody reports anything: of a click alone there is the
    `url` that its advertiser would call. There are no calls where nothing would change.
    It `took_token` where `***` stood for the advertiser's own token.
    """

    click: TracedClick | None = None
    url: str = ""
    explanation: Explanation | None = None
    rehearsal: Rehearsal | None = None
    took_token: bool = False
    sent: SentCall | None = None

    @property
    def steps(self) -> list[Line]:
        """What would be decided, in words."""
        return list(list_steps(self.explanation)) if self.explanation else []

    @property
    def verdict(self) -> str:
        """In one word; "" where nothing is to be decided."""
        return self.explanation.decision.outcome.verdict if self.explanation else ""


async def try_out(
    runtime: Runtime, subject: Subject, arrived: Arrived | None = None
) -> Trial:
    """
    What would come of it, or of the postback that says so.

    Raises NotFoundError or UnknownLinkError for what is not there, ForgedClickIdError
    for an id that is none of ours, and RefusedChangeError where nothing would come.
    """
    if arrived is not None:
        return await _try_arrived(runtime, subject, arrived)
    if subject.asked.startswith("pb_"):
        return await _try_quarantined(runtime, subject.asked)
    if subject.asked.startswith("cv_"):
        rehearsal = await rehearse(runtime, Choice(subject.asked))
        return Trial(rehearsal.click, rehearsal=rehearsal)
    return await _begin(runtime, subject)


async def send_test(runtime: Runtime, trial: Trial, postback: str) -> Trial:
    """One call in earnest, marked as a test, of those that would be made of it."""
    if trial.rehearsal is None:
        raise RefusedChangeError("nobody would be told of it")
    call = choose_call(trial.rehearsal, postback)
    return replace(trial, sent=await send_rehearsed(runtime, call))


async def _begin(runtime: Runtime, subject: Subject) -> Trial:
    """A click, and the call that its advertiser would make of it."""
    click = await _click(runtime, subject)
    if click is None or click.facts is None:
        doubt = click.doubt if click else "name a click, or a partner and an offer"
        raise NotFoundError(doubt)
    return Trial(click, _example(runtime, click))


async def _click(runtime: Runtime, subject: Subject) -> TracedClick | None:
    """A real one by its id, else one made up; None where none is asked for."""
    if subject.asked:
        return await find_click(runtime, subject.asked)
    if not subject.partner or not subject.offer:
        return None
    find_link(runtime.catalog, subject.partner, subject.offer)
    visit = Visit(subject.partner, subject.offer, subject.labels)
    return imagine_click(runtime, visit, datetime.now(UTC), click_id=subject.made)


def _example(runtime: Runtime, click: TracedClick) -> str:
    """In the words of the advertiser whose offer it is."""
    catalog = runtime.catalog
    offer = catalog.offers.get(click.offer)
    if offer is None:
        raise NotFoundError(f"the offer {click.offer} is not in the catalog any more")
    advertiser = catalog.advertiser(offer.advertiser)
    asked = invite(advertiser, catalog, runtime.settings.base_url, shows_token=False)
    return example_url(asked, offer, click.id)


async def _try_arrived(runtime: Runtime, subject: Subject, arrived: Arrived) -> Trial:
    """
    By the catalog in force, and all that is known now.

    What logs and pages have in place of a token stands for the right one here, so that
    nobody needs to have it.
    """
    postback, call = arrived
    click = await _click(runtime, subject)
    made_up = click if click and subject.made == click.id else None
    sent = _with_token(runtime, postback)
    found = await explain_postback(runtime, sent, call, made_up=made_up)
    rehearsal = await _rehearsed(runtime, found, made_up)
    took_token = sent != postback
    return Trial(
        click or found.click,
        explanation=_believed(found) if took_token else found,
        rehearsal=rehearsal,
        took_token=took_token,
    )


async def _try_quarantined(runtime: Runtime, postback_id: str) -> Trial:
    """The same for one in quarantine: what a release would come to."""
    found = await explain_quarantined(runtime, postback_id)
    rehearsal = await _rehearsed(runtime, found, None)
    return Trial(found.click, explanation=found, rehearsal=rehearsal)


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
