-- What came into quarantine in the last day and is still there, beside a usual day.
select   reason,
         count(*) filter (where received_at >= %(now)s::timestamptz - interval '1 day')
             as lately,
         count(*) filter (where received_at < %(now)s::timestamptz - interval '1 day')
             / 7.0::float8 as usual
from     postbacks
where    outcome = 'quarantined'
and      received_at >= %(now)s::timestamptz - interval '8 days'
and      day >= (%(now)s::timestamptz at time zone 'UTC')::date - 8
group by reason
order by reason
