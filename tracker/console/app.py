"""
The console: an application of its own, so that no page is ever in a visitor's way.

Here stand the list of all pages, the guard that each of them is behind, and the table
from an error to an answer.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from http import HTTPStatus

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from tracker.console import (
    acting,
    audit,
    catalog,
    finding,
    links,
    logs,
    me,
    overview,
    people,
    report,
    sign_in,
    static,
    story,
    tail,
    tester,
)
from tracker.console.api import index as api
from tracker.console.entrance import admit
from tracker.console.noting import note_done
from tracker.console.pages import Endpoint, Page
from tracker.console.problems import refuse
from tracker.domain.errors import (
    BusyError,
    NotFoundError,
    OverloadedError,
    RefusedChangeError,
    StoreUnavailableError,
    TooLongError,
    TooManyFailuresError,
)
from tracker.flow.catalog import follow_catalog
from tracker.flow.start import start
from tracker.flow.tail import Tails
from tracker.loops import running
from tracker.runtime import Runtime, open_runtime
from tracker.settings import Settings

log = structlog.get_logger()

PAGES: Sequence[Page] = (
    Page("/static/{name}", static.show_static, needs=None),
    *sign_in.PAGES,
    *me.PAGES,
    *people.PAGES,
    *audit.PAGES,
    *overview.PAGES,
    *report.PAGES,
    *catalog.PAGES,
    *tail.PAGES,
    *logs.PAGES,
    *acting.PAGES,
    *story.PAGES,
    *finding.PAGES,
    *links.PAGES,
    *tester.PAGES,
    *api.PAGES,
)

_ANSWERS: dict[type[Exception], tuple[int, str]] = {
    NotFoundError: (404, "There is no such thing."),
    RefusedChangeError: (409, "That is not allowed."),
    TooManyFailuresError: (429, "Too many failures; try again in five minutes."),
    StoreUnavailableError: (503, "A store does not answer; try again later."),
    BusyError: (503, "It is being changed; try again."),
    TooLongError: (503, "That takes too long; ask for less."),
    OverloadedError: (503, "Too much at once; try again later."),
}
_UNEXPECTED = (500, "Something went wrong here; it was logged.")


def create_console(settings: Settings) -> Starlette:
    """What `tracker console` serves; it owns a runtime for as long as it is served."""

    @asynccontextmanager
    async def opened(app: Starlette) -> AsyncIterator[None]:
        async with open_runtime(settings) as runtime:
            await start(runtime)
            app.state.runtime = runtime
            async with running(_loops(runtime)):
                yield

    app = Starlette(
        routes=[_route(one) for one in PAGES],
        lifespan=opened,
        exception_handlers={HTTPException: _show_refusal, Exception: _show_error},
    )
    app.state.tails = Tails()
    return app


def _loops(runtime: Runtime) -> list[Awaitable[None]]:
    return [follow_catalog(runtime, applies_edits=False)]


def _route(declared: Page) -> Route:
    return Route(declared.path, _guarded(declared), methods=list(declared.methods))


def _guarded(declared: Page) -> Endpoint:
    """The endpoint behind the guard, and its errors as answers."""

    @wraps(declared.endpoint)
    async def answer(request: Request) -> Response:
        try:
            refused = await admit(
                request, declared.needs, takes_token=declared.takes_token
            )
            if refused is not None:
                return refused
            made = await declared.endpoint(request)
            await note_done(request, declared, made)
            return made  # noqa: TRY300 - what comes of it, errors as well
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - answered by the table
            return _answer_to(request, error)

    return answer


def _answer_to(request: Request, error: Exception) -> Response:
    for kind, (status, sentence) in _ANSWERS.items():
        if isinstance(error, kind):
            return refuse(request, status, str(error) or sentence)
    log.error("console.failed", path=request.url.path, exc_info=error)
    return refuse(request, *_UNEXPECTED)


async def _show_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_allowed(request)))
    return refuse(request, error.status_code, str(error.detail), headers)


def _allowed(request: Request) -> set[str]:
    """Of an address that two pages share, the first knows its own methods only."""
    routes = [one for one in request.app.routes if isinstance(one, Route)]
    return {
        method
        for one in routes
        if one.matches(request.scope)[0] is not Match.NONE
        for method in one.methods or ()
    }


async def _show_error(request: Request, error: Exception) -> Response:
    return _answer_to(request, error)
