-- Made from sql/migrations by `make schema`; a test holds the two together.

CREATE FUNCTION tracker_forget_pairs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  truncate click_rollup_pairs;
  return null;
end
$$;

CREATE FUNCTION tracker_make_partitions(parent text, first_day date, last_day date) RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
  day  date;
  name text;
  made integer := 0;
begin
  -- One maker at a time: two that make the same day would fail each other.
  perform pg_advisory_xact_lock(hashtext('tracker_make_partitions'));
  for day in
    select generate_series(first_day, last_day, interval '1 day')::date
  loop
    name := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
    if to_regclass(quote_ident(name)) is null then
      execute format(
        'create table if not exists %I partition of %I for values from (%L) to (%L)',
        name, parent, day, day + 1
      );
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;

COMMENT ON FUNCTION tracker_make_partitions(parent text, first_day date, last_day date) IS 'Makes the daily partitions of a table from the first day to the last, inclusive.';

CREATE FUNCTION tracker_now() RETURNS timestamp with time zone
    LANGUAGE sql
    AS $$ select clock_timestamp() $$;

COMMENT ON FUNCTION tracker_now() IS 'The time for leases, schedules and windows; tests replace it to move the clock.';

CREATE FUNCTION tracker_sum_conversion_pairs() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$
declare
  moved text := case
    when tg_table_name = 'rollup_days' then 'select *, 1 as sign from conversion_rollups'
    when tg_op = 'INSERT' then 'select *, 1 as sign from added'
    when tg_op = 'DELETE' then 'select *, -1 as sign from removed'
    else 'select *, 1 as sign from added union all select *, -1 from removed'
  end;
  emptied tid[];
begin
  if tg_table_name = 'rollup_days' then
    delete from conversion_rollup_pairs;
  end if;
  execute format($statement$
    with moved as (
      select *, (starts_at at time zone
                 (select conversions_zone from rollup_days))::date as day
      from   (%s) as every
    ), summed as (
      select basis,
             case grouping(partner_number, offer_number, country, device)
               when 3 then 'partner offer'
               when 5 then 'partner country'
               when 6 then 'partner device'
               when 9 then 'offer country'
               when 10 then 'offer device'
               when 12 then 'country device'
             end as pair,
             day, coalesce(partner_number, 0) as partner_number,
             coalesce(offer_number, 0) as offer_number, coalesce(country, '') as country,
             coalesce(device, '') as device, goal, currency, traffic,
             coalesce(sum(sign * conversions) filter (where status = 'pending'), 0)
               as pending,
             coalesce(sum(sign * conversions) filter (where status = 'approved'), 0)
               as approved,
             coalesce(sum(sign * conversions) filter (where status = 'rejected'), 0)
               as rejected,
             coalesce(sum(sign * amount) filter (where status <> 'rejected'), 0) as amount,
             coalesce(sum(sign * revenue) filter (where status <> 'rejected'), 0)
               as revenue,
             coalesce(sum(sign * payout) filter (where status <> 'rejected'), 0) as payout,
             coalesce(sum(sign * revenue) filter (where status = 'approved'), 0)
               as approved_revenue,
             coalesce(sum(sign * payout) filter (where status = 'approved'), 0)
               as approved_payout
      from   moved
      group  by grouping sets (
               (basis, day, goal, currency, traffic, partner_number, offer_number),
               (basis, day, goal, currency, traffic, partner_number, country),
               (basis, day, goal, currency, traffic, partner_number, device),
               (basis, day, goal, currency, traffic, offer_number, country),
               (basis, day, goal, currency, traffic, offer_number, device),
               (basis, day, goal, currency, traffic, country, device))
    ), counted as (
      insert into conversion_rollup_pairs as pairs
      select *
      from   summed
      where  (pending, approved, rejected, amount, revenue, payout, approved_revenue,
              approved_payout) <> (0, 0, 0, 0, 0, 0, 0, 0)
      order  by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
      on conflict (
        basis, pair, day, partner_number, offer_number, country, device, goal, currency,
        traffic
      ) do update
      set    pending = pairs.pending + excluded.pending,
             approved = pairs.approved + excluded.approved,
             rejected = pairs.rejected + excluded.rejected,
             amount = pairs.amount + excluded.amount,
             revenue = pairs.revenue + excluded.revenue,
             payout = pairs.payout + excluded.payout,
             approved_revenue = pairs.approved_revenue + excluded.approved_revenue,
             approved_payout = pairs.approved_payout + excluded.approved_payout
      returning pairs.ctid, (pending, approved, rejected) = (0, 0, 0) as is_empty
    )
    select array_agg(ctid) filter (where is_empty) from counted
  $statement$, moved) into emptied;
  delete from conversion_rollup_pairs where ctid = any(emptied);
  return null;
end
$_$;

CREATE FUNCTION tracker_sum_pairs() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$
declare
  moved text := case tg_op
    when 'INSERT' then 'select *, 1 as sign from added'
    when 'DELETE' then 'select *, -1 as sign from removed'
    else 'select *, 1 as sign from added union all select *, -1 from removed'
  end;
begin
  execute format($statement$
    insert into click_rollup_pairs as pairs
    select case grouping(partner_number, offer_number, country, device)
             when 3 then 'partner offer'
             when 5 then 'partner country'
             when 6 then 'partner device'
             when 9 then 'offer country'
             when 10 then 'offer device'
             when 12 then 'country device'
           end,
           day, coalesce(partner_number, 0), coalesce(offer_number, 0),
           coalesce(country, ''), coalesce(device, ''),
           coalesce(sum(sign * clicks) filter (where traffic = 'visit'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'bot'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'datacenter'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'head'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'prefetch'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'refused'), 0),
           coalesce(sum(sign * clicks) filter (where traffic = 'repeated'), 0),
           sum(sign * uniques)
    from   (%s) as moved
    group  by grouping sets (
             (day, partner_number, offer_number), (day, partner_number, country),
             (day, partner_number, device), (day, offer_number, country),
             (day, offer_number, device), (day, country, device))
    order  by 1, 2, 3, 4, 5, 6
    on conflict (pair, day, partner_number, offer_number, country, device) do update
    set    visit = pairs.visit + excluded.visit,
           bot = pairs.bot + excluded.bot,
           datacenter = pairs.datacenter + excluded.datacenter,
           head = pairs.head + excluded.head,
           prefetch = pairs.prefetch + excluded.prefetch,
           refused = pairs.refused + excluded.refused,
           repeated = pairs.repeated + excluded.repeated,
           uniques = pairs.uniques + excluded.uniques
  $statement$, moved);
  return null;
end
$_$;

CREATE TABLE api_tokens (
    id bigint NOT NULL,
    token_hash bytea NOT NULL,
    person_id bigint NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT api_tokens_name_check CHECK (((length(name) >= 1) AND (length(name) <= 80))),
    CONSTRAINT api_tokens_scopes_check CHECK ((scopes <> '{}'::text[])),
    CONSTRAINT api_tokens_token_hash_check CHECK ((length(token_hash) = 32))
);

COMMENT ON TABLE api_tokens IS 'What programs of a person prove themselves by.';

COMMENT ON COLUMN api_tokens.token_hash IS 'SHA-256 of the token, which nobody else ever had.';

COMMENT ON COLUMN api_tokens.scopes IS 'Permissions; those that the person''s role has not, are not granted.';

COMMENT ON COLUMN api_tokens.used_at IS 'To the minute.';

ALTER TABLE api_tokens ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME api_tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE audit_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    person_id bigint,
    who text NOT NULL,
    address text NOT NULL,
    action text NOT NULL,
    about text NOT NULL,
    detail text NOT NULL,
    CONSTRAINT audit_log_about_check CHECK ((length(about) <= 400)),
    CONSTRAINT audit_log_action_check CHECK (((length(action) >= 1) AND (length(action) <= 80))),
    CONSTRAINT audit_log_detail_check CHECK ((length(detail) <= 1000)),
    CONSTRAINT audit_log_who_check CHECK ((length(who) <= 200))
);

COMMENT ON TABLE audit_log IS 'Who did what, about what, when and from where; append-only.';

COMMENT ON COLUMN audit_log.person_id IS 'null for strangers, and for the command line.';

ALTER TABLE audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cap_epochs (
    counts text NOT NULL,
    begun_at timestamp with time zone DEFAULT tracker_now() NOT NULL
);

COMMENT ON TABLE cap_epochs IS 'Since when the catalog has had a cap that counts this, in all its versions without a gap.';

COMMENT ON COLUMN cap_epochs.counts IS 'A hash of all that changes what it counts; its limit does not.';

