"""
The ledger in Postgres: postbacks, conversions, their keys and their changes.

A batch is one transaction with a fixed number of statements: lock the keys, read
what holds them, and, once it is decided, write everything.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from psycopg.rows import dict_row

from tracker.domain.catalog import Catalog
from tracker.domain.click_id import ClickClass, ClickId
from tracker.domain.conversion import (
    CAPPED,
    Change,
    Conversion,
    Ledger,
    list_actions,
)
from tracker.domain.errors import NotFoundError
from tracker.domain.identity import (
    ConversionId,
    PostbackId,
    conversion_id_of,
    postback_day,
)
from tracker.domain.judgement import Proposal
from tracker.domain.offer import Status
from tracker.domain.outcome import Outcome, Reason, Verdict
from tracker.domain.postback import Postback
from tracker.domain.signature import Nonce, Proof
from tracker.domain.value import Value
from tracker.domain.worth import Money
from tracker.store.meters import add_to_meters, lock_meters
from tracker.store.partitions import Partitions
from tracker.store.postgres import (
    Connection,
    Pool,
    as_bytea,
    as_rows,
    is_without_partition,
    pipelined,
    transaction,
)

# A key that is new is ours at once, one that is there is locked and shows its
# owner; sorted, so that two batches never wait for each other in a circle.
_LOCK_KEYS = """
insert into conversion_keys (advertiser, key, conversion_id)
select *
  from json_to_recordset(%(rows)s::json) as proposed (
         advertiser text, key text, conversion_id text
       )
 order by 1, 2
    on conflict (advertiser, key) do update set key = excluded.key
returning advertiser, key, conversion_id
"""

_MOVE_KEYS = """
update conversion_keys
   set conversion_id = moved.conversion_id
  from json_to_recordset(%(rows)s::json) as moved (
         advertiser text, key text, conversion_id text
       )
 where conversion_keys.advertiser = moved.advertiser
   and conversion_keys.key        = moved.key
"""

_FREE_KEYS = """
delete from conversion_keys
 using json_to_recordset(%(rows)s::json) as unused (advertiser text, key text)
 where conversion_keys.advertiser = unused.advertiser
   and conversion_keys.key        = unused.key
"""

_LOCK_CONVERSIONS = """
select *
  from conversions
 where id = any(%(ids)s)
 order by id
   for update
"""

# Its time runs from the change that made it pending, not from one of its amount.
_LIST_OVERDUE = """
select overdue.id
  from json_to_recordset(%(terms)s::json) as term (
         offer text, goal text, seconds double precision
       )
 cross join lateral (
         select id, converted_at
           from conversions
          where status       = 'pending'
            and offer        = term.offer
            and goal         = term.goal
            and converted_at <= tracker_now() - make_interval(secs => term.seconds)
            and not exists (
                  select
                    from conversion_changes
                   where conversion_id = conversions.id
                     and kind          = 'status'
                     and changed_at    > tracker_now()
                                         - make_interval(secs => term.seconds)
                )
            and not coalesce((
                  select starts_with(note, %(capped)s)
                    from conversion_changes
                   where conversion_id = conversions.id
                     and (kind in ('created', 'status')
                          or starts_with(note, %(capped)s))
                   order by number desc
                   limit 1
                ), false)
          order by converted_at
          limit %(limit)s
       ) as overdue
 order by converted_at
 limit %(limit)s
"""

_LOCK_PENDING = """
select id
  from conversions
 where id     = any(%(ids)s)
   and status = 'pending'
 order by id
   for update skip locked
"""

_LIST_APPLIED = """
select conversion_id, fingerprint
  from conversion_changes
 where conversion_id = any(%(ids)s)
   and fingerprint is not null
"""

# A cap holds it until its status changes, whatever becomes of its amount.
_LIST_CAPPED = """
select conversion_id
  from (
         select distinct on (conversion_id) conversion_id, note
           from conversion_changes
          where conversion_id = any(%(ids)s)
            and (kind in ('created', 'status') or starts_with(note, %(capped)s))
          order by conversion_id, number desc
       ) as last
 where starts_with(note, %(capped)s)
"""

_INSERT_CONVERSIONS = """
insert into conversions (
  id, advertiser, offer, partner, click_id, goal, transaction_id, status,
  currency, amount, payout, revenue, sent_amount, sent_currency, rate, refunded,
  click_class, clicked_at, converted_at, changed_at, changes, catalog_version
)
select *
  from json_to_recordset(%(rows)s::json) as new (
         id text, advertiser text, offer text, partner text, click_id text,
         goal text, transaction_id text, status text, currency text,
         amount numeric, payout numeric, revenue numeric, sent_amount numeric,
         sent_currency text, rate numeric, refunded numeric, click_class smallint,
         clicked_at timestamptz, converted_at timestamptz,
         changed_at timestamptz, changes int, catalog_version int
       )
