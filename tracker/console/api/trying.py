"""Links, and postbacks that are tried before the first real one comes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.console.api.calls import Call, Parameter, answer, read_body
from tracker.console.links import read_wish
from tracker.console.noting import note
from tracker.console.pages import person_of, runtime_of
from tracker.domain.click import SUBS
from tracker.domain.earning import Terms
from tracker.domain.errors import ForgedClickIdError
from tracker.domain.person import Permission
from tracker.flow.link import make_link
from tracker.flow.rehearsal import name_calls
from tracker.flow.sending import SentCall
from tracker.flow.trial import Arrived, Subject, send_test, try_out
from tracker.flow.trial import Trial as Tried
from tracker.runtime import Runtime
from tracker.web.arrival import Arrival, read_arrival

Text = Annotated[str, msgspec.Meta(max_length=100_000)]


@dataclass(frozen=True, slots=True)
class Link:
    """A tracked link, where it would lead now, and what it earns."""

    url: str
    destination: str
    is_refused: bool
    why: str
    terms: Sequence[Terms]


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    A postback as it would come: `url` with `method`, `body` and `headers`.

    `asked` is the id of a click, a conversion or a postback in quarantine; without it,
    a click is made up of `partner` and `offer`, and no `url` means the advertiser's
    own call for it.
    """

    asked: Text = ""
    partner: Text = ""
    offer: Text = ""
    url: Text = ""
    method: Text = ""
    body: Text = ""
    headers: list[Text] = []
    address: Text = ""


class Sending(Trial, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A postback as it would come, and which of the calls to make in earnest."""

    send: Text


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A call that would be made, without secrets; or why there is none."""

    name: str
    audience: str
    silence: Sequence[str]
    problem: str
    method: str
    url: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a call that was made; `http_status` is null without an answer."""

    judged: str
    http_status: int | None
    answer: str


@dataclass(frozen=True, slots=True)
class Explained:
    """
    What would be decided, step by step, and who would be told what.

    `url` is the advertiser's own call, with `***` for its token, where none was given.
    """

    click_id: str | None
    url: str
    verdict: str
    steps: Sequence[tuple[str, str]]
    calls: Sequence[Rehearsed]
    sent: Sent | None


async def link(request: Request) -> Response:
    """A partner's is for itself, whatever is asked."""
    wish = read_wish(request)
    if not wish.partner or not wish.offer:
        raise HTTPException(400, "partner and offer must be named")
    made = await make_link(runtime_of(request), wish, person_of(request))
    if made.refused or made.preview is None:
        raise HTTPException(404, made.refused or "there is no such link")
    preview = made.preview
    return answer(
        Link(made.url, preview.destination, preview.is_refused, made.why, made.terms)
    )


async def explain_postback(request: Request) -> Response:
    """Nothing is written, nobody is called."""
    body, runtime = await read_body(request, Trial), runtime_of(request)
    url, tried = await _tried(runtime, body)
    return answer(_explained(url, tried))


async def send(request: Request) -> Response:
    """One call in earnest, marked as a test."""
    body, runtime = await read_body(request, Sending), runtime_of(request)
    url, tried = await _tried(runtime, body)
    sent = await send_test(runtime, tried, body.send)
    await note(request, "send_test", f"send={body.send[:200]}")
    return answer(_explained(url, sent))


async def _tried(runtime: Runtime, body: Trial) -> tuple[str, Tried]:
    """With the advertiser's own call, where a click was named and no call."""
    subject = Subject(body.asked, body.partner, body.offer)
    try:
        tried = await try_out(runtime, subject, await _arrived(runtime, body))
        if not tried.url or tried.click is None:
            return "", tried
        made = "" if body.asked else tried.click.id
        own = await read_arrival(runtime, Arrival(tried.url))
        return tried.url, await try_out(runtime, replace(subject, made=made), own)
    except ForgedClickIdError as error:
        raise HTTPException(422, str(error)) from error


async def _arrived(runtime: Runtime, body: Trial) -> Arrived | None:
    if not body.url:
        return None
    arrival = Arrival(body.url, body.method, body.body, body.headers, body.address)
    return await read_arrival(runtime, arrival)


def _explained(url: str, tried: Tried) -> Explained:
    return Explained(
        tried.click.id if tried.click else None,
        url,
        tried.verdict,
        tried.steps,
        _rehearsed(tried),
        _sent(tried.sent) if tried.sent else None,
    )


def _rehearsed(tried: Tried) -> list[Rehearsed]:
    calls = name_calls(tried.rehearsal) if tried.rehearsal else {}
    return [
        Rehearsed(
            name,
            one.audience,
            one.silence,
            one.problem,
            one.shown.method if one.shown else "",
            one.shown.url if one.shown else "",
        )
        for name, one in calls.items()
    ]


def _sent(made: SentCall) -> Sent:
    return Sent(made.judgement, made.answer.status, made.said)


CALLS = (
    Call(
        "GET",
        "/links",
        link,
        Permission.OWN,
        "A tracked link, and where it would lead a visitor now",
        answer=Link,
        parameters=(
            Parameter("partner", "Its key; a partner's token is for its own."),
            Parameter("offer", "Its key.", is_required=True),
            *(Parameter(name, "What stands in the link.") for name in SUBS),
            Parameter("deeplink", "A page of the shop to lead to."),
            Parameter("sign", "Anything: the deep link is signed, for operators."),
            Parameter("country", "Of the visitor, two letters."),
            Parameter("device", "Of the visitor."),
            Parameter("language", "Of the visitor, as browsers say it."),
        ),
    ),
    Call(
        "POST",
        "/postbacks/explain",
        explain_postback,
        Permission.SEE,
        "What would come of a postback, and what partners would be told",
        answer=Explained,
        body=Trial,
    ),
    Call(
        "POST",
        "/postbacks/send",
        send,
        Permission.ACT,
        "Makes one of these calls in earnest, marked as a test",
        answer=Explained,
        body=Sending,
        example={"partner": "bestdeals", "offer": "shoes", "send": "all"},
    ),
)
