"""
What is owed to partners, in Postgres: `deliveries` and what grows out of it.

A delivery is claimed by lease, sent while no transaction is open, and finished by
the lease's token: a worker that overslept finds its token gone and changes nothing.
All times are Postgres' own (`tracker_now()`), so that no worker's clock matters.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID

from psycopg.rows import DictRow, dict_row

from tracker.domain.breaker import Call, Sign, SignKind
from tracker.domain.delivery import (
    MAX_AGE,
    MAX_WAIT_FOR_CLICK,
    Dead,
    DeadReason,
    Delivered,
    Delivery,
    HeldReason,
    Hold,
    Retry,
    Verdict,
)
from tracker.domain.errors import NotFoundError, RefusedChangeError
from tracker.domain.identity import DeliveryId
from tracker.failpoints import failpoint
from tracker.store.lanes import Judged, judge_lanes, list_watched, pause_lanes
from tracker.store.postgres import (
    Connection,
    Pool,
    as_rows,
    connected,
    pipelined,
    transaction,
)
from tracker.store.signals import Bell, hear

LEASE = timedelta(seconds=60)
"""Far longer than a call may take, so only a worker that died or slept loses it."""

CALL = timedelta(seconds=20)
"""A call is surely over: who holds a lease for longer takes nobody's place."""

PER_LANE = 16
"""Calls in flight at once to one partner postback and host."""

LANES_PER_CLAIM = 256
"""Lanes that one claim looks at; the next goes on where it stopped."""

MAX_NOTED = 1024
"""Characters kept of an answer."""

_SWEPT_AT_ONCE = 1000

AttemptOutcome = Literal["delivered", "failed", "unknown", "orphan"]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to attempt a delivery; `attempts` counts the one it is for."""

    delivery: Delivery
    token: UUID
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """
    What was claimed, and the lane after which the next claim should start.

    `saw_all` tells that no lane was left out, so that nothing more is due, and
    `is_wrapped` that it came past the last lane, and went on with the first.
    """

    leases: tuple[Lease, ...]
    cursor: str
    saw_all: bool
    is_wrapped: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a delivery, as it is kept; `url` is masked."""

    outcome: AttemptOutcome
    started_at: datetime
    method: str = ""
    url: str = ""
    duration_ms: int = 0
    http_status: int | None = None
    answer: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """
    What a lease led to; without an attempt no call was made, nor is one counted.

    `sign` is what the call told of the partner's server, if it told anything.
    """

    lease: Lease
    verdict: Verdict
    attempt: Attempt | None = None
    sign: Sign | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """What could not be finished, as its lease was lost, and which breakers changed."""

    lost: frozenset[DeliveryId]
    judged: tuple[Judged, ...] = ()


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much is owed; `held` counts by reason, `oldest_due` is the longest delay."""

    due: int
    waiting: int
    leased: int
    held: Mapping[str, int] = field(default_factory=dict)
    oldest_due: timedelta = timedelta()


INSERT = """
with owed as (
    select *
    from   json_to_recordset(%(deliveries)s) as owed (
               id text, change_id text, conversion_id text, partner text,
               postback text, lane text, number integer, macro_values jsonb,
               has_click boolean, held_reason text, delay double precision)
),
earlier as (
    -- Locked, so that one which is being finished is either gone when we look,
    -- or finds what we insert and frees it.
    select conversion_id, partner, postback, number, due_at
    from   deliveries
    where  (conversion_id, partner, postback) in (
               select conversion_id, partner, postback from owed where number > 1)
    order  by id
    for key share
)
insert into deliveries (
    id, change_id, conversion_id, partner, postback, lane, number, macro_values,
    has_click, created_at, not_before, due_at, held_reason)
select owed.id, owed.change_id, owed.conversion_id, owed.partner, owed.postback,
       owed.lane, owed.number, owed.macro_values, owed.has_click, tracker_now(),
       tracker_now() + make_interval(secs => owed.delay),
       greatest(tracker_now() + make_interval(secs => coalesce(owed.delay, 0)), (
           select max(earlier.due_at)
           from   earlier
           where  earlier.conversion_id = owed.conversion_id
           and    earlier.partner = owed.partner
           and    earlier.postback = owed.postback
           and    earlier.number < owed.number)),
       coalesce(owed.held_reason, (
           select 'paused_lane'
           from   lanes
           where  lanes.lane = owed.lane and lanes.paused_at is not null))
