"""
The live tail: logs that go on by themselves, as server-sent events.

However many listen to a log, it is read once a second, and not at all when nobody
does. What came is told to those whose filters it fits.
"""

import asyncio
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager, suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

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
from tracker.domain.errors import OverloadedError, TrackerError
from tracker.domain.person import Permission
from tracker.flow.story import meaning
from tracker.runtime import Runtime
from tracker.store.journal import (
    ClickWanted,
    ConversionWanted,
    DeliveryWanted,
    PostbackWanted,
)
from tracker.store.paging import Place

MOST_LISTENERS = 40
"""Of one process, to all its logs."""

MOST_OF_ONE = 8
"""Of one person, so that nobody keeps all others from listening."""

MOST_TOLD = 200
"""Rows of one second that are told; of more, the newest."""

READ_SECONDS = 1.0
ASK_AGAIN_SECONDS = 10.0
"""How often it is asked whether somebody may still listen."""

MEDIA_TYPE = "text/event-stream"

Rows = Sequence[Any]
Read = Callable[[Runtime, Place], Awaitable[Rows]]
Fits = Callable[[Any], bool]
Tell = Callable[[Rows], str]
"""The events that say so."""


class Tail:
    """One log, read while somebody listens."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._heard: dict[asyncio.Queue[Rows | None], int] = {}
        self._reader: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._heard)

    def count(self, person_id: int) -> int:
        """How many of them are one person's."""
        return sum(one == person_id for one in self._heard.values())

    @contextmanager
    def listening(
        self, runtime: Runtime, person_id: int
    ) -> Iterator[asyncio.Queue[Rows | None]]:
        """What is new comes in here; None when it is over."""
        queue: asyncio.Queue[Rows | None] = asyncio.Queue(maxsize=8)
        self._heard[queue] = person_id
        if self._reader is None:
            self._reader = asyncio.create_task(self._go_on(runtime))
        try:
            yield queue
        finally:
            self._heard.pop(queue, None)
            if not self._heard and self._reader:
                self._reader.cancel()
                self._reader = None

    def close(self) -> None:
        """Whoever listens is told that it is over."""
        self._tell(None)

    async def _go_on(self, runtime: Runtime) -> None:
        known: set[tuple[str, int]] | None = None
        while True:
            with suppress(TrackerError):
                rows = await self._read(runtime, Place(size=MOST_TOLD))
                new = [] if known is None else [r for r in rows if _key(r) not in known]
                known = {_key(one) for one in rows}
                if new:
                    self._tell(new)
            await asyncio.sleep(READ_SECONDS)

    def _tell(self, rows: Rows | None) -> None:
        """Who does not listen fast enough misses some: nobody is waited for."""
        for queue in self._heard:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(rows)


class Tails:
    """The tails of one process, one for each log."""

    def __init__(self) -> None:
        self._tails = {
            "clicks": Tail(_read_clicks),
            "postbacks": Tail(_read_postbacks),
            "conversions": Tail(_read_conversions),
            "deliveries": Tail(_read_deliveries),
        }

    def get(self, name: str, person_id: int) -> Tail:
        """That of a log; OverloadedError while too many listen, or one too often."""
        tails = self._tails.values()
        is_full = sum(one.listeners for one in tails) >= MOST_LISTENERS
        if is_full or sum(one.count(person_id) for one in tails) >= MOST_OF_ONE:
            raise OverloadedError("Too many listen already; look at the log instead.")
        return self._tails[name]

    def close(self) -> None:
        """Ends all of them, so that a process that stops need not wait."""
        for one in self._tails.values():
            one.close()


async def tail_clicks(request: Request) -> Response:
    """Clicks as they are folded; a partner hears of its own."""
    return follow(request, "clicks", _as_rows("click", _own(request) is None))


async def tail_postbacks(request: Request) -> Response:
    """Postbacks as they are decided."""
    return follow(request, "postbacks", _as_rows("postback", meaning, remedy))


async def tail_conversions(request: Request) -> Response:
    """Conversions as they come; one that changes is told when it is new."""
    return follow(request, "conversions", _as_rows("conversion", _own(request) is None))


async def tail_deliveries(request: Request) -> Response:
    """Deliveries as they become owed."""
    tell = _as_rows("delivery", _own(request) is None, {})
    return follow(request, "deliveries", tell)


