"""What attacks on deliveries stand on: stores, a catalog, and real worker processes."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from stores import Stores, started_stores, temporary_folder

from tracker.store.migrations import migrate

PATIENCE_SECONDS = 60

_CATALOG = """\
version: 1
currency: USD
advertisers:
  acme:
    auth: {none: true}
offers:
  shoes:
    advertiser: acme
    url: https://shop.example/?cid={click_id}
    goals: {lead: {payout: 1, revenue: 2}}
partners:
"""
_PARTNER = """\
  %s:
    offers: all
    postbacks: [{id: all, url: "http://127.0.0.1:%s/pb?cid={click_id}"}]
"""

_OWE = """
insert into deliveries (id, change_id, conversion_id, partner, postback, lane, number,
                        macro_values, has_click, created_at, due_at)
select 'dl_' || name, 'ch_' || name, 'cv_' || name, %(partner)s, 'all',
       %(partner)s || '/all@127.0.0.1:' || %(port)s::text, 1,
       '{"click_id": "c"}', true, tracker_now(), tracker_now()
from   unnest(%(names)s::text[]) as names (name)
"""


_DELIVERY = re.compile(rb"(?i)x-tracker-delivery: (\S+)")


class Partner:
    """
    A partner's server. Its port is taken from the start; connections are refused
    until it has come up.

    `answer` is asked for the status of each call, by delivery id; `calls` are those
    that came, with their times.
    """

    def __init__(self, answer):
        self.calls = []
        self._answer = answer
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    async def come_up(self):
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: _Line(self), sock=self._socket, backlog=1024)

    async def wait_for_calls(self, number):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.calls) < number:
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(self.calls)} calls came, not {number}")
            await asyncio.sleep(0.01)

    async def hear(self, line, request):
        delivery = _DELIVERY.search(request)[1].decode()
        self.calls.append((time.monotonic(), delivery))
        status = await self._answer(delivery)
        line.write(b"HTTP/1.1 %d -\r\ncontent-length: 0\r\n\r\n" % status)


class _Line(asyncio.Protocol):
    """One connection; a caller sends nothing before it is answered."""

    def __init__(self, partner):
        self._partner = partner
        self._heard = b""
        self._hearing = None

    def connection_made(self, line):
        self._line = line

    def data_received(self, data):
        self._heard += data
        if self._heard.endswith(b"\r\n\r\n"):
            heard, self._heard = self._heard, b""
            self._hearing = asyncio.ensure_future(self._partner.hear(self._line, heard))


@dataclass(frozen=True)
class Ground:
    """One database with its catalog; `ports` has that of each partner's server."""

    stores: Stores
    url: str
    folder: Path
    ports: dict[str, int]

    def ask(self, query, **parameters):
        """The one row that answers it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query, parameters).fetchone()

    def column(self, query, **parameters):
        with psycopg.connect(self.url, autocommit=True) as connection:
            return [row[0] for row in connection.execute(query, parameters)]

    def owing(self, partner, names):
        """The statement that owes deliveries, each of a conversion of its own."""
        return _OWE, {
            "partner": partner,
            "port": self.ports[partner],
            "names": list(names),
        }

    def owe(self, partner, names):
        query, parameters = self.owing(partner, names)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(query, parameters)
            connection.execute("notify tracker_deliveries")

    def wake(self):
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("notify tracker_deliveries")

    async def until(self, query, *, seconds=PATIENCE_SECONDS, **parameters):
        """Asked again and again, until the answer is true."""
        deadline = time.monotonic() + seconds
        while not self.ask(query, **parameters)[0]:
            if time.monotonic() > deadline:
                raise SystemExit(f"it never came to this: {query}")
            await asyncio.sleep(0.02)

    @contextmanager
    def worker(self):
        """`tracker worker`, as a process that may be stopped and killed."""
        command = [sys.executable, "-m", "tracker", "worker"]
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                command, env={**os.environ, **self._environ()}, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            has_ended = process.poll() is not None
            process.kill()
            process.wait()
            if has_ended:
                print((self.folder / "worker.log").read_text()[-2000:])

    def _environ(self):
        return {
            "TRACKER_DATABASE_URL": self.url,
            "TRACKER_REDIS_URL": self.stores.redis_url,
            "TRACKER_SECRET_KEYS": f"0:{'5a' * 32}",
            "TRACKER_CATALOG": str(self.folder / "partners.yaml"),
            "TRACKER_DATA_DIR": str(self.folder / "data"),
            "TRACKER_ALLOW_DESTINATIONS": "127.0.0.0/8",
            "TRACKER_LOG_LEVEL": "warning",
        }


@contextmanager
def grounds(*catalogs):
    """A database for each catalog, which is partners and the ports of their servers."""
    with started_stores() as stores, temporary_folder() as folder:
        yield [
            _prepare(stores, folder / str(number), ports)
            for number, ports in enumerate(catalogs)
        ]


def _prepare(stores, folder, ports):
    name = f"torture_{folder.name}"
    stores.execute(f'create database "{name}"')
    url = stores.database_url(name)
    asyncio.run(migrate(url))
    (folder / "data").mkdir(parents=True)
    partners = "".join(_PARTNER % pair for pair in ports.items())
    (folder / "partners.yaml").write_text(_CATALOG + partners)
    return Ground(stores, url, folder, ports)