from   owed
on     conflict (id) do nothing
"""

CLAIM = """
with recursive clock (now) as (
    -- Read once: an index cannot be searched for what changes from row to row.
    select tracker_now()
),
scan (lane, is_wrapped, place) as (
    -- From lane to lane by the index, around the ring from the cursor on: the cost
    -- depends on the number of lanes, never on what waits in one.
    select %(cursor)s::text collate "C", false, 0
    union all
    select coalesce(onward.lane, again.lane),
           scan.is_wrapped or onward.lane is null,
           scan.place + 1
    from   scan
    left   join lateral (
               select lane
               from   deliveries
               where  held_reason is null and lease_token is null
               and    lane > scan.lane
               order  by lane
               limit  1) as onward on true
    left   join lateral (
               select lane
               from   deliveries
               where  held_reason is null and lease_token is null
               and    onward.lane is null and not scan.is_wrapped
               order  by lane
               limit  1) as again on true
    where  scan.place < %(lanes)s
    and    coalesce(onward.lane, again.lane) is not null
    and    (coalesce(onward.lane, again.lane) <= %(cursor)s
            or not (scan.is_wrapped or onward.lane is null))
),
chosen as (
    -- The first of every lane, then the second of every lane, and so on. Claims that
    -- see a lane alike choose alike, so two at once are not two probes.
    select due.id, scan.lane,
           row_number() over (order by due.place, scan.place) as place
    from   scan
    left   join lateral (
        select * from lanes where lane = scan.lane offset 0) as mine on true
    cross  join lateral (
        select first.id, row_number() over (order by first.due_at) as place
        from (
            select id, due_at
            from   deliveries as owed
            where  lane = scan.lane
            and    held_reason is null and lease_token is null
            and    due_at <= (select now from clock)
            and    not exists (
                       select from deliveries as earlier
                       where  earlier.conversion_id = owed.conversion_id
                       and    earlier.partner = owed.partner
                       and    earlier.postback = owed.postback
                       and    earlier.number < owed.number
                       -- Asked row by row: a join would read the whole lane.
                       offset 0)
            order  by due_at
            limit  greatest(0, least(%(per_lane)s, mine.places) - (
                       select count(*) from deliveries
                       where  lane = scan.lane and lease_token is not null
                       and    lease_until > (select now from clock) + %(rest)s))
        ) as first
    ) as due
    where  scan.place > 0
    and    mine.paused_at is null
    and    (mine.open_until > (select now from clock)) is not true
    order  by due.place, scan.place
    limit  %(limit)s
),
locked as (
    -- Another worker may have chosen the same; whoever locks it first has it.
    -- Spelled so that the primary key serves, and not the index of all that is due.
    select id
    from   deliveries
    where  id = any(array(select id from chosen))
    and    coalesce(held_reason, lease_token::text) is null
    for no key update skip locked
),
leased as (
    update deliveries
    set    attempts = attempts + 1,
           lease_token = gen_random_uuid(),
           lease_until = clock.now + %(lease)s
    from   clock
    where  deliveries.id = any(array(select id from locked))
    returning deliveries.*, clock.now as claimed_at
)
select scanned.*, chosen_last.lane as last_chosen, leased.*
from   (select count(*) - 1 as lanes_seen, bool_or(is_wrapped) as is_wrapped,
               (array_agg(lane order by place desc))[1] as last_lane
        from   scan) as scanned
left   join (select lane from chosen where place = %(limit)s) as chosen_last on true
left   join leased on true
left   join chosen on chosen.id = leased.id
order  by chosen.place
"""

LIST_EXPIRED = """
select deliveries.*, lease_until - %(lease)s as claimed_at
from   deliveries
where  lease_token is not null and lease_until <= tracker_now()
order  by id
limit  %(limit)s
"""

LOCK_LEASED = """
with leases as (
    select *
    from   json_to_recordset(%(leases)s) as leases (id text, token uuid)
)
select lease_token
from   deliveries
where  id = any(array(select id from leases))
and    lease_token = any(array(select token from leases))
order  by id
for    update
"""

INSERT_ATTEMPTS = """
insert into delivery_attempts (
    day, delivery_id, round, number, outcome, started_at, duration_ms, method, url,
    http_status, answer, error)
