import asyncio

import psycopg
import pytest
from schema import SCHEMA, dump_schema

from tracker.domain.errors import NotFoundError, StoreUnavailableError
from tracker.store import migrations
from tracker.store.migrations import (
    Migration,
    MigrationError,
    list_migrations,
    migrate,
    read_report,
    sql_folder,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder `sql` with two small migrations in place of ours."""
    files = tmp_path / "migrations"
    files.mkdir()
    (files / "0001_first.sql").write_text("create table first (id integer);")
    (files / "0002_second.sql").write_text("create table second (id integer);")
    monkeypatch.setattr(migrations, "sql_folder", lambda: tmp_path)
    return files


def tables(url):
    query = "select tablename from pg_tables where schemaname = 'public' order by 1"
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute(query)]


async def test_migrations_are_applied_in_order_and_once(empty_database_url, folder):
    first = await migrate(empty_database_url)
    second = await migrate(empty_database_url)

    assert first == ["0001_first.sql", "0002_second.sql"]
    assert second == []
    assert tables(empty_database_url) == ["first", "schema_migrations", "second"]


async def test_processes_that_migrate_at_once_share_the_work(empty_database_url):
    done = await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))

    expected = [m.name for m in list_migrations(sql_folder() / "migrations")]
    assert sorted(done, key=len) == [[], [], [], expected]


async def test_a_file_changed_after_it_was_applied_is_refused(
    empty_database_url, folder
):
    await migrate(empty_database_url)
    (folder / "0001_first.sql").write_text("create table other (id integer);")
    (folder / "0003_third.sql").write_text("create table third (id integer);")

    with pytest.raises(MigrationError, match=r"0001_first.sql was changed"):
        await migrate(empty_database_url)
    assert "third" not in tables(empty_database_url)


async def test_a_database_newer_than_the_code_is_refused(empty_database_url, folder):
    await migrate(empty_database_url)
    (folder / "0002_second.sql").unlink()

    with pytest.raises(MigrationError, match=r"newer .* it has 0002_second.sql"):
        await migrate(empty_database_url)


async def test_a_migration_that_fails_leaves_nothing(empty_database_url, folder):
    (folder / "0002_second.sql").write_text("create table second (); select 1 / 0;")

    with pytest.raises(MigrationError, match=r"0002_second.sql .* division by zero"):
        await migrate(empty_database_url)
    assert tables(empty_database_url) == ["first", "schema_migrations"]


@pytest.mark.parametrize("name", ["0004_gap.sql", "0002_twice.sql", "third.sql"])
def test_a_number_that_is_out_of_order_is_refused(folder, name):
    (folder / name).write_text("select 1;")

    with pytest.raises(MigrationError, match=name):
        list_migrations(folder)


def test_a_checkout_with_other_line_ends_has_the_same_checksum():
    unix, windows = (Migration(1, "a", text) for text in ("a\nb\n", "a\r\nb\r\n"))

    assert unix.checksum == windows.checksum


async def test_a_database_that_is_away_is_said_so(tmp_path):
    with pytest.raises(StoreUnavailableError):
        await migrate(f"postgresql://postgres@/postgres?host={tmp_path}")


def test_migrations_and_schema_agree(database_url):
    assert dump_schema(database_url) == SCHEMA.read_text(), "run `make schema`"


def test_a_report_is_read_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "list_clicks.sql").write_text("select 1")
    monkeypatch.setattr(migrations, "sql_folder", lambda: tmp_path)

    assert read_report("list_clicks") == "select 1"
    with pytest.raises(NotFoundError):
        read_report("list_cliks")