CREATE TABLE cap_meters (
    offer text NOT NULL,
    partner text NOT NULL,
    measure text NOT NULL,
    goals text NOT NULL,
    per text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    taken numeric(26,6) DEFAULT 0 NOT NULL,
    enough numeric(26,6) NOT NULL,
    counted_at timestamp with time zone,
    CONSTRAINT cap_meters_check CHECK (((offer <> ''::text) OR (partner <> ''::text))),
    CONSTRAINT cap_meters_check1 CHECK ((starts_at < ends_at)),
    CONSTRAINT cap_meters_measure_check CHECK ((measure = ANY (ARRAY['conversions'::text, 'payout'::text, 'revenue'::text]))),
    CONSTRAINT cap_meters_per_check CHECK ((per = ANY (ARRAY['hour'::text, 'day'::text, 'month'::text, 'total'::text])))
)
WITH (fillfactor='50');

COMMENT ON TABLE cap_meters IS 'How much of an offer, of a partner or of both was taken in a period; conversions say the same.';

COMMENT ON COLUMN cap_meters.enough IS 'How much reaches the first of its caps: an open link asks for no other rows.';

COMMENT ON COLUMN cap_meters.counted_at IS 'When conversions were counted for it last; before its cap began, it is counted anew.';

CREATE TABLE catalog_numbers (
    kind text NOT NULL,
    key text NOT NULL,
    number integer NOT NULL,
    CONSTRAINT catalog_numbers_kind_check CHECK ((kind = ANY (ARRAY['partner'::text, 'offer'::text]))),
    CONSTRAINT catalog_numbers_number_check CHECK (((number >= 1) AND (number <= 1048575)))
);

COMMENT ON TABLE catalog_numbers IS 'The number of each partner and offer that was ever named; never reused.';

CREATE TABLE catalog_versions (
    version integer NOT NULL,
    content text NOT NULL,
    content_hash text NOT NULL,
    snapshot bytea NOT NULL,
    edited_at timestamp with time zone NOT NULL,
    in_force_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    edited_by text,
    CONSTRAINT catalog_versions_edited_by_check CHECK (((length(edited_by) >= 1) AND (length(edited_by) <= 200))),
    CONSTRAINT catalog_versions_version_check CHECK ((version > 0))
);

COMMENT ON TABLE catalog_versions IS 'Every partners.yaml that was ever in force, secrets unexpanded; the highest version is.';

COMMENT ON COLUMN catalog_versions.snapshot IS 'The compiled catalog, so that no process compiles what another has compiled.';

COMMENT ON COLUMN catalog_versions.edited_at IS 'When the file was last written; a start with an older file changes nothing.';

COMMENT ON COLUMN catalog_versions.edited_by IS 'Who edited it in the console; null where the file was edited outside.';

CREATE TABLE click_audits (
    slice text NOT NULL COLLATE pg_catalog."C",
    kept bigint NOT NULL,
    found bigint NOT NULL,
    audited_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    CONSTRAINT click_audits_slice_check CHECK ((length(slice) = 5))
);

COMMENT ON TABLE click_audits IS 'How many of the confirmed clicks of a slice are in the click log, or were set aside.';

CREATE TABLE click_collisions (
    id text NOT NULL,
    shard smallint NOT NULL,
    record bytea NOT NULL,
    found_at timestamp with time zone DEFAULT tracker_now() NOT NULL
);

COMMENT ON TABLE click_collisions IS 'Clicks whose id was taken by another click; there should never be one.';

CREATE TABLE click_counts (
    process text NOT NULL,
    slice text NOT NULL COLLATE pg_catalog."C",
    kept bigint NOT NULL,
    counted_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    CONSTRAINT click_counts_kept_check CHECK ((kept > 0)),
    CONSTRAINT click_counts_slice_check CHECK ((length(slice) = 5))
);

COMMENT ON TABLE click_counts IS 'How many clicks each web process has confirmed, by the first five characters of their ids: 33 seconds.';

CREATE TABLE click_labels (
    id text NOT NULL COLLATE pg_catalog."C",
    labels jsonb NOT NULL,
    CONSTRAINT click_labels_id_check CHECK ((length(id) = 32))
);

COMMENT ON TABLE click_labels IS 'The labels of clicks that have a conversion, kept when the day of the click is dropped.';

CREATE TABLE click_rollup_days (
    day date NOT NULL,
    partner_number integer NOT NULL,
    offer_number integer NOT NULL,
    country text NOT NULL COLLATE pg_catalog."C",
    device text NOT NULL COLLATE pg_catalog."C",
    traffic text NOT NULL COLLATE pg_catalog."C",
    clicks integer NOT NULL,
    uniques integer NOT NULL,
    CONSTRAINT click_rollup_days_check CHECK (((uniques >= 0) AND (uniques <= clicks))),
    CONSTRAINT click_rollup_days_clicks_check CHECK ((clicks > 0)),
    CONSTRAINT click_rollup_days_traffic_check CHECK ((traffic <> 'test'::text))
);

COMMENT ON TABLE click_rollup_days IS 'Sums of click_rollups for the days that rollup_days says are closed; rows of other days mean nothing.';

CREATE TABLE click_rollup_pairs (
    pair text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    partner_number integer NOT NULL,
    offer_number integer NOT NULL,
    country text NOT NULL COLLATE pg_catalog."C",
    device text NOT NULL COLLATE pg_catalog."C",
    visit integer NOT NULL,
    bot integer NOT NULL,
    datacenter integer NOT NULL,
    head integer NOT NULL,
    prefetch integer NOT NULL,
    refused integer NOT NULL,
    repeated integer NOT NULL,
    uniques integer NOT NULL
);

COMMENT ON TABLE click_rollup_pairs IS 'click_rollup_days by each two of partner, offer, country and device; kept by its triggers.';

COMMENT ON COLUMN click_rollup_pairs.pair IS 'Which two: partner offer, say; the columns of the others are 0 or empty.';

COMMENT ON COLUMN click_rollup_pairs.visit IS 'Clicks of that traffic; so to repeated.';

CREATE TABLE click_rollups (
    starts_at timestamp with time zone NOT NULL,
    partner_number integer NOT NULL,
    offer_number integer NOT NULL,
    country text NOT NULL COLLATE pg_catalog."C",
    device text NOT NULL COLLATE pg_catalog."C",
    traffic text NOT NULL COLLATE pg_catalog."C",
    clicks integer NOT NULL,
    uniques integer NOT NULL,
    CONSTRAINT click_rollups_check CHECK (((uniques >= 0) AND (uniques <= clicks))),
    CONSTRAINT click_rollups_clicks_check CHECK ((clicks > 0)),
    CONSTRAINT click_rollups_traffic_check CHECK ((traffic <> 'test'::text))
)
WITH (fillfactor='70');

COMMENT ON TABLE click_rollups IS 'How many clicks a quarter of an hour had, always what clicks say; tests are not counted.';

CREATE TABLE clicks (
    day date NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    clicked_at timestamp with time zone NOT NULL,
    class smallint NOT NULL,
    partner_number integer NOT NULL,
    offer_number integer NOT NULL,
    catalog_version integer NOT NULL,
    reason text,
    sub1 text,
    sub2 text,
    sub3 text,
    sub4 text,
    sub5 text,
    sub6 text,
    sub7 text,
    sub8 text,
    sub9 text,
    sub10 text,
    gclid text,
    gbraid text,
    wbraid text,
    fbclid text,
    ttclid text,
    msclkid text,
    params jsonb,
    address inet,
    user_agent text,
    referrer text,
    language text,
    destination text,
    route text,
    country text COLLATE pg_catalog."C",
    device text COLLATE pg_catalog."C",
    os text COLLATE pg_catalog."C",
    browser text COLLATE pg_catalog."C",
    traffic text COLLATE pg_catalog."C",
    is_unique boolean,
    CONSTRAINT clicks_id_check CHECK ((length(id) = 32))
)
PARTITION BY RANGE (day);

COMMENT ON TABLE clicks IS 'Every click; the day is that of its id. class: 0 visit, 1 head, 2 prefetch, 3 refused, 4 test, 5 repeated.';

COMMENT ON COLUMN clicks.reason IS 'Why it was refused, or why its deep link was not followed.';

COMMENT ON COLUMN clicks.params IS 'Every query parameter that has no column of its own.';

COMMENT ON COLUMN clicks.route IS 'Which rule and destination were chosen, and by what, where the offer has several.';

COMMENT ON COLUMN clicks.country IS 'Of the address when it was folded; empty where nobody knows, null for clicks folded before there was this column.';

