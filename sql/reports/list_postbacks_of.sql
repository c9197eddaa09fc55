select   id, received_at, method, path, parameters, route, host(address) as address,
         fault, proof, advertiser, click_id, transaction_id, outcome, reason,
         conversion_id, catalog_version, quarantined_for, waived, released_by, released_at
from     postbacks
where    day >= %(first_day)s
and      (id = any(%(postback_ids)s)
          or click_id = %(click_id)s
          or conversion_id = any(%(conversion_ids)s))
order by received_at, id
