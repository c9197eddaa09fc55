-- By an index that has the reasons in it; a flood is counted up to a bound.
select   reason, count(*) as postbacks, max(id) as last
from     (select   reason, id
          from     postbacks
          where    outcome = 'quarantined'
          and      day between %(since_day)s and %(until_day)s
          and      id >= %(since)s
          and      id < %(until)s
          order by day desc, id desc
          limit    100000) as kept
group by reason
order by postbacks desc, reason
