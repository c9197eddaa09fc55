-- The conversion that has a line's transaction; of several, the one of its click. Most
-- lines simply agree with it, and need no closer look. What is repeated is about the
-- conversion of its first line, and is left out here once for all.
select   distinct on (lines.number) lines.number, conversions.id as conversion_id,
         lines.amount, lines.revenue, lines.status, lines.at,
         coalesce(
           lines.status = conversions.status
           and lines.fault = ''
           and (lines.click_id is null or lines.click_id = conversions.click_id)
           and lines.other_goal is null
           and coalesce(lines.currency, conversions.sent_currency, conversions.currency)
               = conversions.currency
           and lines.amount >= 0
           and abs(lines.amount - conversions.amount) <= %(tolerance)s
           and lines.revenue is null, false) as is_plain,
         conversions.currency, conversions.amount as our_amount
from     lines
join     conversions
on       conversions.advertiser = %(advertiser)s
and      conversions.transaction_id = lines.transaction_id
and      (lines.goal is null or conversions.goal = lines.goal)
where    not exists (select from repeated where repeated.number = lines.number)
order by lines.number, conversions.click_id is distinct from lines.click_id,
         conversions.id
