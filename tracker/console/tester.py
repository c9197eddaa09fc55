"""`/tester`: a postback is tried before the first real one comes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import Page, form_of, page, person_of, runtime_of
from tracker.domain.click import SUBS, Visit
from tracker.domain.errors import (
    ForgedClickIdError,
    NotFoundError,
    RefusedChangeError,
)
from tracker.domain.example import example_url
from tracker.domain.invitation import invite
from tracker.domain.link import find_link, list_partners
from tracker.domain.person import Permission
from tracker.domain.spelling import sentence
from tracker.flow.concealing import (
    conceal_call,
    conceal_headers,
    secrets_in,
    without_values,
)
from tracker.flow.rehearsal import (
    Choice,
    Rehearsal,
    choose_call,
    imagine_click,
    name_calls,
    rehearse,
)
from tracker.flow.sending import SentCall, send_rehearsed
from tracker.flow.steps import Line, list_steps
from tracker.flow.trace import TracedClick, find_click
from tracker.flow.trial import Trial, try_postback, try_quarantined
from tracker.runtime import Runtime
from tracker.web.arrival import Arrival, read_arrival

MOST_PARTNERS = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What the form says: of which click, and what would be sent about it.

    `made` is the id of a click that was made up before; `asked` a real id.
    """

    partner: str = ""
    offer: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    made: str = ""
    asked: str = ""
    url: str = ""
    method: str = ""
    body: str = ""
    headers: str = ""
    address: str = ""

    @property
    def arrival(self) -> Arrival:
        """The call as it was pasted."""
        lines = [line for line in self.headers.splitlines() if line.strip()]
        return Arrival(self.url, self.method, self.body, lines, self.address.strip())


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it: what was decided, what would be told, what was sent."""

    asked: Asked
    click: TracedClick | None = None
    steps: Sequence[Line] = ()
    verdict: str = ""
    rehearsal: Rehearsal | None = None
    took_token: bool = False
    sent: SentCall | None = None
    refused: str = ""


Story = Callable[[Runtime, Asked], Awaitable[Tried]]


async def show_tester(request: Request) -> Response:
    """The form; with a partner and an offer it has a click already."""
    query = request.query_params
    asked = Asked(partner=query.get("partner", ""), offer=query.get("offer", ""))
    if not asked.partner or not asked.offer:
        return await _answer(request, Tried(asked))
    return await _guarded(request, asked, _begin)


async def try_it(request: Request) -> Response:
    """Nothing is written; only `send` calls anybody, once, and marked as a test."""
    form = await form_of(request)
    asked = _asked(form)
    if form.get("send"):
        return await _send(request, asked, form["send"])
    if form.get("do") == "make":
        return await _guarded(request, replace(asked, made="", url=""), _begin)
    return await _guarded(request, asked, explain)


async def _send(request: Request, asked: Asked, postback: str) -> Response:
    """For who may act; the page of anybody else has no button for it."""
    if not person_of(request).may(Permission.ACT):
        refused = "To send a test is for operators."
        return await _answer(request, Tried(asked, refused=refused), 403)

    async def send(runtime: Runtime, asked: Asked) -> Tried:
        return await send_test(runtime, asked, postback)

    return await _guarded(request, asked, send)


async def send_test(runtime: Runtime, asked: Asked, postback: str) -> Tried:
    """One call in earnest, marked as a test, of those that would be made of it."""
    tried = await explain(runtime, asked)
    if tried.rehearsal is None:
        raise RefusedChangeError("nobody would be told of it")
    call = choose_call(tried.rehearsal, postback)
    return replace(tried, sent=await send_rehearsed(runtime, call))


async def _guarded(request: Request, asked: Asked, story: Story) -> Response:
    """The page of what came of it, or of why nothing did."""
    try:
        return await _answer(request, await story(runtime_of(request), asked))
    except (NotFoundError, ForgedClickIdError, RefusedChangeError) as error:
        return await _answer(request, Tried(asked, refused=sentence(str(error))))


async def _begin(runtime: Runtime, asked: Asked) -> Tried:
    """A click, and the call that its advertiser would make of it."""
    if asked.asked.startswith(("cv_", "pb_")):
        return await explain(runtime, asked)
    click = await _click(runtime, asked)
    if click is None or click.facts is None:
        doubt = click.doubt if click else "name a click, or a partner and an offer"
        raise NotFoundError(doubt)
    url = _example(runtime, click)
    made = "" if asked.asked else click.id
    return Tried(replace(asked, made=made, url=url), click)


async def explain(runtime: Runtime, asked: Asked) -> Tried:
    """What would come of it; an error where there is nothing to explain."""
    if asked.asked.startswith("pb_") and not asked.url:
        return _tried(asked, None, await try_quarantined(runtime, asked.asked))
    if asked.asked.startswith("cv_") and not asked.url:
        rehearsal = await rehearse(runtime, Choice(asked.asked))
        return Tried(asked, rehearsal.click, rehearsal=rehearsal)
    if not asked.url:
        return await _begin(runtime, asked)
    click = await _click(runtime, asked)
    postback, call = await read_arrival(runtime, asked.arrival)
    made_up = click if click and asked.made == click.id else None
    return _tried(asked, click, await try_postback(runtime, postback, call, made_up))


def _tried(asked: Asked, click: TracedClick | None, trial: Trial) -> Tried:
    return Tried(
        asked,
        click or trial.explanation.click,
        list(list_steps(trial.explanation)),
        trial.explanation.decision.outcome.verdict,
        trial.rehearsal,
        trial.took_token,
    )


async def _click(runtime: Runtime, asked: Asked) -> TracedClick | None:
    """A real one by its id, else one made up; None where none is asked for."""
    if asked.asked:
        return await find_click(runtime, asked.asked)
    if not asked.partner or not asked.offer:
        return None
    find_link(runtime.catalog, asked.partner, asked.offer)
    visit = Visit(asked.partner, asked.offer, asked.labels)
    now = datetime.now(UTC)
    return imagine_click(runtime, visit, now, click_id=asked.made)


def _example(runtime: Runtime, click: TracedClick) -> str:
    """In the words of the advertiser whose offer it is."""
    catalog = runtime.catalog
    offer = catalog.offers.get(click.offer)
    if offer is None:
        raise NotFoundError(f"the offer {click.offer} is not in the catalog any more")
    advertiser = catalog.advertiser(offer.advertiser)
    asked = invite(advertiser, catalog, runtime.settings.base_url, shows_token=False)
    return example_url(asked, offer, click.id)


def _asked(form: Mapping[str, str]) -> Asked:
    names = ("partner", "offer", "made", "asked", "url", "method", "address")
    given = {name: form.get(name, "").strip() for name in names}
    labels = {name: form[name] for name in SUBS if form.get(name)}
    return Asked(
        **given,
        labels=labels,
        body=form.get("body", ""),
        headers=form.get("headers", ""),
    )


async def _answer(request: Request, tried: Tried, status: int = 200) -> Response:
    """No secret that was pasted stands in the page that answers."""
    return page(
        request,
        "tester.html",
        status=status,
        tried=tried,
        asked=await _concealed(runtime_of(request), tried.asked),
        partners=list_partners(runtime_of(request).catalog)[:MOST_PARTNERS],
        subs=SUBS,
        may_send=person_of(request).may(Permission.ACT),
        calls=name_calls(tried.rehearsal) if tried.rehearsal else {},
    )


async def _concealed(runtime: Runtime, asked: Asked) -> Asked:
    """The form again, without what was secret in it."""
    try:
        postback, call = await read_arrival(runtime, asked.arrival)
    except NotFoundError:
        secrets, route = set[str](), None
    else:
        secrets, route = secrets_in(postback, call), postback.route
    vocabulary = runtime.catalog.vocabulary(route)
    url, body = conceal_call((asked.url, asked.body), vocabulary)
    headers = conceal_headers(asked.headers, vocabulary)
    return replace(
        asked,
        url=without_values(url, secrets),
        body=without_values(body, secrets),
        headers=without_values(headers, secrets),
    )


PAGES = (
    Page("/tester", show_tester, needs=Permission.SEE),
    Page("/tester", try_it, needs=Permission.SEE, methods=("POST",)),
)
