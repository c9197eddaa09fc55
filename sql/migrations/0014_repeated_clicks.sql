-- A visitor that comes again within the window of its offer.

-- Not checked for the rows that are there: they have kept to a narrower rule.
alter table clicks drop constraint clicks_class_check;
alter table clicks add constraint clicks_class_check check (class between 0 and 5) not valid;

comment on table clicks is
  'Every click; the day is that of its id. class: 0 visit, 1 head, 2 prefetch, 3 refused, 4 test, 5 repeated.';
