"""The click log: entries of the Redis streams, and the table they become."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from psycopg.rows import dict_row

from tracker.domain.click import AD_IDS, SUBS, Click
from tracker.domain.click_id import ClickFacts, ClickId
from tracker.domain.erasure import LabelHasher, erased
from tracker.domain.retention import truncated
from tracker.domain.traffic import Seen
from tracker.store.clicks import stream_key
from tracker.store.erasures import list_concerning
from tracker.store.partitions import Partitions
from tracker.store.postgres import Connection, Pool, as_rows, transaction
from tracker.store.redis import Client
from tracker.store.rollups import share_rollups

MAX_ENTRIES = 4000
"""Clicks that are folded in one pass."""

LEASE_MS = 10_000
MAX_SHARDS = 256

# A lease is ours if it was free, or ours already; either way it starts anew.
# Redis that is full must still be emptied, and emptying begins here.
_LEASE = """#!lua flags=allow-oom
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# Clicks of one day, and what they add to the counts, in one statement: what is counted
# is what was inserted. Within a day a visitor can be a first only once: with the first
# click that none counts before; who comes once here need not be asked about. Sorted,
# so that two folds never wait for each other in a circle.
_INSERT_AND_COUNT = """
with new as materialized (
  select *
    from json_to_recordset(%(rows)s::json) as new (
           day date, id text, clicked_at timestamptz, class smallint,
           partner_number int, offer_number int, catalog_version int, reason text,
           sub1 text, sub2 text, sub3 text, sub4 text, sub5 text,
           sub6 text, sub7 text, sub8 text, sub9 text, sub10 text,
           gclid text, gbraid text, wbraid text, fbclid text, ttclid text,
           msclkid text, params jsonb, address inet, user_agent text,
           referrer text, language text, destination text, route text,
           country text, device text, os text, browser text, traffic text,
           visitor bigint, comes_again boolean
         )
), candidates as materialized (
  select distinct on (visitor) visitor, clicked_at, id
    from new
   where visitor is not null
     and (comes_again is null
          or not exists (
               select
                 from visitor_firsts as known
                where known.visitor = new.visitor
                  and counted_at > new.clicked_at - interval '24 hours'
             ))
   order by visitor, clicked_at, id
), firsts as (
  insert into visitor_firsts as known (visitor, counted_at)
  select visitor, clicked_at
    from candidates
   order by visitor
      on conflict (visitor) do update
     set counted_at = excluded.counted_at
   where known.counted_at <= excluded.counted_at - interval '24 hours'
  returning visitor
), inserted as (
  insert into clicks (
    day, id, clicked_at, class, partner_number, offer_number, catalog_version, reason,
    sub1, sub2, sub3, sub4, sub5, sub6, sub7, sub8, sub9, sub10,
    gclid, gbraid, wbraid, fbclid, ttclid, msclkid,
    params, address, user_agent, referrer, language, destination, route,
    country, device, os, browser, traffic, is_unique
  )
  select day, id, clicked_at, class, partner_number, offer_number, catalog_version,
         reason, sub1, sub2, sub3, sub4, sub5, sub6, sub7, sub8, sub9, sub10,
         gclid, gbraid, wbraid, fbclid, ttclid, msclkid,
         params, address, user_agent, referrer, language, destination, route,
         coalesce(country, ''), coalesce(device, ''), coalesce(os, ''),
         coalesce(browser, ''), traffic,
         id in (select id from candidates join firsts using (visitor))
    from new
      on conflict (day, id) do nothing
  returning id, clicked_at, partner_number, offer_number, country, device, traffic,
            is_unique
), quarters as (
  select date_bin('15 minutes', clicked_at, '2000-01-01Z') as starts_at,
         partner_number, offer_number, country, device, traffic,
         count(*) as clicks, count(*) filter (where is_unique) as uniques
    from inserted
   where traffic <> 'test'
   group by 1, 2, 3, 4, 5, 6
), counted as (
  insert into click_rollups as known
  select *
    from quarters
   order by 1, 2, 3, 4, 5, 6
      on conflict (
           starts_at, partner_number, offer_number, country, device, traffic
         ) do update
     set clicks  = known.clicks  + excluded.clicks,
         uniques = known.uniques + excluded.uniques
)
"""

