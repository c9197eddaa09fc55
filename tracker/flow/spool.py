"""What a store cannot take now is kept on disk, in a form that outlives the process."""

from collections.abc import Sequence

import msgspec

from tracker import metrics
from tracker.domain.click import Click
from tracker.domain.postback import Postback
from tracker.domain.value import Value
from tracker.runtime import Runtime
from tracker.spool import Kind, Record
from tracker.store.clicklog import Entry
from tracker.store.clicks import encode_click

CLICK_SECONDS = 0.25
"""A visitor waits no longer for a disk that hangs."""

POSTBACK_SECONDS = 3.0

_ID_BYTES = 32
_NO_SHARD = 0


class Arrival(Value, frozen=True):
    """A postback, and the catalog version that it is to be judged by."""

    postback: Postback
    catalog_version: int


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Arrival)


async def spool_clicks(runtime: Runtime, clicks: Sequence[Click]) -> None:
    """Returns when the disk has them; raises SpoolError if it will not."""
    bodies = [click.id.encode() + encode_click(click) for click in clicks]
    await runtime.spools.insert(Kind.CLICK, bodies, CLICK_SECONDS)
    metrics.SPOOLED.labels("click").inc(len(bodies))


async def spool_postbacks(
    runtime: Runtime, arrivals: Sequence[Arrival]
) -> Sequence[None]:
    """Returns when the disk has them; raises SpoolError if it will not."""
    bodies = [_ENCODER.encode(one) for one in arrivals]
    await runtime.spools.insert(Kind.POSTBACK, bodies, POSTBACK_SECONDS)
    metrics.SPOOLED.labels("postback").inc(len(bodies))
    return [None] * len(bodies)


def read_click(spool: str, record: Record) -> Entry:
    """The click as an entry of a click stream, from where the log takes it."""
    position = f"{spool}/{record.number}"
    click_id, click = record.body[:_ID_BYTES], record.body[_ID_BYTES:]
    return Entry(_NO_SHARD, position, click_id, click)


def read_arrival(record: Record) -> Arrival:
    """The postback; raises msgspec.MsgspecError for what is none."""
    return _DECODER.decode(record.body)