COMMENT ON COLUMN clicks.device IS 'desktop, phone, tablet, tv, console, other; empty if it said nothing.';

COMMENT ON COLUMN clicks.traffic IS 'visit: a person''s; bot and datacenter: of class 0 as well; else the class in a word: head, prefetch, refused, test, repeated.';

COMMENT ON COLUMN clicks.is_unique IS 'Whether it was the first of its address and agent for the offer in 24 hours.';

CREATE TABLE clicks_rejected (
    entry text NOT NULL,
    shard smallint NOT NULL,
    record bytea NOT NULL,
    error text NOT NULL,
    rejected_at timestamp with time zone DEFAULT tracker_now() NOT NULL
);

COMMENT ON TABLE clicks_rejected IS 'Entries of the click stream that could not be folded, as they were; entry is the stream id.';

CREATE TABLE conversion_changes (
    id text NOT NULL COLLATE pg_catalog."C",
    conversion_id text NOT NULL COLLATE pg_catalog."C",
    number integer NOT NULL,
    kind text NOT NULL,
    old_status text,
    status text NOT NULL,
    amount numeric(20,6),
    payout numeric(20,6) NOT NULL,
    revenue numeric(20,6) NOT NULL,
    fingerprint bytea,
    postback_id text,
    operator text,
    note text,
    catalog_version integer NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    rule text,
    folded_at timestamp with time zone,
    written_at timestamp with time zone DEFAULT now(),
    CONSTRAINT conversion_changes_kind_check CHECK ((kind = ANY (ARRAY['created'::text, 'status'::text, 'amount'::text])))
);

COMMENT ON TABLE conversion_changes IS 'Append-only: every status and amount a conversion ever had, and who gave it.';

COMMENT ON COLUMN conversion_changes.fingerprint IS 'A hash of what the postback said, by which a repeated one is known.';

COMMENT ON COLUMN conversion_changes.rule IS 'The rule of the catalog that made it, where neither a postback nor an operator did.';

COMMENT ON COLUMN conversion_changes.folded_at IS 'When it was counted in conversion_rollups, in the same transaction; null: it waits.';

COMMENT ON COLUMN conversion_changes.written_at IS 'When it was written here, which may be long after it arrived; null for rows older than this column.';

CREATE TABLE conversion_clicks (
    conversion_id text NOT NULL COLLATE pg_catalog."C",
    country text NOT NULL COLLATE pg_catalog."C",
    device text NOT NULL COLLATE pg_catalog."C",
    os text NOT NULL COLLATE pg_catalog."C",
    browser text NOT NULL COLLATE pg_catalog."C",
    traffic text NOT NULL COLLATE pg_catalog."C"
);

COMMENT ON TABLE conversion_clicks IS 'What the click of a conversion was, kept when its day is dropped; made when the conversion is counted.';

CREATE TABLE conversion_keys (
    advertiser text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    conversion_id text NOT NULL COLLATE pg_catalog."C"
);

COMMENT ON TABLE conversion_keys IS 'What makes one action one conversion: its click and goal, its transaction and goal, or its postback.';

CREATE TABLE conversion_rollup_pairs (
    basis text NOT NULL COLLATE pg_catalog."C",
    pair text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    partner_number integer NOT NULL,
    offer_number integer NOT NULL,
    country text NOT NULL COLLATE pg_catalog."C",
    device text NOT NULL COLLATE pg_catalog."C",
    goal text NOT NULL COLLATE pg_catalog."C",
    currency text NOT NULL COLLATE pg_catalog."C",
    traffic text NOT NULL COLLATE pg_catalog."C",
    pending integer NOT NULL,
    approved integer NOT NULL,
    rejected integer NOT NULL,
    amount numeric(26,6) NOT NULL,
    revenue numeric(26,6) NOT NULL,
    payout numeric(26,6) NOT NULL,
    approved_revenue numeric(26,6) NOT NULL,
    approved_payout numeric(26,6) NOT NULL
)
WITH (fillfactor='80');

COMMENT ON TABLE conversion_rollup_pairs IS 'conversion_rollups by day and each two of partner, offer, country and device; kept by its triggers.';

COMMENT ON COLUMN conversion_rollup_pairs.pair IS 'Which two: partner offer, say; the columns of the others are 0 or empty.';

COMMENT ON COLUMN conversion_rollup_pairs.day IS 'In the conversions_zone of rollup_days; all days are here, those that are not over too.';

COMMENT ON COLUMN conversion_rollup_pairs.amount IS 'Of pending and approved ones; so revenue and payout.';

CREATE TABLE conversion_rollups (
    starts_at timestamp with time zone NOT NULL,
    basis text NOT NULL COLLATE pg_catalog."C",
    partner_number integer NOT NULL,
    offer_number integer NOT NULL,
    goal text NOT NULL COLLATE pg_catalog."C",
    currency text NOT NULL COLLATE pg_catalog."C",
    country text NOT NULL COLLATE pg_catalog."C",
    device text NOT NULL COLLATE pg_catalog."C",
    traffic text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    conversions integer NOT NULL,
    proven integer NOT NULL,
    amount numeric(26,6) NOT NULL,
    revenue numeric(26,6) NOT NULL,
    payout numeric(26,6) NOT NULL,
    CONSTRAINT conversion_rollups_basis_check CHECK ((basis = ANY (ARRAY['click'::text, 'conversion'::text]))),
    CONSTRAINT conversion_rollups_traffic_check CHECK ((traffic <> 'test'::text))
)
WITH (fillfactor='80');

COMMENT ON TABLE conversion_rollups IS 'Conversions as they stand, by quarter of an hour; always what the changes say that were folded.';

COMMENT ON COLUMN conversion_rollups.basis IS 'click: counted at the time of the click; conversion: at its arrival. Each conversion is counted once in both.';

COMMENT ON COLUMN conversion_rollups.proven IS 'How many clicks that are no person''s visit count for one of these conversions: for the first that is not rejected.';

CREATE TABLE conversions (
    id text NOT NULL COLLATE pg_catalog."C",
    advertiser text NOT NULL,
    offer text NOT NULL,
    partner text NOT NULL,
    click_id text NOT NULL COLLATE pg_catalog."C",
    goal text NOT NULL,
    transaction_id text,
    status text NOT NULL,
    currency text NOT NULL,
    amount numeric(20,6),
    payout numeric(20,6) NOT NULL,
    revenue numeric(20,6) NOT NULL,
    sent_amount numeric(20,6),
    sent_currency text,
    rate numeric(30,12) NOT NULL,
    click_class smallint NOT NULL,
    clicked_at timestamp with time zone NOT NULL,
    converted_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    changes integer NOT NULL,
    catalog_version integer NOT NULL,
    refunded numeric(20,6) DEFAULT 0 NOT NULL,
    CONSTRAINT conversions_amount_check CHECK ((amount >= (0)::numeric)),
    CONSTRAINT conversions_changes_check CHECK ((changes > 0)),
    CONSTRAINT conversions_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT conversions_payout_check CHECK ((payout >= (0)::numeric)),
    CONSTRAINT conversions_refunded_check CHECK ((refunded >= (0)::numeric)),
    CONSTRAINT conversions_revenue_check CHECK ((revenue >= (0)::numeric)),
    CONSTRAINT conversions_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'approved'::text, 'rejected'::text])))
);

COMMENT ON TABLE conversions IS 'Actions we accepted and attributed, as they stand now.';

COMMENT ON COLUMN conversions.amount IS 'What the customer paid, in the offer''s currency; sent_amount is as the advertiser sent it.';

COMMENT ON COLUMN conversions.changed_at IS 'Arrival of what changed it last; an older postback cannot undo a newer change.';

COMMENT ON COLUMN conversions.refunded IS 'What was taken off the amount since it was stated, in the offer''s currency.';

CREATE TABLE deliveries (
    id text NOT NULL COLLATE pg_catalog."C",
    change_id text NOT NULL COLLATE pg_catalog."C",
    conversion_id text NOT NULL COLLATE pg_catalog."C",
    partner text NOT NULL,
    postback text NOT NULL,
    lane text NOT NULL COLLATE pg_catalog."C",
    number integer NOT NULL,
    round integer DEFAULT 1 NOT NULL,
    macro_values jsonb NOT NULL,
    has_click boolean NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    held_reason text,
    lease_token uuid,
    lease_until timestamp with time zone,
    not_before timestamp with time zone,
    CONSTRAINT deliveries_check CHECK (((lease_token IS NULL) = (lease_until IS NULL))),
    CONSTRAINT deliveries_check1 CHECK (((held_reason IS NULL) OR (lease_token IS NULL)))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='500');

