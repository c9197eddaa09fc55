select   conversion_changes.id, conversion_id, number, kind, old_status,
         conversion_changes.status, currency, conversion_changes.amount,
         conversion_changes.payout, conversion_changes.revenue, postback_id,
         operator, note, rule, conversion_changes.catalog_version,
         conversion_changes.changed_at
from     conversion_changes
join     conversions on conversions.id = conversion_changes.conversion_id
where    conversion_id = any(%(conversion_ids)s)
order by conversion_id, number
