"""
Clicks and conversions counted by quarter of an hour, and by day.

Clicks are counted where they are folded, in `tracker.store.clicklog`; here is what
comes after that: conversions, days that are over, and all of it counted again. Clicks
are counted under a lock that folds share; who changes what is a day, or counts again,
takes it alone, for a moment. Conversions are counted by one process at a time.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tracker.domain.click_id import first_at
from tracker.store.migrations import read_report
from tracker.store.postgres import Connection, Pool, connected, transaction

AT_ONCE = 1000
"""Changes that are folded in one transaction."""

PATIENCE = timedelta(minutes=10)
"""So long does a conversion wait for its click to be folded, to know more of it."""

_SHARE_CLICKS = "select pg_advisory_xact_lock_shared(hashtext('tracker_rollups'))"
_LOCK_CLICKS = "select pg_advisory_xact_lock(hashtext('tracker_rollups'))"
# The oldest changes are found in the order of their index, and not by sorting all that
# wait: after an upgrade these are all there are.
_TRY_CONVERSIONS = """
select pg_try_advisory_xact_lock(hashtext('tracker_conversion_rollups')),
       set_config('enable_bitmapscan', 'off', true)
"""
_LOCK_CONVERSIONS = (
    "select pg_advisory_xact_lock(hashtext('tracker_conversion_rollups'))"
)

_COUNT_WAITING = """
select count(*), coalesce(tracker_now() - min(written_at), interval '0')
  from conversion_changes
 where folded_at is null
"""

# What the id of the click says has to do for one that is not there in time. Another
# conversion of the click has said it already, perhaps.
_PLACE = """
insert into conversion_clicks (conversion_id, country, device, os, browser, traffic)
select new.id,
       coalesce(other.country, click.country, ''),
       coalesce(other.device,  click.device,  ''),
       coalesce(other.os,      click.os,      ''),
       coalesce(other.browser, click.browser, ''),
       coalesce(other.traffic, click.traffic, case new.click_class
         when 0 then 'visit'
         when 1 then 'head'
         when 2 then 'prefetch'
         when 3 then 'refused'
         when 4 then 'test'
         when 5 then 'repeated'
       end)
  from conversion_changes
  join conversions as new on new.id = conversion_id
  left join lateral (
         select conversion_clicks.*
           from conversions
           join conversion_clicks on conversion_id = conversions.id
          where click_id = new.click_id
          limit 1
       ) as other on true
  left join lateral (
         select *
           from clicks
          where clicks.day = (new.clicked_at at time zone 'UTC')::date
            and clicks.id  = new.click_id
          limit 1
       ) as click on true
 where folded_at is null
   and number = 1
   and (click.id is not null
        or other.conversion_id is not null
        or coalesce(written_at < tracker_now() - %(patience)s, true))
 order by written_at
 limit %(limit)s
    on conflict do nothing
