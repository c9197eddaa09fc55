"""Clicks move from the streams in Redis into the click log, each exactly once."""

import asyncio
from collections.abc import Sequence

import structlog
from msgspec import DecodeError, ValidationError

from tracker import metrics
from tracker.coalesce import each_or_error
from tracker.domain.click_id import ClickId, facts_of
from tracker.domain.errors import BusyError, UnknownClickIdError
from tracker.failpoints import failpoint
from tracker.flow.enrichment import open_data, see
from tracker.runtime import Runtime
from tracker.store.clicklog import Entry, LoggedClick
from tracker.store.clicks import decode_click
from tracker.store.postgres import is_poison

log = structlog.get_logger()

WAIT_MS = 1000
"""How long one pass waits for a first click."""

AT_ONCE = 1000
"""Clicks that are folded in one transaction."""

WITHOUT_PAUSE = 50
"""Clicks that are read before others may go on, in about 1 ms."""

UNREADABLE = (DecodeError, ValidationError, UnicodeDecodeError, UnknownClickIdError)
"""What reading an entry raises that holds no click."""


async def fold_clicks(runtime: Runtime, shard: int) -> int:
    """
    Folds what waits in one shard, and says how many entries that was.

    The stream is trimmed only after Postgres has committed, and Postgres takes
    each id once: a crash between the two folds the same entries again, to no
    effect. What Postgres refuses is set aside, and the rest goes on.
    """
    if not await runtime.stream.lease(shard):
        await asyncio.sleep(WAIT_MS / 1000)
        return 0
    entries = await runtime.stream.read(shard, wait_ms=WAIT_MS)
    if not entries:
        return 0
    failpoint("fold.read")
    await open_data(runtime)
    await fold_entries(runtime, entries)
    failpoint("fold.inserted")
    await runtime.stream.trim(shard, entries[-1].position)
    failpoint("fold.trimmed")
    return len(entries)


async def fold_entries(runtime: Runtime, entries: Sequence[Entry]) -> None:
    """
    Each is in Postgres once when this returns, if only as something set aside.

    What is seen of it is what the data that are open say. A web process opens none for
    its spool: that takes most of a second, in which visitors would wait.
    """
    if entries:
        rejected = await _fold(runtime, entries)
        if rejected:
            await _set_aside(runtime, rejected)
        metrics.CLICKS_FOLDED.inc(len(entries) - len(rejected))


async def fold_others(runtime: Runtime) -> None:
    """Shards that are in use no longer still hold what came while they were."""
    for shard in await runtime.stream.list_waiting():
        if shard >= runtime.settings.shards:
            await fold_clicks(runtime, shard)


async def _fold(runtime: Runtime, entries: Sequence[Entry]) -> dict[Entry, str]:
    """
    Folds what can be read; what cannot be kept comes back with its error.

    While Postgres takes some clicks the next ones are read.
    """
    clicks, rejected = await _read(runtime, entries[:AT_ONCE])
    for start in range(AT_ONCE, len(entries) + AT_ONCE, AT_ONCE):
        refused, (clicks, unreadable) = await asyncio.gather(
            _insert(runtime, clicks),
            _read(runtime, entries[start : start + AT_ONCE]),
        )
        rejected |= refused | unreadable
    return rejected


async def _read(
    runtime: Runtime, entries: Sequence[Entry]
) -> tuple[list[LoggedClick], dict[Entry, str]]:
    """The clicks in these entries, and what was wrong with the others."""
    clicks: list[LoggedClick] = []
    unreadable: dict[Entry, str] = {}
    for number, entry in enumerate(entries):
        if number % WITHOUT_PAUSE == 0:
            await asyncio.sleep(0)
        try:
            clicks.append(_logged(runtime, entry))
        except UNREADABLE as error:
            unreadable[entry] = repr(error)
    return clicks, unreadable


async def _insert(runtime: Runtime, clicks: Sequence[LoggedClick]) -> dict[Entry, str]:
    async def insert(some: Sequence[LoggedClick]) -> Sequence[None]:
        for collided in await runtime.click_log.insert(some):
            log.error("click.collided", click_id=collided.facts.id)
        return [None] * len(some)

    if not clicks:
        return {}
    results = await each_or_error(clicks, insert, _is_refusal)
    rejected: dict[Entry, str] = {}
    for click, error in zip(clicks, results, strict=True):
        if error is not None and not _is_refusal(error):
            raise error
        if error is not None:
            rejected[click.entry] = repr(error)
    return rejected


def _is_refusal(error: BaseException) -> bool:
    """Whether the click itself is at fault; one that has to wait comes again."""
    return is_poison(error) and not isinstance(error, BusyError)


async def _set_aside(runtime: Runtime, rejected: dict[Entry, str]) -> None:
    await runtime.click_log.reject(rejected)
    metrics.CLICKS_REJECTED.inc(len(rejected))
    for entry, error in rejected.items():
        log.error("click.rejected", entry=entry.position, error=error)


def _logged(runtime: Runtime, entry: Entry) -> LoggedClick:
    click_id = ClickId(entry.click_id.decode())
    click, facts = decode_click(click_id, entry.record), facts_of(click_id)
    return LoggedClick(facts, click, entry, see(runtime, facts, click))