COMMENT ON TABLE deliveries IS 'What is still owed to partners; finished ones move to delivery_archive.';

COMMENT ON COLUMN deliveries.number IS 'The number of the change: for one conversion and postback they go in this order.';

COMMENT ON COLUMN deliveries.round IS '1, and one more for each replay.';

COMMENT ON COLUMN deliveries.macro_values IS 'The values of its macros, frozen when the conversion changed.';

COMMENT ON COLUMN deliveries.has_click IS 'Whether the values hold the details of the click, or only what the conversion knows.';

COMMENT ON COLUMN deliveries.not_before IS 'Its postback wants it to wait until then; null if it does not.';

CREATE TABLE delivery_archive (
    day date NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    round integer NOT NULL,
    change_id text NOT NULL,
    conversion_id text NOT NULL,
    partner text NOT NULL,
    postback text NOT NULL,
    lane text NOT NULL,
    number integer NOT NULL,
    macro_values jsonb NOT NULL,
    has_click boolean NOT NULL,
    attempts integer NOT NULL,
    outcome text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    CONSTRAINT delivery_archive_outcome_check CHECK ((outcome = ANY (ARRAY['delivered'::text, 'dead'::text])))
)
PARTITION BY RANGE (day);

COMMENT ON TABLE delivery_archive IS 'Finished deliveries: delivered, or dead with the reason.';

CREATE TABLE delivery_attempts (
    day date NOT NULL,
    delivery_id text NOT NULL COLLATE pg_catalog."C",
    round integer NOT NULL,
    number integer NOT NULL,
    outcome text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    duration_ms integer NOT NULL,
    method text NOT NULL,
    url text NOT NULL,
    http_status integer,
    answer text DEFAULT ''::text NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    CONSTRAINT delivery_attempts_duration_ms_check CHECK ((duration_ms >= 0)),
    CONSTRAINT delivery_attempts_outcome_check CHECK ((outcome = ANY (ARRAY['delivered'::text, 'failed'::text, 'unknown'::text, 'orphan'::text])))
)
PARTITION BY RANGE (day);

COMMENT ON TABLE delivery_attempts IS 'Append-only: every try at a delivery, its URL with secrets masked.';

COMMENT ON COLUMN delivery_attempts.outcome IS 'unknown: its worker died; orphan: its worker had overslept, so it decided nothing.';

CREATE TABLE erasures (
    id bigint NOT NULL,
    click_id text COLLATE pg_catalog."C",
    partner_number integer,
    label text,
    value_digest bytea,
    erased_by text NOT NULL,
    erased_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT erasures_check CHECK (((click_id IS NULL) = (value_digest IS NOT NULL))),
    CONSTRAINT erasures_check1 CHECK (((value_digest IS NULL) = (partner_number IS NULL))),
    CONSTRAINT erasures_check2 CHECK (((value_digest IS NULL) = (label IS NULL))),
    CONSTRAINT erasures_click_id_check CHECK ((length(click_id) = 32))
);

COMMENT ON TABLE erasures IS 'Append-only: clicks, or labels of a partner, whose personal data was erased, and by whom.';

COMMENT ON COLUMN erasures.value_digest IS 'A keyed hash of the label''s value, by which a click that comes late is known.';

ALTER TABLE erasures ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME erasures_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE invitations (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL,
    partner text COLLATE pg_catalog."C",
    person_id bigint,
    made_by text NOT NULL,
    created_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT invitations_check CHECK (((role = 'partner'::text) = (partner IS NOT NULL))),
    CONSTRAINT invitations_name_check CHECK (((name = lower(name)) AND ((length(name) >= 1) AND (length(name) <= 80)))),
    CONSTRAINT invitations_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text, 'partner'::text])))
);

COMMENT ON TABLE invitations IS 'Links by which somebody chooses a password: a new person, or one whose password is reset.';

COMMENT ON COLUMN invitations.person_id IS 'Whose password it resets; null for a new person.';

ALTER TABLE invitations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME invitations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE lanes (
    lane text NOT NULL COLLATE pg_catalog."C",
    partner text NOT NULL,
    postback text NOT NULL,
    host text NOT NULL,
    paused_at timestamp with time zone,
    paused_reason text,
    opened_at timestamp with time zone,
    opened_reason text,
    open_until timestamp with time zone,
    openings integer DEFAULT 0 NOT NULL,
    places integer,
    closed_at timestamp with time zone,
    window_began_at timestamp with time zone,
    calls integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    failed_in_row integer DEFAULT 0 NOT NULL,
    unreached_in_row integer DEFAULT 0 NOT NULL,
    CONSTRAINT lanes_check CHECK (((paused_at IS NULL) = (paused_reason IS NULL))),
    CONSTRAINT lanes_check1 CHECK (((opened_at IS NULL) = (open_until IS NULL))),
    CONSTRAINT lanes_check2 CHECK (((opened_at IS NULL) = (opened_reason IS NULL))),
    CONSTRAINT lanes_check3 CHECK (((opened_at IS NULL) OR (places IS NOT NULL))),
    CONSTRAINT lanes_places_check CHECK ((places >= 1))
)
WITH (fillfactor='50');

COMMENT ON TABLE lanes IS 'What fails or waits together, one per partner postback and host; no row, nothing to say of it.';

COMMENT ON COLUMN lanes.places IS 'How many calls may be in flight once open_until has passed; null: as many as usual.';

COMMENT ON COLUMN lanes.failed_in_row IS 'Until a call succeeds every call on the lane is counted, and for a minute after a first failure.';

CREATE TABLE nonces (
    advertiser text NOT NULL COLLATE pg_catalog."C",
    nonce text NOT NULL COLLATE pg_catalog."C",
    content bytea NOT NULL,
    postback_id text NOT NULL COLLATE pg_catalog."C",
    used_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    CONSTRAINT nonces_nonce_check CHECK ((length(nonce) <= 100))
);

COMMENT ON TABLE nonces IS 'What is known when it comes again: nonces of signed postbacks, and rows of files; written with the postback.';

COMMENT ON COLUMN nonces.content IS 'A hash of what was signed: the same again gets the first answer, other is replayed.';

COMMENT ON COLUMN nonces.postback_id IS 'The postback that used it first.';

COMMENT ON COLUMN nonces.used_at IS 'When that was written; retention goes by it.';

CREATE TABLE people (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL,
    partner text COLLATE pg_catalog."C",
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    password_changed_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    signed_in_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT people_check CHECK (((role = 'partner'::text) = (partner IS NOT NULL))),
    CONSTRAINT people_name_check CHECK (((name = lower(name)) AND ((length(name) >= 1) AND (length(name) <= 80)))),
    CONSTRAINT people_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text, 'partner'::text])))
);

COMMENT ON TABLE people IS 'Who may use the console. Nobody is deleted: what somebody did stays theirs.';

COMMENT ON COLUMN people.partner IS 'The key of the partner whose rows somebody of that role sees; null for staff.';

COMMENT ON COLUMN people.password_hash IS 'argon2id, with its parameters and salt.';

COMMENT ON COLUMN people.ended_at IS 'Since when nobody gets in by that name; null while they do.';

ALTER TABLE people ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME people_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE postbacks (
    day date NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    received_at timestamp with time zone NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    parameters jsonb NOT NULL,
    route text,
    address inet,
    token_digest bytea,
    fault text DEFAULT ''::text NOT NULL,
    advertiser text,
    click_id text,
    transaction_id text,
    outcome text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    conversion_id text,
    catalog_version integer NOT NULL,
    quarantined_for text,
    waived text,
    released_by text,
    released_at timestamp with time zone,
    proof jsonb,
    CONSTRAINT postbacks_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'updated'::text, 'duplicate'::text, 'ignored'::text, 'quarantined'::text])))
)
PARTITION BY RANGE (day);

COMMENT ON TABLE postbacks IS 'Every inbound call, believed or not, with what was decided and why.';

COMMENT ON COLUMN postbacks.parameters IS 'Name and value pairs in the order they came, tokens and signatures masked.';

COMMENT ON COLUMN postbacks.route IS 'The advertiser named in the path; null on the generic route.';

COMMENT ON COLUMN postbacks.token_digest IS 'A keyed hash of the token that was sent, so that a release can judge it again.';

COMMENT ON COLUMN postbacks.fault IS 'What was wrong with the call as a whole, a body that is too large, say.';

COMMENT ON COLUMN postbacks.quarantined_for IS 'The reason it was first quarantined for, kept when it is released.';

COMMENT ON COLUMN postbacks.proof IS 'What its signatures proved when it arrived, and for whom; a release judges by it.';

