-- What everything else stands on: the clock, and days.

create function tracker_now() returns timestamptz
language sql volatile
as $$ select clock_timestamp() $$;

comment on function tracker_now() is
  'The time for leases, schedules and windows; tests replace it to move the clock.';

create function tracker_make_partitions(parent text, first_day date, last_day date)
returns integer
language plpgsql
as $$
declare
  day  date;
  name text;
  made integer := 0;
begin
  -- One maker at a time: two that make the same day would fail each other.
  perform pg_advisory_xact_lock(hashtext('tracker_make_partitions'));
  for day in
    select generate_series(first_day, last_day, interval '1 day')::date
  loop
    name := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
    if to_regclass(quote_ident(name)) is null then
      execute format(
        'create table if not exists %I partition of %I for values from (%L) to (%L)',
        name, parent, day, day + 1
      );
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;

comment on function tracker_make_partitions(text, date, date) is
  'Makes the daily partitions of a table from the first day to the last, inclusive.';
