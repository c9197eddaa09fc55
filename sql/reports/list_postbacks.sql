-- Ids begin with the time of arrival, so their order is that of the primary key;
-- the day keeps partitions that are too old out of it.
select   id, received_at, method, path, parameters, route, host(address) as address,
         fault, proof, advertiser, click_id, transaction_id, outcome, reason,
         conversion_id, catalog_version, quarantined_for, waived, released_by, released_at
from     postbacks
where    (%(outcome)s::text is null or outcome = %(outcome)s)
and      (%(reason)s::text is null or reason = %(reason)s)
and      (%(advertiser)s::text is null or advertiser = %(advertiser)s)
and      (%(since)s::timestamptz is null
          or day >= (%(since)s::timestamptz at time zone 'UTC')::date
             and received_at >= %(since)s)
and      (%(until)s::timestamptz is null
          or day <= (%(until)s::timestamptz at time zone 'UTC')::date
             and received_at < %(until)s)
order by day desc, id desc
limit    %(limit)s