"""

_UPDATE_CONVERSIONS = """
update conversions
   set status        = new.status,
       transaction_id = new.transaction_id,
       amount        = new.amount,
       payout        = new.payout,
       revenue       = new.revenue,
       sent_amount   = new.sent_amount,
       sent_currency = new.sent_currency,
       rate          = new.rate,
       refunded      = new.refunded,
       changed_at    = new.changed_at,
       changes       = new.changes
  from json_to_recordset(%(rows)s::json) as new (
         id text, status text, transaction_id text, amount numeric,
         payout numeric, revenue numeric,
         sent_amount numeric, sent_currency text, rate numeric, refunded numeric,
         changed_at timestamptz, changes int
       )
 where conversions.id = new.id
"""

_INSERT_CHANGES = """
insert into conversion_changes (
  id, conversion_id, number, kind, old_status, status, amount, payout, revenue,
  fingerprint, postback_id, operator, note, rule, catalog_version, changed_at
)
select *
  from json_to_recordset(%(rows)s::json) as new (
         id text, conversion_id text, number int, kind text, old_status text,
         status text, amount numeric, payout numeric, revenue numeric,
         fingerprint bytea, postback_id text, operator text, note text,
         rule text, catalog_version int, changed_at timestamptz
       )
"""

# A nonce that is new is ours at once, one that is there shows who used it first;
# sorted, and always before the keys, for the same reason as those.
_CLAIM_NONCES = """
insert into nonces (advertiser, nonce, content, postback_id)
select *
  from json_to_recordset(%(rows)s::json) as claimed (
         advertiser text, nonce text, content bytea, postback_id text
       )
 order by 1, 2
    on conflict (advertiser, nonce) do update set nonce = excluded.nonce
returning advertiser, nonce, content, postback_id
"""

_LIST_NONCES = """
select advertiser, nonce, content, postback_id
  from nonces
  join json_to_recordset(%(rows)s::json) as wanted (advertiser text, nonce text)
 using (advertiser, nonce)
"""

_INSERT_POSTBACKS = """
insert into postbacks (
  day, id, received_at, method, path, parameters, route, address, token_digest,
  fault, proof, advertiser, click_id, transaction_id, outcome, reason,
  conversion_id, catalog_version, quarantined_for
)
select *
  from json_to_recordset(%(rows)s::json) as new (
         day date, id text, received_at timestamptz, method text, path text,
         parameters jsonb, route text, address inet, token_digest bytea,
         fault text, proof jsonb, advertiser text, click_id text,
         transaction_id text, outcome text, reason text, conversion_id text,
         catalog_version int, quarantined_for text
       )
"""

_LIST_OUTCOMES = """
select id, outcome, reason, conversion_id
  from postbacks
 where day = any(%(days)s)
   and id  = any(%(ids)s)
"""

_GET_QUARANTINED = """
select *
  from postbacks
 where day = %(day)s
   and id  = %(id)s
   and outcome = 'quarantined'
   for update
"""

_RELEASE = """
update postbacks
   set outcome         = %(outcome)s,
       reason          = %(reason)s,
       path            = %(kept_path)s,
       token_digest    = %(token_digest)s::bytea,
       parameters      = %(kept)s::jsonb,
       conversion_id   = %(conversion_id)s,
       catalog_version = %(catalog_version)s,
       advertiser      = coalesce(%(advertiser)s, advertiser),
       click_id        = coalesce(%(click_id)s, click_id),
       waived          = %(waived)s,
       released_by     = %(released_by)s,
       released_at     = %(released_at)s
 where day = %(day)s
   and id  = %(id)s
"""


class Use(Value, frozen=True):
    """A nonce of an advertiser's, and the postback that used it."""

    advertiser: str
    nonce: Nonce
    postback_id: PostbackId

    @property
    def key(self) -> tuple[str, str]:
        """What may be used once."""
        return self.advertiser, self.nonce.text


class Judged(Value, frozen=True):
    """
    A postback with its outcome, and what it was understood to speak of.

    One that repeats a signed one, nonce and all, is answered as that was: `answer`.
    """

    postback: Postback
    outcome: Outcome
    answer: Outcome
    catalog_version: int
    advertiser: str | None = None
    click_id: str | None = None
    transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """
    Who let a postback out of quarantine, when, and what they waived.

    `kept` is the postback, masked by the names that are in force now.
    """

    operator: str
    at: datetime
    kept: Postback
    waived: Reason | None = None


