-- Deliveries given up since then that were not replayed since, by whom they were for.
select   partner, postback, reason, count(*) as count
from     delivery_archive as ended
where    outcome = 'dead'
and      finished_at >= %(since)s
and      day >= (%(since)s::timestamptz at time zone 'UTC')::date
and      not exists (
             select
             from   delivery_archive as later
             where  later.id = ended.id
             and    later.round > ended.round
             and    later.day >= (%(since)s::timestamptz at time zone 'UTC')::date)
group by partner, postback, reason
order by count(*) desc, partner, postback, reason