_INSERTED = "select id from inserted"

# For a day that was summed up already. Apart, for the table of days has triggers, and
# these cost as much where there is nothing for them.
_COUNT_LATE = """
, late as (
  insert into click_rollup_days as known
  select (starts_at at time zone zone)::date, partner_number, offer_number,
         country, device, traffic, sum(clicks), sum(uniques)
    from quarters, rollup_days
   where (starts_at at time zone zone)::date < closed_before
   group by 1, 2, 3, 4, 5, 6
   order by 1, 2, 3, 4, 5, 6
      on conflict (
           day, partner_number, offer_number, country, device, traffic
         ) do update
     set clicks  = known.clicks  + excluded.clicks,
         uniques = known.uniques + excluded.uniques
)
"""

_INSERT = _INSERT_AND_COUNT + _INSERTED
_INSERT_LATE = _INSERT_AND_COUNT + _COUNT_LATE + _INSERTED

_LIST_KNOWN = """
select clicks.*
  from unnest(%(days)s::date[], %(ids)s::text[]) as wanted (day, id)
 cross join lateral (
         select *
           from clicks
          where clicks.day = wanted.day
            and clicks.id  = wanted.id
          limit 1
       ) as clicks
"""

_LIST_LABELS = """
select id, labels
  from click_labels
 where id = any(%(ids)s)
"""

_COLLIDE = """
insert into click_collisions (id, shard, record)
select * from unnest(%(ids)s::text[], %(shards)s::smallint[], %(records)s::bytea[])
    on conflict do nothing
"""

_REJECT = """
insert into clicks_rejected (entry, shard, record, error)
select * from unnest(
         %(entries)s::text[], %(shards)s::smallint[], %(records)s::bytea[],
         %(errors)s::text[]
       )
    on conflict (shard, entry) do nothing
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a click stream, undecoded; `position` is its id in the stream."""

    shard: int
    position: str
    click_id: bytes
    record: bytes


@dataclass(frozen=True, slots=True)
class LoggedClick:
    """A click with what its id says and what there is to see, ready for its row."""

    facts: ClickFacts
    click: Click
    entry: Entry
    seen: Seen


class ClickStream:
    """
    What Redis holds that Postgres does not have yet.

    A stream is trimmed only of what was folded, so its beginning is always where
    to go on: no reader has a position of its own to lose.
    """

    def __init__(self, client: Client, *, owner: str) -> None:
        self._client = client
        self._owner = owner
        self._lease = client.register_script(_LEASE)

    async def lease(self, shard: int) -> bool:
        """Whether this process is the one reader of the shard for the next seconds."""
        keys = [f"clicks:lease:{{{shard}}}"]
        return bool(await self._lease(keys, [self._owner, LEASE_MS]))

    async def read(self, shard: int, *, wait_ms: int) -> list[Entry]:
        """The oldest entries; waits that long for the first one."""
        streams = await self._client.xread(
            {stream_key(shard): "0"}, count=MAX_ENTRIES, block=wait_ms
        )
        return [
            Entry(shard, position.decode(), click_id, record)
            for entries in _entries_of(streams)
            for position, fields in entries
            for click_id, record in fields.items()
        ]

    async def trim(self, shard: int, last: str) -> None:
        """Forgets everything up to `last`, which Postgres has."""
        milliseconds, _, number = last.partition("-")
        beyond = f"{milliseconds}-{int(number) + 1}"
        await self._client.xtrim(stream_key(shard), minid=beyond, approximate=False)

    async def list_first(self, shard: int) -> list[Entry]:
        """The entry that has waited longest, if there is one."""
        async with aclosing(self.list_all(shard, at_once=1)) as all_of_them:
            async for entries in all_of_them:
                return entries
        return []

    async def list_all(
        self, shard: int, at_once: int = MAX_ENTRIES
    ) -> AsyncGenerator[list[Entry]]:
        """Everything that waits, the oldest first, some of it at a time."""
        after = "-"
        while found := await self._list_after(shard, after, at_once):
            yield [
                Entry(shard, position.decode(), click_id, record)
                for position, fields in found
                for click_id, record in fields.items()
            ]
            after = f"({found[-1][0].decode()}"

    async def _list_after(self, shard: int, after: str, at_once: int) -> Any:
        return await self._client.xrange(stream_key(shard), after, count=at_once)

    async def put_in_place(self, entry: Entry, record: bytes) -> None:
        """Another record for a click that waits; nobody sees it with neither."""
        key = stream_key(entry.shard)
        async with self._client.pipeline(transaction=True) as both:
            both.xadd(key, {entry.click_id: record})
            both.xdel(key, entry.position)
            await both.execute()

    async def list_waiting(self) -> list[int]:
        """The shards that hold entries, whether they are in use now or were once."""
        lengths = self._client.pipeline(transaction=False)
        for shard in range(MAX_SHARDS):
            lengths.xlen(stream_key(shard))
        return [shard for shard, n in enumerate(await lengths.execute()) if n]

    async def count(self, shard: int) -> int:
        """How many entries wait to be folded."""
        return int(await self._client.xlen(stream_key(shard)))


