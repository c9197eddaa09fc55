-- A breaker for each lane, shared by every worker.

alter table lanes
  add opened_at        timestamptz,
  add opened_reason    text,
  add open_until       timestamptz,
  add openings         integer     not null default 0,
  add places           integer     check (places >= 1),
  add closed_at        timestamptz,
  add window_began_at  timestamptz,
  add calls            integer     not null default 0,
  add failures         integer     not null default 0,
  add failed_in_row    integer     not null default 0,
  add unreached_in_row integer     not null default 0,
  add check ((opened_at is null) = (open_until is null)),
  add check ((opened_at is null) = (opened_reason is null)),
  add check (opened_at is null or places is not null),
  -- One that fails is written with every batch of calls.
  set (fillfactor = 50);

comment on column lanes.places is
  'How many calls may be in flight once open_until has passed; null: as many as usual.';
comment on column lanes.failed_in_row is
  'Until a call succeeds every call on the lane is counted, and for a minute after a first failure.';
