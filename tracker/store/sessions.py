"""Who is signed in, and what programs prove themselves by; only hashes are kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

from psycopg.rows import class_row

from tracker.domain.errors import NotFoundError
from tracker.domain.person import GRANTS, IDLE, LONGEST, Person, Role, granted
from tracker.store.audit import Deed, note
from tracker.store.postgres import Pool, connected, transaction

Row = TypeVar("Row")

_INSERT = """
insert into sessions (id_hash, person_id, address, agent)
select %(id_hash)s, id, %(address)s, %(agent)s
from   people
where  id = %(person_id)s and ended_at is null and password_hash = %(password_hash)s
returning person_id
"""

_SIGNED_IN = "update people set signed_in_at = tracker_now() where id = %(person_id)s"

_DELETE_OVER = """
delete from sessions
where  seen_at < tracker_now() - %(idle)s or created_at < tracker_now() - %(longest)s
"""

_GET_PERSON = """
select people.id, people.name, people.role, people.partner,
       sessions.seen_at < tracker_now() - interval '1 minute' as is_stale
from   sessions
join   people on people.id = sessions.person_id
where  sessions.id_hash = %(id_hash)s
and    sessions.seen_at > tracker_now() - %(idle)s
and    sessions.created_at > tracker_now() - %(longest)s
and    people.ended_at is null
"""

_SEEN = "update sessions set seen_at = tracker_now() where id_hash = %(id_hash)s"

_LIST = """
select   encode(id_hash, 'hex') as id, address, agent, created_at, seen_at
from     sessions
where    person_id = %(person_id)s
and      seen_at > tracker_now() - %(idle)s
and      created_at > tracker_now() - %(longest)s
order by seen_at desc, id_hash
"""

_DELETE = """
delete from sessions
where  person_id = %(person_id)s and encode(id_hash, 'hex') = %(id)s
returning person_id
"""

_DELETE_ALL = "delete from sessions where person_id = %(person_id)s"

# Who is ended meanwhile waits for this, and revokes it, or is found to have ended.
_INSERT_BEARER = """
insert into api_tokens (token_hash, person_id, name, scopes, expires_at)
select %(token_hash)s, id, %(name)s, %(scopes)s, tracker_now() + %(lifetime)s
from   people
where  id = %(person_id)s and ended_at is null
for    share
returning person_id
"""

_IS_OPEN = "revoked_at is null and expires_at > tracker_now()"

_GET_BEARER = f"""
select people.id, people.name, people.role, people.partner, api_tokens.scopes,
       coalesce(used_at < tracker_now() - interval '1 minute', true) as is_stale
from   api_tokens
join   people on people.id = api_tokens.person_id
where  token_hash = %(token_hash)s and {_IS_OPEN} and people.ended_at is null
"""  # noqa: S608 - our own text

_USED = """
update api_tokens set used_at = tracker_now() where token_hash = %(token_hash)s
"""

_LIST_TOKENS = f"""
select   api_tokens.id, api_tokens.name, people.name as owner, scopes,
         api_tokens.created_at, expires_at, used_at
