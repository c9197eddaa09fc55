-- For people who want their own reports: what the tables say, by keys and in words.

create view report_clicks as
select clicks.day, clicks.id as click_id, clicked_at,
       partners.key as partner, offers.key as offer, catalog_version,
       coalesce(traffic, case class
         when 0 then 'visit'
         when 1 then 'head'
         when 2 then 'prefetch'
         when 3 then 'refused'
         when 4 then 'test'
         when 5 then 'repeated'
       end) as traffic,
       coalesce(is_unique, false) as is_unique, reason,
       coalesce(country, '') as country, coalesce(device, '') as device,
       coalesce(os, '') as os, coalesce(browser, '') as browser,
       sub1, sub2, sub3, sub4, sub5, sub6, sub7, sub8, sub9, sub10,
       gclid, gbraid, wbraid, fbclid, ttclid, msclkid, params,
       referrer, language, destination, route,
       coalesce(sums.pending + sums.approved, 0) as conversions,
       coalesce(sums.pending, 0) as pending,
       coalesce(sums.approved, 0) as approved,
       coalesce(sums.rejected, 0) as rejected,
       sums.currency,
       coalesce(sums.amount, 0) as amount, coalesce(sums.revenue, 0) as revenue,
       coalesce(sums.payout, 0) as payout,
       coalesce(sums.revenue - sums.payout, 0) as profit
  from clicks
  left join catalog_numbers as partners
    on partners.kind = 'partner' and partners.number = partner_number
  left join catalog_numbers as offers
    on offers.kind = 'offer' and offers.number = offer_number
  left join lateral (
         select count(*) filter (where status = 'pending')  as pending,
                count(*) filter (where status = 'approved') as approved,
                count(*) filter (where status = 'rejected') as rejected,
                max(currency) as currency,
                sum(amount)  filter (where status <> 'rejected') as amount,
                sum(revenue) filter (where status <> 'rejected') as revenue,
                sum(payout)  filter (where status <> 'rejected') as payout
           from conversions
          where click_id = clicks.id
       ) as sums on true;

comment on view report_clicks is
  'Every click with its conversions summed: pending and approved ones, in the offer''s currency.';

create view report_conversions as
select conversions.id as conversion_id, click_id, advertiser, offer, partner, goal,
       transaction_id, status, currency, conversions.amount, revenue, payout,
       revenue - payout as profit, sent_amount, sent_currency,
       conversions.clicked_at, converted_at, conversions.changed_at, changes,
       click_class = 4 as is_test,
       coalesce(placed.traffic, case click_class
         when 0 then 'visit'
         when 1 then 'head'
         when 2 then 'prefetch'
         when 3 then 'refused'
         when 4 then 'test'
         when 5 then 'repeated'
       end) as traffic,
       coalesce(placed.country, '') as country, coalesce(placed.device, '') as device,
       coalesce(placed.os, '') as os, coalesce(placed.browser, '') as browser,
       coalesce(click.sub1, labels ->> 'sub1') as sub1,
       coalesce(click.sub2, labels ->> 'sub2') as sub2,
       coalesce(click.sub3, labels ->> 'sub3') as sub3,
       coalesce(click.sub4, labels ->> 'sub4') as sub4,
       coalesce(click.sub5, labels ->> 'sub5') as sub5,
       coalesce(click.sub6, labels ->> 'sub6') as sub6,
       coalesce(click.sub7, labels ->> 'sub7') as sub7,
       coalesce(click.sub8, labels ->> 'sub8') as sub8,
       coalesce(click.sub9, labels ->> 'sub9') as sub9,
       coalesce(click.sub10, labels ->> 'sub10') as sub10
  from conversions
  left join conversion_clicks as placed on placed.conversion_id = conversions.id
  left join click_labels on click_labels.id = click_id
  left join lateral (
         select *
           from clicks
          where clicks.day = (conversions.clicked_at at time zone 'UTC')::date
            and clicks.id  = conversions.click_id
          limit 1
       ) as click on true;

comment on view report_conversions is
  'Every conversion as it stands, with the labels of its click.';

create view report_deliveries as
with told as (
  select id as delivery_id, round, change_id, conversion_id, partner, postback,
         number, attempts,
         case when held_reason is null then 'owed' else 'held' end as state,
         coalesce(held_reason, '') as reason, created_at, due_at,
         null::timestamptz as finished_at
    from deliveries
   union all
  select id, round, change_id, conversion_id, partner, postback, number, attempts,
         outcome, reason, created_at, null, finished_at
    from delivery_archive
)
select told.delivery_id, told.round, change_id, conversion_id,
       conversions.partner as conversion_partner, conversions.offer, goal,
       told.partner as told, postback, told.number, state, reason, attempts,
       created_at, due_at, finished_at,
       last.started_at as attempted_at, last.outcome as attempt_outcome,
       last.method, last.url, last.http_status, last.answer, last.error,
       last.duration_ms
  from told
  join conversions on conversions.id = conversion_id
  left join lateral (
         select *
           from delivery_attempts
          where delivery_attempts.delivery_id = told.delivery_id
            and delivery_attempts.round = told.round
            and day >= (told.created_at at time zone 'UTC')::date
          order by started_at desc
          limit 1
       ) as last on true;

comment on view report_deliveries is
  'What was told to whom, owed and finished, each with its last attempt.';

