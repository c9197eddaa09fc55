"""
What has been taken of caps: rows that are locked while a batch is decided.

Each says what the conversions of its period say. It is counted once, under its lock,
and moves with every change afterwards; an edit of the catalog that asks for another
currency, time zone or goal has it counted again.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from tracker.domain.cap import Meter, PlacedCap
from tracker.domain.catalog import Catalog
from tracker.domain.click_id import ClickClass
from tracker.domain.meter import (
    Action,
    Meters,
    Reading,
    enough,
    meters_of,
    rates_into,
    what_counts,
)
from tracker.store.postgres import Connection, Pool, as_rows, connected, transaction

# Sorted, so that two batches never wait for each other in a circle; always after the
# keys and the conversions. For ten seconds after a cap has come nothing counted for it
# is trusted: until then a process may still write by the catalog before it, which did
# not know of it. One that no edit has listed is as new as the catalog.
_LOCK = """
with wanted as (
  select *
    from json_to_recordset(%(rows)s::json) as wanted (
           offer text, partner text, measure text, goals text, per text,
           starts_at timestamptz, ends_at timestamptz, enough numeric, counts text[]
         )
), locked as (
  insert into cap_meters (
    offer, partner, measure, goals, per, starts_at, ends_at, enough
  )
  select offer, partner, measure, goals, per, starts_at, ends_at, enough
    from wanted
   order by 1, 2, 3, 4, 5, 6
      on conflict (offer, partner, measure, goals, per, starts_at) do update
     set ends_at = excluded.ends_at, enough = excluded.enough
  returning offer, partner, measure, goals, per, starts_at, ends_at, taken, counted_at
)
select locked.offer, locked.partner, locked.measure, locked.goals, locked.per,
       locked.starts_at, locked.ends_at, locked.taken,
       locked.counted_at is null
       or locked.counted_at < interval '10 seconds' + coalesce(
            (
              select min(begun_at)
                from cap_epochs
               where counts = any(wanted.counts)
            ), (
              select in_force_at
                from catalog_versions
               order by version desc
               limit 1
            )
          ) as is_stale
  from locked
  join wanted using (offer, partner, measure, goals, per, starts_at)
"""

# A statement of its own, so that it sees what was committed before the lock was had.
# Rows are compared, so that each half goes by the index that begins with its place: one
# by time alone would look at everybody's conversions. A partner has fewer of them than
# an offer, mostly.
_COUNT = """
update cap_meters as meter
   set counted_at = tracker_now(),
       taken = (
         select coalesce(sum(
                  case meter.measure
                    when 'conversions' then 1
                    when 'payout'      then round(it.payout  * it.rate, 6)
                    when 'revenue'     then round(it.revenue * it.rate, 6)
                  end
                ), 0)
           from (
                  select goal, status, click_class, payout, revenue,
                         coalesce((wanted.rates ->> currency)::numeric, 0) as rate
                    from conversions
                   where (offer, converted_at) >= (meter.offer, meter.starts_at)
                     and (offer, converted_at) <  (meter.offer, meter.ends_at)
                     and meter.partner = ''
                   union all
                  select goal, status, click_class, payout, revenue,
                         coalesce((wanted.rates ->> currency)::numeric, 0)
                    from conversions
                   where (partner, converted_at) >= (meter.partner, meter.starts_at)
                     and (partner, converted_at) <  (meter.partner, meter.ends_at)
                     and meter.partner <> ''
                     and meter.offer in ('', offer)
                ) as it
          where it.status in ('pending', 'approved')
            and it.click_class <> %(test)s
            and (meter.goals = '' or it.goal = any(string_to_array(meter.goals, ' ')))
       )
  from json_to_recordset(%(rows)s::json) as wanted (
         offer text, partner text, measure text, goals text, per text,
         starts_at timestamptz, rates json
       )
 where meter.offer     = wanted.offer
   and meter.partner   = wanted.partner
   and meter.measure   = wanted.measure
   and meter.goals     = wanted.goals
   and meter.per       = wanted.per
   and meter.starts_at = wanted.starts_at
returning meter.offer, meter.partner, meter.measure, meter.goals, meter.per,
          meter.starts_at, meter.ends_at, meter.taken
"""

_ADD = """
update cap_meters as meter
   set taken = meter.taken + moved.step
  from json_to_recordset(%(rows)s::json) as moved (
         offer text, partner text, measure text, goals text, per text,
         starts_at timestamptz, step numeric
       )
 where meter.offer     = moved.offer
   and meter.partner   = moved.partner
   and meter.measure   = moved.measure
   and meter.goals     = moved.goals
   and meter.per       = moved.per
   and meter.starts_at = moved.starts_at