from     api_tokens
join     people on people.id = api_tokens.person_id
where    {_IS_OPEN} and people.ended_at is null
and      (%(person_id)s::bigint is null or person_id = %(person_id)s)
order by api_tokens.id
"""  # noqa: S608 - our own text

_REVOKE_TOKEN = f"""
update api_tokens
set    revoked_at = tracker_now()
where  id = %(id)s and {_IS_OPEN}
and    (%(person_id)s::bigint is null or person_id = %(person_id)s)
returning id
"""  # noqa: S608 - our own text

_ENDS = {"idle": IDLE, "longest": LONGEST}


@dataclass(frozen=True, slots=True)
class Session:
    """One browser in which somebody is signed in; `id` is the hash, in hex."""

    id: str
    address: str
    agent: str
    created_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """One that still serves, without what it proves itself by."""

    id: int
    name: str
    owner: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Bearer:
    """Whose a session or a token is; `scopes` is None where it may all of the role."""

    id: int
    name: str
    role: str
    partner: str | None
    is_stale: bool
    scopes: Collection[str] | None = None

    def person(self) -> Person:
        role = Role(self.role)
        scopes = GRANTS[role] if self.scopes is None else granted(role, self.scopes)
        return Person(self.id, self.name, role, self.partner, scopes)


class SessionStore:
    """Sessions; one that is deleted lets nobody in from then on."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert(self, secret: str, opened: Mapping[str, Any], deed: Deed) -> None:
        """
        Opens one, by a password that was right a moment ago.

        NotFoundError where the person or the password is another by now.
        """
        given = {**opened, "id_hash": hash_of(secret)}
        async with transaction(self._pool) as connection:
            cursor = await connection.execute(_INSERT, given)
            if await cursor.fetchone() is None:
                raise NotFoundError("There is nobody of that name.")
            await connection.execute(_SIGNED_IN, given)
            await connection.execute(_DELETE_OVER, _ENDS)
            await note(connection, deed)

    async def get_person(self, secret: str) -> Person:
        """Who is signed in; NotFoundError for a session that is over."""
        given = {"id_hash": hash_of(secret), **_ENDS}
        return await _get_person(self._pool, _GET_PERSON, _SEEN, given)

    async def list_sessions(self, person_id: int) -> list[Session]:
        """Those of one person, the one that was used last first."""
        given = {"person_id": person_id, **_ENDS}
        return await _list(self._pool, Session, _LIST, given)

    async def delete(self, person_id: int, session_id: str, deed: Deed) -> None:
        """NotFoundError for a session that is over, or somebody else's."""
        given = {"person_id": person_id, "id": session_id}
        await _change(self._pool, _DELETE, given, deed)

    async def delete_all(self, person_id: int, deed: Deed) -> None:
        """All of a person's."""
        async with transaction(self._pool) as connection:
            await connection.execute(_DELETE_ALL, {"person_id": person_id})
            await note(connection, deed)


class TokenStore:
    """Tokens of programs; what one is, only who made it ever saw."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert(self, secret: str, made: Mapping[str, Any], deed: Deed) -> None:
        """A new one; NotFoundError where its person has ended by now."""
        given = {**made, "token_hash": hash_of(secret)}
        await _change(self._pool, _INSERT_BEARER, given, deed)

    async def get_person(self, secret: str) -> Person:
        """Whose it is, and what it may; NotFoundError for one that serves no more."""
        given = {"token_hash": hash_of(secret)}
        return await _get_person(self._pool, _GET_BEARER, _USED, given)

    async def list_tokens(self, person_id: int | None) -> list[Token]:
        """Those of one person that still serve, None: of all."""
        return await _list(self._pool, Token, _LIST_TOKENS, {"person_id": person_id})

    async def revoke(self, token_id: int, person_id: int | None, deed: Deed) -> None:
        """NotFoundError for one that is not there, or not that person's."""
        given = {"id": token_id, "person_id": person_id}
        await _change(self._pool, _REVOKE_TOKEN, given, deed)


def hash_of(secret: str) -> bytes:
    """
    What is kept of a session's id or of a token.

    Both are 32 bytes at random: nobody guesses them, so a plain hash will do.
    """
    return sha256(secret.encode(errors="replace")).digest()


async def _get_person(
    pool: Pool, query: str, seen: str, given: Mapping[str, Any]
) -> Person:
    """When it was used is written once a minute, and not by every request."""
    async with connected(pool) as connection:
        async with connection.cursor(row_factory=class_row(_Bearer)) as cursor:
            await cursor.execute(query, given)
            found = await cursor.fetchone()
        if found is None:
            raise NotFoundError("It serves no more.")
        if found.is_stale:
            await connection.execute(seen, given)
        return found.person()


async def _list(
    pool: Pool, kind: type[Row], query: str, given: Mapping[str, Any]
) -> list[Row]:
    async with (
        connected(pool) as connection,
        connection.cursor(row_factory=class_row(kind)) as cursor,
    ):
        await cursor.execute(query, given)
        return await cursor.fetchall()


async def _change(pool: Pool, query: str, given: Mapping[str, Any], deed: Deed) -> None:
    async with transaction(pool) as connection:
        cursor = await connection.execute(query, given)
        if await cursor.fetchone() is None:
            raise NotFoundError("There is no such thing, or it has ended.")
        await note(connection, deed)