class ConversionStore:
    """Opens transactions on the ledger."""

    def __init__(self, pool: Pool, partitions: Partitions) -> None:
        self._pool = pool
        self._partitions = partitions

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["LedgerTransaction"]:
        """Everything written in it stands together, or not at all."""
        try:
            async with pipelined(self._pool) as connection:
                yield LedgerTransaction(connection)
        except Exception as error:
            if is_without_partition(error):
                self._partitions.forget()
            raise

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator["LedgerTransaction"]:
        """The same transaction, of which nothing stays."""
        async with pipelined(self._pool, is_rehearsal=True) as connection:
            yield LedgerTransaction(connection)

    async def make_room(self, postbacks: Sequence[Postback]) -> None:
        """The days of these postbacks have their partitions."""
        days = {postback_day(postback.id) for postback in postbacks}
        await self._partitions.ensure("postbacks", days)

    async def list_overdue(
        self, terms: Iterable[tuple[str, str, timedelta]], limit: int
    ) -> list[ConversionId]:
        """
        Those pending for longer than their goal allows, the oldest first.

        What a cap holds at pending was not decided upon: that is no reason to pay it.
        """
        rows = [
            {"offer": offer, "goal": goal, "seconds": allowed.total_seconds()}
            for offer, goal, allowed in terms
        ]
        async with transaction(self._pool) as connection:
            cursor = await connection.execute(
                _LIST_OVERDUE,
                {"terms": as_rows(rows), "limit": limit, "capped": CAPPED},
            )
            return [row[0] for row in await cursor.fetchall()]

    async def list_outcomes(
        self, postbacks: Sequence[Postback]
    ) -> dict[PostbackId, Outcome]:
        """What was already decided of these, where a commit's answer was lost."""
        async with transaction(self._pool) as connection:
            return await _outcomes(connection, [one.id for one in postbacks])


