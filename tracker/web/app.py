"""
The web process: the two hot endpoints ahead of everything else, and the rest.

Here stands the one table from an error to an answer.
"""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tracker import metrics
from tracker.domain.errors import (
    BusyError,
    ClosedLinkError,
    OverloadedError,
    StoreUnavailableError,
    UnknownLinkError,
)
from tracker.flow.audit import SAVE_SECONDS, save_counts
from tracker.flow.cap import LOOK_SECONDS, CapWatch
from tracker.flow.catalog import follow_catalog
from tracker.flow.drain import DRAIN_SECONDS, drain_spools
from tracker.flow.start import start
from tracker.loops import keep_going, running
from tracker.runtime import Runtime, open_runtime
from tracker.settings import Settings
from tracker.web import postback, redirect
from tracker.web.answer import answer, answer_json
from tracker.web.openapi import describe
from tracker.web.sandbox import sandbox_routes
from tracker.web.status import healthz, readyz, render_metrics

log = structlog.get_logger()

_ANSWERS: dict[type[Exception], tuple[int, str]] = {
    UnknownLinkError: (404, "There is no such link."),
    ClosedLinkError: (410, "This offer is closed."),
    StoreUnavailableError: (503, "Nothing could be stored; send it again later."),
    BusyError: (503, "It is being changed; send it again later."),
    ClientDisconnect: (400, "The request was cut off."),
    OverloadedError: (503, "Too much at once; send it again later."),
}
_UNEXPECTED = (500, "Something went wrong here; it was logged.")

_WRONG_METHOD = (405, "This address does not take that method.")


class TrackerApp:
    """
    An ASGI application that owns a runtime for as long as it is served.

    Clicks and postbacks pass no routing and no middleware.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runtime: Runtime | None = None
        status = status_routes()
        own = status[:1] if settings.internal_port else status
        shown = sandbox_routes(settings) if settings.sandbox else []
        self.pages = Starlette(
            routes=[*own, Route("/openapi.json", describe), *shown],
            lifespan=self._open,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or runs the lifespan."""
        path = scope.get("path", "") if scope["type"] == "http" else ""
        if path.startswith(redirect.PREFIX):
            await self._redirect(scope, send)
        elif path == postback.PREFIX or path.startswith(f"{postback.PREFIX}/"):
            await self._postback(scope, receive, send)
        else:
            await self.pages(scope, receive, send)

    @property
    def runtime(self) -> Runtime:
        """What is open; there is none before the lifespan has begun."""
        if self._runtime is None:
            raise RuntimeError("the application is not open")
        return self._runtime

    async def _redirect(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in redirect.METHODS:
            await _say(send, *_WRONG_METHOD)
            return
        try:
            await redirect.redirect(self.runtime, scope, send)
        except Exception as error:  # noqa: BLE001 - answered by the table
            await _say(send, *_answer_to(error))

    async def _postback(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in postback.METHODS:
            await _say(send, *_WRONG_METHOD)
            return
        try:
            await postback.receive_postback(self.runtime, scope, receive, send)
        except Exception as error:  # noqa: BLE001 - answered by the table
            status, sentence = _answer_to(error)
            metrics.POSTBACKS_FAILED.labels(str(status)).inc()
            await answer_json(send, status, {"status": "failed", "reason": sentence})

    @asynccontextmanager
    async def _open(self, pages: Starlette) -> AsyncIterator[None]:
        async with open_runtime(self._settings) as runtime:
            await start(runtime)
            pages.state.runtime = self._runtime = runtime
            async with running(_loops(runtime)):
                yield
            await save_counts(runtime)


def create_app(settings: Settings) -> TrackerApp:
    """What `tracker serve` serves."""
    return TrackerApp(settings)


def create_internal_app(app: TrackerApp) -> ASGIApp:
    """`/healthz`, `/readyz` and `/metrics` of an application, for another port."""
    internal = Starlette(routes=status_routes())
    internal.state = app.pages.state
    return internal


def status_routes() -> list[Route]:
    """`/healthz` comes first; the other two can move to an internal port."""
    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", render_metrics),
    ]


def _loops(runtime: Runtime) -> list[Awaitable[None]]:
    return [
        follow_catalog(runtime, applies_edits=False),
        keep_going("caps", CapWatch(runtime).look, LOOK_SECONDS),
        keep_going("count", lambda: save_counts(runtime), SAVE_SECONDS),
        keep_going("drain", lambda: drain_spools(runtime), DRAIN_SECONDS),
    ]


def _answer_to(error: Exception) -> tuple[int, str]:
    for kind, known in _ANSWERS.items():
        if isinstance(error, kind):
            return known
    log.error("request.failed", exc_info=error)
    return _UNEXPECTED


async def _say(send: Send, status: int, sentence: str) -> None:
    headers = redirect.HEADERS
    await answer(send, status, f"{sentence}\n".encode(), headers=headers)
