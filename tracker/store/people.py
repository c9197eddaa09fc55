"""People, and the links by which they choose their passwords."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from tracker.domain.errors import NotFoundError, RefusedChangeError
from tracker.domain.person import Actor, Role, Standing
from tracker.store.audit import Deed, note
from tracker.store.postgres import Connection, Pool, connected, transaction

_COLUMNS = """
       people.id, name, role, partner, password_hash, people.created_at,
       password_changed_at, signed_in_at, ended_at
"""

_GET = f"select {_COLUMNS} from people where id = %(id)s"  # noqa: S608 - our own text
_GET_NAMED = f"select {_COLUMNS} from people where name = %(name)s"  # noqa: S608 - our own text
_LIST = f"select {_COLUMNS} from people order by ended_at is not null, name"  # noqa: S608 - our own text

# Somebody who was ended and is invited again is the same person.
_INSERT = """
insert into people (name, role, partner, password_hash)
values (%(name)s, %(role)s, %(partner)s, %(password_hash)s)
on conflict (name) do update
set    role = excluded.role, partner = excluded.partner, ended_at = null,
       password_hash = excluded.password_hash, password_changed_at = tracker_now()
where  people.ended_at is not null
returning id
"""

# Two first admins must not be made at once; 6 is the number of this lock alone.
_LOCK_FIRST = "select pg_advisory_xact_lock(hashtext('tracker'), 6)"
_HAS_ADMIN = """
select exists (select from people where role = 'admin' and ended_at is null)
"""

# All of them, in order: two admins that remove each other meet here.
_LOCK_ADMINS = """
select   id
from     people
where    role = 'admin' and ended_at is null
order by id
for      no key update
"""

_REPLACE_HASH = """
update people
set    password_hash = %(password_hash)s, password_changed_at = tracker_now()
where  id = %(id)s and ended_at is null
returning id
"""

# A link was given to who might choose for that role, and is for no other.
_CHOOSE_HASH = """
update people
set    password_hash = %(password_hash)s, password_changed_at = tracker_now()
where  id = %(id)s and ended_at is null
and    role = %(role)s and partner is not distinct from %(partner)s
returning id
"""

_REHASH = """
update people
set    password_hash = %(new)s
where  id = %(id)s and password_hash = %(old)s
"""

_SET_STANDING = """
update people
set    role = %(role)s, partner = %(partner)s
where  id = %(id)s and ended_at is null
returning id
"""

_END = """
update people
set    ended_at = tracker_now()
where  id = %(id)s and ended_at is null
returning id
"""

_END_SESSIONS = "delete from sessions where person_id = %(id)s"

_REVOKE_TOKENS = """
update api_tokens
set    revoked_at = tracker_now()
where  person_id = %(id)s and revoked_at is null
"""

# By the name: an invitation of before there was this person would make them anew.
_REVOKE_LINKS = """
update invitations
set    revoked_at = tracker_now()
where  name = %(name)s and used_at is null and revoked_at is null
"""

_REVOKE_LINKS_OF = """
update invitations
set    revoked_at = tracker_now()
from   people
where  people.id = %(id)s and invitations.name = people.name
and    invitations.used_at is null and invitations.revoked_at is null
"""

# Who may invite nobody any more has no links left with which others get in.
_REVOKE_MADE = """
update invitations
set    revoked_at = tracker_now()
from   people
where  people.id = %(id)s and invitations.made_by = people.name
and    invitations.used_at is null and invitations.revoked_at is null
"""

# Who ends or changes them meanwhile waits for this, and revokes what it made.
_HOLD_MAKER = """
select id
from   people
where  id = %(id)s and role = 'admin' and ended_at is null
for    share
"""

_INSERT_INVITATION = """
insert into invitations (name, role, partner, person_id, made_by, expires_at)
values (%(name)s, %(role)s, %(partner)s, %(person_id)s, %(made_by)s,
        tracker_now() + %(lifetime)s)
returning id
"""

_INVITATION_COLUMNS = """
       id, name, role, partner, person_id, made_by, created_at, expires_at
