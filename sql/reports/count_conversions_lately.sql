-- Conversions between two times of today, beside those of the days before, by offer.
select   offer_number as number,
         coalesce(sum(conversions) filter (where ago = 0), 0) as lately,
         coalesce(sum(conversions) filter (where ago > 0), 0) / 7.0::float8 as usual
from     generate_series(0, 7) as ago
cross    join lateral (
             select offer_number, conversions
             from   conversion_rollups
             where  starts_at >= %(since)s::timestamptz - ago * interval '1 day'
             and    starts_at <  %(until)s::timestamptz - ago * interval '1 day'
             and    basis = 'conversion'
         ) as arrived
group by offer_number
order by offer_number