select (started_at at time zone 'UTC')::date, delivery_id, round, number, outcome,
       started_at, duration_ms, method, url, http_status, answer, error
from   json_to_recordset(%(attempts)s) as attempt (
           delivery_id text, round integer, number integer, outcome text,
           started_at timestamptz, duration_ms integer, method text, url text,
           http_status integer, answer text, error text)
"""

ARCHIVE = """
with done as (
    select *
    from   json_to_recordset(%(done)s) as done (
               id text, outcome text, reason text, uncounted integer)
),
gone as (
    delete from deliveries
    using  done
    where  deliveries.id = done.id
    returning deliveries.*, done.outcome, done.reason, done.uncounted
)
insert into delivery_archive (
    day, id, round, change_id, conversion_id, partner, postback, lane, number,
    macro_values, has_click, attempts, outcome, reason, created_at, finished_at)
select (tracker_now() at time zone 'UTC')::date, id, round, change_id,
       conversion_id, partner, postback, lane, number, macro_values, has_click,
       attempts - uncounted, outcome, reason, created_at, tracker_now()
from   gone
-- A replay that waited for the end of the round before has its number too; its
-- attempts are kept all the same.
on     conflict (day, id, round) do nothing
"""

RESCHEDULE = """
update deliveries
set    lease_token = null,
       lease_until = null,
       attempts = attempts - uncounted,
       due_at = tracker_now() + make_interval(secs => delay),
       held_reason = coalesce(again.held_reason, (
           select 'paused_lane'
           from   lanes
           where  lanes.lane = deliveries.lane and lanes.paused_at is not null))
from   json_to_recordset(%(again)s) as again (
           id text, delay double precision, held_reason text, uncounted integer)
where  deliveries.id = again.id
"""

MOVE_SUCCESSORS = """
with moved as (
    select mine.id, max(moved.delay) as delay
    from   json_to_recordset(%(moved)s) as moved (
               conversion_id text, partner text, postback text, number integer,
               delay double precision)
    join   deliveries as mine
    on     mine.conversion_id = moved.conversion_id
    and    mine.partner = moved.partner
    and    mine.postback = moved.postback
    and    mine.number > moved.number
    and    mine.lease_token is null
    group  by mine.id
    order  by mine.id
)
update deliveries
set    due_at = greatest(
           not_before, tracker_now() + make_interval(secs => moved.delay))
from   moved
where  deliveries.id = moved.id and deliveries.lease_token is null
"""

RELEASE = """
update deliveries
set    lease_token = null, lease_until = null, attempts = attempts - 1
from   json_to_recordset(%(leases)s) as leases (id text, token uuid)
where  deliveries.id = leases.id and deliveries.lease_token = leases.token
"""

FILL_CLICK_DETAILS = """
with found as (
    select deliveries.id, details.labels
    from   deliveries
    cross  join lateral (
               -- By day and id, so that each looks into one partition.
               select jsonb_strip_nulls(jsonb_build_object(
                          'sub1', sub1, 'sub2', sub2, 'sub3', sub3, 'sub4', sub4,
                          'sub5', sub5, 'sub6', sub6, 'sub7', sub7, 'sub8', sub8,
                          'sub9', sub9, 'sub10', sub10,
                          'gclid', gclid, 'gbraid', gbraid, 'wbraid', wbraid,
                          'fbclid', fbclid, 'ttclid', ttclid, 'msclkid', msclkid
                      )) || coalesce((
                          -- Of the rest, what stands there empty: it was asked for.
                          select jsonb_object_agg(name, value)
                          from   (values ('ip', host(address)),
                                         ('user_agent', user_agent),
                                         ('referrer', referrer),
                                         ('language', language)
                                  union all
                                  select 'click.' || key, value
                                  from   jsonb_each_text(params)
                                 ) as told (name, value)
                          where  deliveries.macro_values ? name
                          and    value is not null
                      ), '{}') as labels
               from   clicks
               where  clicks.day =
                          left(deliveries.macro_values ->> 'clicked_at', 10)::date
               and    clicks.id = deliveries.macro_values ->> 'click_id'
               and    clicks.reason is distinct from 'erased'
               limit  1) as details
    where  deliveries.held_reason = 'click_details'
    limit  %(limit)s
)
update deliveries
set    macro_values = deliveries.macro_values || found.labels,
       has_click = true, held_reason = null,
       due_at = greatest(not_before, tracker_now())