"""

_IS_OPEN = "used_at is null and revoked_at is null and expires_at > tracker_now()"

_GET_INVITATION = f"""
select {_INVITATION_COLUMNS} from invitations where id = %(id)s and {_IS_OPEN}
"""  # noqa: S608 - our own text

_LIST_INVITATIONS = f"""
select {_INVITATION_COLUMNS} from invitations where {_IS_OPEN} order by id
"""  # noqa: S608 - our own text

# The condition decides who of two that come at once is first.
_USE_INVITATION = f"""
update invitations set used_at = tracker_now()
where  id = %(id)s and {_IS_OPEN}
returning {_INVITATION_COLUMNS}
"""  # noqa: S608 - our own text

_REVOKE_INVITATION = f"""
update invitations set revoked_at = tracker_now()
where  id = %(id)s and {_IS_OPEN}
returning id
"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A person as it is kept."""

    id: int
    name: str
    role: Role
    partner: str | None
    password_hash: str
    created_at: datetime
    password_changed_at: datetime
    signed_in_at: datetime | None
    ended_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))


@dataclass(frozen=True, slots=True)
class Invitation:
    """An open one; `person_id` says whose password it resets, None for a new person."""

    id: int
    name: str
    role: Role
    partner: str | None
    person_id: int | None
    made_by: str
    created_at: datetime
    expires_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))


class PeopleStore:
    """Whatever changes a person is written with its line of the audit log."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def get(self, person_id: int) -> KnownPerson:
        """NotFoundError for an id that is nobody's."""
        async with connected(self._pool) as connection:
            return await _get(connection, _GET, {"id": person_id})

    async def get_named(self, name: str) -> KnownPerson:
        """NotFoundError for a name that is nobody's."""
        async with connected(self._pool) as connection:
            return await _get(connection, _GET_NAMED, {"name": name})

    async def list_people(self) -> list[KnownPerson]:
        """Everybody, those that were ended last."""
        async with (
            connected(self._pool) as connection,
            connection.cursor(row_factory=class_row(KnownPerson)) as cursor,
        ):
            await cursor.execute(_LIST)
            return await cursor.fetchall()

    async def insert(
        self, name: str, standing: Standing, password_hash: str, deed: Deed
    ) -> int:
        """A new person's id; RefusedChangeError for a name that is taken."""
        async with transaction(self._pool) as connection:
            person_id = await _insert(connection, name, standing, password_hash)
            await note(connection, deed)
            return person_id

    async def has_admin(self) -> bool:
        """Whether anybody can invite others."""
        async with connected(self._pool) as connection:
            return await _has_admin(connection)

    async def insert_first_admin(
        self, name: str, password_hash: str, deed: Deed
    ) -> bool:
        """Whether it was made: not where there is an admin, or the name is taken."""
        async with transaction(self._pool) as connection:
            await connection.execute(_LOCK_FIRST)
            if await _has_admin(connection):
                return False
            await _insert(connection, name, Standing(Role.ADMIN), password_hash)
            await note(connection, deed)
            return True

    async def set_password(
        self, person_id: int, password_hash: str, deed: Deed
    ) -> None:
        """With all sessions ended, and every link that would set another."""
        given = {"id": person_id, "password_hash": password_hash}
        async with self._changing(person_id, deed) as connection:
            await _change(connection, _REPLACE_HASH, given)

    async def rehash(self, person_id: int, old: str, new: str) -> None:
        """The same password by other parameters."""
        given = {"id": person_id, "old": old, "new": new}
        async with connected(self._pool) as connection:
            await connection.execute(_REHASH, given)

    async def set_standing(
        self, person_id: int, standing: Standing, deed: Deed
    ) -> None:
        """RefusedChangeError where no admin would be left."""
        async with self._changing(person_id, deed) as connection:
            if standing.role is not Role.ADMIN:
                await _keep_an_admin(connection, person_id)
            given = {"id": person_id, **asdict(standing)}
            await _change(connection, _SET_STANDING, given)
            await connection.execute(_REVOKE_MADE, given)

    async def end(self, person_id: int, deed: Deed) -> None:
        """Nobody gets in by that name; RefusedChangeError for the last admin."""
        async with self._changing(person_id, deed) as connection:
            await _keep_an_admin(connection, person_id)
            await _change(connection, _END, {"id": person_id})
            await connection.execute(_REVOKE_TOKENS, {"id": person_id})
            await connection.execute(_REVOKE_MADE, {"id": person_id})

    async def insert_invitation(
        self, invited: dict[str, Any], deed: Deed
    ) -> Invitation:
        """
        A link for a new person, or for a password; earlier ones of that name end.

        RefusedChangeError where who makes it is no admin any more.
        """
        async with transaction(self._pool) as connection:
            await _hold_maker(connection, deed.actor)
            await connection.execute(_REVOKE_LINKS, invited)
            cursor = await connection.execute(_INSERT_INVITATION, invited)
            ((invitation_id,),) = await cursor.fetchall()
            await note(connection, deed)
            return await _get_invitation(connection, _GET_INVITATION, invitation_id)

    async def get_invitation(self, invitation_id: int) -> Invitation:
        """NotFoundError for one that was used, revoked, or has expired."""
        async with connected(self._pool) as connection:
            return await _get_invitation(connection, _GET_INVITATION, invitation_id)

    async def list_invitations(self) -> list[Invitation]:
        """Those that still serve."""
        async with (
            connected(self._pool) as connection,
            connection.cursor(row_factory=class_row(Invitation)) as cursor,
        ):
            await cursor.execute(_LIST_INVITATIONS)
            return await cursor.fetchall()

    async def use_invitation(
        self, invitation_id: int, password_hash: str, deed: Deed
    ) -> int:
        """
        The id of who has a password now; of two that come at once one is refused.

        Raises NotFoundError for a link that serves no more.
        """
        async with transaction(self._pool) as connection:
            one = await _get_invitation(connection, _USE_INVITATION, invitation_id)
            person_id = one.person_id
            if person_id is None:
                standing = Standing(one.role, one.partner)
                person_id = await _insert(connection, one.name, standing, password_hash)
            else:
                given = {
                    "id": person_id,
                    "password_hash": password_hash,
                    "role": one.role,
                    "partner": one.partner,
                }
                await _change(connection, _CHOOSE_HASH, given)
                await connection.execute(_END_SESSIONS, {"id": person_id})
            await note(connection, deed)
            return person_id

    async def revoke_invitation(self, invitation_id: int, deed: Deed) -> None:
        """The link serves no more; NotFoundError if it did not before."""
        async with transaction(self._pool) as connection:
            await _change(connection, _REVOKE_INVITATION, {"id": invitation_id})
            await note(connection, deed)

    @asynccontextmanager
    async def _changing(self, person_id: int, deed: Deed) -> AsyncIterator[Connection]:
        """
        Whatever a person may, it has to sign in again to do it.

        The links go first, as where one is used: the two cannot wait for each other.
        """
        async with transaction(self._pool) as connection:
            await connection.execute(_REVOKE_LINKS_OF, {"id": person_id})
            yield connection
            await connection.execute(_END_SESSIONS, {"id": person_id})
            await note(connection, deed)


