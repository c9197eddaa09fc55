-- Conversions as the last of their folded changes left them, counted by quarter of an
-- hour, once at the time of the click and once at that of the conversion.
insert into conversion_rollups (
  starts_at, basis, partner_number, offer_number, goal, currency, country, device,
  traffic, status, conversions, proven, amount, revenue, payout
)
with standing as (
  select   distinct on (conversion_id)
           conversion_id, status, amount, revenue, payout
  from     conversion_changes
  where    folded_at is not null
  order by conversion_id, number desc
), proving as (
  select   distinct on (click_id) conversion_id
  from     standing
  join     conversions on conversions.id = conversion_id
  where    standing.status <> 'rejected'
  order by click_id, converted_at, conversion_id
), counted as (
  select   'click' as basis, clicked_at as at, conversions.id
  from     conversions
  union all
  select   'conversion', converted_at, conversions.id
  from     conversions
)
select   to_timestamp(floor(extract(epoch from counted.at) / 900) * 900),
         basis,
         coalesce((select number from catalog_numbers
                   where kind = 'partner' and key = conversions.partner), 0),
         coalesce((select number from catalog_numbers
                   where kind = 'offer' and key = conversions.offer), 0),
         goal, currency, country, device, traffic, standing.status,
         count(*),
         count(*) filter (where traffic <> 'visit' and proving.conversion_id is not null),
         sum(coalesce(standing.amount, 0)),
         sum(standing.revenue),
         sum(standing.payout)
from     standing
join     conversions       on conversions.id = standing.conversion_id
join     conversion_clicks on conversion_clicks.conversion_id = standing.conversion_id
join     counted           on counted.id = standing.conversion_id
left join proving          on proving.conversion_id = standing.conversion_id
where    traffic <> 'test'
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