"""

# A conversion leaves the row that its last folded change put it into, and enters that
# of its last change. So do the other conversions of a click that is no visit: another
# one may be the one that proves it now. What so stays where it was is 0 in sum. Each
# click is looked for once, and nothing is joined again: it may have thousands. Nor are
# all that wait looked through for these few: `offset` keeps the planner from it, who
# may not know yet that there are hundreds of thousands.
_FOLD = """
with due as materialized (
  select conversion_id
    from conversion_changes
    join conversion_clicks using (conversion_id)
   where folded_at is null
   order by written_at
   limit %(limit)s
), changed as materialized (
  select distinct click_id
    from conversions
   where id in (select conversion_id from due)
), concerned as materialized (
  select conversions.id, click_id, clicked_at, converted_at, partner, offer, goal,
         currency, placed.country, placed.device, placed.traffic
    from changed
    join conversions using (click_id)
    join conversion_clicks as placed on placed.conversion_id = conversions.id
   where traffic <> 'visit'
      or conversions.id in (select conversion_id from due)
), waiting as (
  select change.id
    from concerned
   cross join lateral (
           select id, folded_at
             from conversion_changes
            where conversion_id = concerned.id
           offset 0
         ) as change
   where change.folded_at is null
), folded as (
  update conversion_changes
     set folded_at = tracker_now()
   where id = any(array(select id from waiting))
  returning conversion_id
), standing as (
  select -1 as sign, concerned.*, state.*
    from concerned
   cross join lateral (
           select status, amount, revenue, payout
             from conversion_changes
            where conversion_id = concerned.id
              and folded_at is not null
            order by number desc
            limit 1
         ) as state
   union all
  select 1, concerned.*, state.*
    from concerned
   cross join lateral (
           select status, amount, revenue, payout
             from conversion_changes
            where conversion_id = concerned.id
            order by number desc
            limit 1
         ) as state
), proving as (
  select *,
         (traffic <> 'visit'
          and status <> 'rejected'
          and row_number() over (
                partition by click_id, sign, status = 'rejected'
                order by converted_at, id
              ) = 1)::int as proven
    from standing
   where traffic <> 'test'
), moved as (
  select date_bin('15 minutes', at, '2000-01-01Z') as starts_at, basis,
         coalesce(partners.number, 0) as partner_number,
         coalesce(offers.number, 0) as offer_number,
         goal, currency, country, device, traffic, status,
         sum(sign) as conversions, sum(sign * proven) as proven,
         sum(sign * coalesce(amount, 0)) as amount, sum(sign * revenue) as revenue,
         sum(sign * payout) as payout
    from proving
    left join catalog_numbers as partners
      on partners.kind = 'partner' and partners.key = partner
    left join catalog_numbers as offers
      on offers.kind = 'offer' and offers.key = offer
   cross join lateral (
           values ('click', clicked_at), ('conversion', converted_at)
         ) as counted (basis, at)
   group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
  having (sum(sign), sum(sign * proven), sum(sign * coalesce(amount, 0)),
          sum(sign * revenue), sum(sign * payout)) <> (0, 0, 0, 0, 0)
), counted as (
  insert into conversion_rollups as known
  select *
    from moved
   order by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
      on conflict (
           starts_at, basis, partner_number, offer_number, goal, currency, country,
           device, traffic, status
         ) do update
     set conversions = known.conversions + excluded.conversions,
         proven      = known.proven      + excluded.proven,
         amount      = known.amount      + excluded.amount,
         revenue     = known.revenue     + excluded.revenue,
         payout      = known.payout      + excluded.payout
  returning known.ctid, known.conversions
)
select (select count(*) from folded),
       array(select ctid::text from counted where conversions = 0)
"""

# Nobody else changes a row here meanwhile, so that it is where it was.
_DELETE_EMPTY = "delete from conversion_rollups where ctid = any(%(rows)s::tid[])"

_GET_DAYS = """
select zone, closed_before,
       (tracker_now() at time zone %(zone)s)::date,
       (select (min(starts_at) at time zone %(zone)s)::date from click_rollups)
  from rollup_days
"""

_GET_END = "select closed_before::timestamp at time zone zone from rollup_days"

_CHANGE_ZONE = """
update rollup_days
   set zone = %(zone)s, closed_before = date '1970-01-01'
"""

_FORGET_DAYS = "truncate click_rollup_days"

_CONVERSIONS_ZONE = "select conversions_zone from rollup_days"
_SUM_CONVERSIONS = "update rollup_days set conversions_zone = %(zone)s"

_DELETE_DAY = "delete from click_rollup_days where day = %(day)s"

# The other way round a midnight that is struck twice would be the second one.
_SUM_DAY = """
insert into click_rollup_days (
  day, partner_number, offer_number, country, device, traffic, clicks, uniques
)
select %(day)s, partner_number, offer_number, country, device, traffic,
       sum(clicks), sum(uniques)
  from click_rollups
 where starts_at >= %(day)s::date - interval '1 day'
   and starts_at <  %(day)s::date + interval '3 days'
   and (starts_at at time zone %(zone)s)::date = %(day)s
 group by partner_number, offer_number, country, device, traffic
"""

_CLOSE_DAY = "update rollup_days set closed_before = %(day)s::date + 1"

_REOPEN = """
update rollup_days
   set closed_before = least(
         closed_before, (%(first)s at time zone rollup_days.zone)::date
       )
