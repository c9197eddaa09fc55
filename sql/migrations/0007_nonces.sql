-- What a postback's signatures proved when it came, and the nonces that were used.

alter table postbacks add column proof jsonb;

comment on column postbacks.proof is
  'What its signatures proved when it arrived, and for whom; a release judges by it.';

create table nonces (
  day         date  not null,
  advertiser  text  collate "C" not null,
  nonce       text  collate "C" not null check (length(nonce) <= 100),
  content     bytea not null,
  postback_id text  collate "C" not null,
  primary key (day, advertiser, nonce)
) partition by range (day);

comment on table nonces is
  'Nonces of signed postbacks, so that none is used twice; written with the postback.';
comment on column nonces.day is
  'The UTC day of the timestamp that was signed with it.';
comment on column nonces.content is
  'A hash of what was signed: the same again gets the first answer, other is replayed.';
comment on column nonces.postback_id is
  'The postback that used it first.';
