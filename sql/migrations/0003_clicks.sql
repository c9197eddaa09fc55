-- The click log: folded from Redis, one partition a day.

create table clicks (
  day             date        not null,
  id              text        collate "C" not null check (length(id) = 32),
  clicked_at      timestamptz not null,
  class           smallint    not null check (class between 0 and 4),
  partner_number  integer     not null,
  offer_number    integer     not null,
  catalog_version integer     not null,
  reason          text,
  sub1            text,
  sub2            text,
  sub3            text,
  sub4            text,
  sub5            text,
  sub6            text,
  sub7            text,
  sub8            text,
  sub9            text,
  sub10           text,
  gclid           text,
  gbraid          text,
  wbraid          text,
  fbclid          text,
  ttclid          text,
  msclkid         text,
  params          jsonb,
  address         inet,
  user_agent      text,
  referrer        text,
  language        text,
  destination     text,
  primary key (day, id)
) partition by range (day);

comment on table clicks is
  'Every click; the day is that of its id. class: 0 visit, 1 head, 2 prefetch, 3 refused, 4 test.';
comment on column clicks.reason is
  'Why it was refused, or why its deep link was not followed.';
comment on column clicks.params is
  'Every query parameter that has no column of its own.';

create table click_collisions (
  id          text        not null,
  shard       smallint    not null,
  record      bytea       not null,
  found_at    timestamptz not null default tracker_now()
);

create unique index click_collisions_once on click_collisions (id, sha256(record));

comment on table click_collisions is
  'Clicks whose id was taken by another click; there should never be one.';

create table clicks_rejected (
  entry       text        not null,
  shard       smallint    not null,
  record      bytea       not null,
  error       text        not null,
  rejected_at timestamptz not null default tracker_now(),
  primary key (shard, entry)
);

comment on table clicks_rejected is
  'Entries of the click stream that could not be folded, as they were; entry is the stream id.';
