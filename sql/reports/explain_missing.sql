-- The last postback that spoke of what is missing here, and what became of it: by its
-- transaction; else by its click, if no other transaction was meant.
with missing as (
  select * from findings where kind = 'missing_here'
), by_transaction as (
  select   distinct on (transaction_id) transaction_id, day, id
  from     postbacks
  where    day >= %(first_day)s
  and      advertiser = %(advertiser)s
  and      transaction_id in (select transaction_id from missing)
  order by transaction_id, received_at desc, id desc
), by_click as (
  select   distinct on (click_id, transaction_id is null)
           click_id, transaction_id is null as is_bare, day, id
  from     postbacks
  where    day >= %(first_day)s
  and      click_id in (select click_id from missing)
  order by click_id, transaction_id is null, received_at desc, id desc
), spoken as (
  select number, 1 as rank, day, id
  from   missing
  join   by_transaction using (transaction_id)
  union all
  select number, 2, by_click.day, by_click.id
  from   missing
  join   by_click
  on     by_click.click_id = missing.click_id
  and    (is_bare or missing.transaction_id is null)
)
select   distinct on (number) number, id as postback_id, outcome, reason, conversion_id
from     spoken
join     postbacks using (day, id)
where    day >= %(first_day)s
order by number, rank, received_at desc
