-- What came back of a conversion, for refunds that are told by their total.

alter table conversions
  add column refunded numeric(20,6) not null default 0 check (refunded >= 0);

comment on column conversions.refunded is
  'What was taken off the amount since it was stated, in the offer''s currency.';