class LedgerTransaction:
    """One transaction on the ledger: lock, decide elsewhere, write."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._new_keys: dict[tuple[str, str], str] = {}

    async def claim_nonces(self, uses: Sequence[Use]) -> list[Use]:
        """Who has used each of these nonces first, and for which content."""
        return await self._uses(_CLAIM_NONCES, uses)

    async def list_uses(self, uses: Sequence[Use]) -> list[Use]:
        """Likewise, without using any of them; those that nobody used are missing."""
        return await self._uses(_LIST_NONCES, uses)

    async def _uses(self, statement: str, uses: Sequence[Use]) -> list[Use]:
        rows = {one.key: _use_row(one) for one in reversed(uses)}
        if not rows:
            return []
        cursor = await self.connection.execute(
            statement, {"rows": as_rows([*rows.values()])}
        )
        return [
            Use(advertiser, Nonce(text, content), postback_id)
            for advertiser, text, content, postback_id in await cursor.fetchall()
        ]

    async def list_outcomes(
        self, ids: Collection[PostbackId]
    ) -> dict[PostbackId, Outcome]:
        """What stands of these postbacks; those that are not there are missing."""
        return await _outcomes(self.connection, ids) if ids else {}

    async def lock(self, proposals: Sequence[Proposal], catalog: Catalog) -> Ledger:
        """
        The conversions that the proposals concern, nobody else's until commit.

        So is what they may take of the caps in `catalog`.
        """
        proposed = {
            key: conversion_id_of(one.postback.id)
            for one in reversed(proposals)
            for key in one.keys
        }
        if not proposed:
            return Ledger({}, [])
        holders = await self._lock_keys(proposed)
        known = {key: one for key, one in holders.items() if one != proposed[key]}
        self._new_keys = {key: proposed[key] for key in holders.keys() - known.keys()}
        return await self._ledger(known, proposals, catalog)

    async def lock_conversion(
        self, conversion_id: ConversionId, catalog: Catalog
    ) -> Ledger:
        """One conversion, for an operator; raises NotFoundError."""
        ledger = await self._ledger({("", ""): conversion_id}, [], catalog)
        try:
            ledger.get(conversion_id)
        except KeyError:
            raise NotFoundError(f"no conversion {conversion_id}") from None
        return ledger

    async def lock_pending(
        self, ids: Iterable[ConversionId], catalog: Catalog
    ) -> Ledger:
        """Those of them that are pending, and that nobody else is changing now."""
        cursor = await self.connection.execute(_LOCK_PENDING, {"ids": list(ids)})
        found = [row[0] for row in await cursor.fetchall()]
        return await self._ledger({("", one): one for one in found}, [], catalog)

    async def write(self, ledger: Ledger) -> None:
        """Everything that was decided."""
        await self._execute(_INSERT_CONVERSIONS, [_row(one) for one in ledger.created])
        await self._execute(_UPDATE_CONVERSIONS, [_row(one) for one in ledger.updated])
        await self._execute(_INSERT_CHANGES, [_change_row(c) for c in ledger.changes])
        await self._settle_keys(ledger)
        if ledger.meters:
            await add_to_meters(self.connection, ledger.meters.moved)

    async def insert_postbacks(self, judged: Sequence[Judged]) -> None:
        """
        The postbacks as they came, each with its outcome.

        Raises psycopg's UniqueViolation if one of them is there already.
        """
        await self._execute(_INSERT_POSTBACKS, [_postback_row(one) for one in judged])

    async def get_quarantined(self, postback_id: str) -> Postback:
        """A postback in quarantine, locked; raises NotFoundError if there is none."""
        cursor = self.connection.cursor(row_factory=dict_row)
        try:
            day = postback_day(postback_id)
        except ValueError as error:
            raise NotFoundError(str(error)) from error
        await cursor.execute(_GET_QUARANTINED, {"day": day, "id": postback_id})
        row = await cursor.fetchone()
        if row is None:
            raise NotFoundError(f"no postback {postback_id} in quarantine")
        return _postback(row)

    async def release(self, judged: Judged, release: Release) -> None:
        """The new outcome of a postback, beside what it was quarantined for."""
        await self.connection.execute(
            _RELEASE,
            {
                **_postback_row(judged),
                "kept": msgspec.json.encode(release.kept.parameters).decode(),
                "kept_path": release.kept.path,
                "waived": release.waived,
                "released_by": release.operator,
                "released_at": release.at,
            },
        )

    async def _lock_keys(
        self, proposed: Mapping[tuple[str, str], str]
    ) -> dict[tuple[str, str], ConversionId]:
        rows = as_rows(_key_rows(proposed))
        cursor = await self.connection.execute(_LOCK_KEYS, {"rows": rows})
        return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}

    async def _ledger(
        self,
        holders: Mapping[tuple[str, str], ConversionId],
        proposals: Sequence[Proposal],
        catalog: Catalog,
    ) -> Ledger:
        conversions: list[Conversion] = []
        applied: list[tuple[ConversionId, bytes | None]] = []
        if holders:
            ids = {"ids": sorted(set(holders.values()))}
            cursor = self.connection.cursor(row_factory=dict_row)
            await cursor.execute(_LOCK_CONVERSIONS, ids)
            conversions = [_conversion(row) for row in await cursor.fetchall()]
            listed = await self.connection.execute(_LIST_APPLIED, ids)
            applied = await listed.fetchall()
        if not catalog.has_caps:
            return Ledger(holders, conversions, applied)
        capped = await self._list_capped(conversions)
        actions = list_actions(conversions, proposals)
        meters = await lock_meters(self.connection, actions, catalog)
        return Ledger(holders, conversions, applied, meters, capped)

    async def _list_capped(
        self, conversions: Iterable[Conversion]
    ) -> list[ConversionId]:
        """Those of them that a cap holds at pending."""
        pending = [one.id for one in conversions if one.status is Status.PENDING]
        if not pending:
            return []
        ids = {"ids": pending, "capped": CAPPED}
        cursor = await self.connection.execute(_LIST_CAPPED, ids)
        return [row[0] for row in await cursor.fetchall()]

    async def _settle_keys(self, ledger: Ledger) -> None:
        """
        Keys were taken for the conversion that their first postback might make.

        Those that went to another one are moved, those that nobody needs are freed.
        """
        unused = {key: "" for key in self._new_keys if key not in ledger.claimed}
        moved = {
            key: holder
            for key, holder in ledger.claimed.items()
            if holder != self._new_keys[key]
        }
        await self._execute(_MOVE_KEYS, _key_rows(moved))
        await self._execute(_FREE_KEYS, _key_rows(unused))

    async def _execute(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            await self.connection.execute(statement, {"rows": as_rows(rows)})


async def _outcomes(
    connection: Connection, ids: Collection[PostbackId]
) -> dict[PostbackId, Outcome]:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        _LIST_OUTCOMES, {"days": [*map(postback_day, ids)], "ids": [*ids]}
    )
    return {row["id"]: _outcome(row) for row in await cursor.fetchall()}


def _use_row(use: Use) -> dict[str, Any]:
    return {
        "advertiser": use.advertiser,
        "nonce": use.nonce.text,
        "content": as_bytea(use.nonce.content),
        "postback_id": use.postback_id,
    }


def _key_rows(keys: Mapping[tuple[str, str], str]) -> list[dict[str, str]]:
    return [
        {"advertiser": advertiser, "key": key, "conversion_id": conversion_id}
        for (advertiser, key), conversion_id in keys.items()
    ]


def _row(conversion: Conversion) -> dict[str, Any]:
    return {
        "id": conversion.id,
        "advertiser": conversion.advertiser,
        "offer": conversion.offer,
        "partner": conversion.partner,
        "click_id": conversion.click_id,
        "goal": conversion.goal,
        "transaction_id": conversion.transaction_id,
        "status": conversion.status,
        **_money_columns(conversion.money),
        "currency": conversion.money.currency,
        "sent_amount": conversion.money.sent_amount,
        "sent_currency": conversion.money.sent_currency,
        "rate": conversion.money.rate,
        "refunded": conversion.money.refunded,
        "click_class": int(conversion.click_class),
        "clicked_at": conversion.clicked_at,
        "converted_at": conversion.converted_at,
        "changed_at": conversion.changed_at,
        "changes": conversion.changes,
        "catalog_version": conversion.catalog_version,
    }


def _money_columns(money: Money) -> dict[str, Any]:
    return {"amount": money.amount, "payout": money.payout, "revenue": money.revenue}


def _change_row(change: Change) -> dict[str, Any]:
    return {
        "id": change.id,
        "conversion_id": change.conversion_id,
        "number": change.number,
        "kind": change.kind,
        "old_status": change.old_status,
        "status": change.status,
        **_money_columns(change.money),
        "fingerprint": as_bytea(change.cause.fingerprint),
        "postback_id": change.cause.postback_id,
        "operator": change.cause.operator,
        "note": change.cause.note,
        "rule": change.cause.rule,
        "catalog_version": change.cause.catalog_version,
        "changed_at": change.changed_at,
    }


def _postback_row(judged: Judged) -> dict[str, Any]:
    postback, outcome = judged.postback, judged.outcome
    is_quarantined = outcome.verdict is Verdict.QUARANTINED
    return {
        "day": postback_day(postback.id),
        "id": postback.id,
        "received_at": postback.received_at,
        "method": postback.method,
        "path": postback.path,
        "parameters": postback.parameters,
        "route": postback.route,
        "address": postback.address or None,
        "token_digest": as_bytea(postback.token_digest),
        "fault": postback.fault,
        "proof": postback.proof,
        "advertiser": judged.advertiser,
        "click_id": judged.click_id,
        "transaction_id": judged.transaction_id,
        "outcome": outcome.verdict,
        "reason": outcome.reason,
        "conversion_id": outcome.conversion_id,
        "catalog_version": judged.catalog_version,
        "quarantined_for": outcome.reason if is_quarantined else None,
    }


def _postback(row: Mapping[str, Any]) -> Postback:
    return Postback(
        id=row["id"],
        received_at=row["received_at"],
        method=row["method"],
        path=row["path"],
        address=str(row["address"] or ""),
        route=row["route"],
        parameters=tuple((name, value) for name, value in row["parameters"]),
        token_digest=row["token_digest"],
        fault=Reason(row["fault"]),
        proof=msgspec.convert(row["proof"], Proof | None, strict=False),
    )


def _outcome(row: Mapping[str, Any]) -> Outcome:
    return Outcome(
        postback_id=row["id"],
        verdict=Verdict(row["outcome"]),
        reason=Reason(row["reason"]),
        conversion_id=row["conversion_id"],
    )


def _conversion(row: Mapping[str, Any]) -> Conversion:
    return Conversion(
        id=row["id"],
        advertiser=row["advertiser"],
        offer=row["offer"],
        partner=row["partner"],
        goal=row["goal"],
        click_id=ClickId(row["click_id"]),
        click_class=ClickClass(row["click_class"]),
        clicked_at=row["clicked_at"],
        transaction_id=row["transaction_id"],
        status=Status(row["status"]),
        money=Money(
            currency=row["currency"],
            payout=row["payout"],
            revenue=row["revenue"],
            amount=row["amount"],
            sent_amount=row["sent_amount"],
            sent_currency=row["sent_currency"],
            rate=row["rate"],
            refunded=row["refunded"],
        ),
        converted_at=row["converted_at"],
        changed_at=row["changed_at"],
        changes=row["changes"],
        catalog_version=row["catalog_version"],
    )
