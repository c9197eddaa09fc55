"""What is earning and what is broken, at one look."""

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import Page, page
from tracker.domain.person import Permission


async def show_overview(request: Request) -> Response:
    """The first page."""
    return page(request, "overview.html")


PAGES = (Page("/", show_overview, needs=Permission.SEE),)
