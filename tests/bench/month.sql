-- Thirty days of a large network, made where they are kept. Statements are apart by an
-- empty line; the one marked _day is done for each day, all others once.

-- Forty bits as eight characters, as in every id.
create function bench.text_of(bits bigint) returns text language sql immutable strict
parallel safe as $$
  select string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz',
                           ((bits >> place) & 31)::int + 1, 1), '' order by place desc)
  from   generate_series(0, 35, 5) as place
$$;

-- Half of them at a time: a table is faster than a function ten million times.
create table bench.halves as
select number, right(bench.text_of(number), 4) as text
from   generate_series(0, (1 << 20) - 1) as number;

create unique index on bench.halves (number);

create table bench.links as
select partner, n, offer, bench.text_of((partner::bigint << 20) | offer) as text
from   generate_series(1, 200) as partner,
       generate_series(0, 5) as n,
       lateral (select case n when 0 then 1 else (partner * 5 + n) %% 50 + 1 end as offer)
         as chosen;

create unique index on bench.links (partner, n);

create table bench.agents as
select *
from   (values
         (0, 'phone', 'Android', 'Chrome Mobile', 'Mozilla/5.0 (Linux; Android 14)'),
         (1, 'phone', 'iOS', 'Mobile Safari', 'Mozilla/5.0 (iPhone; CPU iPhone OS 18)'),
         (2, 'desktop', 'Windows', 'Chrome', 'Mozilla/5.0 (Windows NT 10.0; Win64)'),
         (3, 'desktop', 'Mac OS X', 'Safari', 'Mozilla/5.0 (Macintosh; Intel)'),
         (4, 'tablet', 'iOS', 'Mobile Safari', 'Mozilla/5.0 (iPad; CPU OS 18)'),
         (5, 'tv', 'Tizen', 'Samsung Internet', 'Mozilla/5.0 (SMART-TV; Tizen 8)')
       ) as agents (n, device, os, browser, agent);

analyze bench.halves, bench.links, bench.agents;

-- _day: A few partners, countries and placements have most of the clicks.
insert into clicks (
  day, id, clicked_at, class, partner_number, offer_number, catalog_version, sub1, sub2,
  address, user_agent, referrer, language, destination, country, device, os, browser,
  traffic, is_unique
)
select (clicked_at at time zone 'UTC')::date,
       high.text || low.text || '00' || lpad((made.n %% 10000)::text, 4, '0')
         || case traffic when 'prefetch' then '02' else '00' end
         || links.text || '00000000',
       clicked_at, case traffic when 'prefetch' then 2 else 0 end, made.partner,
       links.offer, 1, 'placement-' || floor(100000 * power(made.label, 3)),
       'banner-' || made.n %% 40,
       '16.0.0.0'::inet + floor(made.chance * 3000000000)::bigint, agents.agent,
       'https://partner-' || made.partner || '.example/reviews', 'en',
       'https://shop.example/landing?cid=' || made.n,
       (%(countries)s::text[])[1 + floor(30 * power(made.country, 2.5))::int],
       agents.device, agents.os, agents.browser, traffic,
       traffic = 'visit' and made.chance < 0.8
from   (
         select n, ms, timestamptz '2024-01-01Z' + ms * interval '1 millisecond' as clicked_at,
                1 + floor(200 * power(random(), 2.5))::int as partner,
                floor(6 * random())::int as link, floor(6 * power(random(), 1.7))::int
                as agent, random() as label, random() as country, random() as chance,
                (array['visit', 'visit', 'visit', 'visit', 'visit', 'visit', 'visit',
                       'bot', 'datacenter', 'prefetch'])[1 + floor(10 * power(
                         random(), 1.2))::int] as traffic
         from   (
                  select n, (%(first_ms)s + n * (%(length_ms)s / %(clicks)s))::bigint as ms
                  from   generate_series(0, %(clicks)s - 1) as n
                ) as numbered
       ) as made
join   bench.links  on links.partner = made.partner and links.n = made.link
join   bench.agents on agents.n = made.agent
join   bench.halves as high on high.number = made.ms >> 20
join   bench.halves as low  on low.number  = made.ms & 1048575;

