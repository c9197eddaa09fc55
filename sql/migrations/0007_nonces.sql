-- What a postback's signatures proved when it came, and the nonces that were used.

alter table postbacks add column proof jsonb;

comment on column postbacks.proof is
  'What its signatures proved when it arrived, and for whom; a release judges by it.';

create table nonces (
  advertiser  text        collate "C" not null,
  nonce       text        collate "C" not null check (length(nonce) <= 100),
  content     bytea       not null,
  postback_id text        collate "C" not null,
  used_at     timestamptz not null default tracker_now(),
  primary key (advertiser, nonce)
);

create index nonces_by_time on nonces (used_at);

comment on table nonces is
  'Nonces of signed postbacks, so that none is used twice; written with the postback.';
comment on column nonces.content is
  'A hash of what was signed: the same again gets the first answer, other is replayed.';
comment on column nonces.postback_id is
  'The postback that used it first.';
comment on column nonces.used_at is
  'When that was written; retention goes by it.';
