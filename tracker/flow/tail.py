"""
Logs that go on by themselves.

However many listen to a log, it is read once a second, and not at all when nobody
does. What came is told to all of them; each looks for what it wants.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import datetime
from typing import Any

from tracker.domain.errors import OverloadedError, TrackerError
from tracker.runtime import Runtime
from tracker.store.journal import (
    ClickWanted,
    ConversionWanted,
    DeliveryWanted,
    PostbackWanted,
    Wanted,
)
from tracker.store.paging import Place

MOST_LISTENERS = 40
"""Of one process, to all its logs."""

MOST_OF_ONE = 8
"""Of one person, so that nobody keeps all others from listening."""

MOST_TOLD = 200
"""Rows of one second that are told; of more, the newest."""

READ_SECONDS = 1.0

Rows = Sequence[Any]
Read = Callable[[Runtime, Place], Awaitable[Rows]]

_OTHERWISE = frozenset({"offers", "click_class", "label", "since", "until"})
"""What is wanted of a row in other words than the row's own."""


class Tail:
    """One log, read while somebody listens."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._heard: dict[asyncio.Queue[Rows | None], int] = {}
        self._reader: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()

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
            self._begun = asyncio.Event()
            self._reader = asyncio.create_task(self._go_on(runtime, self._begun))
        try:
            yield queue
        finally:
            self._heard.pop(queue, None)
            if not self._heard and self._reader:
                self._reader.cancel()
                self._reader = None

    async def begin(self) -> None:
        """Waits until it was read what was there: all that comes later is new."""
        await self._begun.wait()

    def close(self) -> None:
        """Whoever listens is told that it is over."""
        self._tell(None)

    async def _go_on(self, runtime: Runtime, begun: asyncio.Event) -> None:
        known: set[tuple[str, int]] | None = None
        while True:
            try:
                with suppress(TrackerError):
                    rows = await self._read(runtime, Place(size=MOST_TOLD))
                    before = known
                    known = {_key(one) for one in rows}
                    if before is not None and known - before:
                        self._tell([one for one in rows if _key(one) not in before])
            finally:
                begun.set()
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

    @property
    def listeners(self) -> int:
        """How many listen to any of them."""
        return sum(one.listeners for one in self._tails.values())

    def get(self, name: str, person_id: int) -> Tail:
        """That of a log; OverloadedError while too many listen, or one too often."""
        own = sum(one.count(person_id) for one in self._tails.values())
        if self.listeners >= MOST_LISTENERS or own >= MOST_OF_ONE:
            raise OverloadedError("Too many listen already; look at the log instead.")
        return self._tails[name]

    def close(self) -> None:
        """Ends all of them, so that a process that stops need not wait."""
        for one in self._tails.values():
            one.close()


def is_wanted(row: Any, wanted: Wanted, *, now: datetime) -> bool:
    """
    Whether a row that came now is one of those.

    A row tells no label but those of a click: nothing else can be wanted by one.
    """
    return (
        (wanted.since is None or wanted.since <= now)
        and (wanted.until is None or now < wanted.until)
        and all(one in {None, getattr(row, name)} for name, one in _named(wanted))
        and (not isinstance(wanted, ClickWanted) or _is_wanted_click(row, wanted))
    )


def _named(wanted: Wanted) -> Iterator[tuple[str, str | None]]:
    """What has the same name in a row."""
    for one in fields(wanted):
        if one.name not in _OTHERWISE:
            yield one.name, getattr(wanted, one.name)


def _is_wanted_click(row: Any, wanted: ClickWanted) -> bool:
    kind = wanted.click_class
    label, value = wanted.label or ("", None)
    return (
        (wanted.offers is None or row.offer in wanted.offers)
        and (kind is None or row.click_class == kind.word)
        and value in {None, row.labels.get(label)}
    )


def _key(row: Any) -> tuple[str, int]:
    return row.id, getattr(row, "round", 0)


async def _read_clicks(runtime: Runtime, place: Place) -> Rows:
    return (await runtime.journal.list_clicks(ClickWanted(), place)).rows


async def _read_postbacks(runtime: Runtime, place: Place) -> Rows:
    return (await runtime.journal.list_postbacks(PostbackWanted(), place)).rows


async def _read_conversions(runtime: Runtime, place: Place) -> Rows:
    return (await runtime.journal.list_conversions(ConversionWanted(), place)).rows


async def _read_deliveries(runtime: Runtime, place: Place) -> Rows:
    return (await runtime.journal.list_deliveries(DeliveryWanted(), place)).rows
