-- Lines that name no transaction, and those of conversions that have none. Where a
-- click has several conversions of a goal they are taken in turn, those first that no
-- transaction has claimed.
with rest as (
  select *, row_number() over (
           partition by click_id, goal, transaction_id is null order by number) as turn
  from   unpaired
  where  click_id is not null
), candidates as materialized (
  select id, click_id, goal, transaction_id
  from   conversions
  where  advertiser = %(advertiser)s
  and    click_id in (select click_id from unpaired)
), claimed as (
  select distinct conversion_id
  from   pairs
  where  conversion_id in (select id from candidates)
), ours as (
  select id, click_id, goal, transaction_id,
         row_number() over (
           partition by click_id, goal, transaction_id is null
           order by claimed.conversion_id is not null, id) as turn,
         count(*) over (partition by click_id, goal, transaction_id is null) as turns
  from   candidates
  left join claimed on conversion_id = id
)
select   distinct on (rest.number) rest.number, ours.id as conversion_id,
         rest.amount, rest.revenue, rest.status, rest.at, false, null, null
from     rest
join     ours
on       ours.click_id = rest.click_id
and      (rest.goal is null or ours.goal = rest.goal)
and      (rest.transaction_id is null or ours.transaction_id is null)
and      ours.turn = least(rest.turn, ours.turns)
order by rest.number, ours.transaction_id is not null,
         ours.goal = any(%(defaults)s) desc, ours.id
