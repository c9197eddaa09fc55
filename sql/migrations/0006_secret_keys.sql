-- Which keys this database's click ids were signed with.

create table secret_keys (
  number      smallint    primary key check (number between 0 and 7),
  fingerprint bytea       not null,
  first_seen  timestamptz not null default tracker_now()
);

comment on table secret_keys is
  'A fingerprint of each key in TRACKER_SECRET_KEYS: a process with another key of the same number refuses to start.';