class ClickLog:
    """The table of all clicks; a column store would be a second one of these."""

    def __init__(
        self,
        pool: Pool,
        partitions: Partitions,
        addresses_for: timedelta,
        hasher: LabelHasher,
    ) -> None:
        self._pool = pool
        self._partitions = partitions
        self._addresses_for = addresses_for
        self._hasher = hasher

    async def insert(self, clicks: Sequence[LoggedClick]) -> list[LoggedClick]:
        """
        Folds the clicks in, each once, however often it is called.

        Those whose id another click holds are set aside and returned.
        """
        first_full = (datetime.now(UTC) - self._addresses_for).date()
        collided: list[LoggedClick] = []
        for day, of_day in _by_day(clicks):
            some = of_day if day >= first_full else [*map(_truncated, of_day)]
            collided += await self._partitions.write(
                "clicks", {day}, partial(self._fold, some)
            )
        return collided

    async def _fold(self, clicks: Sequence[LoggedClick]) -> list[LoggedClick]:
        async with transaction(self._pool) as connection:
            clicks = await self._without_erased(connection, clicks)
            closed_until = await share_rollups(connection)
            is_late = any(one.facts.clicked_at < closed_until for one in clicks)
            statement = _INSERT_LATE if is_late else _INSERT
            cursor = await connection.execute(statement, {"rows": _rows(clicks)})
            inserted = {row[0] for row in await cursor.fetchall()}
            again = _after_the_first(clicks, inserted)
            known = await self._known(connection, [one.facts for one in again])
            collided = [one for one in again if known.get(one.facts.id) != one.click]
            if collided:
                await connection.execute(_COLLIDE, _set_aside(collided))
        return collided

    async def _without_erased(
        self, connection: Connection, clicks: Sequence[LoggedClick]
    ) -> Sequence[LoggedClick]:
        erasures = await list_concerning(connection, [one.facts for one in clicks])
        if not erasures:
            return clicks
        return [
            replace(one, click=erased(one.click), seen=one.seen.without_person())
            if self._hasher.concerns(erasures, one.facts, one.click)
            else one
            for one in clicks
        ]

    async def reject(self, entries: Mapping[Entry, str]) -> None:
        """Sets aside what cannot be folded, each with its error."""
        columns = {
            "entries": [f"{entry.position} {entry.click_id!r}" for entry in entries],
            "shards": [entry.shard for entry in entries],
            "records": [entry.record for entry in entries],
            "errors": list(entries.values()),
        }
        async with transaction(self._pool) as connection:
            await connection.execute(_REJECT, columns)

    async def list_known(self, clicks: Iterable[ClickFacts]) -> dict[ClickId, Click]:
        """
        Those of these clicks that were folded, by id; only their days are read.

        Of one whose day was dropped, its labels are known if it has a conversion.
        """
        wanted = list(clicks)
        async with transaction(self._pool) as connection:
            found = await self._known(connection, wanted)
            missing = [one.id for one in wanted if one.id not in found]
            if missing:
                cursor = await connection.execute(_LIST_LABELS, {"ids": missing})
                found |= {row[0]: _labelled(*row) for row in await cursor.fetchall()}
        return found

    @staticmethod
    async def _known(
        connection: Any, clicks: Sequence[ClickFacts]
    ) -> dict[ClickId, Click]:
        if not clicks:
            return {}
        wanted = {"days": [c.day for c in clicks], "ids": [c.id for c in clicks]}
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(_LIST_KNOWN, wanted)
        return {row["id"]: _click(row) for row in await cursor.fetchall()}