from   found
where  deliveries.id = found.id and deliveries.held_reason = 'click_details'
"""

FREE_OVERDUE = """
update deliveries
set    held_reason = null, due_at = greatest(not_before, tracker_now())
where  held_reason = 'click_details'
and    created_at <= (select tracker_now()) - %(wait)s
"""

LIST_HELD_POSTBACKS = """
select distinct partner, postback
from   deliveries
where  held_reason = 'removed_postback'
"""

FREE_POSTBACKS = """
update deliveries
set    held_reason = null, due_at = greatest(not_before, tracker_now())
where  held_reason = 'removed_postback'
and    (partner, postback) in (
           select * from unnest(%(partners)s::text[], %(postbacks)s::text[]))
"""

LIST_TOO_OLD = """
select *
from   deliveries
where  created_at <= (select tracker_now()) - %(age)s and lease_token is null
order  by id
limit  %(limit)s
for    update skip locked
"""

MAKE_DUE = """
update deliveries
set    due_at = tracker_now()
where  id = %(id)s
returning id, held_reason
"""

LATEST_ROUND = """
select outcome
from   delivery_archive
where  id = %(id)s
order  by round desc
limit  1
"""

REPLAY = """
insert into deliveries (
    id, change_id, conversion_id, partner, postback, lane, number, round,
    macro_values, has_click, created_at, due_at, held_reason)
select distinct on (id)
       id, change_id, conversion_id, partner, postback, lane, number, round + 1,
       macro_values, has_click, tracker_now(), tracker_now(), (
           select 'paused_lane'
           from   lanes
           where  lanes.lane = delivery_archive.lane
           and    lanes.paused_at is not null)
from   delivery_archive
where  id = any(%(ids)s)
order  by id, round desc
on     conflict (id) do nothing
returning id
"""

COUNT_OWED = """
select count(*) filter (where is_free and due_at <= now) as due,
       count(*) filter (where is_free and due_at > now)  as waiting,
       count(*) filter (where lease_token is not null)   as leased,
       coalesce(max(now - due_at) filter (where is_free and due_at <= now),
                interval '0')                            as oldest_due
from   (select *, held_reason is null and lease_token is null as is_free
        from   deliveries) as owed,
       (select tracker_now()) as clock (now)
