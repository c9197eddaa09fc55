"""All calls of the API, and their description."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.api import (
    acting,
    admitting,
    catalogs,
    finding,
    logs,
    people,
    reports,
    stories,
    tails,
    trying,
)
from tracker.console.api.calls import PREFIX, Call, answer
from tracker.console.api.description import document
from tracker.console.pages import Page, runtime_of

CALLS: Sequence[Call] = (
    *reports.CALLS,
    *logs.CALLS,
    # Before stories: `tail` is no id.
    *tails.CALLS,
    *stories.CALLS,
    *finding.CALLS,
    *acting.CALLS,
    *catalogs.CALLS,
    *trying.CALLS,
    *people.CALLS,
    *admitting.CALLS,
)


async def describe(request: Request) -> Response:
    """The description of all calls, in OpenAPI 3.1."""
    return answer(document(CALLS, runtime_of(request).settings.console_url))


PAGES = (
    Page(f"{PREFIX}/openapi.json", describe, needs=None),
    *(call.page() for call in CALLS),
)
