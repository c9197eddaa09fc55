"""
Personal data, erased wherever Postgres has it; and the log of who wanted that.

A click is erased on its way in as well: `list_concerning` is asked in the
transaction that folds it. The lock is shared by those who fold and taken alone by
who erases, so that a fold either knows of the erasure, or is over before the erasure
looks into the table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from psycopg import Rollback, sql

from tracker.domain.click_id import ClickFacts, ClickId
from tracker.domain.erasure import SKEW, ErasedLabel, Erasures
from tracker.domain.errors import NotFoundError
from tracker.domain.macros import CLICK_DETAILS
from tracker.store.postgres import Connection, Pool, connected, transaction

UNDER_WAY = timedelta(minutes=2)
"""Longer than a lease, and than a postback may take: after it nobody has a copy."""

_LABELS = sorted(CLICK_DETAILS)
_PARAMETERS = r"^(click|postback)[.]"

_LOCK = "select pg_advisory_xact_lock(hashtext('tracker_erasures'))"
_SHARE = "select pg_advisory_xact_lock_shared(hashtext('tracker_erasures'))"

# Nothing is erased before it was clicked, so the clicks of now find nothing.
_LIST_CONCERNING = """
select click_id, partner_number, label, value_digest, erased_at
  from erasures
 where erased_at >= %(since)s
"""

_INSERT_CLICKS = """
insert into erasures (click_id, erased_by)
select id, %(by)s from unnest(%(ids)s::text[]) as wanted (id)
"""

_INSERT_LABEL = """
insert into erasures (partner_number, label, value_digest, erased_by, finished_at)
values (%(partner_number)s, %(label)s, %(digest)s, %(by)s, tracker_now())
"""

_LIST_UNFINISHED = """
select click_id
  from erasures
 where finished_at is null
   and erased_at < tracker_now() - %(under_way)s
 order by erased_at
 limit 100
"""

_FINISH = """
update erasures
   set finished_at = tracker_now()
 where click_id = any(%(ids)s)
   and finished_at is null
"""

_GET_PARTNER_NUMBER = """
select number from catalog_numbers where kind = 'partner' and key = %(key)s
"""

_LIST_CLICKS_WITH = """
select id
  from clicks
 where day = %(day)s
   and partner_number = %(partner_number)s
   and {label} = %(value)s
"""

_LIST_OWED_WITH = """
select macro_values ->> 'click_id'
  from deliveries
 where macro_values ->> 'partner' = %(partner)s
   and macro_values ->> %(label)s = %(value)s
"""

_LIST_ARCHIVED_WITH = """
select macro_values ->> 'click_id'
  from delivery_archive
 where day = %(day)s
   and macro_values ->> 'partner' = %(partner)s
   and macro_values ->> %(label)s = %(value)s
"""

_LIST_LABELS_WITH = "select id from click_labels where labels ->> %(label)s = %(value)s"

# The entry of a click that was rejected ends with its id, as Python writes bytes.
_LIST_SET_ASIDE = """
select id, record from click_collisions
union all
select substring(entry from ' b.(.*).$'), record from clicks_rejected
"""

_LIST_CONVERSIONS = "select id from conversions where click_id = any(%(ids)s)"

_LIST_DELIVERIES = """
select id from deliveries where conversion_id = any(%(conversions)s)
union
select id from delivery_archive where conversion_id = any(%(conversions)s)
"""

_SCRUB = {
    "clicks": """
update clicks
   set sub1 = null, sub2 = null, sub3 = null, sub4 = null, sub5 = null,
       sub6 = null, sub7 = null, sub8 = null, sub9 = null, sub10 = null,
       gclid = null, gbraid = null, wbraid = null, fbclid = null, ttclid = null,
       msclkid = null, params = null, address = null, user_agent = null,
       referrer = null, language = null, destination = null, route = null,
       os = null, browser = null, reason = 'erased'
 where day = any(%(days)s)
   and id  = any(%(ids)s)
   and reason is distinct from 'erased'
""",
    "conversion_clicks": """
update conversion_clicks
   set os = '', browser = ''
 where conversion_id = any(%(conversions)s)
   and (os <> '' or browser <> '')
""",
    "click_labels": "delete from click_labels where id = any(%(ids)s)",
    "click_collisions": "delete from click_collisions where id = any(%(ids)s)",
    "clicks_rejected": """
delete from clicks_rejected
 where substring(entry from ' b.(.*).$') = any(%(ids)s)
""",
    "postbacks": """
update postbacks
   set parameters = '[]', address = null,
       path = '/postback' || coalesce('/' || route, '')
 where (click_id = any(%(ids)s) or conversion_id = any(%(conversions)s))
   and (parameters <> '[]' or address is not null)
""",
    "deliveries": """
update deliveries
   set has_click = false,
       macro_values = (
           select coalesce(jsonb_object_agg(name, value), '{}')
             from jsonb_each(macro_values) as told (name, value)
            where name <> all(%(labels)s) and name !~ %(parameters)s)
 where conversion_id = any(%(conversions)s)
   and (has_click or macro_values ?| %(labels)s::text[] or exists (
           select from jsonb_object_keys(macro_values) as told (name)
            where name ~ %(parameters)s))
""",
    "delivery_archive": """
