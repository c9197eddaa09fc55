-- People of the console, their sessions and tokens, invitations, and what all of them did.

create table people (
  id                  bigint      generated always as identity primary key,
  name                text        collate "C" not null unique
                                  check (name = lower(name) and length(name) between 1 and 80),
  role                text        not null check (role in ('viewer', 'operator', 'admin', 'partner')),
  partner             text        collate "C",
  password_hash       text        not null,
  created_at          timestamptz not null default tracker_now(),
  password_changed_at timestamptz not null default tracker_now(),
  signed_in_at        timestamptz,
  ended_at            timestamptz,
  check ((role = 'partner') = (partner is not null))
);

create table sessions (
  id_hash    bytea       primary key check (length(id_hash) = 32),
  person_id  bigint      not null references people,
  address    text        not null,
  agent      text        not null check (length(agent) <= 512),
  created_at timestamptz not null default tracker_now(),
  seen_at    timestamptz not null default tracker_now()
);

create index sessions_person_id on sessions (person_id);

create table api_tokens (
  id         bigint      generated always as identity primary key,
  token_hash bytea       not null unique check (length(token_hash) = 32),
  person_id  bigint      not null references people,
  name       text        not null check (length(name) between 1 and 80),
  scopes     text[]      not null check (scopes <> '{}'),
  created_at timestamptz not null default tracker_now(),
  expires_at timestamptz not null,
  used_at    timestamptz,
  revoked_at timestamptz
);

create index api_tokens_person_id on api_tokens (person_id);

create table invitations (
  id         bigint      generated always as identity primary key,
  name       text        collate "C" not null
                         check (name = lower(name) and length(name) between 1 and 80),
  role       text        not null check (role in ('viewer', 'operator', 'admin', 'partner')),
  partner    text        collate "C",
  person_id  bigint      references people,
  made_by    text        not null,
  created_at timestamptz not null default tracker_now(),
  expires_at timestamptz not null,
  used_at    timestamptz,
  revoked_at timestamptz,
  check ((role = 'partner') = (partner is not null))
);

create table audit_log (
  id        bigint      generated always as identity primary key,
  at        timestamptz not null default tracker_now(),
  person_id bigint,
  who       text        not null check (length(who) <= 200),
  address   text        not null,
  action    text        not null check (length(action) between 1 and 80),
  about     text        not null check (length(about) <= 400),
  detail    text        not null check (length(detail) <= 1000)
);

create index audit_log_who on audit_log (who, id);

comment on table people is
  'Who may use the console. Nobody is deleted: what somebody did stays theirs.';
comment on column people.partner is
  'The key of the partner whose rows somebody of that role sees; null for staff.';
comment on column people.password_hash is 'argon2id, with its parameters and salt.';
comment on column people.ended_at is 'Since when nobody gets in by that name; null while they do.';
comment on table sessions is 'Who is signed in, one row for each browser; deleted when it ends.';
comment on column sessions.id_hash is 'SHA-256 of what the cookie says.';
comment on column sessions.seen_at is 'To the minute.';
comment on table api_tokens is 'What programs of a person prove themselves by.';
comment on column api_tokens.token_hash is 'SHA-256 of the token, which nobody else ever had.';
comment on column api_tokens.scopes is 'Permissions; those that the person''s role has not, are not granted.';
comment on column api_tokens.used_at is 'To the minute.';
comment on table invitations is
  'Links by which somebody chooses a password: a new person, or one whose password is reset.';
comment on column invitations.person_id is 'Whose password it resets; null for a new person.';
comment on table audit_log is 'Who did what, about what, when and from where; append-only.';
comment on column audit_log.person_id is 'null for strangers, and for the command line.';
