"""
What an attack takes place in: durable stores, a catalog, and processes to be ended.

Everything is real: `tracker serve` and `tracker worker` as an operator starts them, the
stores that `tracker up` would start, a client that makes the load, and a partner's
server. Whatever is started here ends with the attack, or with whoever ran it.
"""

import asyncio
import atexit
import json
import os
import signal
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psycopg
import redis
from checker import (
    NOTHING_ODD,
    Books,
    Evidence,
    Tally,
    check,
    list_events,
    read_books,
    read_evidence,
    read_hits,
)
from launch import Forked, Spawned
from market import KEYS, TOKEN, catalog_text
from parties import Clock
from proxy import running_proxy
from stores import fast_place, guarded, temporary_folder

from tracker.embedded import EmbeddedPostgres, EmbeddedValkey
from tracker.store.clicks import stream_key
from tracker.store.migrations import migrate

HERE = Path(__file__).parent
POSTGRES_SOCKET = ".s.PGSQL.5432"
HURRY_SECONDS = 0.3

BRISK = {"longest_thought": 0.2, "first_pause": 0.1, "longest_pause": 0.5}
"""An advertiser whose answers are there soon, so that nobody waits for the last one."""

COUNT_OWED = """
select count(*)
from   deliveries
where  held_reason is distinct from 'click_details'
or     exists (select from clicks where id = macro_values ->> 'click_id')
"""

_POLL = 0.02
_START_SECONDS = 60
_PAGE = os.sysconf("SC_PAGE_SIZE")


class TortureError(Exception):
    """The attack itself did not work, so that it says nothing of the tracker."""


