"""A database that has clicks is counted by the migration that brings rollups."""

import psycopg
import pytest

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


COUNTED = """
update rollup_days set zone = 'Asia/Kathmandu';
insert into conversion_rollups
select '2026-11-20 20:00Z', 'click', 1, 2, 'sale', 'USD', 'DE', 'phone', 'visit',
       status, n, 0, n * 10, n * 3, n * 2
  from (values ('approved', 2), ('rejected', 5)) as made (status, n);
"""


@pytest.fixture
def migrate_before(empty_database_url, tmp_path, monkeypatch):
    """As versions did that had no such migration; then something is in it."""

    async def migrate_before(name, filled):
        files = sql_folder() / "migrations"
        (tmp_path / "migrations").mkdir()
        for one in list_migrations(files):
            if one.name < name:
                (tmp_path / "migrations" / one.name).write_text(one.text)
        with monkeypatch.context() as older:
            older.setattr(migrations, "sql_folder", lambda: tmp_path)
            await migrate(empty_database_url)
        with psycopg.connect(empty_database_url) as connection:
            connection.execute(filled)

    return migrate_before


async def test_clicks_of_before_are_counted(empty_database_url, migrate_before):
    await migrate_before("0020_rollups.sql", CLICKS)

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


async def test_conversions_of_before_are_summed_by_day(
    empty_database_url, migrate_before
):
    """In the zone that days had, with all that a report asks of them."""
    await migrate_before("0026_conversion_pairs.sql", COUNTED)

    await migrate(empty_database_url)

    with psycopg.connect(empty_database_url) as connection:
        found = connection.execute(
            "select pair, day::text, approved, rejected, revenue, approved_payout "
            "from conversion_rollup_pairs where partner_number = 1 order by pair"
        ).fetchall()
    pairs = ("partner country", "partner device", "partner offer")
    assert found == [(one, "2026-11-21", 2, 5, 6, 4) for one in pairs]
