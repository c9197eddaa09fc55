-- What partners answered in the seeded month; statements are apart by an empty line.

-- They were owed, and counted, when the conversions changed.
update conversion_changes set written_at = changed_at;

update deliveries
   set created_at = changed_at, due_at = changed_at
  from conversion_changes
 where conversion_changes.id = change_id;

-- Each delivery with its luck: by a hash, so that it is the same each time.
create temporary table told on commit drop as
select deliveries.*,
       created_at + interval '1.2 seconds' as first_at,
       abs(hashtext(conversion_id || number)) %% 100 as luck,
       case partner
         when 'bestdeals'  then 97
         when 'couponking' then 92
         when 'mailroom'   then 0
         else 94
       end as well,
       'GET' as method,
       'https://' || split_part(lane, '@', 2)
         || case partner
              when 'bestdeals'  then '/pb?cid='
              when 'couponking' then '/v2/conversions?click='
              when 'reviewhub'  then '/tracker/newsletter?c='
              when 'playloop'   then '/in?clickid='
              when 'mailroom'   then '/hooks/lead?id='
              else '/?gclid='
            end
         || coalesce(macro_values->>'sub1', '')
         || '&payout=' || coalesce(macro_values->>'payout', '') as url
  from deliveries
 where created_at < %(now)s::timestamptz - interval '40 minutes'
   and (partner <> 'searchlane'
        or created_at < %(now)s::timestamptz - interval '9 hours');

-- Attempts: one that went well, or four that did not.
insert into delivery_attempts (
  day, delivery_id, round, number, outcome, started_at, duration_ms, method, url,
  http_status, answer, error
)
select (at at time zone 'UTC')::date, id, round, n,
       case when luck < well and n = 1 then 'delivered' else 'failed' end,
       at, 80 + (luck * 37 + n * 211) %% 900, method, url,
       case when luck < well then 200 when partner = 'mailroom' then null else 500 end,
       case when luck < well then 'OK' when partner = 'mailroom' then ''
            else '{"error":"upstream timed out"}' end,
       case when partner = 'mailroom' and luck >= well then 'no_connection' else '' end
  from told
 cross join lateral generate_series(1, case when luck < well then 1 else 4 end) as n
 cross join lateral (
         select first_at + (n - 1) * interval '9 minutes' as at
       ) as tried;

-- What went well is finished, and so is what was given up three days ago.
insert into delivery_archive (
  day, id, round, change_id, conversion_id, partner, postback, lane, number,
  macro_values, has_click, attempts, outcome, reason, created_at, finished_at
)
select (first_at at time zone 'UTC')::date, id, round, change_id, conversion_id, partner,
       postback, lane, number, macro_values, has_click,
       case when luck < well then 1 else 4 end,
       case when luck < well then 'delivered' else 'dead' end,
       case when luck < well then '' else 'attempts_exhausted' end,
       created_at,
       case when luck < well then first_at + interval '0.4 seconds'
            else first_at + interval '28 minutes' end
  from told
 where luck < well
    or created_at < %(now)s::timestamptz - interval '6 hours';

delete from deliveries
 using delivery_archive
 where delivery_archive.id = deliveries.id;

-- The rest waits for its next attempt.
update deliveries
   set attempts = 4, due_at = %(now)s::timestamptz + interval '25 minutes'
 where created_at < %(now)s::timestamptz - interval '40 minutes';

-- One partner's server is away, another one said 410.
insert into lanes (
  lane, partner, postback, host, opened_at, opened_reason, open_until, openings, places,
  calls, failures
)
values ('mailroom/leads@mailroom.example', 'mailroom', 'leads', 'mailroom.example',
        %(now)s::timestamptz - interval '50 minutes', 'unreachable',
        %(now)s::timestamptz + interval '3 hours', 4, 1, 0, 0);

insert into lanes (lane, partner, postback, host, paused_at, paused_reason)
values ('searchlane/s2s@s2s.searchlane.example', 'searchlane', 's2s',
        's2s.searchlane.example', %(now)s::timestamptz - interval '2 hours', 'gone');

update deliveries set held_reason = 'paused_lane' where partner = 'searchlane';