-- What was bought: of every fiftieth visit, on its day or later.
create table bench.sold as
select row_number() over () as n, *,
       bench.text_of((extract(epoch from converted_at - timestamptz '2024-01-01Z')
                      * 1000)::bigint) as text,
       round((20 + 200 * random())::numeric, 2) as amount,
       (array['approved', 'approved', 'approved', 'pending', 'rejected'])
         [1 + floor(5 * random())::int] as status
from   (
         select clicks.*, partners.key as partner, offers.key as offer,
                least(clicked_at + random() * interval '3 days', %(now)s) as converted_at
         from   clicks
         join   catalog_numbers as partners
           on   partners.kind = 'partner' and partners.number = partner_number
         join   catalog_numbers as offers
           on   offers.kind = 'offer' and offers.number = offer_number
         where  traffic = 'visit'
           and  random() < %(share)s
         limit  %(conversions)s
       ) as bought;

insert into conversions (
  id, advertiser, offer, partner, click_id, goal, transaction_id, status, currency,
  amount, payout, revenue, rate, click_class, clicked_at, converted_at, changed_at,
  changes, catalog_version
)
select 'cv_' || text || lpad(n::text, 16, '0'), 'acme', offer, partner, id, 'sale',
       'order-' || n, status, 'USD', amount, round(amount * 0.08, 2),
       round(amount * 0.12, 2), 1, class, clicked_at, converted_at, converted_at, 1, 1
from   bench.sold;

insert into conversion_clicks (conversion_id, country, device, os, browser, traffic)
select 'cv_' || text || lpad(n::text, 16, '0'), country, device, os, browser, traffic
from   bench.sold;

insert into conversion_changes (
  id, conversion_id, number, kind, status, amount, payout, revenue, postback_id,
  catalog_version, changed_at, folded_at, written_at
)
select replace(id, 'cv_', 'ch_'), id, 1, 'created', status, amount, payout, revenue,
       replace(id, 'cv_', 'pb_'), 1, converted_at, converted_at, converted_at
from   conversions;

insert into postbacks (
  day, id, received_at, method, path, parameters, address, advertiser, click_id,
  transaction_id, outcome, conversion_id, catalog_version
)
select (converted_at at time zone 'UTC')::date, replace(id, 'cv_', 'pb_'), converted_at,
       'GET', '/postback',
       jsonb_build_array(jsonb_build_array('click_id', click_id),
                         jsonb_build_array('amount', amount::text),
                         jsonb_build_array('token', '***')),
       '203.0.113.9', 'acme', click_id, transaction_id, 'accepted', id, 1
from   conversions;

insert into postbacks (
  day, id, received_at, method, path, parameters, address, outcome, reason,
  quarantined_for, catalog_version
)
select (converted_at at time zone 'UTC')::date,
       'pb_' || text || 'q' || lpad(n::text, 15, '0'), converted_at, 'GET', '/postback',
       '[["amount", "10.00"]]', '203.0.113.9', 'quarantined', why, why, 1
from   bench.sold,
       lateral (select (array['unknown_click', 'bad_token', 'missing_click_id',
                              'outside_window'])[1 + n %% 4] as why) as refused
where  n %% 10 = 0;

insert into delivery_archive (
  day, id, round, change_id, conversion_id, partner, postback, lane, number,
  macro_values, has_click, attempts, outcome, reason, created_at, finished_at
)
select (converted_at at time zone 'UTC')::date, replace(id, 'cv_', 'dl_'), 1,
       replace(id, 'cv_', 'ch_'), id, partner, 'sales', partner || '/sales@127.0.0.1', 1,
       jsonb_build_object('payout', payout), true, 1,
       case when is_dead then 'dead' else 'delivered' end,
       case when is_dead then 'attempts_exhausted' else '' end, converted_at,
       converted_at + interval '1 second'
from   conversions,
       lateral (select hashtext(id) %% 20 = 0 as is_dead) as luck;

insert into delivery_attempts (
  day, delivery_id, round, number, outcome, started_at, duration_ms, method, url,
  http_status, answer
)
select day, id, 1, 1, case outcome when 'dead' then 'failed' else 'delivered' end,
       created_at, 120, 'GET', 'http://127.0.0.1:9/pb?payout=1',
       case outcome when 'dead' then 500 else 200 end, 'OK'
from   delivery_archive;
