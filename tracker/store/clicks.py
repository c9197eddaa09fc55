"""Clicks in Redis: the hot record, and the stream that becomes the click log."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tracker.domain.click import SUBS, Click
from tracker.domain.click_id import ClickFacts, ClickId
from tracker.store.redis import UNAVAILABLE, Client

# KEYS: the stream of the shard, then a key for each click, all in one slot.
# ARGV: seconds to live, then an id and a record for each click.
# A click that is there with the same content is our own retry; one with other
# content keeps its id, and the number of the newcomer is returned.
_INSERT = """
local taken = {}
for i = 2, #KEYS do
  local id, record = ARGV[2 * i - 2], ARGV[2 * i - 1]
  local there = redis.call('SET', KEYS[i], record, 'NX', 'GET', 'EX', ARGV[1])
  if not there then
    redis.call('XADD', KEYS[1], '*', id, record)
  elseif there ~= record then
    taken[#taken + 1] = i - 2
  end
end
return taken
"""


class _Record(msgspec.Struct, array_like=True, frozen=True):
    """A click without its id, as short as it can be said."""

    catalog_version: int
    subs: tuple[str, ...]
    ad_ids: Mapping[str, str]
    params: Mapping[str, str]
    address: str
    user_agent: str
    referrer: str
    language: str
    destination: str
    reason: str
    route: str = ""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Record)


class ClickStore:
    """
    Clicks of the last day or so, by id.

    Every key of a shard carries the shard's hash tag, so that on a Redis Cluster
    one batch is one slot.
    """

    def __init__(self, client: Client, *, seconds_to_live: int) -> None:
        self._client = client
        self._seconds_to_live = seconds_to_live
        self._insert = client.register_script(_INSERT)

    async def insert(self, shard: int, clicks: Sequence[Click]) -> list[int]:
        """
        Keeps the clicks of one shard, and appends them to its stream.

        The numbers of those whose id another click has taken are returned.
        """
        keys = [stream_key(shard), *(click_key(shard, click.id) for click in clicks)]
        arguments: list[str | bytes | int] = [self._seconds_to_live]
        for click in clicks:
            arguments += (click.id, encode_click(click))
        taken: list[int] = await self._insert(keys, arguments)
        return taken

    async def is_taking(self) -> bool:
        """Whether something can be written: not if it is full, or read-only."""
        try:
            await self._client.set("clicks:probe", 1, px=1000)
        except UNAVAILABLE:
            return False
        return True

    async def forget(self, clicks: Iterable[ClickFacts]) -> int:
        """Removes their records, and nothing that waits; how many there were."""
        keys = [click_key(click.shard, click.id) for click in clicks]
        return sum([await self._client.delete(key) for key in keys])

    async def list_known(self, clicks: Iterable[ClickFacts]) -> dict[ClickId, Click]:
        """Those of these clicks that are still here, by id."""
        by_shard: dict[int, list[ClickId]] = {}
        for click in clicks:
            by_shard.setdefault(click.shard, []).append(click.id)
        found: dict[ClickId, Click] = {}
        for shard, ids in by_shard.items():
            records = await self._client.mget([click_key(shard, one) for one in ids])
            found |= _decoded(dict(zip(ids, records, strict=True)))
        return found


def click_key(shard: int, click_id: str) -> str:
    """The braces are Redis Cluster's hash tag."""
    return f"click:{{{shard}}}:{click_id}"


def stream_key(shard: int) -> str:
    """The stream of a shard, in the same slot as its clicks."""
    return f"clicks:{{{shard}}}"


def encode_click(click: Click) -> bytes:
    """The record of a click; its id stands beside it."""
    return _ENCODER.encode(
        _Record(
            click.catalog_version,
            click.subs,
            click.ad_ids,
            click.params,
            click.address,
            click.user_agent,
            click.referrer,
            click.language,
            click.destination,
            click.reason,
            click.route,
        )
    )


def decode_click(click_id: ClickId, record: bytes) -> Click:
    """The click of a record; a record of no click raises msgspec.DecodeError."""
    fields = _DECODER.decode(record)
    # A record may say only the labels that it has.
    missing = ("",) * (len(SUBS) - len(fields.subs))
    return Click(
        id=click_id,
        catalog_version=fields.catalog_version,
        subs=fields.subs + missing,
        ad_ids=fields.ad_ids,
        params=fields.params,
        address=fields.address,
        user_agent=fields.user_agent,
        referrer=fields.referrer,
        language=fields.language,
        destination=fields.destination,
        reason=fields.reason,
        route=fields.route,
    )


def _decoded(records: Mapping[ClickId, Any]) -> dict[ClickId, Click]:
    return {
        click_id: decode_click(click_id, record)
        for click_id, record in records.items()
        if record is not None
    }
