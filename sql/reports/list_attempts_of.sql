select   delivery_id, round, number, outcome, started_at, duration_ms, method, url,
         http_status, answer, error
from     delivery_attempts
where    day >= %(first_day)s
and      delivery_id = any(%(delivery_ids)s)
order by started_at, round, number