"""

COUNT_HELD = """
select   held_reason, count(*)
from     deliveries
where    held_reason is not null
group by held_reason
"""


class DeliveryStore:
    """The deliveries of one database; every method is one transaction at most."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._bell = Bell(pool)

    async def claim(
        self,
        limit: int,
        *,
        per_lane: int = PER_LANE,
        cursor: str = "",
        lanes: int = LANES_PER_CLAIM,
    ) -> Claim:
        """
        Lease up to `limit` of what is due, each lane in turn, starting after `cursor`.

        Never a paused lane, never more than `per_lane` in flight on one, and never
        a delivery while an earlier one for the same conversion and postback is owed.
        """
        rows = await self._fetch(
            CLAIM,
            cursor=cursor,
            limit=limit,
            per_lane=per_lane,
            lanes=lanes,
            lease=LEASE,
            rest=LEASE - CALL,
        )
        leases = tuple(_lease(row) for row in rows if row["id"] is not None)
        seen = rows[0]
        return Claim(
            leases,
            cursor=seen["last_chosen"] or seen["last_lane"],
            saw_all=seen["lanes_seen"] < lanes,
            is_wrapped=seen["is_wrapped"],
        )

    async def finish(self, endings: Sequence[Ending]) -> Finished:
        """
        Write down what came of leases, and what that says of their lanes.

        Those whose lease was lost get an attempt marked `orphan`, and nothing else of
        them changes.
        """
        async with pipelined(self._pool) as connection:
            held = await _lock_leased(connection, endings)
            kept = [ending for ending in endings if ending.lease.token in held]
            lost = [ending for ending in endings if ending.lease.token not in held]
            await _insert_attempts(connection, kept, lost)
            await _pause_lanes(connection, kept)
            await _archive(connection, kept)
            await _reschedule(connection, kept)
            await _move_successors(connection, kept)
            judged = await _judge_lanes(connection, kept)
            failpoint("finish.written")
        return Finished(frozenset(ending.lease.delivery.id for ending in lost), judged)

    async def release(self, leases: Iterable[Lease]) -> None:
        """Give leases back as if they had never been taken."""
        await self._execute(RELEASE, leases=_ids_and_tokens(leases))

    async def list_expired(self, limit: int = _SWEPT_AT_ONCE) -> tuple[Lease, ...]:
        """Leases whose worker died or overslept; finishing one of them ends it."""
        rows = await self._fetch(LIST_EXPIRED, lease=LEASE, limit=limit)
        return tuple(_lease(row) for row in rows)

    async def fill_click_details(self, limit: int = _SWEPT_AT_ONCE) -> int:
        """Free what was held for its click where the click has arrived; how many."""
        return await self._execute(FILL_CLICK_DETAILS, limit=limit)

    async def free_overdue(self) -> int:
        """Free what has waited for its click long enough; the attempt decides."""
        return await self._execute(FREE_OVERDUE, wait=MAX_WAIT_FOR_CLICK)

    async def list_held_postbacks(self) -> tuple[tuple[str, str], ...]:
        """Partner and postback of all that is held because they were removed."""
        rows = await self._fetch(LIST_HELD_POSTBACKS)
        return tuple((row["partner"], row["postback"]) for row in rows)

    async def free_postbacks(self, postbacks: Iterable[tuple[str, str]]) -> int:
        """Free what was held for these pairs of partner and postback; how many."""
        pairs = list(postbacks)
        return await self._execute(
            FREE_POSTBACKS,
            partners=[partner for partner, _ in pairs],
            postbacks=[postback for _, postback in pairs],
        )

    async def expire(self, limit: int = _SWEPT_AT_ONCE) -> list[Delivery]:
        """Give up what is still unfinished after seven days, and say what it was."""
        async with transaction(self._pool) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(LIST_TOO_OLD, {"age": MAX_AGE, "limit": limit})
            old = [_delivery(row) for row in await cursor.fetchall()]
            done = [_done(delivery, Dead(DeadReason.EXPIRED)) for delivery in old]
            await _execute(connection, ARCHIVE, done=as_rows(done))
            moved = [_moved(delivery) for delivery in old]
            await _execute(connection, MOVE_SUCCESSORS, moved=as_rows(moved))
        return old

    async def retry(self, delivery: DeliveryId) -> None:
        """
        Make it due now; a dead one is owed again.

        Raises NotFoundError, and RefusedChangeError for one that was delivered, or
        that is held.
        """
        for owed in await self._fetch(MAKE_DUE, id=delivery):
            if owed["held_reason"]:
                raise RefusedChangeError(f"{delivery} is held: {owed['held_reason']}")
            return
        finished = await self._fetch(LATEST_ROUND, id=delivery)
        if not finished:
            raise NotFoundError(f"no delivery {delivery}")
        if finished[0]["outcome"] != "dead":
            raise RefusedChangeError(f"{delivery} was delivered; replay it instead")
        await self.replay([delivery])

    async def replay(self, deliveries: Iterable[DeliveryId]) -> tuple[DeliveryId, ...]:
        """Owe finished ones again, under the same id; those that were not yet owed."""
        rows = await self._fetch(REPLAY, ids=list(deliveries))
        return tuple(DeliveryId(row["id"]) for row in rows)

    async def count_owed(self) -> Backlog:
        """How much is owed, and how late it is."""
        held = await self._fetch(COUNT_HELD)
        counts = (await self._fetch(COUNT_OWED))[0]
        return Backlog(
            **counts, held={row["held_reason"]: row["count"] for row in held}
        )

    async def get_now(self) -> datetime:
        """What time it is for leases and schedules."""
        now: datetime = (await self._fetch("select tracker_now() as now"))[0]["now"]
        return now

    def notify(self) -> None:
        """Tell the workers that something is due; call it after the commit."""
        self._bell.ring()

    def listen(self) -> AsyncGenerator[None]:
        """Once at the start, and whenever something is due; see `hear`."""
        return hear(cast("str", self._pool.conninfo))

    async def close(self) -> None:
        """Waits for what is being told."""
        await self._bell.close()

    async def _fetch(self, query: str, **parameters: Any) -> list[DictRow]:
        async with connected(self._pool) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(query, parameters)
            return await cursor.fetchall()

    async def _execute(self, query: str, **parameters: Any) -> int:
        async with connected(self._pool) as connection:
            return await _execute(connection, query, **parameters)


