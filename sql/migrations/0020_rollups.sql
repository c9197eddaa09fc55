-- Clicks and conversions counted by quarter of an hour, so that reports are fast.

alter table clicks
  add column country   text collate "C",
  add column device    text collate "C",
  add column os        text collate "C",
  add column browser   text collate "C",
  add column traffic   text collate "C",
  add column is_unique boolean;

comment on column clicks.country is
  'Of the address when it was folded; empty where nobody knows, null for clicks folded before there was this column.';
comment on column clicks.device is
  'desktop, phone, tablet, tv, console, other; empty if it said nothing.';
comment on column clicks.traffic is
  'visit: a person''s; bot and datacenter: of class 0 as well; else the class in a word: head, prefetch, refused, test, repeated.';
comment on column clicks.is_unique is
  'Whether it was the first of its address and agent for the offer in 24 hours.';

-- A new first takes the place of the old one, a day later: its page should have room.
create table visitor_firsts (
  visitor    bigint      primary key,
  counted_at timestamptz not null
) with (fillfactor = 80);

-- They come in the order of time, and go so: the blocks of an hour lie together.
create index visitor_firsts_by_time on visitor_firsts using brin (counted_at)
  with (pages_per_range = 32);

comment on table visitor_firsts is
  'When the click of a visitor counted as unique last; forgotten a day later.';
comment on column visitor_firsts.visitor is
  'A keyed hash of offer, network of the address, and agent.';

create table click_rollups (
  starts_at      timestamptz not null,
  partner_number integer     not null,
  offer_number   integer     not null,
  country        text        collate "C" not null,
  device         text        collate "C" not null,
  traffic        text        collate "C" not null check (traffic <> 'test'),
  clicks         integer     not null check (clicks > 0),
  uniques        integer     not null check (uniques between 0 and clicks),
  primary key (starts_at, partner_number, offer_number, country, device, traffic)
) with (fillfactor = 70);

comment on table click_rollups is
  'How many clicks a quarter of an hour had, always what clicks say; tests are not counted.';

create table click_rollup_days (
  day            date        not null,
  partner_number integer     not null,
  offer_number   integer     not null,
  country        text        collate "C" not null,
  device         text        collate "C" not null,
  traffic        text        collate "C" not null check (traffic <> 'test'),
  clicks         integer     not null check (clicks > 0),
  uniques        integer     not null check (uniques between 0 and clicks),
  primary key (day, partner_number, offer_number, country, device, traffic)
);

comment on table click_rollup_days is
  'Sums of click_rollups for the days that rollup_days says are closed; rows of other days mean nothing.';

create table rollup_days (
  is_only       boolean primary key default true check (is_only),
  zone          text    not null,
  closed_before date    not null
);

comment on table rollup_days is
  'One row: the time zone of click_rollup_days, and the first day that has to be read from the quarters.';

insert into rollup_days (zone, closed_before) values ('UTC', date '1970-01-01');

create table conversion_clicks (
  conversion_id text collate "C" primary key,
  country       text collate "C" not null,
  device        text collate "C" not null,
  os            text collate "C" not null,
  browser       text collate "C" not null,
  traffic       text collate "C" not null
);

comment on table conversion_clicks is
  'What the click of a conversion was, kept when its day is dropped; made when the conversion is counted.';

create table conversion_rollups (
  starts_at      timestamptz   not null,
  basis          text          collate "C" not null check (basis in ('click', 'conversion')),
  partner_number integer       not null,
  offer_number   integer       not null,
  goal           text          collate "C" not null,
  currency       text          collate "C" not null,
  country        text          collate "C" not null,
  device         text          collate "C" not null,
  traffic        text          collate "C" not null check (traffic <> 'test'),
  status         text          collate "C" not null,
  conversions    integer       not null,
  proven         integer       not null,
  amount         numeric(26,6) not null,
  revenue        numeric(26,6) not null,
  payout         numeric(26,6) not null,
  primary key (
    starts_at, basis, partner_number, offer_number, goal, currency, country, device,
    traffic, status
  )
) with (fillfactor = 80);

comment on table conversion_rollups is
  'Conversions as they stand, by quarter of an hour; always what the changes say that were folded.';
comment on column conversion_rollups.basis is
  'click: counted at the time of the click; conversion: at its arrival. Each conversion is counted once in both.';
comment on column conversion_rollups.proven is
  'How many clicks that are no person''s visit count for one of these conversions: for the first that is not rejected.';

-- No default for the rows that are there, or the whole table would be written anew.
alter table conversion_changes
  add column folded_at  timestamptz,
  add column written_at timestamptz;
alter table conversion_changes alter column written_at set default now();

create index conversion_changes_unfolded on conversion_changes (written_at)
  where folded_at is null;

comment on column conversion_changes.folded_at is
  'When it was counted in conversion_rollups, in the same transaction; null: it waits.';
comment on column conversion_changes.written_at is
  'When it was written here, which may be long after it arrived; null for rows older than this column.';

-- Clicks that are there are counted here, those to come by the fold; the changes of
-- conversions wait for the worker.
insert into click_rollups
select date_bin('15 minutes', clicked_at, timestamptz '2000-01-01 00:00Z'),
       partner_number, offer_number, '', '',
       case class
         when 0 then 'visit'
         when 1 then 'head'
         when 2 then 'prefetch'
         when 3 then 'refused'
         when 5 then 'repeated'
       end,
       count(*), 0
  from clicks
 where class <> 4
 group by 1, 2, 3, 6;
