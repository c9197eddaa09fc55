"""What operators do: approve, reject, adjust, release, retry, replay, resume."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.console.acting import MOST_AT_ONCE
from tracker.console.api.calls import Call, Parameter, answer, done, read_body
from tracker.console.noting import note
from tracker.console.pages import person_of, runtime_of
from tracker.domain.identity import ConversionId, DeliveryId
from tracker.domain.money import parse_amount
from tracker.domain.offer import Status
from tracker.domain.outcome import Outcome, Reason
from tracker.domain.person import Permission
from tracker.domain.postback import clean
from tracker.flow.conversion import (
    Operator,
    set_conversion_amount,
    set_conversion_status,
)
from tracker.flow.quarantine import (
    Attempted,
    Pardon,
    release_each,
    release_postback,
)
from tracker.flow.redelivery import replay_delivery, resume_lane, retry_delivery
from tracker.runtime import Runtime

Text = Annotated[str, msgspec.Meta(max_length=512)]
Ids = Annotated[list[Text], msgspec.Meta(min_length=1, max_length=MOST_AT_ONCE)]


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why; it stands with the change."""

    note: Text = ""


class Correction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the customer paid, as text: "49.90"."""

    amount: Text
    note: Text = ""


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The click that a postback meant, or the reason that is waived; or neither."""

    click: Text | None = None
    waive: Reason | None = None


class Releases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Postbacks in quarantine, and the reason that is waived for all, if one is."""

    ids: Ids
    waive: Reason | None = None


class Lane(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Its name, as deliveries have it."""

    lane: Text


@dataclass(frozen=True, slots=True)
class Judged:
    """What a postback came to."""

    id: str
    outcome: str
    reason: str
    conversion_id: str | None


@dataclass(frozen=True, slots=True)
class JudgedOrRefused:
    """What one came to; where `refused` says why not, the rest is null."""

    id: str
    outcome: str | None
    reason: str | None
    conversion_id: str | None
    refused: str


@dataclass(frozen=True, slots=True)
class Released:
    """How many are believed now, how many are not, and each of them."""

    released: int
    stayed: int
    items: list[JudgedOrRefused]


async def approve(request: Request) -> Response:
    """Whatever it was."""
    return await _set_status(request, Status.APPROVED)


async def reject(request: Request) -> Response:
    """Likewise."""
    return await _set_status(request, Status.REJECTED)


async def adjust(request: Request) -> Response:
    """Corrects what the customer paid."""
    body = await read_body(request, Correction)
    amount, operator = _amount(body.amount), _operator(request, body.note)
    conversion = ConversionId(_id(request))
    await set_conversion_amount(runtime_of(request), conversion, amount, operator)
    await note(request, "adjust", f"amount={amount:f} note={body.note}")
    return done()


async def release(request: Request) -> Response:
    """Judged again, as if it came now; it may stay where it is."""
    body = await read_body(request, Release)
    click = clean(body.click).strip() if body.click else None
    pardon = Pardon(person_of(request).name, click or None, body.waive or None)
    outcome = await release_postback(runtime_of(request), _id(request), pardon)
    await note(request, "release", f"click={click or ''} waive={body.waive or ''}")
    return answer(_judged(outcome))


async def release_several(request: Request) -> Response:
    """Each by itself: one that stays does not keep the others."""
    body = await read_body(request, Releases)
    ids = [clean(one) for one in dict.fromkeys(body.ids)]
    pardon = Pardon(person_of(request).name, None, body.waive or None)
    made = await release_each(runtime_of(request), ids, pardon)
    said = " ".join(f"id={one}" for one in ids)
    await note(request, "release_several", f"waive={body.waive or ''} {said}")
    released = sum(one.is_believed for one in made)
    items = [_judged_or_refused(one) for one in made]
    return answer(Released(released, len(made) - released, items))


async def retry(request: Request) -> Response:
    """Now, and not when it is due."""
    return await _send_again(request, retry_delivery, "retry")


async def replay(request: Request) -> Response:
    """Once more, though it has ended."""
    return await _send_again(request, replay_delivery, "replay")


async def resume(request: Request) -> Response:
    """A lane that is paused, or open."""
    lane = clean((await read_body(request, Lane)).lane)
    await resume_lane(runtime_of(request), lane, person_of(request).name)
    await note(request, "resume", f"lane={lane}")
    return done()


async def _set_status(request: Request, status: Status) -> Response:
    body = await read_body(request, Note)
    conversion, operator = ConversionId(_id(request)), _operator(request, body.note)
    await set_conversion_status(runtime_of(request), conversion, status, operator)
    await note(request, status, f"note={body.note}")
    return done()


async def _send_again(
    request: Request,
    send: Callable[[Runtime, DeliveryId, str], Awaitable[None]],
    action: str,
) -> Response:
    name = person_of(request).name
    await send(runtime_of(request), DeliveryId(_id(request)), name)
    await note(request, action)
    return done()


def _id(request: Request) -> str:
    return clean(request.path_params["id"])


def _operator(request: Request, text: str) -> Operator:
    return Operator(person_of(request).name, clean(text).strip() or None)


def _amount(text: str) -> Decimal:
    try:
        return parse_amount(text.strip())
    except ValueError as error:
        raise HTTPException(422, f"amount: {error}") from error


def _judged(outcome: Outcome) -> Judged:
    return Judged(
        outcome.postback_id, outcome.verdict, outcome.reason, outcome.conversion_id
    )


def _judged_or_refused(made: Attempted) -> JudgedOrRefused:
    if made.outcome is None:
        return JudgedOrRefused(made.postback_id, None, None, None, made.refused)
    judged = _judged(made.outcome)
    return JudgedOrRefused(
        judged.id, judged.outcome, judged.reason, judged.conversion_id, refused=""
    )


def _act(  # noqa: PLR0913, PLR0917 - what a call is
    path: str,
    endpoint: Callable[[Request], Awaitable[Response]],
    says: str,
    body: Any = None,
    result: Any = None,
    example: Any = None,
) -> Call:
    parameters = (Parameter("id", "Its id."),) if "{id}" in path else ()
    return Call(
        "POST",
        path,
        endpoint,
        Permission.ACT,
        says,
        answer=result,
        parameters=parameters,
        body=body,
        example=example,
        status=200 if result else 204,
    )


CALLS = (
    _act(
        "/conversions/{id}/approve",
        approve,
        "Approves a conversion",
        Note,
        example={"note": "seen by the shop"},
    ),
    _act(
        "/conversions/{id}/reject",
        reject,
        "Rejects a conversion",
        Note,
        example={"note": "sent back"},
    ),
    _act(
        "/conversions/{id}/adjust",
        adjust,
        "Corrects its amount",
        Correction,
        example={"amount": "49.90", "note": "VAT was counted"},
    ),
    _act(
        "/quarantine/{id}/release",
        release,
        "Judges a postback in quarantine again",
        Release,
        Judged,
        {"waive": "bad_token"},
    ),
    _act(
        "/quarantine/release",
        release_several,
        "Judges several again, each by itself",
        Releases,
        Released,
        {"ids": ["pb_2n21x35pwvawydp8fbsv0zaf"], "waive": "bad_token"},
    ),
    _act("/deliveries/{id}/retry", retry, "Tries an owed delivery now"),
    _act("/deliveries/{id}/replay", replay, "Owes an ended delivery again"),
    _act(
        "/lanes/resume",
        resume,
        "Resumes a lane; what waited is due",
        Lane,
        example={"lane": "bestdeals/all@partner.example"},
    ),
)
