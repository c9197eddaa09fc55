"""Any id leads to its page."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import Page, page, person_of, runtime_of, see
from tracker.domain.errors import NotFoundError
from tracker.domain.person import Permission
from tracker.flow.lookup import Lead, look_up

ROOMS = {
    "click": "/click/",
    "conversion": "/conversions/",
    "postback": "/postbacks/",
    "delivery": "/deliveries/",
}
_LISTS = {
    "conversions of": ("/conversions", "transaction"),
    "postbacks of": ("/postbacks", "transaction"),
    "clicks of": ("/clicks", "sub1"),
}


async def find(request: Request) -> Response:
    """The page of whatever was pasted, or where else it could be."""
    asked = request.query_params.get("id", "")
    own = person_of(request).scope
    try:
        lead = await look_up(runtime_of(request), asked, own)
    except NotFoundError as error:
        return page(request, "find.html", status=404, asked=asked, said=str(error))
    return see(address_of(lead, ROOMS))


def address_of(lead: Lead, rooms: Mapping[str, str]) -> str:
    """Of the one thing that it is, or of a log that has only what is of it."""
    if lead.kind in rooms:
        return rooms[lead.kind] + quote(lead.id, safe="")
    room, name = _LISTS[lead.kind]
    return f"{room}?{urlencode({name: lead.id})}"


PAGES = (Page("/find", find, needs=Permission.OWN),)
