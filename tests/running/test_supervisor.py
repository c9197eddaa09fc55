import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tracker.catalog import COPY, check_text, take_snapshot, write_copy
from tracker.domain.errors import SettingsError
from tracker.passwords import Passwords
from tracker.settings import Settings, load_settings
from tracker.store.audit import AuditStore
from tracker.store.people import PeopleStore
from tracker.store.postgres import make_pool
from tracker.supervisor import _first_link, _first_password, find_running

CATALOG = """\
version: 1
currency: USD
advertisers:
  acme: {auth: {token: "${TOKEN}"}}
offers:
  old:
    advertiser: acme
    url: "https://shop.example/?cid={click_id}"
    paused: true
    goals: {sale: {payout: 1, revenue: 2}}
  over:
    advertiser: acme
    url: "https://shop.example/?cid={click_id}"
    ends: 2026-01-01T00:00
    goals: {sale: {payout: 1, revenue: 2}}
  to-come:
    advertiser: acme
    url: "https://shop.example/?cid={click_id}"
    starts: 2126-01-01T00:00
    goals: {sale: {payout: 1, revenue: 2}}
  full:
    advertiser: acme
    url: "https://shop.example/?cid={click_id}"
    caps: [{per: total, limit: 5}]
    goals: {sale: {payout: 1, revenue: 2}}
  new:
    advertiser: acme
    url: "https://shop.example/?cid={click_id}"
    goals: {sale: {payout: 1, revenue: 2}}
partners:
  idle: {offers: all, paused: true}
  best: {offers: all}
"""

FIVE_TAKEN = """
insert into cap_meters (
  offer, partner, measure, goals, per, starts_at, ends_at, taken, enough
)
values ('full', '', 'conversions', '', 'total', '1970-01-01Z', '9999-01-01Z', 5, 5)
"""


