"""Where any id leads, and which lanes wait for somebody."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.api.calls import PREFIX, Call, Parameter, answer
from tracker.console.finding import ROOMS, address_of
from tracker.console.pages import person_of, runtime_of
from tracker.domain.person import Permission
from tracker.flow.lookup import look_up
from tracker.store.lanes import StoppedLane

_ROOMS = {**ROOMS, "click": "/clicks/"}


@dataclass(frozen=True, slots=True)
class Found:
    """The call that tells of it: a story, or a list of all that have that value."""

    id: str
    path: str


async def find(request: Request) -> Response:
    """As the page of that name does; a partner finds its own."""
    asked = request.query_params.get("id", "")
    lead = await look_up(runtime_of(request), asked, person_of(request).scope)
    return answer(Found(lead.id, PREFIX + address_of(lead, _ROOMS)))


async def lanes(request: Request) -> Response:
    """Those that `/lanes/resume` is for."""
    return answer(await runtime_of(request).lanes.list_stopped())


CALLS = (
    Call(
        "GET",
        "/find",
        find,
        Permission.OWN,
        "Where an id leads: one of ours, a transaction, or a first label",
        answer=Found,
        parameters=(Parameter("id", "It, however it was pasted.", is_required=True),),
    ),
    Call(
        "GET",
        "/lanes",
        lanes,
        Permission.SEE,
        "Lanes that are paused, or whose breaker is not closed, and what waits there",
        answer=list[StoppedLane],
    ),
)
