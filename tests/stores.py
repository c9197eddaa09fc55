"""
The stores the tests run on: real ones, in a folder of the system's, not of the clone.

They are started once per session, without waiting for the disk. A guard of their
own ends them if the session is killed, and so cannot.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tracker.embedded import EmbeddedPostgres, EmbeddedValkey

MEMORY = Path("/dev/shm")
ROOM = 4 << 30

# Waits for the end of its input, which is the end of whoever started it.
GUARD = """
import os, shutil, signal, sys
sys.stdin.read()
folder, *pid_files = sys.argv[1:]
for name in pid_files:
    try:
        os.kill(int(open(name).readline()), signal.SIGQUIT)
    except (OSError, ValueError):
        pass
shutil.rmtree(folder, ignore_errors=True)
"""


@dataclass(frozen=True)
class Stores:
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey

    @property
    def redis_url(self):
        return self.valkey.url

    def database_url(self, name):
        return self.postgres.url.replace("/postgres?", f"/{name}?", 1)

    def execute(self, statement):
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def database(self, name, template="template1") -> Iterator[str]:
        """A database that exists while it is wanted; its URL."""
        self.execute(f'create database "{name}" template "{template}"')
        try:
            yield self.database_url(name)
        finally:
            self.execute(f'drop database "{name}" with (force)')


def fast_place() -> str:
    """In memory where there is room: a database for each test costs a disk much."""
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    return str(MEMORY) if has_room else "/tmp"


@contextmanager
def temporary_folder(place: str | None = None) -> Iterator[Path]:
    """Short, and open to the user that Postgres runs as when we are root."""
    place = place or fast_place()
    folder = Path(tempfile.mkdtemp(prefix="tracker-", dir=place)).resolve()
    folder.chmod(0o755 if os.geteuid() == 0 else 0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started_stores() -> Iterator[Stores]:
    with temporary_folder() as folder, guarded(folder):
        postgres = EmbeddedPostgres(folder, durable=False)
        valkey = EmbeddedValkey(folder, durable=False)
        try:
            postgres.start()
            valkey.start()
            yield Stores(postgres, valkey)
        finally:
            postgres.stop()
            valkey.stop()


@contextmanager
def guarded(folder) -> Iterator[None]:
    pid_files = [folder / "postgres/postmaster.pid", folder / "valkey/valkey.pid"]
    guard = subprocess.Popen(
        [sys.executable, "-c", GUARD, folder, *pid_files],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()
