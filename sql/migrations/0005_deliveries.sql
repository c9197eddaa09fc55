-- What partners are owed, what was tried, and what became of it.

create table lanes (
  lane          text        collate "C" primary key,
  partner       text        not null,
  postback      text        not null,
  host          text        not null,
  paused_at     timestamptz,
  paused_reason text,
  check ((paused_at is null) = (paused_reason is null))
);

comment on table lanes is
  'What fails or waits together, one per partner postback and host; no row, nothing to say of it.';

create table deliveries (
  id            text        collate "C" primary key,
  change_id     text        collate "C" not null,
  conversion_id text        collate "C" not null,
  partner       text        not null,
  postback      text        not null,
  lane          text        collate "C" not null,
  number        integer     not null,
  round         integer     not null default 1,
  macro_values  jsonb       not null,
  has_click     boolean     not null,
  attempts      integer     not null default 0,
  created_at    timestamptz not null,
  due_at        timestamptz not null,
  held_reason   text,
  lease_token   uuid,
  lease_until   timestamptz,
  check ((lease_token is null) = (lease_until is null)),
  check (held_reason is null or lease_token is null)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01,
        autovacuum_vacuum_threshold = 500);

create index deliveries_due on deliveries (lane, due_at)
  where held_reason is null and lease_token is null;
create index deliveries_leased on deliveries (lane, lease_until) where lease_token is not null;
create index deliveries_held on deliveries (held_reason, created_at) where held_reason is not null;
create index deliveries_in_order on deliveries (conversion_id, partner, postback, number);
create index deliveries_by_age on deliveries (created_at);

comment on table deliveries is
  'What is still owed to partners; finished ones move to delivery_archive.';
comment on column deliveries.number is
  'The number of the change: for one conversion and postback they go in this order.';
comment on column deliveries.macro_values is
  'The values of its macros, frozen when the conversion changed.';
comment on column deliveries.has_click is
  'Whether the values hold the details of the click, or only what the conversion knows.';
comment on column deliveries.round is
  '1, and one more for each replay.';

create table delivery_attempts (
  day         date        not null,
  delivery_id text        collate "C" not null,
  round       integer     not null,
  number      integer     not null,
  outcome     text        not null check (outcome in (
                'delivered', 'failed', 'unknown', 'orphan')),
  started_at  timestamptz not null,
  duration_ms integer     not null check (duration_ms >= 0),
  method      text        not null,
  url         text        not null,
  http_status integer,
  answer      text        not null default '',
  error       text        not null default ''
) partition by range (day);

create index delivery_attempts_by_delivery on delivery_attempts (delivery_id, started_at);

comment on table delivery_attempts is
  'Append-only: every try at a delivery, its URL with secrets masked.';
comment on column delivery_attempts.outcome is
  'unknown: its worker died; orphan: its worker had overslept, so it decided nothing.';

create table delivery_archive (
  day           date        not null,
  id            text        collate "C" not null,
  round         integer     not null,
  change_id     text        not null,
  conversion_id text        not null,
  partner       text        not null,
  postback      text        not null,
  lane          text        not null,
  number        integer     not null,
  macro_values  jsonb       not null,
  has_click     boolean     not null,
  attempts      integer     not null,
  outcome       text        not null check (outcome in ('delivered', 'dead')),
  reason        text        not null default '',
  created_at    timestamptz not null,
  finished_at   timestamptz not null,
  primary key (day, id, round)
) partition by range (day);

create index delivery_archive_by_id on delivery_archive (id);
create index delivery_archive_by_conversion on delivery_archive (conversion_id);
create index delivery_archive_dead on delivery_archive (finished_at) where outcome = 'dead';

comment on table delivery_archive is
  'Finished deliveries: delivered, or dead with the reason.';