update delivery_archive
   set has_click = false,
       macro_values = (
           select coalesce(jsonb_object_agg(name, value), '{}')
             from jsonb_each(macro_values) as told (name, value)
            where name <> all(%(labels)s) and name !~ %(parameters)s)
 where conversion_id = any(%(conversions)s)
   and (has_click or macro_values ?| %(labels)s::text[] or exists (
           select from jsonb_object_keys(macro_values) as told (name)
            where name ~ %(parameters)s))
""",
    "delivery_attempts": """
update delivery_attempts
   set url = coalesce(substring(url from '^[a-z]+://[^/?#]+'), ''), answer = ''
 where delivery_id = any(%(deliveries)s)
   and (answer <> '' or url <> coalesce(substring(url from '^[a-z]+://[^/?#]+'), ''))
""",
}
"""By table: what is personal goes, what money needs stays; done again, to no effect."""


@dataclass(frozen=True, slots=True)
class Label:
    """One value of one of a partner's labels."""

    partner: str
    partner_number: int
    label: str
    value: str


class ErasureStore:
    """Erases personal data in Postgres, and keeps who wanted that."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert_clicks(self, clicks: Sequence[ClickId], by: str) -> None:
        """From now on these clicks arrive erased."""
        await self._announce(_INSERT_CLICKS, {"ids": list(clicks), "by": by})

    async def insert_label(self, label: Label, digest: bytes, by: str) -> None:
        """From now on clicks of until now that have this label arrive erased."""
        given = {
            "partner_number": label.partner_number,
            "label": label.label,
            "digest": digest,
            "by": by,
        }
        await self._announce(_INSERT_LABEL, given)

    async def list_unfinished(self) -> list[ClickId]:
        """
        Clicks to erase once more.

        What was under way when it was asked for may have brought something back.
        """
        return await self._list(_LIST_UNFINISHED, under_way=UNDER_WAY)

    async def finish(self, clicks: Sequence[ClickId]) -> None:
        """Nothing of these can come back."""
        async with connected(self._pool) as connection:
            await connection.execute(_FINISH, {"ids": list(clicks)})

    async def get_label(self, partner: str, label: str, value: str) -> Label:
        """Raises NotFoundError for a partner that was never in force."""
        found: list[int] = await self._list(_GET_PARTNER_NUMBER, key=partner)
        if not found:
            raise NotFoundError(f"no partner {partner}")
        return Label(partner, found[0], label, value)

    async def list_clicks_with(self, label: Label, day: date) -> list[ClickId]:
        """Of one day of clicks; reads all of it."""
        query = sql.SQL(_LIST_CLICKS_WITH).format(label=sql.Identifier(label.label))
        given = {"partner_number": label.partner_number, "value": label.value}
        return await self._list(query, day=day, **given)

    async def list_delivered_with(self, label: Label, day: date) -> list[ClickId]:
        """Of one day of finished deliveries; reads all of it."""
        return await self._list(_LIST_ARCHIVED_WITH, day=day, **asdict(label))

    async def list_others_with(self, label: Label) -> list[ClickId]:
        """Clicks of what is owed, and of labels that outlived their day."""
        owed: list[ClickId] = await self._list(_LIST_OWED_WITH, **asdict(label))
        return owed + await self._list(_LIST_LABELS_WITH, **asdict(label))

    async def list_set_aside(self) -> list[tuple[str, bytes]]:
        """Id and record of every click that could not be folded."""
        async with connected(self._pool) as connection:
            cursor = await connection.execute(_LIST_SET_ASIDE)
            return [(row[0] or "", row[1]) for row in await cursor.fetchall()]

    async def scrub(
        self, clicks: Sequence[ClickFacts], *, is_rehearsal: bool = False
    ) -> dict[str, int]:
        """How many rows of each table had something to erase; a rehearsal keeps it."""
        rows: dict[str, int] = {}
        async with transaction(self._pool) as connection:
            given = await _concerned(connection, clicks)
            for table, statement in _SCRUB.items():
                rows[table] = (await connection.execute(statement, given)).rowcount
            if is_rehearsal:
                raise Rollback
        return rows

    async def _announce(self, query: str, given: dict[str, Any]) -> None:
        async with transaction(self._pool) as connection:
            await connection.execute(_LOCK)
            await connection.execute(query, given)

    async def _list(self, query: str | sql.Composed, **given: Any) -> list[Any]:
        async with connected(self._pool) as connection:
            cursor = await connection.execute(query, given)
            return [row[0] for row in await cursor.fetchall()]


async def list_concerning(
    connection: Connection, clicks: Iterable[ClickFacts]
) -> Erasures:
    """What may have been erased of these clicks; until commit nothing more is."""
    oldest = min([one.clicked_at for one in clicks])
    await connection.execute(_SHARE)
    cursor = await connection.execute(_LIST_CONCERNING, {"since": oldest - SKEW})
    rows = await cursor.fetchall()
    return Erasures(
        frozenset(row[0] for row in rows if row[0] is not None),
        tuple(ErasedLabel(*row[1:]) for row in rows if row[0] is None),
    )


async def _concerned(
    connection: Connection, clicks: Sequence[ClickFacts]
) -> dict[str, Any]:
    """By what the statements find their rows."""
    given: dict[str, Any] = {
        "ids": [one.id for one in clicks],
        "days": list({one.day for one in clicks}),
        "labels": _LABELS,
        "parameters": _PARAMETERS,
    }
    for name, query in (
        ("conversions", _LIST_CONVERSIONS),
        ("deliveries", _LIST_DELIVERIES),
    ):
        cursor = await connection.execute(query, given)
        given[name] = [row[0] for row in await cursor.fetchall()]
    return given