CREATE VIEW report_clicks AS
 SELECT clicks.day,
    clicks.id AS click_id,
    clicks.clicked_at,
    partners.key AS partner,
    offers.key AS offer,
    clicks.catalog_version,
    COALESCE(clicks.traffic,
        CASE clicks.class
            WHEN 0 THEN 'visit'::text
            WHEN 1 THEN 'head'::text
            WHEN 2 THEN 'prefetch'::text
            WHEN 3 THEN 'refused'::text
            WHEN 4 THEN 'test'::text
            WHEN 5 THEN 'repeated'::text
            ELSE NULL::text
        END) AS traffic,
    COALESCE(clicks.is_unique, false) AS is_unique,
    clicks.reason,
    COALESCE(clicks.country, ''::text) AS country,
    COALESCE(clicks.device, ''::text) AS device,
    COALESCE(clicks.os, ''::text) AS os,
    COALESCE(clicks.browser, ''::text) AS browser,
    clicks.sub1,
    clicks.sub2,
    clicks.sub3,
    clicks.sub4,
    clicks.sub5,
    clicks.sub6,
    clicks.sub7,
    clicks.sub8,
    clicks.sub9,
    clicks.sub10,
    clicks.gclid,
    clicks.gbraid,
    clicks.wbraid,
    clicks.fbclid,
    clicks.ttclid,
    clicks.msclkid,
    clicks.params,
    clicks.referrer,
    clicks.language,
    clicks.destination,
    clicks.route,
    COALESCE((sums.pending + sums.approved), (0)::bigint) AS conversions,
    COALESCE(sums.pending, (0)::bigint) AS pending,
    COALESCE(sums.approved, (0)::bigint) AS approved,
    COALESCE(sums.rejected, (0)::bigint) AS rejected,
    sums.currency,
    COALESCE(sums.amount, (0)::numeric) AS amount,
    COALESCE(sums.revenue, (0)::numeric) AS revenue,
    COALESCE(sums.payout, (0)::numeric) AS payout,
    COALESCE((sums.revenue - sums.payout), (0)::numeric) AS profit
   FROM (((clicks
     LEFT JOIN catalog_numbers partners ON (((partners.kind = 'partner'::text) AND (partners.number = clicks.partner_number))))
     LEFT JOIN catalog_numbers offers ON (((offers.kind = 'offer'::text) AND (offers.number = clicks.offer_number))))
     LEFT JOIN LATERAL ( SELECT count(*) FILTER (WHERE (conversions.status = 'pending'::text)) AS pending,
            count(*) FILTER (WHERE (conversions.status = 'approved'::text)) AS approved,
            count(*) FILTER (WHERE (conversions.status = 'rejected'::text)) AS rejected,
            max(conversions.currency) AS currency,
            sum(conversions.amount) FILTER (WHERE (conversions.status <> 'rejected'::text)) AS amount,
            sum(conversions.revenue) FILTER (WHERE (conversions.status <> 'rejected'::text)) AS revenue,
            sum(conversions.payout) FILTER (WHERE (conversions.status <> 'rejected'::text)) AS payout
           FROM conversions
          WHERE (conversions.click_id = clicks.id)) sums ON (true));

COMMENT ON VIEW report_clicks IS 'Every click with its conversions summed: pending and approved ones, in the offer''s currency.';

CREATE VIEW report_conversions AS
 SELECT conversions.id AS conversion_id,
    conversions.click_id,
    conversions.advertiser,
    conversions.offer,
    conversions.partner,
    conversions.goal,
    conversions.transaction_id,
    conversions.status,
    conversions.currency,
    conversions.amount,
    conversions.revenue,
    conversions.payout,
    (conversions.revenue - conversions.payout) AS profit,
    conversions.sent_amount,
    conversions.sent_currency,
    conversions.clicked_at,
    conversions.converted_at,
    conversions.changed_at,
    conversions.changes,
    (conversions.click_class = 4) AS is_test,
    COALESCE(placed.traffic,
        CASE conversions.click_class
            WHEN 0 THEN 'visit'::text
            WHEN 1 THEN 'head'::text
            WHEN 2 THEN 'prefetch'::text
            WHEN 3 THEN 'refused'::text
            WHEN 4 THEN 'test'::text
            WHEN 5 THEN 'repeated'::text
            ELSE NULL::text
        END) AS traffic,
    COALESCE(placed.country, ''::text) AS country,
    COALESCE(placed.device, ''::text) AS device,
    COALESCE(placed.os, ''::text) AS os,
    COALESCE(placed.browser, ''::text) AS browser,
    COALESCE(click.sub1, (click_labels.labels ->> 'sub1'::text)) AS sub1,
    COALESCE(click.sub2, (click_labels.labels ->> 'sub2'::text)) AS sub2,
    COALESCE(click.sub3, (click_labels.labels ->> 'sub3'::text)) AS sub3,
    COALESCE(click.sub4, (click_labels.labels ->> 'sub4'::text)) AS sub4,
    COALESCE(click.sub5, (click_labels.labels ->> 'sub5'::text)) AS sub5,
    COALESCE(click.sub6, (click_labels.labels ->> 'sub6'::text)) AS sub6,
    COALESCE(click.sub7, (click_labels.labels ->> 'sub7'::text)) AS sub7,
    COALESCE(click.sub8, (click_labels.labels ->> 'sub8'::text)) AS sub8,
    COALESCE(click.sub9, (click_labels.labels ->> 'sub9'::text)) AS sub9,
    COALESCE(click.sub10, (click_labels.labels ->> 'sub10'::text)) AS sub10
   FROM (((conversions
     LEFT JOIN conversion_clicks placed ON ((placed.conversion_id = conversions.id)))
     LEFT JOIN click_labels ON ((click_labels.id = conversions.click_id)))
     LEFT JOIN LATERAL ( SELECT clicks.day,
            clicks.id,
            clicks.clicked_at,
            clicks.class,
            clicks.partner_number,
            clicks.offer_number,
            clicks.catalog_version,
            clicks.reason,
            clicks.sub1,
            clicks.sub2,
            clicks.sub3,
            clicks.sub4,
            clicks.sub5,
            clicks.sub6,
            clicks.sub7,
            clicks.sub8,
            clicks.sub9,
            clicks.sub10,
            clicks.gclid,
            clicks.gbraid,
            clicks.wbraid,
            clicks.fbclid,
            clicks.ttclid,
            clicks.msclkid,
            clicks.params,
            clicks.address,
            clicks.user_agent,
            clicks.referrer,
            clicks.language,
            clicks.destination,
            clicks.route,
            clicks.country,
            clicks.device,
            clicks.os,
            clicks.browser,
            clicks.traffic,
            clicks.is_unique
           FROM clicks
          WHERE ((clicks.day = ((conversions.clicked_at AT TIME ZONE 'UTC'::text))::date) AND (clicks.id = conversions.click_id))
         LIMIT 1) click ON (true));

COMMENT ON VIEW report_conversions IS 'Every conversion as it stands, with the labels of its click.';

CREATE VIEW report_deliveries AS
 WITH told AS (
         SELECT deliveries.id AS delivery_id,
            deliveries.round,
            deliveries.change_id,
            deliveries.conversion_id,
            deliveries.partner,
            deliveries.postback,
            deliveries.number,
            deliveries.attempts,
                CASE
                    WHEN (deliveries.held_reason IS NULL) THEN 'owed'::text
                    ELSE 'held'::text
                END AS state,
            COALESCE(deliveries.held_reason, ''::text) AS reason,
            deliveries.created_at,
            deliveries.due_at,
            NULL::timestamp with time zone AS finished_at
           FROM deliveries
        UNION ALL
         SELECT delivery_archive.id,
            delivery_archive.round,
            delivery_archive.change_id,
            delivery_archive.conversion_id,
            delivery_archive.partner,
            delivery_archive.postback,
            delivery_archive.number,
            delivery_archive.attempts,
            delivery_archive.outcome,
            delivery_archive.reason,
            delivery_archive.created_at,
            NULL::timestamp with time zone,
            delivery_archive.finished_at
           FROM delivery_archive
        )
 SELECT told.delivery_id,
    told.round,
    told.change_id,
    told.conversion_id,
    conversions.partner AS conversion_partner,
    conversions.offer,
    conversions.goal,
    told.partner AS told,
    told.postback,
    told.number,
    told.state,
    told.reason,
    told.attempts,
    told.created_at,
    told.due_at,
    told.finished_at,
    last.started_at AS attempted_at,
    last.outcome AS attempt_outcome,
    last.method,
    last.url,
    last.http_status,
    last.answer,
    last.error,
    last.duration_ms
   FROM ((told
     JOIN conversions ON ((conversions.id = told.conversion_id)))
     LEFT JOIN LATERAL ( SELECT delivery_attempts.day,
            delivery_attempts.delivery_id,
            delivery_attempts.round,
            delivery_attempts.number,
            delivery_attempts.outcome,
            delivery_attempts.started_at,
            delivery_attempts.duration_ms,
            delivery_attempts.method,
            delivery_attempts.url,
            delivery_attempts.http_status,
            delivery_attempts.answer,
            delivery_attempts.error
           FROM delivery_attempts
          WHERE ((delivery_attempts.delivery_id = told.delivery_id) AND (delivery_attempts.round = told.round) AND (delivery_attempts.day >= ((told.created_at AT TIME ZONE 'UTC'::text))::date))
          ORDER BY delivery_attempts.started_at DESC
         LIMIT 1) last ON (true));

