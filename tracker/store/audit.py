"""The audit log: who did what, about what, when and from where; append-only."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from tracker.domain.person import Actor
from tracker.domain.postback import clean
from tracker.store.postgres import Connection, Pool, connected

NEWEST = 2**62

_INSERT = """
insert into audit_log (person_id, who, address, action, about, detail)
values (%(person_id)s, %(who)s, %(address)s, %(action)s, %(about)s, %(detail)s)
"""

_LIST = """
select   id, at, who, address, action, about, detail
from     audit_log
where    id < %(before)s
and      (%(who)s = '' or who = %(who)s)
and      (%(action)s = '' or action = %(action)s)
order by id desc
limit    %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did: a stable word, what it was about, and what else matters."""

    actor: Actor
    action: str
    about: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NotedDeed:
    """A deed as it is listed."""

    id: int
    at: datetime
    who: str
    address: str
    action: str
    about: str
    detail: str


class AuditStore:
    """Nothing here is ever changed."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert(self, deed: Deed) -> None:
        """One that had no transaction of its own."""
        async with connected(self._pool) as connection:
            await note(connection, deed)

    async def list_deeds(
        self, *, who: str = "", action: str = "", before: int = NEWEST, limit: int
    ) -> list[NotedDeed]:
        """The newest first; "" stands for everybody and everything."""
        given = {"who": who, "action": action, "before": before, "limit": limit}
        async with (
            connected(self._pool) as connection,
            connection.cursor(row_factory=class_row(NotedDeed)) as cursor,
        ):
            await cursor.execute(_LIST, given)
            return await cursor.fetchall()


async def note(connection: Connection, deed: Deed) -> None:
    """In the transaction of what was done."""
    await connection.execute(
        _INSERT,
        {
            "person_id": deed.actor.id,
            "who": clean(deed.actor.name)[:200],
            "address": deed.actor.address,
            "action": deed.action,
            "about": clean(deed.about)[:400],
            "detail": clean(deed.detail)[:1000],
        },
    )
