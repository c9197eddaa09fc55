select   id, change_id, conversion_id, partner, postback, lane, number, round,
         case when held_reason is null then 'owed' else 'held' end as state,
         coalesce(held_reason, '') as reason, attempts, created_at,
         case when held_reason is null then due_at end as due_at,
         null::timestamptz as finished_at
from     deliveries
where    id = any(%(delivery_ids)s) or conversion_id = any(%(conversion_ids)s)
union all
select   id, change_id, conversion_id, partner, postback, lane, number, round,
         outcome as state, reason, attempts, created_at,
         null::timestamptz as due_at, finished_at
from     delivery_archive
where    day >= %(first_day)s
and      (id = any(%(delivery_ids)s) or conversion_id = any(%(conversion_ids)s))
order by created_at, number, id, round
