-- Conversions that need a closer look: some of their lines do not simply agree, or there
-- are several of them.
select   conversion_id
from     pairs
group by conversion_id
having   count(*) > 1
or       not bool_and(is_plain and (at is null or at >= %(since)s and at < %(until)s))
