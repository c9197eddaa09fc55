-- What has been taken of caps, counted once and then kept up by every change.

create table cap_meters (
  offer      text          not null,
  partner    text          not null,
  measure    text          not null
                           check (measure in ('conversions', 'payout', 'revenue')),
  goals      text          not null,
  per        text          not null
                           check (per in ('hour', 'day', 'month', 'total')),
  starts_at  timestamptz   not null,
  ends_at    timestamptz   not null,
  taken      numeric(26,6) not null default 0,
  enough     numeric(26,6) not null,
  counted_at timestamptz,
  primary key (offer, partner, measure, goals, per, starts_at),
  check (offer <> '' or partner <> ''),
  check (starts_at < ends_at)
) with (fillfactor = 50);

create index cap_meters_by_end on cap_meters (ends_at);

comment on table cap_meters is
  'How much of an offer, of a partner or of both was taken in a period; conversions say the same.';
comment on column cap_meters.enough is
  'How much reaches the first of its caps: an open link asks for no other rows.';
comment on column cap_meters.counted_at is
  'When conversions were counted for it last; before the catalog in force, it is counted anew.';

-- Counting looks at one offer, or one partner, in one period.
create index conversions_by_offer on conversions (offer, converted_at);
create index conversions_by_partner on conversions (partner, converted_at);
