-- Postbacks as they came, and the ledger of what they did.

create table postbacks (
  day             date        not null,
  id              text        collate "C" not null,
  received_at     timestamptz not null,
  method          text        not null,
  path            text        not null,
  parameters      jsonb       not null,
  route           text,
  address         inet,
  token_digest    bytea,
  fault           text        not null default '',
  advertiser      text,
  click_id        text,
  transaction_id  text,
  outcome         text        not null check (outcome in (
                    'accepted', 'updated', 'duplicate', 'ignored', 'quarantined')),
  reason          text        not null default '',
  conversion_id   text,
  catalog_version integer     not null,
  quarantined_for text,
  waived          text,
  released_by     text,
  released_at     timestamptz,
  primary key (day, id)
) partition by range (day);

create index postbacks_by_click on postbacks (click_id) where click_id is not null;
create index postbacks_by_conversion on postbacks (conversion_id) where conversion_id is not null;
create index postbacks_in_quarantine on postbacks (received_at) where outcome = 'quarantined';

comment on table postbacks is
  'Every inbound call, believed or not, with what was decided and why.';
comment on column postbacks.parameters is
  'Name and value pairs in the order they came, tokens and signatures masked.';
comment on column postbacks.route is
  'The advertiser named in the path; null on the generic route.';
comment on column postbacks.token_digest is
  'A keyed hash of the token that was sent, so that a release can judge it again.';
comment on column postbacks.fault is
  'What was wrong with the call as a whole, a body that is too large, say.';
comment on column postbacks.quarantined_for is
  'The reason it was first quarantined for, kept when it is released.';

create table conversions (
  id              text          collate "C" primary key,
  advertiser      text          not null,
  offer           text          not null,
  partner         text          not null,
  click_id        text          collate "C" not null,
  goal            text          not null,
  transaction_id  text,
  status          text          not null check (status in ('pending', 'approved', 'rejected')),
  currency        text          not null check (length(currency) = 3),
  amount          numeric(20,6) check (amount >= 0),
  payout          numeric(20,6) not null check (payout >= 0),
  revenue         numeric(20,6) not null check (revenue >= 0),
  sent_amount     numeric(20,6),
  sent_currency   text,
  rate            numeric(30,12) not null,
  click_class     smallint      not null,
  clicked_at      timestamptz   not null,
  converted_at    timestamptz   not null,
  changed_at      timestamptz   not null,
  changes         integer       not null check (changes > 0),
  catalog_version integer       not null
);

create index conversions_by_click on conversions (click_id);
create index conversions_by_time on conversions (converted_at);
create index conversions_by_transaction on conversions (advertiser, transaction_id)
  where transaction_id is not null;

comment on table conversions is
  'Actions we accepted and attributed, as they stand now.';
comment on column conversions.amount is
  'What the customer paid, in the offer''s currency; sent_amount is as the advertiser sent it.';
comment on column conversions.changed_at is
  'Arrival of what changed it last; an older postback cannot undo a newer change.';

create table conversion_keys (
  advertiser    text collate "C" not null,
  key           text collate "C" not null,
  conversion_id text collate "C" not null,
  primary key (advertiser, key),
  foreign key (conversion_id) references conversions (id)
    deferrable initially deferred
);

create index conversion_keys_by_conversion on conversion_keys (conversion_id);

comment on table conversion_keys is
  'What makes one action one conversion: its click and goal, its transaction and goal, or its postback.';

create table conversion_changes (
  id              text          collate "C" primary key,
  conversion_id   text          collate "C" not null references conversions (id)
                                deferrable initially deferred,
  number          integer       not null,
  kind            text          not null check (kind in ('created', 'status', 'amount')),
  old_status      text,
  status          text          not null,
  amount          numeric(20,6),
  payout          numeric(20,6) not null,
  revenue         numeric(20,6) not null,
  fingerprint     bytea,
  postback_id     text,
  operator        text,
  note            text,
  catalog_version integer       not null,
  changed_at      timestamptz   not null,
  unique (conversion_id, number),
  unique (postback_id),
  check ((postback_id is null) <> (operator is null))
);

comment on table conversion_changes is
  'Append-only: every status and amount a conversion ever had, and who gave it.';
comment on column conversion_changes.fingerprint is
  'A hash of what the postback said, by which a repeated one is known.';
