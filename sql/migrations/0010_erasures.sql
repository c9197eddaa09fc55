-- Who had personal data erased, and of what; never what it was.

create table erasures (
  id             bigint      generated always as identity primary key,
  click_id       text        collate "C" check (length(click_id) = 32),
  partner_number integer,
  label          text,
  value_digest   bytea,
  erased_by      text        not null,
  erased_at      timestamptz not null default tracker_now(),
  finished_at    timestamptz,
  check ((click_id is null) = (value_digest is not null)),
  check ((value_digest is null) = (partner_number is null)),
  check ((value_digest is null) = (label is null))
);

create index erasures_by_time on erasures (erased_at);
create index erasures_by_click on erasures (click_id) where click_id is not null;
create index erasures_unfinished on erasures (erased_at) where finished_at is null;

comment on table erasures is
  'Append-only: clicks, or labels of a partner, whose personal data was erased, and by whom.';
comment on column erasures.value_digest is
  'A keyed hash of the label''s value, by which a click that comes late is known.';
