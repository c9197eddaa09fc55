-- A postback may want to wait before it is told.

alter table deliveries add column not_before timestamptz;

comment on column deliveries.not_before is
  'Its postback wants it to wait until then; null if it does not.';
