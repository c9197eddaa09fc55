-- Visits between two times of today, beside those of the same times of the days before.
select   partner_number as number,
         coalesce(sum(clicks) filter (where ago = 0), 0) as lately,
         coalesce(sum(clicks) filter (where ago > 0), 0) / 7.0::float8 as usual
from     generate_series(0, 7) as ago
cross    join lateral (
             select partner_number, clicks
             from   click_rollups
             where  starts_at >= %(since)s::timestamptz - ago * interval '1 day'
             and    starts_at <  %(until)s::timestamptz - ago * interval '1 day'
             and    traffic = 'visit'
         ) as visits
group by partner_number
order by partner_number