async def insert_deliveries(
    connection: Connection, deliveries: Iterable[Delivery]
) -> None:
    """
    Owe them, in the transaction of the change that they are owed for.

    One that follows an unfinished one of the same conversion and postback is not
    due before it; one for a paused lane is held.
    """
    rows = [_owed(delivery) for delivery in deliveries]
    await _write(connection, INSERT, deliveries=rows)


async def _write(
    connection: Connection, query: str, **rows: Sequence[Mapping[str, Any]]
) -> None:
    """The rows of the one parameter it has, if there are any."""
    if any(rows.values()):
        given = {name: as_rows(listed) for name, listed in rows.items()}
        await connection.execute(query, given)


async def _execute(connection: Connection, query: str, **parameters: Any) -> int:
    """How many rows it touched."""
    return (await connection.execute(query, parameters)).rowcount


async def _lock_leased(
    connection: Connection, endings: Sequence[Ending]
) -> frozenset[UUID]:
    """The tokens that still hold their delivery, now locked."""
    leases = _ids_and_tokens(ending.lease for ending in endings)
    cursor = await connection.execute(LOCK_LEASED, {"leases": leases})
    return frozenset(token for (token,) in await cursor.fetchall())


async def _insert_attempts(
    connection: Connection, kept: Sequence[Ending], lost: Sequence[Ending]
) -> None:
    rows = [_attempt(ending.lease, ending.attempt) for ending in kept if ending.attempt]
    rows += [
        _attempt(ending.lease, ending.attempt, "orphan")
        for ending in lost
        # A lease that ended otherwise in the meantime has told its own end.
        if ending.attempt and ending.attempt.outcome != "unknown"
    ]
    await _write(connection, INSERT_ATTEMPTS, attempts=rows)


async def _pause_lanes(connection: Connection, kept: Sequence[Ending]) -> None:
    lanes = {
        ending.lease.delivery.lane
        for ending in kept
        if isinstance(ending.verdict, Hold)
        and ending.verdict.reason is HeldReason.PAUSED_LANE
    }
    if lanes:
        await pause_lanes(connection, lanes, "410")


async def _judge_lanes(
    connection: Connection, kept: Sequence[Ending]
) -> tuple[Judged, ...]:
    """A lane on which all is well costs no write."""
    calls = _calls_by_lane(kept)
    telling = await list_watched(connection, calls) | {
        lane for lane, made in calls.items() if any(map(_has_failed, made))
    }
    if not telling:
        return ()
    return await judge_lanes(connection, {lane: calls[lane] for lane in telling})


def _calls_by_lane(kept: Sequence[Ending]) -> dict[str, list[Call]]:
    calls: dict[str, list[Call]] = {}
    for ending in kept:
        if ending.sign is not None:
            call = Call(ending.sign, ending.lease.claimed_at)
            calls.setdefault(ending.lease.delivery.lane, []).append(call)
    return calls


def _has_failed(call: Call) -> bool:
    return call.sign.kind is not SignKind.ANSWERED


