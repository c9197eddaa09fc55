-- Conversions summed by day and by each two of four dimensions, as clicks are.
--
-- Of two hundred thousand conversions in a month hardly two have a quarter of an hour,
-- partner, offer, country and device in common, so that their rollups are no shorter than
-- they are. By day and two dimensions they are a third or less, with all that a report
-- asks of them side by side.

create table conversion_rollup_pairs (
  basis            text    collate "C" not null,
  pair             text    collate "C" not null,
  day              date    not null,
  partner_number   integer not null,
  offer_number     integer not null,
  country          text    collate "C" not null,
  device           text    collate "C" not null,
  goal             text    collate "C" not null,
  currency         text    collate "C" not null,
  traffic          text    collate "C" not null,
  pending          integer not null,
  approved         integer not null,
  rejected         integer not null,
  amount           numeric(26, 6) not null,
  revenue          numeric(26, 6) not null,
  payout           numeric(26, 6) not null,
  approved_revenue numeric(26, 6) not null,
  approved_payout  numeric(26, 6) not null,
  primary key (
    basis, pair, day, partner_number, offer_number, country, device, goal, currency,
    traffic
  )
) with (fillfactor = 80);

comment on table conversion_rollup_pairs is
  'conversion_rollups by day and each two of partner, offer, country and device; kept by its triggers.';
comment on column conversion_rollup_pairs.pair is
  'Which two: partner offer, say; the columns of the others are 0 or empty.';
comment on column conversion_rollup_pairs.day is
  'In the conversions_zone of rollup_days; all days are here, those that are not over too.';
comment on column conversion_rollup_pairs.amount is
  'Of pending and approved ones; so revenue and payout.';

-- Its own, because all conversions are summed anew in another one, and no fold of clicks
-- waits for that.
alter table rollup_days add column conversions_zone text not null default '';
alter table rollup_days alter column conversions_zone drop default;

comment on column rollup_days.conversions_zone is
  'The time zone of conversion_rollup_pairs.';

-- What changed, by the pairs it belongs to; in another time zone that is everything. A row
-- of nothing is deleted: its place is known, because it is ours until the end.
create function tracker_sum_conversion_pairs() returns trigger
language plpgsql
as $$
declare
  moved text := case
    when tg_table_name = 'rollup_days' then 'select *, 1 as sign from conversion_rollups'
    when tg_op = 'INSERT' then 'select *, 1 as sign from added'
    when tg_op = 'DELETE' then 'select *, -1 as sign from removed'
    else 'select *, 1 as sign from added union all select *, -1 from removed'
  end;
  emptied tid[];
begin
  if tg_table_name = 'rollup_days' then
    delete from conversion_rollup_pairs;
  end if;
  execute format($statement$
    with moved as (
      select *, (starts_at at time zone
                 (select conversions_zone from rollup_days))::date as day
      from   (%s) as every
    ), summed as (
      select basis,
             case grouping(partner_number, offer_number, country, device)
               when 3 then 'partner offer'
               when 5 then 'partner country'
               when 6 then 'partner device'
               when 9 then 'offer country'
               when 10 then 'offer device'
               when 12 then 'country device'
             end as pair,
             day, coalesce(partner_number, 0) as partner_number,
             coalesce(offer_number, 0) as offer_number, coalesce(country, '') as country,
             coalesce(device, '') as device, goal, currency, traffic,
             coalesce(sum(sign * conversions) filter (where status = 'pending'), 0)
               as pending,
             coalesce(sum(sign * conversions) filter (where status = 'approved'), 0)
               as approved,
             coalesce(sum(sign * conversions) filter (where status = 'rejected'), 0)
               as rejected,
             coalesce(sum(sign * amount) filter (where status <> 'rejected'), 0) as amount,
             coalesce(sum(sign * revenue) filter (where status <> 'rejected'), 0)
               as revenue,
             coalesce(sum(sign * payout) filter (where status <> 'rejected'), 0) as payout,
             coalesce(sum(sign * revenue) filter (where status = 'approved'), 0)
               as approved_revenue,
             coalesce(sum(sign * payout) filter (where status = 'approved'), 0)
               as approved_payout
      from   moved
      group  by grouping sets (
               (basis, day, goal, currency, traffic, partner_number, offer_number),
               (basis, day, goal, currency, traffic, partner_number, country),
               (basis, day, goal, currency, traffic, partner_number, device),
               (basis, day, goal, currency, traffic, offer_number, country),
               (basis, day, goal, currency, traffic, offer_number, device),
               (basis, day, goal, currency, traffic, country, device))
    ), counted as (
      insert into conversion_rollup_pairs as pairs
      select *
      from   summed
      where  (pending, approved, rejected, amount, revenue, payout, approved_revenue,
              approved_payout) <> (0, 0, 0, 0, 0, 0, 0, 0)
      order  by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
      on conflict (
        basis, pair, day, partner_number, offer_number, country, device, goal, currency,
        traffic
      ) do update
      set    pending = pairs.pending + excluded.pending,
             approved = pairs.approved + excluded.approved,
             rejected = pairs.rejected + excluded.rejected,
             amount = pairs.amount + excluded.amount,
             revenue = pairs.revenue + excluded.revenue,
             payout = pairs.payout + excluded.payout,
             approved_revenue = pairs.approved_revenue + excluded.approved_revenue,
             approved_payout = pairs.approved_payout + excluded.approved_payout
      returning pairs.ctid, (pending, approved, rejected) = (0, 0, 0) as is_empty
    )
    select array_agg(ctid) filter (where is_empty) from counted
  $statement$, moved) into emptied;
  delete from conversion_rollup_pairs where ctid = any(emptied);
  return null;
end
$$;

create trigger pairs_of_added after insert on conversion_rollups
  referencing new table as added
  for each statement execute function tracker_sum_conversion_pairs();
create trigger pairs_of_removed after delete on conversion_rollups
  referencing old table as removed
  for each statement execute function tracker_sum_conversion_pairs();
create trigger pairs_of_changed after update on conversion_rollups
  referencing new table as added old table as removed
  for each statement execute function tracker_sum_conversion_pairs();
create trigger pairs_of_zone after update on rollup_days
  for each row when (old.conversions_zone <> new.conversions_zone)
  execute function tracker_sum_conversion_pairs();

-- What was counted before is summed now.
update rollup_days set conversions_zone = zone;
