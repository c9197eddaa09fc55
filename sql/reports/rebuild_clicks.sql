-- The clicks of some minutes, counted by quarter of an hour.
insert into click_rollups (
  starts_at, partner_number, offer_number, country, device, traffic, clicks, uniques
)
select   to_timestamp(floor(extract(epoch from clicked_at) / 900) * 900),
         partner_number,
         offer_number,
         coalesce(country, ''),
         coalesce(device, ''),
         coalesce(traffic, case class
           when 0 then 'visit'
           when 1 then 'head'
           when 2 then 'prefetch'
           when 3 then 'refused'
           when 5 then 'repeated'
         end),
         count(*),
         count(*) filter (where is_unique)
from     clicks
where    day  >= (%(first)s at time zone 'UTC')::date
and      day  <= (%(last)s  at time zone 'UTC')::date
and      id   >= %(first_id)s
and      id   <  %(last_id)s
and      class <> 4
group by 1, 2, 3, 4, 5, 6;
