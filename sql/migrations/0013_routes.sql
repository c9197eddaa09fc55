-- Why a visitor was sent to one destination and not to another.

alter table clicks add column route text;

comment on column clicks.route is
  'Which rule and destination were chosen, and by what, where the offer has several.';
