-- Double entry: how many clicks were confirmed, and how many of them were found.

create table click_counts (
  process    text        not null,
  slice      text        collate "C" not null check (length(slice) = 5),
  kept       bigint      not null check (kept > 0),
  counted_at timestamptz not null default tracker_now(),
  primary key (slice, process)
);

comment on table click_counts is
  'How many clicks each web process has confirmed, by the first five characters of their ids: 33 seconds.';

create table click_audits (
  slice      text        collate "C" not null primary key check (length(slice) = 5),
  kept       bigint      not null,
  found      bigint      not null,
  audited_at timestamptz not null default tracker_now()
);

comment on table click_audits is
  'How many of the confirmed clicks of a slice are in the click log, or were set aside.';
