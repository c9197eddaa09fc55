"""A database that has clicks is counted by the migration that brings rollups."""

import psycopg

from tracker.store import migrations
from tracker.store.migrations import list_migrations, migrate, sql_folder

CLICKS = """
select tracker_make_partitions('clicks', '2026-11-20', '2026-11-20');
insert into clicks
       (day, id, clicked_at, class, partner_number, offer_number, catalog_version)
select '2026-11-20', lpad(n::text, 32, '0'),
       timestamptz '2026-11-20 10:00Z' + n * interval '10 min', class, 1, 2, 1
  from unnest(array[0, 0, 0, 3, 4]) with ordinality as made (class, n);
"""


async def test_clicks_of_before_are_counted(empty_database_url, tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        files = sql_folder() / "migrations"
        known = [one for one in list_migrations(files) if one.name < "0020_rollups.sql"]
        (tmp_path / "migrations").mkdir()
        for one in known:
            (tmp_path / "migrations" / one.name).write_text(one.text)
        older.setattr(migrations, "sql_folder", lambda: tmp_path)
        await migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(CLICKS)

    await migrate(empty_database_url)

    with psycopg.connect(empty_database_url) as connection:
        found = connection.execute(
            "select to_char(starts_at at time zone 'UTC', 'HH24:MI'), traffic, clicks, "
            "       uniques, country from click_rollups order by 1, 2"
        ).fetchall()
    assert found == [
        ("10:00", "visit", 1, 0, ""),
        ("10:15", "visit", 1, 0, ""),
        ("10:30", "refused", 1, 0, ""),
        ("10:30", "visit", 1, 0, ""),
    ]
