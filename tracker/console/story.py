"""One page for a click's whole life, and for each part of it that has an id."""

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.acting import DONE
from tracker.console.pages import Page, page, person_of, runtime_of
from tracker.domain.curl import curl_command
from tracker.domain.errors import NotFoundError
from tracker.domain.judgement import WAIVABLE
from tracker.domain.person import Permission
from tracker.domain.request import Request as Call
from tracker.flow.conclusion import conclude
from tracker.flow.rehearsal import spell_delivery
from tracker.flow.story import tell
from tracker.flow.trace import Trace, excerpt, own_trace, trace


async def show_click(request: Request) -> Response:
    """The whole life of a click, on one line of time."""
    return _story(request, await trace_asked(request), "click")


async def show_conversion(request: Request) -> Response:
    """What concerns one conversion."""
    return await _show_part(request, "cv_", "conversion")


async def show_postback(request: Request) -> Response:
    """What one postback said, and what came of it."""
    return await _show_part(request, "pb_", "postback")


async def show_delivery(request: Request) -> Response:
    """What one delivery was tried with, what was answered, and the call by hand."""
    found = await part_asked(request, "dl_")
    call = await spell_delivery(runtime_of(request), found.deliveries[-1])
    return _story(request, found, "delivery", call)


async def _show_part(request: Request, prefix: str, kind: str) -> Response:
    return _story(request, await part_asked(request, prefix), kind)


async def part_asked(request: Request, prefix: str) -> Trace:
    """As much as concerns one id of that kind."""
    asked = request.path_params["id"]
    if not asked.startswith(prefix):
        raise NotFoundError(f"there is no {asked}")
    return excerpt(await trace_asked(request), asked)


async def trace_asked(request: Request) -> Trace:
    """As the one who asks may see it; what is not a partner's is not there at all."""
    asked = request.path_params["id"]
    own = person_of(request).scope
    if own is None:
        return await trace(runtime_of(request), asked)
    try:
        return own_trace(await trace(runtime_of(request), asked), own)
    except NotFoundError:
        raise NotFoundError(f"there is no {asked}") from None


def _story(
    request: Request, found: Trace, kind: str, call: Call | None = None
) -> Response:
    return page(
        request,
        "story.html",
        kind=kind,
        asked=request.path_params["id"],
        trace=found,
        click=found.click,
        events=tell(found),
        conclusions=conclude(found),
        latest={one.id: one.round for one in found.deliveries},
        waivable=sorted(WAIVABLE),
        curl=curl_command,
        call=call,
        done=DONE.get(request.query_params.get("did", ""), ""),
    )


PAGES = (
    Page("/click/{id}", show_click, needs=Permission.OWN),
    Page("/conversions/{id}", show_conversion, needs=Permission.OWN),
    Page("/postbacks/{id}", show_postback, needs=Permission.SEE),
    Page("/deliveries/{id}", show_delivery, needs=Permission.OWN),
)
