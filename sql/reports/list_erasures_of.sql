select   erased_by, erased_at
from     erasures
where    click_id = %(click_id)s
order by erased_at
