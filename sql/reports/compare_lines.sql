-- What all lines of a conversion say together, beside the conversion. Refunds are below
-- zero. Of several lines the last one says the status. All of them together say the sum;
-- it alone does where the others were pending or rejected, and it no longer is: anything
-- else is billed twice.
with theirs as (
  select   conversion_id, max(number) as number, count(*) as lines,
           sum(amount) as amount, sum(revenue) as revenue,
           count(*) filter (where is_refund) as refunds,
           count(*) filter (where status = 'pending') as pending,
           count(*) filter (where status = 'rejected') as rejected,
           bool_or(is_refund and amount is null) as is_taken_back,
           bool_or(at is null or at >= %(since)s and at < %(until)s)
           as is_inside
  from     (select *, status = 'refunded' or amount < 0 is true as is_refund from pairs
            where  conversion_id in (select conversion_id from doubtful)) as paired
  group by conversion_id
), sides as (
  select   theirs.*, lines.click_id, lines.transaction_id, lines.goal, lines.other_goal,
           lines.at, lines.fault, lines.currency as said_currency,
           lines.amount as last_amount, lines.revenue as last_revenue,
           case when is_taken_back
                  or refunds between 1 and theirs.lines - 1 and theirs.amount <= 0
                then 'rejected'
                else nullif(lines.status, 'refunded') end as status,
           case lines.status when 'pending' then rejected
                             when 'rejected' then pending
                             else pending + rejected end = theirs.lines - 1
           as is_last_word,
           conversions.id, conversions.click_id as our_click_id,
           conversions.goal as our_goal, conversions.status as our_status,
           conversions.transaction_id as our_transaction_id,
           conversions.converted_at, conversions.currency as own_currency,
           conversions.sent_currency,
           coalesce(lines.currency, conversions.sent_currency, conversions.currency)
           as unit, conversions.amount as our_amount, conversions.revenue as our_revenue,
           nullif(conversions.rate, 0) as rate
  from     theirs
  join     lines using (number)
  join     conversions on conversions.id = theirs.conversion_id
), alike as (
  select   *,
           unit in (own_currency, coalesce(sent_currency, own_currency)) as is_comparable,
           case when unit = own_currency then our_amount
                else round(our_amount / rate, 4) end as ours_amount,
           case when unit = own_currency then our_revenue
                else round(our_revenue / rate, 4) end as ours_revenue,
           -- What is rejected on both sides is owed by nobody, whatever it was; of
           -- refunds alone nobody knows what they are taken off.
           refunds = lines or (status = 'rejected' and our_status = 'rejected')
           as is_settled
  from     sides
), compared as (
  select   *,
           concat_ws(' ',
             case when click_id <> our_click_id then 'click_id' end,
             case when other_goal is not null or goal <> our_goal then 'goal' end,
             case when status <> our_status then 'status' end,
             case when not is_comparable and amount is not null then 'currency' end,
             case when is_comparable and not is_settled
                   and abs(amount - coalesce(ours_amount, 0)) > %(tolerance)s
                   and (is_last_word and abs(last_amount - coalesce(ours_amount, 0))
                                         <= %(tolerance)s) is not true
                  then 'amount' end,
             case when is_comparable and not is_settled
                   and abs(revenue - ours_revenue) > %(tolerance)s
                   and (is_last_word and abs(last_revenue - ours_revenue)
                                         <= %(tolerance)s) is not true
                  then 'revenue' end) as differences
  from     alike
), judged as (
  select   *,
           case when not (is_inside or (converted_at >= %(since)s
                                        and converted_at < %(until)s)) then 'outside'
                when fault <> '' then 'unread'
                when differences <> '' then 'different'
                else 'matched' end as kind
  from     compared
), kept as (
  insert into findings
  select   kind, number, click_id, transaction_id, coalesce(goal, other_goal), at, status,
           amount, revenue, unit, conversion_id, our_click_id, our_transaction_id,
           our_goal, converted_at, our_status,
           case when is_comparable then ours_amount else our_amount end,
           case when is_comparable then ours_revenue else our_revenue end,
           differences, fault
  from     judged
  where    kind in ('different', 'unread')
)
select   kind, unit as currency, count(*), sum(amount) as theirs,
         sum(case when is_comparable then ours_amount end) as ours
from     judged
where    kind in ('matched', 'outside')
group by kind, unit
