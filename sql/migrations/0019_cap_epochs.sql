-- Since when each cap has been in force, so that an edit of anything else counts nothing.

create table cap_epochs (
  counts   text        primary key,
  begun_at timestamptz not null default tracker_now()
);

comment on table cap_epochs is
  'Since when the catalog has had a cap that counts this, in all its versions without a gap.';
comment on column cap_epochs.counts is
  'A hash of all that changes what it counts; its limit does not.';
comment on column cap_meters.counted_at is
  'When conversions were counted for it last; before its cap began, it is counted anew.';