create view report_partner_days_utc as
with facts as (
  select basis as basis, (starts_at at time zone 'UTC')::date as day, partner_number,
         case when traffic = 'visit' then clicks else 0 end as clicks,
         uniques,
         case when traffic in ('bot', 'datacenter') then clicks else 0 end as bots,
         case when traffic = 'refused' then clicks else 0 end as refused,
         0 as pending, 0 as approved, 0 as rejected, null as currency,
         null::numeric as amount, null::numeric as revenue, null::numeric as payout
    from click_rollups
   cross join (values ('click'), ('conversion')) as bases (basis)
   union all
  select bases.basis, (starts_at at time zone 'UTC')::date, partner_number,
         proven, 0,
         case when traffic in ('bot', 'datacenter') then -proven else 0 end,
         case when traffic = 'refused' then -proven else 0 end,
         0, 0, 0, null,
         null::numeric, null::numeric, null::numeric
    from conversion_rollups
   cross join (values ('click'), ('conversion')) as bases (basis)
   where conversion_rollups.basis = 'click' and proven <> 0
   union all
  select basis, (starts_at at time zone 'UTC')::date, partner_number,
         0, 0, 0, 0,
         case when status = 'pending'  then conversions else 0 end,
         case when status = 'approved' then conversions else 0 end,
         case when status = 'rejected' then conversions else 0 end,
         case when status <> 'rejected' then currency end,
         case when status <> 'rejected' then amount end,
         case when status <> 'rejected' then revenue end,
         case when status <> 'rejected' then payout end
    from conversion_rollups
)
select facts.basis, facts.day, partners.key as partner,
       sum(clicks)::bigint as clicks, sum(uniques)::bigint as uniques,
       sum(bots)::bigint as bots, sum(refused)::bigint as refused,
       sum(pending + approved)::bigint as conversions,
       sum(pending)::bigint as pending, sum(approved)::bigint as approved,
       sum(rejected)::bigint as rejected,
       array_remove(array_agg(distinct currency), null) as currencies,
       case when count(distinct currency) < 2 then coalesce(sum(amount), 0) end as amount,
       case when count(distinct currency) < 2 then coalesce(sum(revenue), 0) end as revenue,
       case when count(distinct currency) < 2 then coalesce(sum(payout), 0) end as payout,
       case when count(distinct currency) < 2 then coalesce(sum(revenue - payout), 0) end
         as profit
  from facts
  left join catalog_numbers as partners
    on partners.kind = 'partner' and partners.number = facts.partner_number
 group by facts.basis, facts.day, partners.key;

comment on view report_partner_days_utc is
  'One row for a partner and a UTC day, in each basis: choose one.';

create view report_partner_days as
with facts as (
  select basis, day, partner_number,
         case when traffic = 'visit' then clicks else 0 end as clicks,
         uniques,
         case when traffic in ('bot', 'datacenter') then clicks else 0 end as bots,
         case when traffic = 'refused' then clicks else 0 end as refused,
         0 as pending, 0 as approved, 0 as rejected, null as currency,
         null::numeric as amount, null::numeric as revenue, null::numeric as payout
    from click_rollup_days
   cross join (values ('click'), ('conversion')) as bases (basis)
   where day < (select closed_before from rollup_days)
   union all
  select basis, (starts_at at time zone (select zone from rollup_days))::date, partner_number,
         case when traffic = 'visit' then clicks else 0 end,
         uniques,
         case when traffic in ('bot', 'datacenter') then clicks else 0 end,
         case when traffic = 'refused' then clicks else 0 end,
         0, 0, 0, null,
         null::numeric, null::numeric, null::numeric
    from click_rollups
   cross join (values ('click'), ('conversion')) as bases (basis)
   where starts_at >= (select closed_before - interval '1 day' from rollup_days)
     and (starts_at at time zone (select zone from rollup_days))::date
         >= (select closed_before from rollup_days)
   union all
  select bases.basis, (starts_at at time zone (select zone from rollup_days))::date, partner_number,
         proven, 0,
         case when traffic in ('bot', 'datacenter') then -proven else 0 end,
         case when traffic = 'refused' then -proven else 0 end,
         0, 0, 0, null,
         null::numeric, null::numeric, null::numeric
    from conversion_rollups
   cross join (values ('click'), ('conversion')) as bases (basis)
   where conversion_rollups.basis = 'click' and proven <> 0
   union all
  select basis, (starts_at at time zone (select zone from rollup_days))::date, partner_number,
         0, 0, 0, 0,
         case when status = 'pending'  then conversions else 0 end,
         case when status = 'approved' then conversions else 0 end,
         case when status = 'rejected' then conversions else 0 end,
         case when status <> 'rejected' then currency end,
         case when status <> 'rejected' then amount end,
         case when status <> 'rejected' then revenue end,
         case when status <> 'rejected' then payout end
    from conversion_rollups
)
select facts.basis, facts.day, partners.key as partner,
       sum(clicks)::bigint as clicks, sum(uniques)::bigint as uniques,
       sum(bots)::bigint as bots, sum(refused)::bigint as refused,
       sum(pending + approved)::bigint as conversions,
       sum(pending)::bigint as pending, sum(approved)::bigint as approved,
       sum(rejected)::bigint as rejected,
       array_remove(array_agg(distinct currency), null) as currencies,
       case when count(distinct currency) < 2 then coalesce(sum(amount), 0) end as amount,
       case when count(distinct currency) < 2 then coalesce(sum(revenue), 0) end as revenue,
       case when count(distinct currency) < 2 then coalesce(sum(payout), 0) end as payout,
       case when count(distinct currency) < 2 then coalesce(sum(revenue - payout), 0) end
         as profit
  from facts
  left join catalog_numbers as partners
    on partners.kind = 'partner' and partners.number = facts.partner_number
 group by facts.basis, facts.day, partners.key;

comment on view report_partner_days is
  'Likewise by days of the catalog''s time zone, as rollup_days has it.';