async def _archive(connection: Connection, kept: Sequence[Ending]) -> None:
    done = [
        _done(ending.lease.delivery, ending.verdict, _uncounted(ending))
        for ending in kept
        if isinstance(ending.verdict, Delivered | Dead)
    ]
    await _write(connection, ARCHIVE, done=done)


async def _reschedule(connection: Connection, kept: Sequence[Ending]) -> None:
    again = [
        _again(ending) for ending in kept if isinstance(ending.verdict, Retry | Hold)
    ]
    await _write(connection, RESCHEDULE, again=again)


async def _move_successors(connection: Connection, kept: Sequence[Ending]) -> None:
    """What follows a finished one is due now, what follows a failed one with it."""
    moved = [
        _moved(ending.lease.delivery, _delay(ending.verdict))
        for ending in kept
        if not isinstance(ending.verdict, Hold)
    ]
    await _write(connection, MOVE_SUCCESSORS, moved=moved)


def _ids_and_tokens(leases: Iterable[Lease]) -> str:
    return as_rows(
        [{"id": lease.delivery.id, "token": lease.token} for lease in leases]
    )


def _owed(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "change_id": delivery.change_id,
        "conversion_id": delivery.conversion_id,
        "partner": delivery.partner,
        "postback": delivery.postback,
        "lane": delivery.lane,
        "number": delivery.number,
        "macro_values": dict(delivery.macro_values),
        "has_click": delivery.has_click,
        "held_reason": delivery.held_reason,
        "delay": _own_delay(delivery),
    }


def _own_delay(delivery: Delivery) -> float | None:
    """What its postback wants it to wait before it is first due."""
    delay = delivery.due_at - delivery.created_at
    return delay.total_seconds() if delay else None


def _attempt(
    lease: Lease, attempt: Attempt, outcome: AttemptOutcome | None = None
) -> dict[str, Any]:
    return {
        "delivery_id": lease.delivery.id,
        "round": lease.delivery.round,
        "number": lease.delivery.attempts,
        "outcome": outcome or attempt.outcome,
        "started_at": attempt.started_at,
        "duration_ms": attempt.duration_ms,
        "method": attempt.method,
        "url": attempt.url,
        "http_status": attempt.http_status,
        "answer": attempt.answer,
        "error": attempt.error,
    }


def _done(
    delivery: Delivery, verdict: Delivered | Dead, uncounted: int = 0
) -> dict[str, Any]:
    is_dead = isinstance(verdict, Dead)
    return {
        "id": delivery.id,
        "outcome": "dead" if is_dead else "delivered",
        "reason": verdict.reason if isinstance(verdict, Dead) else "",
        "uncounted": uncounted,
    }


def _again(ending: Ending) -> dict[str, Any]:
    verdict = ending.verdict
    return {
        "id": ending.lease.delivery.id,
        "delay": _delay(verdict),
        "held_reason": verdict.reason if isinstance(verdict, Hold) else None,
        "uncounted": _uncounted(ending),
    }


def _moved(delivery: Delivery, delay: float = 0) -> dict[str, Any]:
    return {
        "conversion_id": delivery.conversion_id,
        "partner": delivery.partner,
        "postback": delivery.postback,
        "number": delivery.number,
        "delay": delay,
    }


def _delay(verdict: Verdict) -> float:
    return verdict.delay.total_seconds() if isinstance(verdict, Retry) else 0


def _uncounted(ending: Ending) -> int:
    """The claim has counted an attempt; where no call was made it is taken back."""
    return 0 if ending.attempt else 1


def _lease(row: Mapping[str, Any]) -> Lease:
    return Lease(_delivery(row), row["lease_token"], row["claimed_at"])


def _delivery(row: Mapping[str, Any]) -> Delivery:
    held_reason = row["held_reason"]
    return Delivery(
        id=row["id"],
        change_id=row["change_id"],
        conversion_id=row["conversion_id"],
        partner=row["partner"],
        postback=row["postback"],
        lane=row["lane"],
        number=row["number"],
        macro_values=row["macro_values"],
        has_click=row["has_click"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        round=row["round"],
        attempts=row["attempts"],
        held_reason=HeldReason(held_reason) if held_reason else None,
    )
