-- What has been pending for long enough is approved by a rule of the catalog.

alter table conversion_changes add column rule text;

-- Not checked for the rows that are there: they have kept to a narrower rule.
alter table conversion_changes drop constraint conversion_changes_check;
alter table conversion_changes add constraint conversion_changes_cause
  check (num_nonnulls(postback_id, operator, rule) = 1) not valid;

create index conversions_pending on conversions (offer, goal, converted_at)
  where status = 'pending';

comment on column conversion_changes.rule is
  'The rule of the catalog that made it, where neither a postback nor an operator did.';