COMMENT ON VIEW report_deliveries IS 'What was told to whom, owed and finished, each with its last attempt.';

CREATE TABLE rollup_days (
    is_only boolean DEFAULT true NOT NULL,
    zone text NOT NULL,
    closed_before date NOT NULL,
    conversions_zone text NOT NULL,
    CONSTRAINT rollup_days_is_only_check CHECK (is_only)
);

COMMENT ON TABLE rollup_days IS 'One row: the time zone of click_rollup_days, and the first day that has to be read from the quarters.';

COMMENT ON COLUMN rollup_days.conversions_zone IS 'The time zone of conversion_rollup_pairs.';

CREATE VIEW report_partner_days AS
 WITH facts AS (
         SELECT bases.basis,
            click_rollup_days.day,
            click_rollup_days.partner_number,
                CASE
                    WHEN (click_rollup_days.traffic = 'visit'::text) THEN click_rollup_days.clicks
                    ELSE 0
                END AS clicks,
            click_rollup_days.uniques,
                CASE
                    WHEN (click_rollup_days.traffic = ANY (ARRAY['bot'::text, 'datacenter'::text])) THEN click_rollup_days.clicks
                    ELSE 0
                END AS bots,
                CASE
                    WHEN (click_rollup_days.traffic = 'refused'::text) THEN click_rollup_days.clicks
                    ELSE 0
                END AS refused,
            0 AS pending,
            0 AS approved,
            0 AS rejected,
            NULL::text AS currency,
            NULL::numeric AS amount,
            NULL::numeric AS revenue,
            NULL::numeric AS payout
           FROM (click_rollup_days
             CROSS JOIN ( VALUES ('click'::text), ('conversion'::text)) bases(basis))
          WHERE (click_rollup_days.day < ( SELECT rollup_days.closed_before
                   FROM rollup_days))
        UNION ALL
         SELECT bases.basis,
            ((click_rollups.starts_at AT TIME ZONE ( SELECT rollup_days.zone
                   FROM rollup_days)))::date AS timezone,
            click_rollups.partner_number,
                CASE
                    WHEN (click_rollups.traffic = 'visit'::text) THEN click_rollups.clicks
                    ELSE 0
                END AS "case",
            click_rollups.uniques,
                CASE
                    WHEN (click_rollups.traffic = ANY (ARRAY['bot'::text, 'datacenter'::text])) THEN click_rollups.clicks
                    ELSE 0
                END AS "case",
                CASE
                    WHEN (click_rollups.traffic = 'refused'::text) THEN click_rollups.clicks
                    ELSE 0
                END AS "case",
            0,
            0,
            0,
            NULL::text,
            NULL::numeric AS "numeric",
            NULL::numeric AS "numeric",
            NULL::numeric AS "numeric"
           FROM (click_rollups
             CROSS JOIN ( VALUES ('click'::text), ('conversion'::text)) bases(basis))
          WHERE ((click_rollups.starts_at >= ( SELECT (rollup_days.closed_before - '1 day'::interval)
                   FROM rollup_days)) AND (((click_rollups.starts_at AT TIME ZONE ( SELECT rollup_days.zone
                   FROM rollup_days)))::date >= ( SELECT rollup_days.closed_before
                   FROM rollup_days)))
        UNION ALL
         SELECT bases.basis,
            ((conversion_rollups.starts_at AT TIME ZONE ( SELECT rollup_days.zone
                   FROM rollup_days)))::date AS timezone,
            conversion_rollups.partner_number,
            conversion_rollups.proven,
            0,
                CASE
                    WHEN (conversion_rollups.traffic = ANY (ARRAY['bot'::text, 'datacenter'::text])) THEN (- conversion_rollups.proven)
                    ELSE 0
                END AS "case",
                CASE
                    WHEN (conversion_rollups.traffic = 'refused'::text) THEN (- conversion_rollups.proven)
                    ELSE 0
                END AS "case",
            0,
            0,
            0,
            NULL::text,
            NULL::numeric AS "numeric",
            NULL::numeric AS "numeric",
            NULL::numeric AS "numeric"
           FROM (conversion_rollups
             CROSS JOIN ( VALUES ('click'::text), ('conversion'::text)) bases(basis))
          WHERE ((conversion_rollups.basis = 'click'::text) AND (conversion_rollups.proven <> 0))
        UNION ALL
         SELECT conversion_rollups.basis,
            ((conversion_rollups.starts_at AT TIME ZONE ( SELECT rollup_days.zone
                   FROM rollup_days)))::date AS timezone,
            conversion_rollups.partner_number,
            0,
            0,
            0,
            0,
                CASE
                    WHEN (conversion_rollups.status = 'pending'::text) THEN conversion_rollups.conversions
                    ELSE 0
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status = 'approved'::text) THEN conversion_rollups.conversions
                    ELSE 0
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status = 'rejected'::text) THEN conversion_rollups.conversions
                    ELSE 0
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status <> 'rejected'::text) THEN conversion_rollups.currency
                    ELSE NULL::text
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status <> 'rejected'::text) THEN conversion_rollups.amount
                    ELSE NULL::numeric
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status <> 'rejected'::text) THEN conversion_rollups.revenue
                    ELSE NULL::numeric
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status <> 'rejected'::text) THEN conversion_rollups.payout
                    ELSE NULL::numeric
                END AS "case"
           FROM conversion_rollups
        )
 SELECT facts.basis,
    facts.day,
    partners.key AS partner,
    sum(facts.clicks) AS clicks,
    sum(facts.uniques) AS uniques,
    sum(facts.bots) AS bots,
    sum(facts.refused) AS refused,
    sum((facts.pending + facts.approved)) AS conversions,
    sum(facts.pending) AS pending,
    sum(facts.approved) AS approved,
    sum(facts.rejected) AS rejected,
    array_remove(array_agg(DISTINCT facts.currency), NULL::text) AS currencies,
        CASE
            WHEN (count(DISTINCT facts.currency) < 2) THEN COALESCE(sum(facts.amount), (0)::numeric)
            ELSE NULL::numeric
        END AS amount,
        CASE
            WHEN (count(DISTINCT facts.currency) < 2) THEN COALESCE(sum(facts.revenue), (0)::numeric)
            ELSE NULL::numeric
        END AS revenue,
        CASE
            WHEN (count(DISTINCT facts.currency) < 2) THEN COALESCE(sum(facts.payout), (0)::numeric)
            ELSE NULL::numeric
        END AS payout,
        CASE
            WHEN (count(DISTINCT facts.currency) < 2) THEN COALESCE(sum((facts.revenue - facts.payout)), (0)::numeric)
            ELSE NULL::numeric
        END AS profit
   FROM (facts
     LEFT JOIN catalog_numbers partners ON (((partners.kind = 'partner'::text) AND (partners.number = facts.partner_number))))
  GROUP BY facts.basis, facts.day, partners.key;

COMMENT ON VIEW report_partner_days IS 'Likewise by days of the catalog''s time zone, as rollup_days has it.';