"""

_LIST = """
select offer, partner, measure, goals, per, starts_at, ends_at, taken, enough
  from cap_meters
 where ends_at > %(now)s
   and starts_at <= %(now)s
   and (taken >= enough or not %(only_reached)s)
"""

_LIST_OF = """
select offer, partner, measure, goals, per, starts_at, ends_at, taken, enough
  from cap_meters
 where offer   in ('', %(offer)s)
   and partner in ('', %(partner)s)
   and ends_at > %(at)s
   and starts_at <= %(at)s
 order by offer, partner, ends_at
"""

_LIST_PARTNERS = """
select distinct partner
  from conversions
 where (offer, converted_at) >= (%(offer)s, %(starts_at)s)
   and (offer, converted_at) <  (%(offer)s, %(ends_at)s)
"""


class MeterStore:
    """Reads meters, and counts those that a new catalog asks for."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_current(
        self, now: datetime, *, only_reached: bool = False
    ) -> list[Reading]:
        """What has been taken in the periods of this moment."""
        given = {"now": now, "only_reached": only_reached}
        async with connected(self._pool) as connection:
            cursor = await connection.execute(_LIST, given)
            return [_reading(row) for row in await cursor.fetchall()]

    async def list_of(self, offer: str, partner: str, at: datetime) -> list[Reading]:
        """What has been taken in the periods of a moment that a link was held to."""
        given = {"offer": offer, "partner": partner, "at": at}
        async with connected(self._pool) as connection:
            cursor = await connection.execute(_LIST_OF, given)
            return [_reading(row) for row in await cursor.fetchall()]

    async def list_partners(self, meter: Meter) -> list[str]:
        """The partners with conversions for an offer in a period."""
        given = {
            "offer": meter.offer,
            "starts_at": meter.starts_at,
            "ends_at": meter.ends_at,
        }
        async with connected(self._pool) as connection:
            cursor = await connection.execute(_LIST_PARTNERS, given)
            return [partner for (partner,) in await cursor.fetchall()]

    async def count(self, wanted: Mapping[Meter, list[PlacedCap]], by: Catalog) -> None:
        """
        Has them counted, if they never were, or not since an edit.

        However long it takes: what was stopped half way would never be done.
        """
        async with transaction(self._pool) as connection:
            await connection.execute("set local statement_timeout = 0")
            await _lock(connection, wanted, by)


async def lock_meters(
    connection: Connection, actions: Iterable[Action], catalog: Catalog
) -> Meters | None:
    """What actions may take of caps, nobody else's until commit; None if of none."""
    wanted: dict[Meter, list[PlacedCap]] = {}
    for action in actions:
        for placed, meter in meters_of(catalog, action):
            caps = wanted.setdefault(meter, [])
            if placed not in caps:
                caps.append(placed)
    taken = await _lock(connection, wanted, catalog)
    return Meters(catalog, taken) if taken else None


async def add_to_meters(connection: Connection, moved: Mapping[Meter, Decimal]) -> None:
    """What a batch has taken, or given back; its meters are locked."""
    rows = [{**_key(meter), "step": step} for meter, step in moved.items() if step]
    if rows:
        await connection.execute(_ADD, {"rows": as_rows(rows)})


async def _lock(
    connection: Connection, wanted: Mapping[Meter, list[PlacedCap]], catalog: Catalog
) -> dict[Meter, Decimal]:
    if not wanted:
        return {}
    rows = [
        {
            **_key(meter),
            "enough": enough(caps, catalog),
            "counts": [what_counts(one, catalog) for one in caps],
        }
        for meter, caps in wanted.items()
    ]
    cursor = await connection.execute(_LOCK, {"rows": as_rows(rows)})
    locked = await cursor.fetchall()
    taken = {_meter(row): row[7] for row in locked}
    stale = [_meter(row) for row in locked if row[8]]
    return taken | await _count(connection, stale, wanted, catalog)


async def _count(
    connection: Connection,
    stale: Collection[Meter],
    wanted: Mapping[Meter, list[PlacedCap]],
    catalog: Catalog,
) -> dict[Meter, Decimal]:
    if not stale:
        return {}
    rows = [
        {**_key(meter), "rates": rates_into(catalog, wanted[meter][0].currency)}
        for meter in stale
    ]
    given = {"rows": as_rows(rows), "test": int(ClickClass.TEST)}
    cursor = await connection.execute(_COUNT, given)
    return {_meter(row): row[7] for row in await cursor.fetchall()}


def _key(meter: Meter) -> dict[str, Any]:
    return msgspec.structs.asdict(meter)


def _meter(row: Any) -> Meter:
    return Meter(*row[:7])


def _reading(row: Any) -> Reading:
    return Reading(_meter(row), row[7], row[8])
