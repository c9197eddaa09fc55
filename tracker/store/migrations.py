"""
Brings a database to the schema of this version: numbered files, each applied once.

`sql/migrations/0001_name.sql` and its successors run in order, each in a transaction
of its own, while an advisory lock keeps other processes out. What was applied is
recorded with a checksum: a file that was edited afterwards, or a database that a
newer version has been at, stops the run before it changes anything.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from psycopg import AsyncConnection, DatabaseError, OperationalError
from psycopg.rows import class_row

from tracker.domain.errors import MigrationError, NotFoundError, StoreUnavailableError

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql", re.ASCII)

# Any number will do, as long as every version of the tracker takes the same.
_LOCK = 7_231_001_964

_MAKE_TABLE = """
create table if not exists schema_migrations (
  number     integer     primary key check (number > 0),
  name       text        not null unique,
  checksum   text        not null check (length(checksum) = 64),
  applied_at timestamptz not null default clock_timestamp()
)
"""


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration as the database remembers it."""

    number: int
    name: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration as a file."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """The same on every system, however its checkout ends a line."""
        return sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()


async def migrate(conninfo: str) -> list[str]:
    """
    Apply what is missing; the names of what was, in order.

    Any number of processes may call it at once. MigrationError if files and
    database contradict each other, StoreUnavailableError if Postgres is away.
    """
    migrations = list_migrations(sql_folder() / "migrations")
    try:
        connection = await AsyncConnection.connect(conninfo, autocommit=True)
    except OperationalError as error:
        raise StoreUnavailableError(f"Postgres did not answer: {error}") from error
    async with connection:
        # Held until the connection closes, so a killed run leaves no lock behind.
        await connection.execute("select pg_advisory_lock(%s)", [_LOCK])
        await connection.execute(_MAKE_TABLE.encode())
        missing = choose_missing(migrations, await _list_applied(connection))
        for migration in missing:
            await _apply(connection, migration)
    return [migration.name for migration in missing]


def choose_missing(
    migrations: Sequence[Migration], applied: Sequence[Applied]
) -> list[Migration]:
    """The files still to apply; what was applied must be what they start with."""
    if len(applied) > len(migrations):
        raise MigrationError(
            f"the database is newer than this version of tracker: it has "
            f"{applied[len(migrations)].name}; run the version that made it"
        )
    for migration, done in zip(migrations, applied, strict=False):
        _check_same(migration, done)
    return list(migrations[len(applied) :])


def list_migrations(folder: Traversable) -> list[Migration]:
    """The migrations in a folder, numbered from 1 without a gap."""
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    migrations = [_read(folder / name) for name in names]
    for number, migration in enumerate(migrations, 1):
        if migration.number != number:
            raise MigrationError(f"{migration.name}: number {number:04} is expected")
    return migrations


def sql_folder() -> Traversable:
    """The folder `sql`: inside the installed package, or beside it in a clone."""
    packaged = files("tracker") / "sql"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "sql"


def read_report(name: str) -> str:
    """The text of `sql/reports/NAME.sql`; NotFoundError if there is none."""
    try:
        return (sql_folder() / "reports" / f"{name}.sql").read_text("utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"there is no report {name}") from None


def _read(file: Traversable) -> Migration:
    match = _FILE_NAME.fullmatch(file.name)
    if match is None:
        raise MigrationError(f"{file.name}: a name like 0001_clicks.sql is expected")
    return Migration(int(match[1]), file.name, file.read_text("utf-8"))


def _check_same(migration: Migration, applied: Applied) -> None:
    if migration.name != applied.name:
        raise MigrationError(
            f"the database has {applied.name} where this version of tracker has "
            f"{migration.name}: it belongs to something else"
        )
    if migration.checksum != applied.checksum:
        raise MigrationError(
            f"{migration.name} was changed after it was applied; undo that, and put "
            "the change into a new file"
        )


async def _list_applied(connection: AsyncConnection) -> list[Applied]:
    query = "select number, name, checksum from schema_migrations order by number"
    async with connection.cursor(row_factory=class_row(Applied)) as cursor:
        return await (await cursor.execute(query)).fetchall()


async def _apply(connection: AsyncConnection, migration: Migration) -> None:
    """Both or neither: the change, and the record of it."""
    try:
        async with connection.transaction():
            await connection.execute(migration.text.encode())
            await connection.execute(
                "insert into schema_migrations (number, name, checksum) "
                "values (%s, %s, %s)",
                [migration.number, migration.name, migration.checksum],
            )
    except DatabaseError as error:
        raise MigrationError(f"{migration.name} cannot be applied: {error}") from error