def follow(request: Request, name: str, tell: Tell) -> Response:
    """What comes into that log, as far as it is asked for and may be seen."""
    fits, own = _FITTING[name](request), _own(request)
    tail: Tail = request.app.state.tails.get(name, person_of(request).id)

    def may_hear(one: Any) -> bool:
        return fits(one) and (own is None or own == one.partner)

    # Nobody hears anything of an answer without a body, and it would never end.
    is_bare = request.method == "HEAD"
    events = _nothing() if is_bare else _events(request, tail, may_hear, tell)
    headers = {**HEADERS, "X-Accel-Buffering": "no"}
    return StreamingResponse(events, headers=headers, media_type=MEDIA_TYPE)


async def _nothing() -> AsyncIterator[str]:
    yield ""


async def _events(
    request: Request, tail: Tail, fits: Fits, tell: Tell
) -> AsyncIterator[str]:
    """What is told of what comes, until the session or the process ends."""
    yield "retry: 5000\n\n"
    asked_at = time.monotonic()
    who = person_of(request).id
    with tail.listening(runtime_of(request), who) as heard:
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
            chosen = [one for one in rows if fits(one)]
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


def _key(row: Any) -> tuple[str, int]:
    return row.id, getattr(row, "round", 0)


def _own(request: Request) -> str | None:
    return person_of(request).scope


async def _read_clicks(runtime: Runtime, place: Place) -> Rows:
    return (await runtime.journal.list_clicks(ClickWanted(), place)).rows


async def _read_postbacks(runtime: Runtime, place: Place) -> Rows:
    return (await runtime.journal.list_postbacks(PostbackWanted(), place)).rows


async def _read_conversions(runtime: Runtime, place: Place) -> Rows:
    return (await runtime.journal.list_conversions(ConversionWanted(), place)).rows


async def _read_deliveries(runtime: Runtime, place: Place) -> Rows:
    return (await runtime.journal.list_deliveries(DeliveryWanted(), place)).rows


def _fit_click(request: Request) -> Fits:
    wanted = click_wanted(ask_clicks(request), runtime_of(request).catalog)
    kind = wanted.click_class.name.lower() if wanted.click_class is not None else None
    name, value = wanted.label or ("", None)

    def fits(one: Any) -> bool:
        return (
            wanted.partner in {None, one.partner}
            and (wanted.offers is None or one.offer in wanted.offers)
            and kind in {None, one.click_class}
            and wanted.reason in {None, one.reason}
            and wanted.country in {None, one.country}
            and wanted.device in {None, one.device}
            and wanted.traffic in {None, one.traffic}
            and value in {None, one.labels.get(name)}
        )

    return fits


def _fit_postback(request: Request) -> Fits:
    wanted = postback_wanted(ask_postbacks(request))

    def fits(one: Any) -> bool:
        return (
            wanted.outcome in {None, one.outcome}
            and wanted.reason in {None, one.reason}
            and wanted.advertiser in {None, one.advertiser}
            and wanted.transaction_id in {None, one.transaction_id}
        )

    return fits


def _fit_conversion(request: Request) -> Fits:
    wanted = conversion_wanted(ask_conversions(request))
    if wanted.label is not None:
        raise bad_request("Conversions have no labels while they come.")

    def fits(one: Any) -> bool:
        return (
            wanted.status in {None, one.status}
            and wanted.partner in {None, one.partner}
            and wanted.offer in {None, one.offer}
            and wanted.advertiser in {None, one.advertiser}
            and wanted.goal in {None, one.goal}
            and wanted.transaction_id in {None, one.transaction_id}
        )

    return fits


def _fit_delivery(request: Request) -> Fits:
    wanted = delivery_wanted(ask_deliveries(request))

    def fits(one: Any) -> bool:
        return (
            wanted.state in {None, one.state}
            and wanted.partner in {None, one.partner}
            and wanted.postback in {None, one.postback}
            and wanted.reason in {None, one.reason}
        )

    return fits


_FITTING: Mapping[str, Callable[[Request], Fits]] = {
    "clicks": _fit_click,
    "postbacks": _fit_postback,
    "conversions": _fit_conversion,
    "deliveries": _fit_delivery,
}

PAGES = (
    Page("/clicks/tail", tail_clicks, needs=Permission.OWN),
    Page("/postbacks/tail", tail_postbacks, needs=Permission.SEE),
    Page("/conversions/tail", tail_conversions, needs=Permission.OWN),
    Page("/deliveries/tail", tail_deliveries, needs=Permission.OWN),
)
