-- A conversion has further transactions as keys: upsells, and what came after it.
select   distinct on (rest.number) rest.number, conversion_id,
         rest.amount, rest.revenue, rest.status, rest.at,
         false, null, null
from     unpaired as rest
cross join unnest(%(goals)s::text[]) as known (one)
join     conversion_keys
on       advertiser = %(advertiser)s
and      key in ('transaction:' || one || ':' || rest.transaction_id,
                 'click-transaction:' || one || ':' || coalesce(rest.click_id, '')
                 || ':' || rest.transaction_id)
where    rest.transaction_id is not null
and      (rest.goal is null or rest.goal = one)
order by rest.number, conversion_id
