"""
Personal data is erased: of one click, or of every click with a label of a partner.

What money needs stays: conversions, their changes, and who is owed what. First it
is written down that the clicks are erased, so that a copy that is still on its way,
in a stream or in a spool, arrives erased. Each step may be done again.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from tracker.domain.click import SUBS, Click
from tracker.domain.click_id import ClickFacts, ClickId, facts_of
from tracker.domain.erasure import erased
from tracker.domain.errors import StoreUnavailableError
from tracker.flow.clicklog import UNREADABLE
from tracker.runtime import Runtime
from tracker.store.clicklog import Entry
from tracker.store.clicks import decode_click, encode_click
from tracker.store.erasures import Label
from tracker.store.redis import UNAVAILABLE

log = structlog.get_logger()

AT_ONCE = 100
"""Clicks that are erased in one transaction."""

Counts = Counter[str]
"""How many records had something to erase, by where that was."""


async def erase_click(
    runtime: Runtime, text: str, by: str, *, is_rehearsal: bool = False
) -> Counts:
    """
    Erases what one click told, by its id.

    Raises UnknownClickIdError or ForgedClickIdError for an id that is not ours.
    """
    facts = runtime.mint.read(text)
    if not is_rehearsal:
        await runtime.erasures.insert_clicks([facts.id], by)
    counts = await _erase(runtime, [facts], is_rehearsal=is_rehearsal)
    if not is_rehearsal:
        log.info("click.erased", click_id=facts.id, operator=by)
    return counts


async def erase_label(
    runtime: Runtime, label: Label, by: str, *, is_rehearsal: bool = False
) -> Counts:
    """Erases all clicks until now in which a partner's label has this value."""
    if not is_rehearsal:
        digest = runtime.label_hasher.digest(
            label.partner_number, label.label, label.value
        )
        await runtime.erasures.insert_label(label, digest, by)
    clicks = await _find(runtime, label)
    if clicks and not is_rehearsal:
        await runtime.erasures.insert_clicks([one.id for one in clicks], by)
    counts = Counts()
    for start in range(0, len(clicks), AT_ONCE):
        some = clicks[start : start + AT_ONCE]
        counts += await _erase(runtime, some, is_rehearsal=is_rehearsal)
    if not is_rehearsal:
        log.info(
            "label.erased",
            partner=label.partner,
            label=label.label,
            clicks=len(clicks),
            operator=by,
        )
    return counts


async def finish_erasures(runtime: Runtime) -> None:
    """
    Erases once more what was erased two minutes ago.

    A postback or a call that was under way then had a copy, and may have written it
    down since; nothing has one now.
    """
    while found := await runtime.erasures.list_unfinished():
        await _erase(runtime, [facts_of(one) for one in found], is_rehearsal=False)
        await runtime.erasures.finish(found)


async def _erase(
    runtime: Runtime, clicks: Sequence[ClickFacts], *, is_rehearsal: bool
) -> Counts:
    """Redis first: what reads there afterwards finds what Postgres still has."""
    counts = await _erase_hot(runtime, clicks, is_rehearsal=is_rehearsal)
    return counts + Counts(
        await runtime.erasures.scrub(clicks, is_rehearsal=is_rehearsal)
    )


async def _erase_hot(
    runtime: Runtime, clicks: Sequence[ClickFacts], *, is_rehearsal: bool
) -> Counts:
    ids = {one.id for one in clicks}
    waiting = await _list_waiting(runtime, lambda click: click.id in ids)
    with _redis():
        if is_rehearsal:
            kept = len(await runtime.clicks.list_known(clicks))
        else:
            for entry, click in waiting:
                await runtime.stream.put_in_place(entry, encode_click(erased(click)))
            kept = await runtime.clicks.forget(clicks)
    return Counts({"waiting in Redis": len(waiting), "Redis": kept})


@contextmanager
def _redis() -> Iterator[None]:
    try:
        yield
    except UNAVAILABLE as error:
        raise StoreUnavailableError(f"Redis: {error!r}") from error


async def _find(runtime: Runtime, label: Label) -> list[ClickFacts]:
    """Every click that has the label, wherever a trace of it is left."""
    erasures, partitions = runtime.erasures, runtime.partitions
    waiting = await _list_waiting(runtime, lambda click: _has(click, label))
    ids = {click.id for _, click in waiting}
    for day in await partitions.list_days("clicks"):
        ids.update(await erasures.list_clicks_with(label, day))
    for day in await partitions.list_days("delivery_archive"):
        ids.update(await erasures.list_delivered_with(label, day))
    ids.update(await erasures.list_others_with(label))
    ids.update(await _list_set_aside(runtime, label))
    found = [facts_of(one) for one in sorted(ids)]
    return [one for one in found if one.partner_number == label.partner_number]


async def _list_waiting(
    runtime: Runtime, is_wanted: Callable[[Click], bool]
) -> list[tuple[Entry, Click]]:
    """What has not been folded yet; what is erased already is not wanted."""
    found: list[tuple[Entry, Click]] = []
    with _redis():
        for shard in await runtime.stream.list_waiting():
            async for entries in runtime.stream.list_all(shard):
                read = [
                    (entry, _read(_id_in(entry), entry.record)) for entry in entries
                ]
                found += [
                    (entry, click)
                    for entry, click in read
                    if click and not click.is_erased and is_wanted(click)
                ]
    return found


def _id_in(entry: Entry) -> str:
    return entry.click_id.decode(errors="replace")


async def _list_set_aside(runtime: Runtime, label: Label) -> list[ClickId]:
    records = await runtime.erasures.list_set_aside()
    clicks = [_read(id_, record) for id_, record in records]
    return [click.id for click in clicks if click and _has(click, label)]


def _read(text: str, record: bytes) -> Click | None:
    """The click of a record, if it is one."""
    try:
        return decode_click(facts_of(ClickId(text)).id, record)
    except UNREADABLE:
        return None


def _has(click: Click, label: Label) -> bool:
    is_partners = facts_of(click.id).partner_number == label.partner_number
    return is_partners and click.subs[SUBS.index(label.label)] == label.value
