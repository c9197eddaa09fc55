"""What operators do from the logs: release, approve, reject, adjust, retry, replay."""

from collections.abc import Awaitable, Callable, Collection
from decimal import Decimal
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.console.asking import MAX_VALUE, bad_request
from tracker.console.entrance import safe_next
from tracker.console.pages import Page, person_of, runtime_of, see
from tracker.domain.errors import NotFoundError
from tracker.domain.identity import ConversionId, DeliveryId
from tracker.domain.money import parse_amount
from tracker.domain.offer import Status
from tracker.domain.outcome import Reason, Verdict
from tracker.domain.person import Permission
from tracker.domain.postback import clean
from tracker.flow.conversion import (
    Operator,
    set_conversion_amount,
    set_conversion_status,
)
from tracker.flow.quarantine import Pardon, release_each, release_postback
from tracker.flow.redelivery import replay_delivery, resume_lane, retry_delivery
from tracker.runtime import Runtime

MOST_AT_ONCE = 200
"""Postbacks that one form, or one call, may release."""

DONE = {
    "released": "It was released, and is believed now.",
    "stays": "It was judged again, and stays in quarantine: the reason stands below.",
    "earlier": "Somebody else released it meanwhile; nothing was done twice.",
    "approved": "It is approved, and its partner will be told.",
    "rejected": "It is rejected, and its partner will be told.",
    "adjusted": "Its amount was corrected; payout and revenue follow.",
    "retried": "It is due now.",
    "replayed": "It is owed again, under the same id.",
    "resumed": "The lane is resumed: what waited is due.",
}
"""What a page says of what was just done, by the word in its address."""


async def release(request: Request) -> Response:
    """One postback, with the click that it meant, or a reason that is waived."""
    form = await request.form()
    postback = request.path_params["id"]
    pardon = _pardon(request, form, click=_field(form, "click") or None)
    try:
        outcome = await release_postback(runtime_of(request), postback, pardon)
    except NotFoundError:
        await runtime_of(request).reports.get_postback(postback)
        return see(_after(f"/postbacks/{postback}", "earlier"))
    stays = outcome.verdict is Verdict.QUARANTINED
    return see(_after(f"/postbacks/{postback}", "stays" if stays else "released"))


async def release_several(request: Request) -> Response:
    """Those that were chosen, or all that were shown, each by itself."""
    form = await request.form()
    chosen, pardon = _chosen(form), _pardon(request, form)
    made = await release_each(runtime_of(request), chosen, pardon)
    released = sum(one.is_believed for one in made)
    stayed = len(chosen) - released
    return see(_with(_back(form, "/quarantine"), released=released, stayed=stayed))


async def approve(request: Request) -> Response:
    """Whatever it was."""
    return await _set_status(request, Status.APPROVED)


async def reject(request: Request) -> Response:
    """Likewise."""
    return await _set_status(request, Status.REJECTED)


async def adjust(request: Request) -> Response:
    """Corrects what the customer paid."""
    form = await request.form()
    conversion = ConversionId(request.path_params["id"])
    amount, operator = _amount(form), _operator(request, form)
    await set_conversion_amount(runtime_of(request), conversion, amount, operator)
    return see(_after(_back(form, f"/conversions/{conversion}"), "adjusted"))


async def retry(request: Request) -> Response:
    """Now, and not when it is due."""
    return await _send_again(request, retry_delivery, "retried")


async def replay(request: Request) -> Response:
    """Once more, though it has ended."""
    return await _send_again(request, replay_delivery, "replayed")


async def resume(request: Request) -> Response:
    """A lane that is paused, or open."""
    form = await request.form()
    await resume_lane(
        runtime_of(request), _field(form, "lane"), person_of(request).name
    )
    return see(_after(_back(form, "/deliveries"), "resumed"))


async def _set_status(request: Request, status: Status) -> Response:
    form = await request.form()
    conversion = ConversionId(request.path_params["id"])
    operator = _operator(request, form)
    await set_conversion_status(runtime_of(request), conversion, status, operator)
    return see(_after(_back(form, f"/conversions/{conversion}"), status))


async def _send_again(
    request: Request,
    send: Callable[[Runtime, DeliveryId, str], Awaitable[None]],
    done: str,
) -> Response:
    form = await request.form()
    delivery = DeliveryId(request.path_params["id"])
    await send(runtime_of(request), delivery, person_of(request).name)
    return see(_after(_back(form, f"/deliveries/{delivery}"), done))


def _chosen(form: FormData) -> Collection[str]:
    """The ids of the postbacks that the form speaks of, each once."""
    name = "shown" if _field(form, "which") == "shown" else "id"
    chosen = dict.fromkeys(one for one in form.getlist(name) if isinstance(one, str))
    if not chosen:
        raise bad_request("No postback was chosen.")
    if len(chosen) > MOST_AT_ONCE:
        said = f"At most {MOST_AT_ONCE} postbacks can be released at once"
        raise bad_request(f"{said}: {len(chosen)} were chosen, and none was released.")
    return chosen


def _pardon(request: Request, form: FormData, click: str | None = None) -> Pardon:
    waived = _field(form, "waive")
    if waived and waived not in set(Reason):
        raise bad_request(f"{waived[:40]!r} is no reason")
    reason = Reason(waived) if waived else None
    return Pardon(person_of(request).name, click, reason)


def _operator(request: Request, form: FormData) -> Operator:
    return Operator(person_of(request).name, _field(form, "note") or None)


def _amount(form: FormData) -> Decimal:
    try:
        return parse_amount(_field(form, "amount"))
    except ValueError as error:
        raise bad_request(f"amount: {error}") from error


def _field(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return clean(value.strip())[:MAX_VALUE] if isinstance(value, str) else ""


def _back(form: FormData, otherwise: str) -> str:
    """Where the form stood, if that is a page of ours."""
    path = _field(form, "back")
    return path if path and safe_next(path) == path else otherwise


def _after(path: str, done: str) -> str:
    return _with(path, did=done)


def _with(path: str, **said: object) -> str:
    bare = path.partition("#")[0]
    return f"{bare}{'&' if '?' in bare else '?'}{urlencode(said)}"


def _act(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Page:
    return Page(path, endpoint, needs=Permission.ACT, methods=("POST",))


PAGES = (
    _act("/quarantine/release", release_several),
    _act("/quarantine/{id}/release", release),
    _act("/conversions/{id}/approve", approve),
    _act("/conversions/{id}/reject", reject),
    _act("/conversions/{id}/adjust", adjust),
    _act("/deliveries/{id}/retry", retry),
    _act("/deliveries/{id}/replay", replay),
    _act("/lanes/resume", resume),
)
