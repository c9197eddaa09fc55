-- What one side has and the other has not. What is rejected on the one side, and not
-- known to the other, is owed by nobody.
insert into findings
select   case when fault <> '' then 'unread'
              when not (at is null or at >= %(since)s and at < %(until)s) then 'outside'
              when status = 'rejected' then 'void'
              else 'missing_here' end,
         number, click_id, transaction_id, coalesce(goal, other_goal), at, status,
         amount, revenue, coalesce(currency, %(currency)s), null, null, null, null, null,
         null, null, null, '', fault
from     unpaired
union all
select   case when status = 'rejected' then 'void' else 'missing_there' end,
         null, null, null, null, null, null, null, null,
         coalesce(sent_currency, currency), id, click_id, transaction_id, goal,
         converted_at, status,
         case when sent_currency <> currency then round(amount / nullif(rate, 0), 4)
              else amount end,
         case when sent_currency <> currency then round(revenue / nullif(rate, 0), 4)
              else revenue end,
         '', ''
from     conversions
where    advertiser = %(advertiser)s
and      converted_at >= %(since)s
and      converted_at < %(until)s
and      not exists (select from pairs where conversion_id = conversions.id)
union all
select   'repeated', number, click_id, transaction_id, coalesce(goal, other_goal), at,
         status, amount, revenue, coalesce(currency, %(currency)s), null, null, null,
         null, null, null, null, null, '', 'as line ' || first
from     lines
join     repeated using (number)