class Up:
    """A `tracker up` of its own, heard through its output."""

    def __init__(self, data_dir, environ):
        self.port = free_port()
        self.environ = {
            **{n: v for n, v in os.environ.items() if not n.startswith("TRACKER_")},
            "TRACKER_DATA_DIR": str(data_dir),
            "TRACKER_PORT": str(self.port),
            "TRACKER_CONSOLE_PORT": "0",
            **environ,
        }
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("stand_in.py"), "up"],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def await_ready(self):
        """What it printed for people; the children's pids by name are known then."""
        lines = []
        while not (lines and lines[-1].startswith("  stop")):
            lines.append(self.process.stdout.readline())
            assert lines[-1], self.process.stderr.read()
        return "".join(lines)

    def await_event(self, event, **fields):
        wanted = {"event": event, **fields}
        for line in self.process.stderr:
            with suppress(ValueError):
                if wanted.items() <= (said := json.loads(line)).items():
                    return said
        raise AssertionError(f"{wanted} was never said")

    def end(self, number=signal.SIGTERM):
        """Its status and last words, once all who could add to them are gone."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said

    def ask(self):
        url = f"http://127.0.0.1:{self.port}/readyz"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def environ(database_url, redis_url):
    return {"TRACKER_DATABASE_URL": database_url, "TRACKER_REDIS_URL": redis_url}


@pytest.fixture
def start(short_folder):
    """Starts `up` on one data directory; whatever still runs at the end is ended."""
    started = []

    def start(**environ):
        started.append(Up(short_folder / "data", environ))
        return started[-1]

    yield start
    for up in started:
        up.process.terminate()
        up.process.communicate()


def test_it_says_where_everything_is_and_ends_cleanly(start, environ, short_folder):
    up = start(**environ)

    said = up.await_ready()
    status, last_words = up.end()

    assert f"http://127.0.0.1:{up.port}/sandbox" in said
    assert status == 0
    assert last_words.count("child.ended") == 2
    assert list((short_folder / "data" / "run").iterdir()) == []


async def test_the_link_it_says_is_open_by_the_catalog_in_force(tmp_path, database_url):
    checked = check_text(CATALOG, "partners.yaml", {"TOKEN": "secret"})
    offers = ("old", "over", "to-come", "full", "new")
    keys = [("partner", "idle"), ("partner", "best")]
    keys += [("offer", key) for key in offers]
    numbers = {key: number for number, key in enumerate(keys, 1)}
    snapshot = take_snapshot(checked, version=1, numbers=numbers)
    settings = Settings(
        data_dir=tmp_path, base_url="https://go.example.com", database_url=database_url
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(FIVE_TAKEN)

    assert await _first_link(settings, {}) == "https://go.example.com"
    write_copy(tmp_path / COPY, snapshot)
    link = await _first_link(settings, {"TOKEN": "secret"})

    assert link == "https://go.example.com/c/best/new?sub1=hello"


def test_a_killed_child_is_started_again(start, environ):
    up = start(**environ)
    worker = up.await_event("child.started", child="worker")
    up.await_ready()

    os.kill(worker["pid"], signal.SIGKILL)

    assert up.await_event("child.ended", child="worker")["status"] == -9
    assert up.await_event("child.started", child="worker")["pid"] != worker["pid"]


def test_children_end_with_a_killed_parent_and_the_next_waits_for_them(start, environ):
    up = start(**environ)
    up.await_ready()

    up.process.kill()
    successor = start(**environ, TRACKER_PORT=str(up.port))
    up.wait()  # until nobody is left who could write to its output

    assert successor.await_ready()


def test_children_find_secrets_in_files_only(start, environ, short_folder):
    up = start(**environ)
    up.await_ready()

    given = up.ask()

    assert load_settings(given).signing_keys.signing == 0
    assert not {*environ, "TRACKER_SECRET_KEYS"} & given.keys()
    assert "127.0.0.1/32" in given["TRACKER_ALLOW_DESTINATIONS"]
    assert len(given["SANDBOX_POSTBACK_TOKEN"]) > 20
    assert (short_folder / "data" / "secret_keys").stat().st_mode & 0o077 == 0


def test_a_command_finds_the_stores_of_a_running_up(start, environ):
    up = start(**environ)
    up.await_ready()
    settings = load_settings(
        {"TRACKER_DATA_DIR": up.environ["TRACKER_DATA_DIR"]}, needs=()
    )

    assert find_running(settings).database_conninfo == environ["TRACKER_DATABASE_URL"]
    up.end()
    with pytest.raises(SettingsError, match="TRACKER_DATABASE_URL"):
        _ = find_running(settings).database_conninfo


def test_a_second_signal_hastens(start, environ):
    up = start(**environ, DEAF="serve")
    up.await_ready()

    up.process.terminate()
    up.await_event("child.ended", child="worker")
    status, last_words = up.end(signal.SIGINT)

    assert status == 0
    assert '"status":-9' in last_words


def test_a_second_one_on_the_same_data_is_told_who_was_first(start, environ):
    first = start(**environ)
    first.await_ready()

    status, last_words = start(**environ).wait()

    assert status == 1
    assert (
        f"TRACKER_DATA_DIR: {first.environ['TRACKER_DATA_DIR']} is in use" in last_words
    )
    assert f"process {first.process.pid};" in last_words


def test_a_port_in_use_is_named(start, environ):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, last_words = start(**environ, TRACKER_PORT=str(port)).wait()

    assert status == 1
    assert f"TRACKER_PORT: {port} on 127.0.0.1 is already in use" in last_words


def test_a_child_that_cannot_live_is_given_up(start, environ):
    status, last_words = start(**environ, BROKEN="serve").wait()

    assert status == 1
    assert last_words.count("broken\n") == 3
    assert "`tracker serve` ends at once; its log is above" in last_words


def test_after_all_was_killed_the_next_starts_on_the_same_data(start, short_folder):
    """With embedded stores, which are left behind as a power cut would leave them."""
    up = start()
    up.await_ready()
    given = up.ask()
    write_row(given)
    postmaster = short_folder / "data" / "postgres" / "postmaster.pid"

    up.process.kill()
    os.kill(int(postmaster.read_text().splitlines()[0]), signal.SIGKILL)
    up.wait()
    successor = start()
    successor.await_ready()

    assert successor.ask()["SANDBOX_POSTBACK_TOKEN"] == given["SANDBOX_POSTBACK_TOKEN"]
    assert count_rows(successor.ask()) == 1
    assert successor.end()[0] == 0
    assert not postmaster.exists()


def test_a_store_that_dies_is_started_again(start, environ, short_folder):
    del environ["TRACKER_REDIS_URL"]
    up = start(**environ)
    up.await_ready()

    pid_file = short_folder / "data" / "valkey" / "valkey.pid"
    os.kill(int(pid_file.read_text()), signal.SIGKILL)

    assert up.await_event("store.ended")["store"] == "valkey"
    assert up.await_event("store.started")["store"] == "valkey"


def write_row(environ):
    statement = "insert into catalog_numbers values ('partner', 'a', 1)"
    with psycopg.connect(load_settings(environ).database_conninfo) as connection:
        connection.execute(statement)


def count_rows(environ):
    with psycopg.connect(load_settings(environ).database_conninfo) as connection:
        return connection.execute("select count(*) from catalog_numbers").fetchone()[0]


async def test_the_first_admin_is_made_once_and_kept_as_a_hash(database_url):
    settings = Settings(database_url=database_url)

    told = await asyncio.gather(_first_password(settings), _first_password(settings))

    (password,) = filter(None, told)
    assert await _first_password(settings) == ""
    async with make_pool(database_url, size=1) as pool:
        admin = await PeopleStore(pool).get_named("admin")
        kept = await AuditStore(pool).list_deeds(limit=10)
    assert admin.password_hash.startswith("$argon2id$")
    assert await Passwords().fits(password, admin.password_hash)
    assert [(one.who, one.action) for one in kept] == [("tracker up", "person.added")]
    assert password not in str(kept)


async def test_without_a_console_nobody_is_made(database_url):
    assert (
        await _first_password(Settings(database_url=database_url, console_port=0)) == ""
    )