@dataclass
class Process:
    """A process that can be ended, frozen and started again, any number of times."""

    name: str
    arguments: list[str]
    log: Path
    environ: Mapping[str, str]
    launch: Callable[..., Spawned | Forked]
    port: int = 0
    _running: Spawned | Forked | None = None

    def start(self, **environ):
        """Without waiting; `environ` is added for this time."""
        self._running = self.launch(
            self.arguments, {**self.environ, **environ}, self.log
        )
        return self

    @property
    def pid(self):
        return self._running.pid

    def is_alive(self):
        return self._running is not None and self._running.is_alive()

    def signal(self, number):
        self._running.signal(number)

    def kill(self):
        """As the kernel does when memory is short."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self._running.await_end()

    def await_end(self, seconds=_START_SECONDS):
        """Its exit code."""
        code = self._running.await_end(seconds)
        if code is None:
            raise TortureError(f"{self.name} did not end in {seconds} s")
        return code

    def ends_within(self, seconds):
        return self._running.await_end(seconds) is not None

    @property
    def exit_code(self):
        """None while it lives."""
        return self._running.await_end(0)

    def end(self):
        """At the end of it all; whether it runs, is frozen, or never did."""
        if self.is_alive():
            self.kill()

    def await_ready(self, seconds=_START_SECONDS):
        """Until its port takes connections, if it has one; an error if it ends."""
        if not self.port:
            return self
        wait_until(
            lambda: not self.is_alive() or is_open(self.port), seconds, self.name
        )
        if not self.is_alive():
            raise TortureError(f"{self.name} ended:\n{self.last_words()}")
        return self

    def last_words(self):
        return self.log.read_text(errors="replace")[-2000:]

    def resident_bytes(self):
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * _PAGE

    def count_descriptors(self):
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


@dataclass
class Arena:
    """
    One tracker with its stores, in a folder of its own.

    `database_url` and `redis_url` are where the tracker's processes look for them: a
    fault proxy may stand in between.
    """

    folder: Path
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    database_url: str
    redis_url: str
    sink_port: int
    _launch: Callable[..., Spawned | Forked]
    _pace: Mapping[str, float]
    _processes: ExitStack
    _clock: Clock
    _numbers: dict[str, int] = field(default_factory=dict)

    @property
    def data(self):
        return self.folder / "data"

    @property
    def environ(self):
        return {
            "TRACKER_DATABASE_URL": self.database_url,
            "TRACKER_REDIS_URL": self.redis_url,
            "TRACKER_SECRET_KEYS": KEYS,
            "TRACKER_CATALOG": str(self.folder / "partners.yaml"),
            "TRACKER_DATA_DIR": str(self.data),
            "TRACKER_ALLOW_DESTINATIONS": "127.0.0.0/8",
            "ACME_TOKEN": TOKEN,
        }

    # ------------------------------------------------------------- processes

    def web(self, **environ) -> Process:
        """`tracker serve` on a port of its own; not yet started."""
        port = free_port()
        return self._process(
            "serve",
            ["-m", "tracker", "serve"],
            port=port,
            TRACKER_PORT=str(port),
            **environ,
        )

    def worker(self, **environ) -> Process:
        """`tracker worker`; not yet started."""
        return self._process("worker", ["-m", "tracker", "worker"], **environ)

    def sink(self, delay=0.0) -> Process:
        """The server of all partners, which takes so many seconds to answer."""
        notes = self.folder / "hits.jsonl"
        arguments = [str(self.sink_port), str(notes), str(delay)]
        script = str(HERE / "partner_sink.py")
        return self._process("sink", [script, *arguments], port=self.sink_port)

    def traffic(self, *webs: Process, **plan) -> Process:
        """The load; see `traffic.Plan`. It ends when `finish` asks it to."""
        notes = self.folder / "traffic.jsonl"
        ports = [web.port for web in webs]
        told = {"ports": ports, "notes": str(notes), **self._pace, **plan}
        script = str(HERE / "traffic.py")
        return self._process("traffic", [script, json.dumps(told)])

    @staticmethod
    def start(*processes: Process):
        """All of them at once; they are ready when this returns."""
        for process in processes:
            process.start()
        return [process.await_ready() for process in processes]

    def finish(self, traffic: Process, seconds=120):
        """No more visitors; every advertiser has had its answer, or given up."""
        traffic.signal(signal.SIGTERM)
        if traffic.await_end(seconds):
            raise TortureError(f"the load failed:\n{traffic.last_words()}")

    def _process(self, name, arguments, port=0, **environ):
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        process = Process(
            f"{name}-{number}",
            arguments,
            self.folder / f"{name}-{number}.log",
            {**self.environ, **environ},
            self._launch,
            port,
        )
        self._processes.callback(process.end)
        return process

    def count_told(self):
        """Deliveries that a partner has heard of, once or more often."""
        return len({hit.delivery for hit in read_hits(self.folder)})

    def await_hits(self, number):
        wait_until(lambda: self.count_told() >= number, _START_SECONDS, "partners")

    # ---------------------------------------------------------------- stores

    def database(self):
        return psycopg.connect(self.postgres.url, autocommit=True)

    def ask(self, query, *parameters):
        """The one row that answers it."""
        with self.database() as connection:
            return connection.execute(query, parameters).fetchone()

    def redis(self):
        return redis.Redis.from_url(self.valkey.url)

    @contextmanager
    def proxied(self):
        """Whoever is started in this block reaches the stores through a proxy each."""
        near = self.folder / "near"
        near.mkdir(mode=0o700)
        with (
            running_proxy(
                near / POSTGRES_SOCKET, self.postgres.folder / POSTGRES_SOCKET
            ) as postgres,
            running_proxy(near / "valkey.sock", self.valkey.socket) as redis,
        ):
            self.database_url = f"postgresql://postgres@/postgres?host={near}"
            self.redis_url = f"unix://{near}/valkey.sock?db=0"
            yield {"postgres": postgres, "redis": redis}

    def elsewhere(self):
        """What a process needs to know that is on a host of its own, with no proxy."""
        return {
            "TRACKER_DATABASE_URL": self.postgres.url,
            "TRACKER_REDIS_URL": self.valkey.url,
            "TRACKER_DATA_DIR": str(self.folder / "elsewhere"),
        }

    @contextmanager
    def repeating(self, seconds, act):
        """Does something again and again, so far apart, while the block runs."""
        over = threading.Event()

        def go_on():
            while not over.wait(seconds):
                act()

        with ThreadPoolExecutor(1) as thread:
            acting = thread.submit(go_on)
            try:
                yield
            finally:
                over.set()
                acting.result()

    def kill_postgres(self):
        """All of it at once, as when the machine's memory is short."""
        kill_with_children(postmaster_pid(self.postgres))

    @contextmanager
    def frozen(self, pids):
        """They neither answer nor hang up, while the block runs."""
        _signal(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(pids, signal.SIGCONT)

    def valkey_pid(self):
        return int((self.valkey.folder / "valkey.pid").read_text())

    def kill_valkey(self):
        os.kill(self.valkey_pid(), signal.SIGKILL)
        self.valkey._process.wait()

    def pass_time(self, seconds):
        """Leases and schedules are so much older, at once; that of a reader is over."""
        self._clock.advance(seconds=seconds)
        with self.redis() as client:
            client.delete("clicks:lease:{0}")

    # ------------------------------------------------------------ the reckoning

    def settle(self, traffic: Process, allowed=NOTHING_ODD, *, hurries=True) -> Tally:
        """Ends the load, waits until nothing waits, and compares; see `drain`."""
        self.finish(traffic)
        self.drain(hurries=hurries)
        return self.check(allowed)

    def check(self, allowed=NOTHING_ODD) -> Tally:
        return check(self.seen(), self.books(), allowed)

    def seen(self) -> Evidence:
        return read_evidence(self.folder)

    def books(self) -> Books:
        with self.database() as connection:
            return read_books(connection, self.logs())

    def events(self, name):
        """Every such event that a process has logged."""
        return list(list_events(self.logs(), name))

    def logs(self):
        return sorted(self.folder.glob("*.log"))

    def drain(self, seconds=90, *, hurries=True):
        """
        Waits until nothing waits: no click, no delivery, no spool; how long that took.

        Who hurries lets a minute pass, three times a second. What needs details of a
        click that is lost waits for a day, and nobody for it.
        """
        started = moved_at = time.monotonic()
        while left := self.count_left():
            now = time.monotonic()
            if now - started > seconds:
                raise TortureError(f"after {seconds} s there is left: {left}")
            if hurries and now - moved_at > HURRY_SECONDS:
                self.pass_time(61)
                moved_at = now
            time.sleep(_POLL)
        return time.monotonic() - started

    def count_unfolded(self):
        """Clicks that Redis holds, and Postgres perhaps not yet."""
        with self.redis() as client:
            return client.xlen(stream_key(0))

    def count_spooled(self):
        """Records on disk that no store has yet."""
        return sum(map(_count_records, self.folder.glob("*/spool/*.sqlite")))

    def count_left(self):
        """What still waits to be done, by what it is; nothing if all is done."""
        left = {
            "clicks": self.count_unfolded(),
            "deliveries": self.ask(COUNT_OWED)[0],
            "spooled": self.count_spooled(),
        }
        return {what: number for what, number in left.items() if number}


@contextmanager
def arena(scale) -> Iterator[Arena]:
    """In full on a disk, in brief in memory where there is room."""
    place = _common_place(scale.pick("/tmp", fast_place()))
    with temporary_folder(place) as folder, guarded(folder), ExitStack() as stack:
        (folder / "data").mkdir()
        postgres, valkey = EmbeddedPostgres(folder), EmbeddedValkey(folder)
        stack.callback(lambda: _stop_stores(postgres, valkey))
        postgres.start()
        valkey.start()
        asyncio.run(migrate(postgres.url))
        processes = stack.enter_context(ExitStack())
        made = Arena(
            folder,
            postgres,
            valkey,
            postgres.url,
            valkey.url,
            free_port(),
            scale.pick(Spawned, Forked),
            scale.pick({}, BRISK),
            processes,
            Clock(postgres.url),
        )
        write_catalog(made)
        yield made


@cache
def _common_place(place):
    """
    All arenas of this process are in one folder, which goes when the process does.

    The wheel of Postgres keeps its lock where it was first started, and makes that
    folder anew for every other one.
    """
    common = tempfile.TemporaryDirectory(prefix="tracker-torture-", dir=place)
    atexit.register(common.cleanup)
    Path(common.name).chmod(0o755)
    return common.name


def write_catalog(made, remark=""):
    """At once, as an editor does it; another remark is another edit."""
    new = made.folder / "partners.new"
    new.write_text(catalog_text(made.sink_port) + f"# {remark}\n")
    new.replace(made.folder / "partners.yaml")


def kill_with_children(pid):
    import psutil  # noqa: PLC0415 - comes with the embedded stores

    process = psutil.Process(pid)
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            one.kill()


def processes_of_postgres(postgres):
    """The postmaster and all that it has started."""
    import psutil  # noqa: PLC0415 - likewise

    process = psutil.Process(postmaster_pid(postgres))
    return [process.pid, *(one.pid for one in process.children(recursive=True))]


def postmaster_pid(postgres):
    return int((postgres.folder / "postmaster.pid").read_text().split()[0])


def wait_until(is_so, seconds, what):
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TortureError(f"waited {seconds} s for {what}")
        time.sleep(_POLL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _signal(pids, number):
    """One may have ended by itself, and be buried by another that goes on."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _count_records(spool):
    """One that cannot be read now is asked again: its owner may be removing it."""
    query = "select count(*) from records where refused is null"
    try:
        with closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchone()[0]
    except sqlite3.Error:
        return 1


def _stop_stores(postgres, valkey):
    """Whatever an attack has left of them."""
    for stop in (valkey.stop, postgres.stop):
        with suppress(Exception):
            stop()
