"""The live tail: logs that go on by themselves, as server-sent events."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tracker.console.asking import bad_request
from tracker.console.entrance import admit
from tracker.console.logs import (
    ask_clicks,
    ask_conversions,
    ask_deliveries,
    ask_postbacks,
    click_wanted,
    conversion_wanted,
    delivery_wanted,
    postback_wanted,
    remedy,
)
from tracker.console.pages import HEADERS, Page, person_of, piece, runtime_of
from tracker.domain.person import Permission
from tracker.flow.story import meaning
from tracker.flow.tail import Rows, Tail, is_wanted
from tracker.store.journal import ConversionWanted, PostbackWanted, Wanted

ASK_AGAIN_SECONDS = 10.0
"""How often it is asked whether somebody may still listen."""

MEDIA_TYPE = "text/event-stream"

Tell = Callable[[Rows], str]
"""The events that say so."""


class Told(StreamingResponse):
    """Events that end with their answer, though nobody takes its first byte."""

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        headers = {**HEADERS, "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers, media_type=MEDIA_TYPE)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As any other answer."""
        async with aclosing(self._events):
            await super().__call__(scope, receive, send)


async def tail_clicks(request: Request) -> Response:
    """Clicks as they are folded; a partner hears of its own."""
    return await follow(request, "clicks", _as_rows("click", _is_staff(request)))


async def tail_postbacks(request: Request) -> Response:
    """Postbacks as they are decided."""
    return await follow(request, "postbacks", _as_rows("postback", meaning, remedy))


async def tail_conversions(request: Request) -> Response:
    """Conversions as they come; one that changes is told when it is new."""
    return await follow(
        request, "conversions", _as_rows("conversion", _is_staff(request))
    )


async def tail_deliveries(request: Request) -> Response:
    """Deliveries as they become owed."""
    tell = _as_rows("delivery", _is_staff(request), {})
    return await follow(request, "deliveries", tell)


async def follow(request: Request, name: str, tell: Tell) -> Response:
    """What comes into that log, as far as it is asked for and may be seen."""
    wanted = _own(request, _WANTED[name](request))
    tail: Tail = request.app.state.tails.get(name, person_of(request).id)
    # Nobody hears anything of an answer without a body, and it would never end.
    is_bare = request.method == "HEAD"
    events = _nothing() if is_bare else _events(request, tail, wanted, tell)
    # Up to here nobody else was asked: there is room still, and now it is taken. Who
    # is answered misses nothing from then on.
    await anext(events)
    return Told(events)


def _own(request: Request, wanted: Wanted) -> Wanted:
    """A partner's are its own, whatever partner is wanted; of postbacks it has none."""
    own = person_of(request).scope
    if own is None or isinstance(wanted, PostbackWanted):
        return wanted
    return replace(wanted, partner=own)


async def _nothing() -> AsyncGenerator[str, None]:
    yield ""
    yield ""


async def _events(
    request: Request, tail: Tail, wanted: Wanted, tell: Tell
) -> AsyncGenerator[str, None]:
    """Nothing, once it listens; then what comes, until session or process end."""
    asked_at = time.monotonic()
    who = person_of(request).id
    with tail.listening(runtime_of(request), who) as heard:
        await tail.begin()
        yield ""
        yield "retry: 5000\n\n"
        while True:
            try:
                rows = await asyncio.wait_for(heard.get(), ASK_AGAIN_SECONDS)
            except TimeoutError:
                rows = ()
            if rows is None:
                return
            if time.monotonic() - asked_at >= ASK_AGAIN_SECONDS:
                asked_at = time.monotonic()
                if await _is_over(request):
                    yield "event: over\ndata: the session has ended\n\n"
                    return
            now = datetime.now(UTC)
            chosen = [one for one in rows if is_wanted(one, wanted, now=now)]
            yield tell(chosen) if chosen else ": still here\n\n"


async def _is_over(request: Request) -> bool:
    """Whether who listens has signed out, or is somebody else by now."""
    person = person_of(request)
    refused = await admit(request, Permission.OWN)
    return refused is not None or request.state.person != person


def _as_rows(macro: str, *values: object) -> Tell:
    """As a page has them: one event."""

    def tell(rows: Rows) -> str:
        text = "".join(piece("rows.html", macro, one, *values) for one in rows)
        said = (line for line in text.splitlines() if line.strip())
        return "".join(f"data: {line}\n" for line in said) + "\n"

    return tell


def _is_staff(request: Request) -> bool:
    return person_of(request).scope is None


def _conversions(request: Request) -> ConversionWanted:
    wanted = conversion_wanted(ask_conversions(request))
    if wanted.label is not None:
        raise bad_request("Conversions have no labels while they come.")
    return wanted


_WANTED: Mapping[str, Callable[[Request], Wanted]] = {
    "clicks": lambda one: click_wanted(ask_clicks(one), runtime_of(one).catalog),
    "postbacks": lambda one: postback_wanted(ask_postbacks(one)),
    "conversions": _conversions,
    "deliveries": lambda one: delivery_wanted(ask_deliveries(one)),
}

PAGES = (
    Page("/clicks/tail", tail_clicks, needs=Permission.OWN),
    Page("/postbacks/tail", tail_postbacks, needs=Permission.SEE),
    Page("/conversions/tail", tail_conversions, needs=Permission.OWN),
    Page("/deliveries/tail", tail_deliveries, needs=Permission.OWN),
)
