import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from tracker import embedded
from tracker.domain.errors import SettingsError, StoreUnavailableError
from tracker.embedded import (
    EmbeddedPostgres,
    EmbeddedValkey,
    lock_data_dir,
    make_data_dir,
    place_data_dir,
)

# Writes to both stores, and is killed before it can stop either.
VICTIM = """
import os, signal, sys
from pathlib import Path
import psycopg, redis
from tracker.embedded import EmbeddedPostgres, EmbeddedValkey

folder = Path(sys.argv[1])
postgres, valkey = EmbeddedPostgres(folder), EmbeddedValkey(folder)
postgres.start()
valkey.start()
with psycopg.connect(postgres.url, autocommit=True) as connection:
    connection.execute("create table kept as select 42 as answer")
redis.Redis.from_url(valkey.url).set("answer", 42)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def postgres(short_folder):
    postgres = EmbeddedPostgres(short_folder)
    yield postgres
    postgres.stop()


@pytest.fixture
def valkey(short_folder):
    valkey = EmbeddedValkey(short_folder)
    yield valkey
    valkey.stop()


def test_what_a_killed_run_was_told_is_kept_is_kept(short_folder, postgres, valkey):
    """Its Postgres is taken over, its Valkey has ended with it."""
    victim = subprocess.run([sys.executable, "-c", VICTIM, short_folder], check=False)
    leaked = postmaster_pid(short_folder)

    postgres.start()
    valkey.start()

    assert victim.returncode == -signal.SIGKILL
    assert postmaster_pid(short_folder) == leaked
    assert kept_in(postgres) == 42
    assert redis.Redis.from_url(valkey.url).get("answer") == b"42"


def test_a_killed_postgres_starts_again_whoever_has_its_pid_now(short_folder, postgres):
    postgres.start()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("create table kept as select 42 as answer")
    pid_file = short_folder / "postgres" / "postmaster.pid"

    os.kill(postmaster_pid(short_folder), signal.SIGKILL)
    lines = pid_file.read_text().splitlines()[1:]
    pid_file.write_text("\n".join([str(os.getpid()), *lines, ""]))
    postgres.start()

    assert kept_in(postgres) == 42


def test_postgres_waits_for_the_disk(postgres):
    postgres.start()

    with psycopg.connect(postgres.url) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            assert connection.execute(f"show {setting}").fetchone() == ("on",)


def test_valkey_waits_for_the_disk_and_forgets_nothing(valkey):
    valkey.start()

    settings = redis.Redis.from_url(valkey.url).config_get("*")

    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["maxmemory-policy"] == "noeviction"
    assert (settings["save"], settings["port"]) == ("", "0")


def test_a_leaked_valkey_is_replaced_and_its_data_kept(short_folder, valkey):
    leaked = EmbeddedValkey(short_folder)
    leaked.start()
    redis.Redis.from_url(leaked.url).set("answer", 42)

    valkey.start()

    assert not leaked.is_running()
    assert redis.Redis.from_url(valkey.url).get("answer") == b"42"


def test_a_valkey_pid_that_is_somebody_elses_now_is_left_alone(short_folder, valkey):
    (short_folder / "valkey").mkdir()
    (short_folder / "valkey" / "valkey.pid").write_text(str(os.getpid()))

    valkey.start()

    assert valkey.is_running()


def test_a_valkey_that_cannot_start_says_where_to_look(short_folder, valkey):
    (short_folder / "valkey" / "appendonlydir").mkdir(parents=True)
    manifest = "appendonlydir/appendonly.aof.manifest"
    (short_folder / "valkey" / manifest).write_text("rubbish")

    with pytest.raises(StoreUnavailableError, match=r"valkey\.log says why"):
        valkey.start()


def test_a_data_directory_has_one_user(short_folder):
    with (
        lock_data_dir(short_folder),
        pytest.raises(SettingsError, match=f"process {os.getpid()};"),
        lock_data_dir(short_folder),
    ):
        pass
    with lock_data_dir(short_folder):
        pass


@pytest.mark.parametrize("home", ["/root", "/home/alice"])
def test_as_root_data_in_a_home_goes_elsewhere(monkeypatch, home):
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    placed = place_data_dir(Path(home, "tracker", ".tracker"))

    assert placed.parent == Path("/var/lib/tracker")


def test_as_root_no_closed_folder_is_opened(monkeypatch, short_folder):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    short_folder.chmod(0o700)

    assert place_data_dir(short_folder / "data").parent == Path("/var/lib/tracker")


@pytest.mark.parametrize("name", ["a" * 90, "with blank", "with;semicolon"])
def test_a_path_that_postgres_cannot_take_is_replaced(
    monkeypatch, short_folder, tmp_path, name
):
    monkeypatch.setattr(embedded, "_elsewhere", lambda: short_folder / "elsewhere")
    wanted = tmp_path / name

    made = make_data_dir(wanted)

    assert made.parent == short_folder / "elsewhere"
    assert made == place_data_dir(wanted)
    assert made.is_dir()


def test_an_ordinary_path_is_used_as_it_is(short_folder, monkeypatch):
    monkeypatch.chdir(short_folder)

    assert make_data_dir(Path("data")) == short_folder / "data"


def postmaster_pid(folder):
    return int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def kept_in(postgres):
    with psycopg.connect(postgres.url) as connection:
        return connection.execute("select answer from kept").fetchone()[0]
