-- Days summed once more, by each two of four dimensions.
--
-- A month of ten million clicks is millions of rows of click_rollup_days, because few
-- clicks of a day have partner, offer, country and device in common. Hardly any report
-- is by all of them: by two they are some hundred thousand, and read ten times as fast.

create table click_rollup_pairs (
  pair           text    collate "C" not null,
  day            date    not null,
  partner_number integer not null,
  offer_number   integer not null,
  country        text    collate "C" not null,
  device         text    collate "C" not null,
  visit          integer not null,
  bot            integer not null,
  datacenter     integer not null,
  head           integer not null,
  prefetch       integer not null,
  refused        integer not null,
  repeated       integer not null,
  uniques        integer not null,
  primary key (pair, day, partner_number, offer_number, country, device)
);

comment on table click_rollup_pairs is
  'click_rollup_days by each two of partner, offer, country and device; kept by its triggers.';
comment on column click_rollup_pairs.pair is
  'Which two: partner offer, say; the columns of the others are 0 or empty.';
comment on column click_rollup_pairs.visit is
  'Clicks of that traffic; so to repeated.';

-- By triggers, so that whoever writes a day cannot leave its sums behind. In the order of
-- the key, so that two who write the same day do not wait for each other in a circle.
create function tracker_sum_pairs() returns trigger
language plpgsql
as $$
declare
  moved text := case tg_op
    when 'INSERT' then 'select *, 1 as sign from added'
    when 'DELETE' then 'select *, -1 as sign from removed'
    else 'select *, 1 as sign from added union all select *, -1 from removed'
  end;
begin
  execute format($statement$
    insert into click_rollup_pairs as pairs
    select case grouping(partner_number, offer_number, country, device)
             when 3 then 'partner offer'
             when 5 then 'partner country'
             when 6 then 'partner device'
             when 9 then 'offer country'
             when 10 then 'offer device'
             when 12 then 'country device'
           end,
           day, coalesce(partner_number, 0), coalesce(offer_number, 0),
           coalesce(country, ''), coalesce(device, ''),
           coalesce(sum(sign * clicks) filter (where traffic = 'visit'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'bot'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'datacenter'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'head'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'prefetch'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'refused'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'repeated'), 0),
           sum(sign * uniques)
    from   (%s) as moved
    group  by grouping sets (
             (day, partner_number, offer_number), (day, partner_number, country),
             (day, partner_number, device), (day, offer_number, country),
             (day, offer_number, device), (day, country, device))
    order  by 1, 2, 3, 4, 5, 6
    on conflict (pair, day, partner_number, offer_number, country, device) do update
    set    visit = pairs.visit + excluded.visit,
           bot = pairs.bot + excluded.bot,
           datacenter = pairs.datacenter + excluded.datacenter,
           head = pairs.head + excluded.head,
           prefetch = pairs.prefetch + excluded.prefetch,
           refused = pairs.refused + excluded.refused,
           repeated = pairs.repeated + excluded.repeated,
           uniques = pairs.uniques + excluded.uniques
  $statement$, moved);
  return null;
end
$$;

create function tracker_forget_pairs() returns trigger
language plpgsql
as $$
begin
  truncate click_rollup_pairs;
  return null;
end
$$;

create trigger pairs_of_added after insert on click_rollup_days
  referencing new table as added
  for each statement execute function tracker_sum_pairs();
create trigger pairs_of_removed after delete on click_rollup_days
  referencing old table as removed
  for each statement execute function tracker_sum_pairs();
create trigger pairs_of_changed after update on click_rollup_days
  referencing new table as added old table as removed
  for each statement execute function tracker_sum_pairs();
create trigger pairs_of_none after truncate on click_rollup_days
  for each statement execute function tracker_forget_pairs();

-- Days that are closed are closed again by the worker, and go through the triggers.
truncate click_rollup_days;
update rollup_days set closed_before = date '1970-01-01';

-- Clicks that only a conversion proves to be a person's are few among all conversions.
create index conversion_rollups_proving on conversion_rollups (starts_at)
  where proven <> 0 and basis = 'click';
