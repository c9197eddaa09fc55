-- Rows of files that were imported are known as nonces are, for as long as postbacks.

drop index nonces_by_time;

create index nonces_by_time on nonces (used_at) where nonce not like 'row:%';
create index nonces_of_rows on nonces (used_at) where nonce like 'row:%';

comment on table nonces is
  'What is known when it comes again: nonces of signed postbacks, and rows of files; written with the postback.';
