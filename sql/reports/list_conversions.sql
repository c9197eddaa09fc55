select   *
from     conversions
where    (%(status)s::text is null or status = %(status)s)
and      (%(partner)s::text is null or partner = %(partner)s)
and      (%(offer)s::text is null or offer = %(offer)s)
and      (%(advertiser)s::text is null or advertiser = %(advertiser)s)
and      (%(since)s::timestamptz is null or converted_at >= %(since)s)
order by converted_at desc, id desc
limit    %(limit)s