"""

# No day is dropped while somebody reads the table.
_KEEP_PARTITIONS = "lock table clicks in access share mode"
_HAS_PARTITION = "select to_regclass(%(partition)s) is not null"

_DELETE_QUARTERS = """
delete from click_rollups where starts_at >= %(first)s and starts_at < %(last)s
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many changes are not counted yet, and for how long the oldest."""

    changes: int
    oldest: timedelta


@dataclass(frozen=True, slots=True)
class Days:
    """Which days are closed, and which there are to close, in a time zone."""

    zone: str
    closed_before: date
    today: date
    first: date | None

    @property
    def next_to_close(self) -> date | None:
        """The first day that is over and not closed; None if there is none."""
        if self.first is None:
            return None
        day = max(self.closed_before, self.first)
        return day if day < self.today else None


async def share_rollups(connection: Connection) -> datetime:
    """
    The end of the last day that is closed; until commit it stays so.

    Asked once the lock is had, or an answer of before would be believed.
    """
    await connection.execute(_SHARE_CLICKS)
    cursor = await connection.execute(_GET_END)
    ((end,),) = await cursor.fetchall()
    ended: datetime = end
    return ended


class RollupStore:
    """Counts conversions, closes days, and counts everything again."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fold_changes(self) -> int:
        """
        Counts the changes that wait longest; how many that were.

        None while another process does. What was counted and what is marked as
        counted are one transaction.
        """
        given = {"patience": PATIENCE, "limit": AT_ONCE}
        async with transaction(self._pool) as connection:
            cursor = await connection.execute(_TRY_CONVERSIONS)
            ((is_ours, _),) = await cursor.fetchall()
            if not is_ours:
                return 0
            await connection.execute(_PLACE, given)
            cursor = await connection.execute(_FOLD, given)
            ((folded, empty),) = await cursor.fetchall()
            if empty:
                await connection.execute(_DELETE_EMPTY, {"rows": empty})
        return int(folded)

    async def count_waiting(self) -> Waiting:
        """Of changes of conversions."""
        async with connected(self._pool) as connection:
            cursor = await connection.execute(_COUNT_WAITING)
            ((changes, oldest),) = await cursor.fetchall()
            return Waiting(changes, oldest)

    async def close_day(self, zone: str) -> date | None:
        """
        Sums up the first day that is over in this zone; None if none is left.

        Where days were of another zone all of them are open again.
        """
        async with transaction(self._pool) as connection:
            await connection.execute(_LOCK_CLICKS)
            days = await _days(connection, zone)
            if days.zone != zone:
                await connection.execute(_CHANGE_ZONE, {"zone": zone})
                await connection.execute(_FORGET_DAYS)
                days = await _days(connection, zone)
            day = days.next_to_close
            if day is not None:
                for statement in (_DELETE_DAY, _SUM_DAY, _CLOSE_DAY):
                    await connection.execute(statement, {"day": day, "zone": zone})
        return day

    async def rebuild_clicks(self, first: datetime, last: datetime) -> bool:
        """
        Counts clicks of some minutes of a day again; the day is open afterwards.

        False, and nothing is done, where the clicks of that day were dropped: then
        nothing but the rollups knows of them.
        """
        given = {
            "partition": f"clicks_{first:%Y%m%d}",
            "first": first,
            "last": last,
            "first_id": first_at(first),
            "last_id": first_at(last),
        }
        async with transaction(self._pool) as connection:
            await connection.execute(_KEEP_PARTITIONS)
            cursor = await connection.execute(_HAS_PARTITION, given)
            if await cursor.fetchone() != (True,):
                return False
            await connection.execute(_LOCK_CLICKS)
            await connection.execute(_REOPEN, given)
            await connection.execute(_DELETE_QUARTERS, given)
            await connection.execute(_rebuild("clicks"), given)
        return True

    async def sum_conversions(self, zone: str) -> None:
        """Sums the conversions of each day of this zone, if they are of another's."""
        async with connected(self._pool) as connection:
            cursor = await connection.execute(_CONVERSIONS_ZONE)
            if await cursor.fetchone() == (zone,):
                return
        async with self._all_conversions() as connection:
            await connection.execute(_SUM_CONVERSIONS, {"zone": zone})

    async def rebuild_conversions(self) -> None:
        """Counts again what was folded of all conversions; folds wait meanwhile."""
        async with self._all_conversions() as connection:
            await connection.execute("delete from conversion_rollups")
            await connection.execute(_rebuild("conversions"))

    @asynccontextmanager
    async def _all_conversions(self) -> AsyncIterator[Connection]:
        """Nobody else counts them, and it takes as long as it takes."""
        async with transaction(self._pool) as connection:
            await connection.execute(
                "select set_config('statement_timeout', '0', true),"
                " set_config('lock_timeout', '60s', true),"
                " set_config('enable_seqscan', 'on', true)"
            )
            await connection.execute(_LOCK_CONVERSIONS)
            yield connection


def _rebuild(what: str) -> bytes:
    return read_report(f"rebuild_{what}").encode()


async def _days(connection: Connection, zone: str) -> Days:
    cursor = await connection.execute(_GET_DAYS, {"zone": zone})
    (row,) = await cursor.fetchall()
    return Days(*row)