async def _get(
    connection: Connection, query: str, given: dict[str, Any]
) -> KnownPerson:
    async with connection.cursor(row_factory=class_row(KnownPerson)) as cursor:
        await cursor.execute(query, given)
        found = await cursor.fetchone()
    if found is None:
        raise NotFoundError("There is nobody of that name.")
    return found


async def _get_invitation(
    connection: Connection, query: str, invitation_id: int
) -> Invitation:
    async with connection.cursor(row_factory=class_row(Invitation)) as cursor:
        await cursor.execute(query, {"id": invitation_id})
        found = await cursor.fetchone()
    if found is None:
        raise NotFoundError("This link serves no more: ask for another.")
    return found


async def _insert(
    connection: Connection, name: str, standing: Standing, password_hash: str
) -> int:
    given = {"name": name, "password_hash": password_hash, **asdict(standing)}
    cursor = await connection.execute(_INSERT, given)
    row = await cursor.fetchone()
    if row is None:
        raise RefusedChangeError("This name is taken.")
    return int(row[0])


async def _has_admin(connection: Connection) -> bool:
    cursor = await connection.execute(_HAS_ADMIN)
    row = await cursor.fetchone()
    return bool(row and row[0])


async def _keep_an_admin(connection: Connection, person_id: int) -> None:
    cursor = await connection.execute(_LOCK_ADMINS)
    if [row[0] for row in await cursor.fetchall()] == [person_id]:
        raise RefusedChangeError("This is the last admin; make another one first.")


async def _hold_maker(connection: Connection, maker: Actor) -> None:
    """On the command line it is nobody of the console, whom nobody ends."""
    if maker.id is None:
        return
    cursor = await connection.execute(_HOLD_MAKER, {"id": maker.id})
    if await cursor.fetchone() is None:
        raise RefusedChangeError("You are no admin any more.")


async def _change(connection: Connection, query: str, given: dict[str, Any]) -> None:
    cursor = await connection.execute(query, given)
    if await cursor.fetchone() is None:
        raise NotFoundError("There is no such thing, or it has ended.")