CREATE VIEW report_partner_days_utc AS
 WITH facts AS (
         SELECT bases.basis,
            ((click_rollups.starts_at AT TIME ZONE 'UTC'::text))::date AS day,
            click_rollups.partner_number,
                CASE
                    WHEN (click_rollups.traffic = 'visit'::text) THEN click_rollups.clicks
                    ELSE 0
                END AS clicks,
            click_rollups.uniques,
                CASE
                    WHEN (click_rollups.traffic = ANY (ARRAY['bot'::text, 'datacenter'::text])) THEN click_rollups.clicks
                    ELSE 0
                END AS bots,
                CASE
                    WHEN (click_rollups.traffic = 'refused'::text) THEN click_rollups.clicks
                    ELSE 0
                END AS refused,
            0 AS pending,
            0 AS approved,
            0 AS rejected,
            NULL::text AS currency,
            NULL::numeric AS amount,
            NULL::numeric AS revenue,
            NULL::numeric AS payout
           FROM (click_rollups
             CROSS JOIN ( VALUES ('click'::text), ('conversion'::text)) bases(basis))
        UNION ALL
         SELECT bases.basis,
            ((conversion_rollups.starts_at AT TIME ZONE 'UTC'::text))::date AS timezone,
            conversion_rollups.partner_number,
            conversion_rollups.proven,
            0,
                CASE
                    WHEN (conversion_rollups.traffic = ANY (ARRAY['bot'::text, 'datacenter'::text])) THEN (- conversion_rollups.proven)
                    ELSE 0
                END AS "case",
                CASE
                    WHEN (conversion_rollups.traffic = 'refused'::text) THEN (- conversion_rollups.proven)
                    ELSE 0
                END AS "case",
            0,
            0,
            0,
            NULL::text,
            NULL::numeric AS "numeric",
            NULL::numeric AS "numeric",
            NULL::numeric AS "numeric"
           FROM (conversion_rollups
             CROSS JOIN ( VALUES ('click'::text), ('conversion'::text)) bases(basis))
          WHERE ((conversion_rollups.basis = 'click'::text) AND (conversion_rollups.proven <> 0))
        UNION ALL
         SELECT conversion_rollups.basis,
            ((conversion_rollups.starts_at AT TIME ZONE 'UTC'::text))::date AS timezone,
            conversion_rollups.partner_number,
            0,
            0,
            0,
            0,
                CASE
                    WHEN (conversion_rollups.status = 'pending'::text) THEN conversion_rollups.conversions
                    ELSE 0
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status = 'approved'::text) THEN conversion_rollups.conversions
                    ELSE 0
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status = 'rejected'::text) THEN conversion_rollups.conversions
                    ELSE 0
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status <> 'rejected'::text) THEN conversion_rollups.currency
                    ELSE NULL::text
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status <> 'rejected'::text) THEN conversion_rollups.amount
                    ELSE NULL::numeric
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status <> 'rejected'::text) THEN conversion_rollups.revenue
                    ELSE NULL::numeric
                END AS "case",
                CASE
                    WHEN (conversion_rollups.status <> 'rejected'::text) THEN conversion_rollups.payout
                    ELSE NULL::numeric
                END AS "case"
           FROM conversion_rollups
        )
 SELECT facts.basis,
    facts.day,
    partners.key AS partner,
    sum(facts.clicks) AS clicks,
    sum(facts.uniques) AS uniques,
    sum(facts.bots) AS bots,
    sum(facts.refused) AS refused,
    sum((facts.pending + facts.approved)) AS conversions,
    sum(facts.pending) AS pending,
    sum(facts.approved) AS approved,
    sum(facts.rejected) AS rejected,
    array_remove(array_agg(DISTINCT facts.currency), NULL::text) AS currencies,
        CASE
            WHEN (count(DISTINCT facts.currency) < 2) THEN COALESCE(sum(facts.amount), (0)::numeric)
            ELSE NULL::numeric
        END AS amount,
        CASE
            WHEN (count(DISTINCT facts.currency) < 2) THEN COALESCE(sum(facts.revenue), (0)::numeric)
            ELSE NULL::numeric
        END AS revenue,
        CASE
            WHEN (count(DISTINCT facts.currency) < 2) THEN COALESCE(sum(facts.payout), (0)::numeric)
            ELSE NULL::numeric
        END AS payout,
        CASE
            WHEN (count(DISTINCT facts.currency) < 2) THEN COALESCE(sum((facts.revenue - facts.payout)), (0)::numeric)
            ELSE NULL::numeric
        END AS profit
   FROM (facts
     LEFT JOIN catalog_numbers partners ON (((partners.kind = 'partner'::text) AND (partners.number = facts.partner_number))))
  GROUP BY facts.basis, facts.day, partners.key;

COMMENT ON VIEW report_partner_days_utc IS 'One row for a partner and a UTC day, in each basis: choose one.';

CREATE TABLE schema_migrations (
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT schema_migrations_checksum_check CHECK ((length(checksum) = 64)),
    CONSTRAINT schema_migrations_number_check CHECK ((number > 0))
);

CREATE TABLE secret_keys (
    number smallint NOT NULL,
    fingerprint bytea NOT NULL,
    first_seen timestamp with time zone DEFAULT tracker_now() NOT NULL,
    CONSTRAINT secret_keys_number_check CHECK (((number >= 0) AND (number <= 7)))
);

COMMENT ON TABLE secret_keys IS 'A fingerprint of each key in TRACKER_SECRET_KEYS: a process with another key of the same number refuses to start.';

CREATE TABLE sessions (
    id_hash bytea NOT NULL,
    person_id bigint NOT NULL,
    address text NOT NULL,
    agent text NOT NULL,
    created_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    seen_at timestamp with time zone DEFAULT tracker_now() NOT NULL,
    CONSTRAINT sessions_agent_check CHECK ((length(agent) <= 512)),
    CONSTRAINT sessions_id_hash_check CHECK ((length(id_hash) = 32))
);

COMMENT ON TABLE sessions IS 'Who is signed in, one row for each browser; deleted when it ends.';

COMMENT ON COLUMN sessions.id_hash IS 'SHA-256 of what the cookie says.';

COMMENT ON COLUMN sessions.seen_at IS 'To the minute.';

CREATE TABLE truncated_days (
    table_name text NOT NULL,
    day date NOT NULL
);

COMMENT ON TABLE truncated_days IS 'Days whose addresses were truncated, so that each is done once.';

CREATE TABLE visitor_firsts (
    visitor bigint NOT NULL,
    counted_at timestamp with time zone NOT NULL
)
WITH (fillfactor='80');

COMMENT ON TABLE visitor_firsts IS 'When the click of a visitor counted as unique last; forgotten a day later.';

COMMENT ON COLUMN visitor_firsts.visitor IS 'A keyed hash of offer, network of the address, and agent.';

ALTER TABLE ONLY api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY api_tokens
    ADD CONSTRAINT api_tokens_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY cap_epochs
    ADD CONSTRAINT cap_epochs_pkey PRIMARY KEY (counts);

ALTER TABLE ONLY cap_meters
    ADD CONSTRAINT cap_meters_pkey PRIMARY KEY (offer, partner, measure, goals, per, starts_at);

ALTER TABLE ONLY catalog_numbers
    ADD CONSTRAINT catalog_numbers_kind_number_key UNIQUE (kind, number);

ALTER TABLE ONLY catalog_numbers
    ADD CONSTRAINT catalog_numbers_pkey PRIMARY KEY (kind, key);

ALTER TABLE ONLY catalog_versions
    ADD CONSTRAINT catalog_versions_pkey PRIMARY KEY (version);

ALTER TABLE ONLY click_audits
    ADD CONSTRAINT click_audits_pkey PRIMARY KEY (slice);

ALTER TABLE ONLY click_counts
    ADD CONSTRAINT click_counts_pkey PRIMARY KEY (slice, process);

ALTER TABLE ONLY click_labels
    ADD CONSTRAINT click_labels_pkey PRIMARY KEY (id);

ALTER TABLE ONLY click_rollup_days
    ADD CONSTRAINT click_rollup_days_pkey PRIMARY KEY (day, partner_number, offer_number, country, device, traffic);

ALTER TABLE ONLY click_rollup_pairs
    ADD CONSTRAINT click_rollup_pairs_pkey PRIMARY KEY (pair, day, partner_number, offer_number, country, device);

ALTER TABLE ONLY click_rollups
    ADD CONSTRAINT click_rollups_pkey PRIMARY KEY (starts_at, partner_number, offer_number, country, device, traffic);

ALTER TABLE clicks
    ADD CONSTRAINT clicks_class_check CHECK (((class >= 0) AND (class <= 5))) NOT VALID;

ALTER TABLE ONLY clicks
    ADD CONSTRAINT clicks_pkey PRIMARY KEY (day, id);

ALTER TABLE ONLY clicks_rejected
    ADD CONSTRAINT clicks_rejected_pkey PRIMARY KEY (shard, entry);

ALTER TABLE conversion_changes
    ADD CONSTRAINT conversion_changes_cause CHECK ((num_nonnulls(postback_id, operator, rule) = 1)) NOT VALID;

