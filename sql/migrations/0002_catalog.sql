-- Which catalog is in force, and the numbers that click ids carry.

create table catalog_versions (
  version      integer     primary key check (version > 0),
  content      text        not null,
  content_hash text        not null,
  snapshot     bytea       not null,
  edited_at    timestamptz not null,
  in_force_at  timestamptz not null default tracker_now()
);

comment on table catalog_versions is
  'Every partners.yaml that was ever in force, secrets unexpanded; the highest version is.';
comment on column catalog_versions.snapshot is
  'The compiled catalog, so that no process compiles what another has compiled.';
comment on column catalog_versions.edited_at is
  'When the file was last written; a start with an older file changes nothing.';

create table catalog_numbers (
  kind   text    not null check (kind in ('partner', 'offer')),
  key    text    not null,
  number integer not null check (number between 1 and 1048575),
  primary key (kind, key),
  unique (kind, number)
);

comment on table catalog_numbers is
  'The number of each partner and offer that was ever named; never reused.';
