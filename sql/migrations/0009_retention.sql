-- What outlives a day that is dropped, and which days have no full address any more.

create table click_labels (
  id     text  collate "C" not null primary key check (length(id) = 32),
  labels jsonb not null
);

comment on table click_labels is
  'The labels of clicks that have a conversion, kept when the day of the click is dropped.';

create table truncated_days (
  table_name text not null,
  day        date not null,
  primary key (table_name, day)
);

comment on table truncated_days is
  'Days whose addresses were truncated, so that each is done once.';
