"""`/tester`: a postback is tried before the first real one comes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import Page, form_of, page, person_of, runtime_of
from tracker.domain.click import SUBS
from tracker.domain.errors import (
    ForgedClickIdError,
    NotFoundError,
    RefusedChangeError,
)
from tracker.domain.link import list_partners
from tracker.domain.person import Permission
from tracker.domain.spelling import sentence
from tracker.domain.vocabulary import Vocabulary
from tracker.flow.concealing import (
    conceal_call,
    conceal_headers,
    secrets_in,
    without_values,
)
from tracker.flow.rehearsal import name_calls
from tracker.flow.trial import Arrived, Subject, Trial, send_test, try_out
from tracker.runtime import Runtime
from tracker.web.arrival import Arrival, read_arrival

MOST_PARTNERS = 1_000


@dataclass(frozen=True, slots=True)
class Form:
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
    def subject(self) -> Subject:
        """What is to be tried."""
        return Subject(self.asked, self.partner, self.offer, self.labels, self.made)

    @property
    def arrival(self) -> Arrival:
        """The call as it was pasted."""
        lines = self.headers.splitlines()
        return Arrival(self.url, self.method, self.body, lines, self.address)

    def filled(self, trial: Trial) -> "Form":
        """With the call that the advertiser of a new click would make."""
        if not trial.url or not trial.click:
            return self
        return replace(self, url=trial.url, made="" if self.asked else trial.click.id)


Story = Callable[[Runtime, Form], Awaitable[Trial]]


async def show_tester(request: Request) -> Response:
    """The form; with a partner and an offer it has a click already."""
    query = request.query_params
    form = Form(partner=query.get("partner", ""), offer=query.get("offer", ""))
    if not form.partner or not form.offer:
        return await _answer(request, form, Trial())
    return await _guarded(request, form, _explain)


async def try_it(request: Request) -> Response:
    """Nothing is written; only `send` calls anybody, once, and marked as a test."""
    said = await form_of(request)
    form = _form(said)
    if said.get("send"):
        return await _send(request, form, said["send"])
    if said.get("do") == "make":
        form = replace(form, made="", url="")
    return await _guarded(request, form, _explain)


async def _explain(runtime: Runtime, form: Form) -> Trial:
    return await try_out(runtime, form.subject, await _arrived(runtime, form))


async def _send(request: Request, form: Form, postback: str) -> Response:
    """For who may act; the page of anybody else has no button for it."""
    if not person_of(request).may(Permission.ACT):
        refused = "To send a test is for operators."
        return await _answer(request, form, Trial(), refused, 403)

    async def send(runtime: Runtime, form: Form) -> Trial:
        return await send_test(runtime, await _explain(runtime, form), postback)

    return await _guarded(request, form, send)


async def _arrived(runtime: Runtime, form: Form) -> Arrived | None:
    return await read_arrival(runtime, form.arrival) if form.url else None


async def _guarded(request: Request, form: Form, story: Story) -> Response:
    """The page of what came of it, or of why nothing did."""
    try:
        trial = await story(runtime_of(request), form)
    except (NotFoundError, ForgedClickIdError, RefusedChangeError) as error:
        return await _answer(request, form, Trial(), sentence(str(error)))
    return await _answer(request, form.filled(trial), trial)


def _form(said: Mapping[str, str]) -> Form:
    names = ("partner", "offer", "made", "asked", "url", "method", "address")
    given = {name: said.get(name, "").strip() for name in names}
    labels = {name: said[name] for name in SUBS if said.get(name)}
    return Form(
        **given,
        labels=labels,
        body=said.get("body", ""),
        headers=said.get("headers", ""),
    )


async def _answer(
    request: Request, form: Form, trial: Trial, refused: str = "", status: int = 200
) -> Response:
    """No secret that was pasted stands in the form again, or in what is said of it."""
    runtime = runtime_of(request)
    secrets, vocabulary = await _pasted(runtime, form)
    return page(
        request,
        "tester.html",
        status=status,
        tried=trial,
        refused=refused,
        asked=_concealed(form, secrets, vocabulary),
        steps=[(name, without_values(said, secrets)) for name, said in trial.steps],
        partners=list_partners(runtime.catalog)[:MOST_PARTNERS],
        subs=SUBS,
        may_send=person_of(request).may(Permission.ACT),
        calls=name_calls(trial.rehearsal) if trial.rehearsal else {},
    )


async def _pasted(runtime: Runtime, form: Form) -> tuple[set[str], Vocabulary]:
    """The secrets in what was pasted, and the words by which more can be told."""
    try:
        postback, call = await read_arrival(runtime, form.arrival)
    except NotFoundError:
        return set(), runtime.catalog.vocabulary(None)
    return secrets_in(postback, call), runtime.catalog.vocabulary(postback.route)


def _concealed(form: Form, secrets: set[str], vocabulary: Vocabulary) -> Form:
    """The form again, without what was secret in it."""
    url, body = conceal_call((form.url, form.body), vocabulary)
    headers = conceal_headers(form.headers, vocabulary)
    return replace(
        form,
        url=without_values(url, secrets),
        body=without_values(body, secrets),
        headers=without_values(headers, secrets),
    )


PAGES = (
    Page("/tester", show_tester, needs=Permission.SEE),
    Page("/tester", try_it, needs=Permission.SEE, methods=("POST",)),
)
