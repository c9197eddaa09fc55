"""Catalog versions: which one is in force, and the numbers that ids carry."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from tracker.domain.catalog import Kind, Numbers
from tracker.domain.errors import CatalogOutpacedError, NotFoundError
from tracker.store.postgres import Connection, Pool, transaction

_LOCK = "select pg_advisory_xact_lock(hashtext('tracker_catalog'))"

_LIST_IN_FORCE = """
select version, content_hash, edited_at, snapshot
  from catalog_versions
 order by version desc
 limit 1
"""

_GET_SNAPSHOT = "select snapshot from catalog_versions where version = %s"

_GET_CONTENT = "select content from catalog_versions where version = %s"

_LIST_VERSIONS = """
select version, content_hash, edited_at, edited_by,
       octet_length(content) as bytes
  from catalog_versions
 where version < %(before)s
 order by version desc
 limit %(limit)s
"""

_GET_VERSION = "select coalesce(max(version), 0) from catalog_versions"

# A key that was ever numbered keeps its number; new ones follow the highest, which
# is read once: row by row the search would step over all that is being inserted.
_NUMBER = """
with highest as materialized (
    select kind, max(number) as number
      from catalog_numbers
     group by kind
)
insert into catalog_numbers (kind, key, number)
select wanted.kind, wanted.key,
       coalesce(highest.number, 0)
       + row_number() over (partition by wanted.kind order by wanted.place)
  from unnest(%(kinds)s::text[], %(keys)s::text[]) with ordinality
    as wanted (kind, key, place)
  left join highest on highest.kind = wanted.kind
 where not exists (
         select 1
           from catalog_numbers
          where catalog_numbers.kind = wanted.kind
            and catalog_numbers.key  = wanted.key
       )
"""

_LIST_NUMBERS = "select kind, key, number from catalog_numbers"

_INSERT = """
insert into catalog_versions
       (version, content, content_hash, snapshot, edited_at, edited_by)
values (%(version)s, %(content)s, %(content_hash)s, %(snapshot)s, %(edited_at)s,
        %(edited_by)s)
"""

_END_CAPS = "delete from cap_epochs where counts <> all(%(caps)s::text[])"

_BEGIN_CAPS = """
insert into cap_epochs (counts)
select unnest(%(caps)s::text[])
    on conflict (counts) do nothing
"""


@dataclass(frozen=True, slots=True)
class InForce:
    """The version in force; its snapshot holds no secret's value."""

    version: int
    content_hash: str
    edited_at: datetime
    snapshot: bytes


@dataclass(frozen=True, slots=True)
class Edit:
    """
    A file that was found good, to follow the version `follows`.

    `caps` are what its caps count; those that are not listed are new with every edit.
    Nobody is named in `edited_by` where it was edited outside the console.
    """

    content: str
    content_hash: str
    edited_at: datetime
    follows: int
    keys: Sequence[tuple[Kind, str]]
    caps: Sequence[str] = ()
    edited_by: str | None = None


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A version that is or was in force; `edited_at` is when its file was written."""

    version: int
    content_hash: str
    edited_at: datetime
    edited_by: str | None
    bytes: int


Confirm = Callable[[], Awaitable[None]]
"""What else must be so before an edit is in force; it is not, if this raises."""


async def nothing() -> None:
    """Nothing else depends on it."""


class CatalogStore:
    """Postgres has the last word on which catalog is in force."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def get_version(self) -> int:
        """The number of the version in force, 0 before the first."""
        async with transaction(self._pool) as connection:
            return await _version(connection)

    async def list_in_force(self) -> list[InForce]:
        """The version in force; empty before the first."""
        async with transaction(self._pool) as connection:
            cursor = connection.cursor(row_factory=class_row(InForce))
            await cursor.execute(_LIST_IN_FORCE)
            return await cursor.fetchall()

    async def get_snapshot(self, version: int) -> bytes:
        """What was in force under that number; raises NotFoundError."""
        async with transaction(self._pool) as connection:
            cursor = await connection.execute(_GET_SNAPSHOT, [version])
            row = await cursor.fetchone()
        if row is None:
            raise NotFoundError(f"there was no catalog version {version}")
        return bytes(row[0])

    async def get_content(self, version: int) -> str:
        """The file that version was made of; raises NotFoundError."""
        async with transaction(self._pool) as connection:
            cursor = await connection.execute(_GET_CONTENT, [version])
            row = await cursor.fetchone()
        if row is None:
            raise NotFoundError(f"there was no catalog version {version}")
        return str(row[0])

    async def list_versions(self, before: int, limit: int) -> list[ListedVersion]:
        """The versions that were in force before that one, the latest first."""
        async with transaction(self._pool) as connection:
            cursor = connection.cursor(row_factory=class_row(ListedVersion))
            await cursor.execute(_LIST_VERSIONS, {"before": before, "limit": limit})
            return await cursor.fetchall()

    async def insert(
        self,
        edit: Edit,
        seal: Callable[[int, Numbers], bytes],
        *,
        confirm: Confirm = nothing,
    ) -> int:
        """
        Puts an edit in force, with numbers for what is new in it.

        `seal` makes the snapshot of a version number and all numbers. What must be
        so when it is in force `confirm` does last, while nobody else gets here.
        One process at a time does; raises CatalogOutpacedError if another version was
        first.
        """
        async with transaction(self._pool) as connection:
            await connection.execute(_LOCK)
            if await _version(connection) != edit.follows:
                raise CatalogOutpacedError("another version came into force")
            version = edit.follows + 1
            snapshot = seal(version, await _numbers(connection, edit))
            await connection.execute(
                _INSERT,
                {
                    "version": version,
                    "content": edit.content,
                    "content_hash": edit.content_hash,
                    "snapshot": snapshot,
                    "edited_at": edit.edited_at,
                    "edited_by": edit.edited_by,
                },
            )
            await connection.execute(_END_CAPS, {"caps": [*edit.caps]})
            await connection.execute(_BEGIN_CAPS, {"caps": [*edit.caps]})
            await confirm()
        return version

    async def guard(self, version: int, confirm: Confirm) -> None:
        """Does that while the version stays in force; raises CatalogOutpacedError."""
        async with transaction(self._pool) as connection:
            await connection.execute(_LOCK)
            if await _version(connection) != version:
                raise CatalogOutpacedError("another version came into force")
            await confirm()


async def _version(connection: Connection) -> int:
    cursor = await connection.execute(_GET_VERSION)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def _numbers(connection: Connection, edit: Edit) -> Numbers:
    kinds = [kind for kind, _ in edit.keys]
    keys = [key for _, key in edit.keys]
    await connection.execute(_NUMBER, {"kinds": kinds, "keys": keys})
    cursor = await connection.execute(_LIST_NUMBERS)
    return {(kind, key): number for kind, key, number in await cursor.fetchall()}
