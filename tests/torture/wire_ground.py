"""What the wire is attacked on: stores that need not last, a catalog, one process."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
from stores import started_stores, temporary_folder

from tracker.store.migrations import migrate

TOKEN = "token-of-the-torture"
_STOP_SECONDS = 30
_START_SECONDS = 60


@dataclass(frozen=True)
class Ground:
    """A migrated database, an empty Redis, and what a process needs of them."""

    folder: Path
    database_url: str
    redis_url: str

    @property
    def environ(self):
        return {
            **{n: v for n, v in os.environ.items() if not n.startswith("TRACKER_")},
            "TRACKER_DATABASE_URL": self.database_url,
            "TRACKER_REDIS_URL": self.redis_url,
            "TRACKER_SECRET_KEYS": f"0:{'5a' * 32}",
            "TRACKER_CATALOG": str(self.folder / "partners.yaml"),
            "TRACKER_DATA_DIR": str(self.folder / "data"),
            "TRACKER_ALLOW_DESTINATIONS": "127.0.0.0/8",
            "ACME_TOKEN": TOKEN,
        }

    def rows(self, query):
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(query).fetchall()


@dataclass(frozen=True)
class Process:
    """A tracker's process; `port` is 0 where it has none."""

    process: subprocess.Popen
    log: Path
    port: int = 0

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def resident_kilobytes(self, what="VmRSS"):
        """What it has in memory, or (`VmHWM`) the most that it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{what}:")[1].split()[0])

    def said(self):
        return self.log.read_text(errors="replace")

    def wait_until(self, is_so, seconds=_START_SECONDS):
        deadline = time.monotonic() + seconds
        while not is_so():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"it ended, or is late\n{self.said()[-2000:]}")
            time.sleep(0.02)


@contextmanager
def prepared(catalog):
    """The stores, and a partners.yaml with this text."""
    with temporary_folder() as folder, started_stores() as stores:
        (folder / "partners.yaml").write_text(catalog)
        (folder / "data").mkdir()
        with stores.database("wire") as url:
            asyncio.run(migrate(url))
            yield Ground(folder, url, stores.redis_url)


@contextmanager
def running(ground, command, port=0, **environ):
    """`tracker serve` or `tracker worker`; ended at the end."""
    log = ground.folder / f"{command}.log"
    at = {"TRACKER_PORT": str(port)} if port else {}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tracker", command],
            env={**ground.environ, **at, **environ},
            stdout=output,
            stderr=output,
        )
    try:
        yield Process(process, log, port)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def serving(ground):
    """A web process that redirects."""
    with running(ground, "serve", port=free_port()) as server:
        server.wait_until(lambda: _is_ready(server))
        yield server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_ready(server):
    try:
        return httpx.get(server.url("/readyz"), timeout=5).is_success
    except httpx.TransportError:
        return False