def _entries_of(streams: Any) -> Iterable[Any]:
    """The lists of entries in an answer to XREAD, in either protocol's shape."""
    return streams.values() if isinstance(streams, dict) else [e for _, e in streams]


def _by_day(
    clicks: Sequence[LoggedClick],
) -> list[tuple[date, Sequence[LoggedClick]]]:
    """Day after day, so that who comes again is a first where that was."""
    days = {one.facts.day for one in clicks}
    if len(days) == 1:
        return [(days.pop(), clicks)]
    return [
        (day, [one for one in clicks if one.facts.day == day]) for day in sorted(days)
    ]


def _rows(clicks: Sequence[LoggedClick]) -> str:
    visits = Counter(one.seen.visitor for one in clicks)
    return as_rows([_row(one, visits[one.seen.visitor]) for one in clicks])


def _row(one: LoggedClick, visits: int) -> dict[str, Any]:
    """Its columns without those that are null: most are, and each costs its name."""
    facts, click, seen = one.facts, one.click, one.seen
    told = {
        "reason": click.reason,
        **dict(zip(SUBS, click.subs, strict=True)),
        **{name: click.ad_ids[name] for name in AD_IDS if name in click.ad_ids},
        "params": click.params,
        "address": click.address,
        "user_agent": click.user_agent,
        "referrer": click.referrer,
        "language": click.language,
        "destination": click.destination,
        "route": click.route,
        "country": seen.country,
        "device": seen.device,
        "os": seen.os,
        "browser": seen.browser,
        "visitor": seen.visitor,
        "comes_again": visits > 1,
    }
    return {
        "day": facts.day,
        "id": facts.id,
        "clicked_at": facts.clicked_at,
        "class": int(facts.click_class),
        "partner_number": facts.partner_number,
        "offer_number": facts.offer_number,
        "catalog_version": click.catalog_version,
        "traffic": seen.traffic,
        **{name: value for name, value in told.items() if value},
    }


def _click(row: Mapping[str, Any]) -> Click:
    return Click(
        id=row["id"],
        catalog_version=row["catalog_version"],
        subs=tuple(row[name] or "" for name in SUBS),
        ad_ids={name: row[name] for name in AD_IDS if row[name]},
        params=row["params"] or {},
        address=str(row["address"] or ""),
        user_agent=row["user_agent"] or "",
        referrer=row["referrer"] or "",
        language=row["language"] or "",
        destination=row["destination"] or "",
        reason=row["reason"] or "",
        route=row["route"] or "",
    )


def _after_the_first(
    clicks: Sequence[LoggedClick], inserted: set[str]
) -> list[LoggedClick]:
    """Those that were not inserted: of two with one id, only the first can be."""
    again = []
    for one in clicks:
        if one.facts.id in inserted:
            inserted.remove(one.facts.id)
        else:
            again.append(one)
    return again


def _truncated(one: LoggedClick) -> LoggedClick:
    """One that comes after the addresses of its day were truncated."""
    click = one.click.but(address=truncated(one.click.address))
    return replace(one, click=click)


def _labelled(click_id: ClickId, labels: Mapping[str, str]) -> Click:
    return Click(
        id=click_id,
        catalog_version=0,
        subs=tuple(labels.get(name, "") for name in SUBS),
        ad_ids={name: labels[name] for name in AD_IDS if name in labels},
    )


def _set_aside(clicks: Sequence[LoggedClick]) -> dict[str, list[Any]]:
    return {
        "ids": [one.facts.id for one in clicks],
        "shards": [one.facts.shard for one in clicks],
        "records": [one.entry.record for one in clicks],
    }