ALTER TABLE ONLY conversion_changes
    ADD CONSTRAINT conversion_changes_conversion_id_number_key UNIQUE (conversion_id, number);

ALTER TABLE ONLY conversion_changes
    ADD CONSTRAINT conversion_changes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY conversion_changes
    ADD CONSTRAINT conversion_changes_postback_id_key UNIQUE (postback_id);

ALTER TABLE ONLY conversion_clicks
    ADD CONSTRAINT conversion_clicks_pkey PRIMARY KEY (conversion_id);

ALTER TABLE ONLY conversion_keys
    ADD CONSTRAINT conversion_keys_pkey PRIMARY KEY (advertiser, key);

ALTER TABLE ONLY conversion_rollup_pairs
    ADD CONSTRAINT conversion_rollup_pairs_pkey PRIMARY KEY (basis, pair, day, partner_number, offer_number, country, device, goal, currency, traffic);

ALTER TABLE ONLY conversion_rollups
    ADD CONSTRAINT conversion_rollups_pkey PRIMARY KEY (starts_at, basis, partner_number, offer_number, goal, currency, country, device, traffic, status);

ALTER TABLE ONLY conversions
    ADD CONSTRAINT conversions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY delivery_archive
    ADD CONSTRAINT delivery_archive_pkey PRIMARY KEY (day, id, round);

ALTER TABLE ONLY erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (id);

ALTER TABLE ONLY invitations
    ADD CONSTRAINT invitations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY lanes
    ADD CONSTRAINT lanes_pkey PRIMARY KEY (lane);

ALTER TABLE ONLY nonces
    ADD CONSTRAINT nonces_pkey PRIMARY KEY (advertiser, nonce);

ALTER TABLE ONLY people
    ADD CONSTRAINT people_name_key UNIQUE (name);

ALTER TABLE ONLY people
    ADD CONSTRAINT people_pkey PRIMARY KEY (id);

ALTER TABLE ONLY postbacks
    ADD CONSTRAINT postbacks_pkey PRIMARY KEY (day, id);

ALTER TABLE ONLY rollup_days
    ADD CONSTRAINT rollup_days_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY schema_migrations
    ADD CONSTRAINT schema_migrations_name_key UNIQUE (name);

ALTER TABLE ONLY schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (number);

ALTER TABLE ONLY secret_keys
    ADD CONSTRAINT secret_keys_pkey PRIMARY KEY (number);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id_hash);

ALTER TABLE ONLY truncated_days
    ADD CONSTRAINT truncated_days_pkey PRIMARY KEY (table_name, day);

ALTER TABLE ONLY visitor_firsts
    ADD CONSTRAINT visitor_firsts_pkey PRIMARY KEY (visitor);

CREATE INDEX api_tokens_person_id ON api_tokens USING btree (person_id);

CREATE INDEX audit_log_who ON audit_log USING btree (who, id);

CREATE INDEX cap_meters_by_end ON cap_meters USING btree (ends_at);

CREATE UNIQUE INDEX click_collisions_once ON click_collisions USING btree (id, sha256(record));

CREATE INDEX clicks_by_partner ON ONLY clicks USING btree (partner_number, day, id);

CREATE INDEX clicks_by_sub1 ON ONLY clicks USING btree (sub1, day, id) WHERE (sub1 IS NOT NULL);

CREATE INDEX conversion_changes_unfolded ON conversion_changes USING btree (written_at) WHERE (folded_at IS NULL);

CREATE INDEX conversion_keys_by_conversion ON conversion_keys USING btree (conversion_id);

CREATE INDEX conversion_rollups_proving ON conversion_rollups USING btree (starts_at) WHERE ((proven <> 0) AND (basis = 'click'::text));

CREATE INDEX conversions_by_click ON conversions USING btree (click_id);

CREATE INDEX conversions_by_offer ON conversions USING btree (offer, converted_at);

CREATE INDEX conversions_by_partner ON conversions USING btree (partner, converted_at);

CREATE INDEX conversions_by_time ON conversions USING btree (converted_at);

CREATE INDEX conversions_by_transaction ON conversions USING btree (advertiser, transaction_id) WHERE (transaction_id IS NOT NULL);

CREATE INDEX conversions_pending ON conversions USING btree (offer, goal, converted_at) WHERE (status = 'pending'::text);

CREATE INDEX deliveries_by_age ON deliveries USING btree (created_at);

CREATE INDEX deliveries_due ON deliveries USING btree (lane, due_at) WHERE ((held_reason IS NULL) AND (lease_token IS NULL));

CREATE INDEX deliveries_held ON deliveries USING btree (held_reason, created_at) WHERE (held_reason IS NOT NULL);

CREATE INDEX deliveries_in_order ON deliveries USING btree (conversion_id, partner, postback, number);

CREATE INDEX deliveries_leased ON deliveries USING btree (lane, lease_until) WHERE (lease_token IS NOT NULL);

CREATE INDEX delivery_archive_by_conversion ON ONLY delivery_archive USING btree (conversion_id);

CREATE INDEX delivery_archive_by_creation ON ONLY delivery_archive USING btree (created_at);

CREATE INDEX delivery_archive_by_id ON ONLY delivery_archive USING btree (id);

CREATE INDEX delivery_archive_by_partner ON ONLY delivery_archive USING btree (partner, created_at);

CREATE INDEX delivery_archive_dead ON ONLY delivery_archive USING btree (finished_at) WHERE (outcome = 'dead'::text);

CREATE INDEX delivery_attempts_by_delivery ON ONLY delivery_attempts USING btree (delivery_id, started_at);

CREATE INDEX erasures_by_click ON erasures USING btree (click_id) WHERE (click_id IS NOT NULL);

CREATE INDEX erasures_by_time ON erasures USING btree (erased_at);

CREATE INDEX erasures_unfinished ON erasures USING btree (erased_at) WHERE (finished_at IS NULL);

CREATE INDEX nonces_by_time ON nonces USING btree (used_at) WHERE (nonce !~~ 'row:%'::text);

CREATE INDEX nonces_of_rows ON nonces USING btree (used_at) WHERE (nonce ~~ 'row:%'::text);

CREATE INDEX postbacks_by_click ON ONLY postbacks USING btree (click_id) WHERE (click_id IS NOT NULL);

CREATE INDEX postbacks_by_conversion ON ONLY postbacks USING btree (conversion_id) WHERE (conversion_id IS NOT NULL);

CREATE INDEX postbacks_kept ON ONLY postbacks USING btree (day, id, reason) WHERE (outcome = 'quarantined'::text);

CREATE INDEX sessions_person_id ON sessions USING btree (person_id);

CREATE INDEX visitor_firsts_by_time ON visitor_firsts USING brin (counted_at) WITH (pages_per_range='32');

CREATE TRIGGER pairs_of_added AFTER INSERT ON click_rollup_days REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tracker_sum_pairs();

CREATE TRIGGER pairs_of_added AFTER INSERT ON conversion_rollups REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tracker_sum_conversion_pairs();

CREATE TRIGGER pairs_of_changed AFTER UPDATE ON click_rollup_days REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tracker_sum_pairs();

CREATE TRIGGER pairs_of_changed AFTER UPDATE ON conversion_rollups REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tracker_sum_conversion_pairs();

CREATE TRIGGER pairs_of_none AFTER TRUNCATE ON click_rollup_days FOR EACH STATEMENT EXECUTE FUNCTION tracker_forget_pairs();

CREATE TRIGGER pairs_of_removed AFTER DELETE ON click_rollup_days REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tracker_sum_pairs();

CREATE TRIGGER pairs_of_removed AFTER DELETE ON conversion_rollups REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tracker_sum_conversion_pairs();

CREATE TRIGGER pairs_of_zone AFTER UPDATE ON rollup_days FOR EACH ROW WHEN ((old.conversions_zone <> new.conversions_zone)) EXECUTE FUNCTION tracker_sum_conversion_pairs();

ALTER TABLE ONLY api_tokens
    ADD CONSTRAINT api_tokens_person_id_fkey FOREIGN KEY (person_id) REFERENCES people(id);

ALTER TABLE ONLY conversion_changes
    ADD CONSTRAINT conversion_changes_conversion_id_fkey FOREIGN KEY (conversion_id) REFERENCES conversions(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY conversion_keys
    ADD CONSTRAINT conversion_keys_conversion_id_fkey FOREIGN KEY (conversion_id) REFERENCES conversions(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY invitations
    ADD CONSTRAINT invitations_person_id_fkey FOREIGN KEY (person_id) REFERENCES people(id);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_person_id_fkey FOREIGN KEY (person_id) REFERENCES people(id);
