-- What is owed and what is finished, each cut to the limit before they are merged.
(select   id, change_id, conversion_id, partner, postback, lane, number, round,
          case when held_reason is null then 'owed' else 'held' end as state,
          coalesce(held_reason, '') as reason, attempts, created_at,
          case when held_reason is null then due_at end as due_at,
          null::timestamptz as finished_at
 from     deliveries
 where    (%(state)s::text is null
           or %(state)s = case when held_reason is null then 'owed' else 'held' end)
 and      (%(partner)s::text is null or partner = %(partner)s)
 and      (%(reason)s::text is null or held_reason = %(reason)s)
 and      (%(since)s::timestamptz is null or created_at >= %(since)s)
 order by created_at desc, id
 limit    %(limit)s)
union all
(select   id, change_id, conversion_id, partner, postback, lane, number, round,
          outcome as state, reason, attempts, created_at,
          null::timestamptz as due_at, finished_at
 from     delivery_archive
 where    (%(state)s::text is null or %(state)s = outcome)
 and      (%(partner)s::text is null or partner = %(partner)s)
 and      (%(reason)s::text is null or reason = %(reason)s)
 and      (%(since)s::timestamptz is null
           or day >= (%(since)s::timestamptz at time zone 'UTC')::date
              and created_at >= %(since)s)
 order by day desc, finished_at desc, id
 limit    %(limit)s)
order by created_at desc, id, round desc
limit    %(limit)s
