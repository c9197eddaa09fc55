"""
What `tracker up` runs: the stores, then web and worker, until it is told to stop.

    up
    ├── Postgres, Valkey     where no URL is set; stopped last
    ├── tracker serve        started again whenever it ends
    └── tracker worker       likewise

A child ends when `up` does, however that ends: each reads a pipe that only `up`
could write to, and takes its end for SIGTERM (`watch_parent`). Each also holds on
to a lock, so that the next `up` waits for those of a killed one.
"""

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from tracker.domain.catalog import Catalog
from tracker.domain.errors import (
    BusyError,
    CatalogError,
    SettingsError,
    StartError,
    StoreUnavailableError,
    TrackerError,
)
from tracker.domain.macros import BASE_URL
from tracker.domain.meter import Closed, closed_by, is_closed, list_reached
from tracker.embedded import (
    EmbeddedPostgres,
    EmbeddedValkey,
    Store,
    lock_data_dir,
    make_data_dir,
    place_data_dir,
)
from tracker.logs import configure_logs
from tracker.metrics import forget_process
from tracker.settings import (
    SANDBOX_TOKEN,
    SANDBOX_TOKEN_FILE,
    SERVER_NEEDS,
    Settings,
    load_settings,
    to_environ,
    variable,
)
from tracker.store.meters import MeterStore
from tracker.store.migrations import migrate
from tracker.store.postgres import make_pool

log = structlog.get_logger()

GRACE = timedelta(seconds=20)
"""What a child is given to finish what it has begun."""

_READY_TIMEOUT = 30.0
_POLL = 0.05
_STORE_POLL = 1.0
_FIRST_DELAY, _LAST_DELAY = 0.1, 5.0
_HEALTHY_AFTER = 30.0
_HOPELESS_AFTER = 3
_LOOPBACK = tuple(map(ip_network, ("127.0.0.1/32", "::1/128")))
_SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class Program:
    """Something to keep running."""

    name: str
    argv: Sequence[str]


CONSOLE = "console"
PROGRAMS = tuple(
    Program(name, (sys.executable, "-m", "tracker", name))
    for name in ("serve", "worker", CONSOLE)
)


def up(
    settings: Settings,
    *,
    sandbox: bool = False,
    programs: Sequence[Program] = PROGRAMS,
) -> None:
    """
    Run everything until SIGINT, SIGTERM or SIGHUP; a second one hastens the end.

    Returns once all of it has stopped. TrackerError if it did not come up.
    """
    configure_logs(settings.log_level)
    asyncio.run(_up(settings, sandbox=sandbox, programs=programs))


def find_running(settings: Settings) -> Settings:
    """
    The settings that `up` runs with, so that a command can join it.

    For an operator's commands beside a running `up`; what was set stays as it is.
    """
    data_dir = place_data_dir(settings.data_dir)
    try:
        running = json.loads((data_dir / "run" / _SETTINGS).read_text("utf-8"))
    except FileNotFoundError:
        return settings.model_copy(update={"data_dir": data_dir})
    own = {**to_environ(settings), variable("data_dir"): str(data_dir)}
    return load_settings({**running, **own}, needs=())


def watch_parent(fd: int, grace: timedelta = GRACE) -> None:
    """
    End this process when the one that holds the other end of the pipe is gone.

    It is asked as by SIGTERM, and after the grace no longer asked.
    """

    def watch() -> None:
        while os.read(fd, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace.total_seconds())
        os._exit(1)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


# --------------------------------------------------------------------- the story


async def _up(
    settings: Settings, *, sandbox: bool, programs: Sequence[Program]
) -> None:
    stop = _Stop()
    stop.listen()
    data_dir = make_data_dir(settings.data_dir)
    with ExitStack() as stack:
        stack.enter_context(lock_data_dir(data_dir))
        inherited = stack.enter_context(_pass_on(data_dir))
        await _lock_children(inherited, stop)
        _check_ports(settings)
        stores = _embedded_stores(settings, data_dir)
        for store in stores:
            stack.enter_context(_started(store))
        settings = _complete(settings, data_dir, stores, sandbox=sandbox)
        stack.enter_context(_published(settings, data_dir))
        for name in await migrate(settings.database_conninfo):
            log.info("database.migrated", migration=name)
        environ = _child_environ(settings, data_dir, inherited)
        children = [
            Child(program, environ, inherited)
            for program in programs
            if program.name != CONSOLE or settings.console_port
        ]
        async with _kept(children, stores, stop) as keepers:
            if await _is_ready(settings, children, stop):
                link = await _first_link(settings, environ)
                password = await _first_password(settings)
                said = _announcement(settings, link, password)
                print(said, flush=True)  # noqa: T201 -- for people
            await _first(stop.asked.wait(), *keepers)


class _Stop:
    """What signals ask for: to stop, and then to hurry."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._ask, number)

    def _ask(self, number: signal.Signals) -> None:
        log.info("up.stopping", signal=number.name, hurried=self.asked.is_set())
        (self.hurried if self.asked.is_set() else self.asked).set()


# ------------------------------------------------------------------------ stores


def _embedded_stores(settings: Settings, data_dir: Path) -> list[Store]:
    stores: list[Store] = []
    if settings.database_url is None:
        stores.append(EmbeddedPostgres(data_dir))
    if settings.redis_url is None:
        stores.append(EmbeddedValkey(data_dir))
    return stores


@contextmanager
def _started(store: Store) -> Iterator[None]:
    try:
        store.start()
        log.info("store.started", store=store.name)
        yield
    finally:
        store.stop()


async def _keep_store(store: Store, stop: _Stop) -> None:
    """A store that dies is started again, where it was, on what it had."""
    while not await _is_over(stop.asked, _STORE_POLL):
        if not store.is_running():
            log.error("store.ended", store=store.name)
            # What fails now is tried again, and the children live without it.
            with suppress(TrackerError):
                store.start()
                log.info("store.started", store=store.name)


# ---------------------------------------------------------------------- settings


def _complete(
    settings: Settings, data_dir: Path, stores: Iterable[Store], *, sandbox: bool
) -> Settings:
    """The settings with all that children need, made if it was not given."""
    made: dict[str, Any] = {"data_dir": data_dir}
    fields = {"postgres": "database_url", "valkey": "redis_url"}
    for store in stores:
        made[fields[store.name]] = SecretStr(store.url)
    if settings.secret_keys is None:
        made["secret_keys"] = SecretStr(_make_once(data_dir / "secret_keys", _new_key))
    if sandbox:
        made["sandbox"] = True
        made["allow_destinations"] = (*settings.allow_destinations, *_LOOPBACK)
    return settings.model_copy(update=made)


def _new_key() -> str:
    return f"0:{secrets.token_hex(32)}"


def _make_once(path: Path, make: Callable[[], str]) -> str:
    """What the file says; whole or absent, whenever a first run was interrupted."""
    if not path.exists():
        _write_secret(path, make())
    return path.read_text("utf-8").strip()


def _write_secret(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


@contextmanager
def _published(settings: Settings, data_dir: Path) -> Iterator[None]:
    """
    What we run with, while we run.

    Each secret in a file, for children, and all of it in one, for `find_running`.
    """
    folder = data_dir / "run"
    folder.mkdir(mode=0o700, exist_ok=True)
    values = {
        "database_url": settings.database_conninfo,
        "redis_url": settings.redis_address,
        "secret_keys": settings.model_dump()["secret_keys"].get_secret_value(),
        _SETTINGS: json.dumps(to_environ(settings)),
    }
    for name, value in values.items():
        _write_secret(folder / name, value)
    yield
    for name in values:
        (folder / name).unlink(missing_ok=True)


def _child_environ(
    settings: Settings, data_dir: Path, inherited: "_Inherited"
) -> dict[str, str]:
    """Our own environment, with these settings; secrets by the name of their file."""
    environ = {n: v for n, v in os.environ.items() if not n.startswith("TRACKER_")}
    environ |= to_environ(settings)
    for name in SERVER_NEEDS:
        del environ[variable(name)]
        environ[f"{variable(name)}_FILE"] = str(data_dir / "run" / name)
    environ[variable("parent_fd")] = str(inherited.pipe)
    environ["PROMETHEUS_MULTIPROC_DIR"] = str(_empty_folder(data_dir / "metrics"))
    if settings.sandbox:
        token = _make_once(
            data_dir / SANDBOX_TOKEN_FILE, lambda: secrets.token_urlsafe(24)
        )
        environ.setdefault(SANDBOX_TOKEN, token)
    return environ


def _empty_folder(folder: Path) -> Path:
    """Figures of a former run, found there, would be added to those of this one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


# ---------------------------------------------------------------------- children


@dataclass(frozen=True, slots=True)
class _Inherited:
    """What every child holds on to: the pipe it watches, and the children's lock."""

    pipe: int
    lock: int


@contextmanager
def _pass_on(data_dir: Path) -> Iterator[_Inherited]:
    reader, writer = os.pipe()
    with (
        os.fdopen(reader),
        os.fdopen(writer, "w"),
        (data_dir / "children.lock").open("w") as lock,
    ):
        yield _Inherited(reader, lock.fileno())


async def _lock_children(inherited: _Inherited, stop: _Stop) -> None:
    """Those of a killed run are on their way out, but may still have the port."""
    deadline = time.monotonic() + GRACE.total_seconds() + 5
    while not _is_locked(inherited.lock):
        if time.monotonic() > deadline or await _is_over(stop.asked, _POLL):
            raise StartError("web or worker of a former run have not ended yet")


def _is_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass
class Child:
    """A program kept running: started again, after a delay that grows, if it ends."""

    program: Program
    environ: dict[str, str] = field(repr=False)
    inherited: _Inherited
    deaths: int = 0

    async def keep(self, stop: _Stop) -> None:
        """Until told to stop; then the child is, too, and has ended on return."""
        delay = _FIRST_DELAY
        while not stop.asked.is_set():
            started_at = time.monotonic()
            await self._run(stop)
            if stop.asked.is_set():
                return
            self.deaths += 1
            if time.monotonic() - started_at > _HEALTHY_AFTER:
                delay = _FIRST_DELAY
            await _is_over(stop.asked, delay)
            delay = min(2 * delay, _LAST_DELAY)

    async def _run(self, stop: _Stop) -> None:
        process = await self._start()
        log.info("child.started", child=self.program.name, pid=process.pid)
        try:
            await _first(process.wait(), stop.asked.wait())
        finally:
            await _end(process, stop)
            forget_process(process.pid, self.environ["PROMETHEUS_MULTIPROC_DIR"])
        say = log.info if stop.asked.is_set() else log.error
        say("child.ended", child=self.program.name, status=process.returncode)

    async def _start(self) -> asyncio.subprocess.Process:
        # A session of its own: Ctrl-C at the terminal is for us to pass on.
        return await asyncio.create_subprocess_exec(
            *self.program.argv,
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(self.inherited.pipe, self.inherited.lock),
            start_new_session=True,
        )


async def _end(process: asyncio.subprocess.Process, stop: _Stop) -> None:
    """It is asked, and waited for; out of patience, it is not asked."""
    with suppress(ProcessLookupError):
        process.terminate()
        patience = _is_over(stop.hurried, GRACE.total_seconds())
        await _first(process.wait(), patience)
        process.kill()
    await process.wait()


@asynccontextmanager
async def _kept(
    children: Iterable[Child], stores: Iterable[Store], stop: _Stop
) -> AsyncIterator[list["asyncio.Task[None]"]]:
    """All of them kept running, and all of the children ended on leaving."""
    keepers = [asyncio.create_task(child.keep(stop)) for child in children]
    keepers += [asyncio.create_task(_keep_store(store, stop)) for store in stores]
    try:
        yield keepers
    finally:
        stop.asked.set()
        await asyncio.gather(*keepers)


# --------------------------------------------------------------------- readiness


def _check_ports(settings: Settings) -> None:
    for name in ("port", "internal_port", "console_port"):
        port = getattr(settings, name)
        if port and not _is_free(settings.host, port):
            raise SettingsError(
                f"{variable(name)}: {port} on {settings.host} is already in use; "
                "stop what uses it, or choose another"
            )


def _is_free(host: str, port: int) -> bool:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


async def _is_ready(settings: Settings, children: Sequence[Child], stop: _Stop) -> bool:
    """True once visitors are redirected; False if told to stop before that."""
    deadline = time.monotonic() + _READY_TIMEOUT
    while not await _is_over(stop.asked, _POLL):
        if await _answers_ready(settings):
            return True
        _check_hope(settings, children, is_late=time.monotonic() > deadline)
    return False


def _check_hope(
    settings: Settings, children: Iterable[Child], *, is_late: bool
) -> None:
    for child in children:
        if child.deaths >= _HOPELESS_AFTER:
            name = child.program.name
            raise StartError(f"`tracker {name}` ends at once; its log is above")
    if is_late:
        raise StartError(
            f"{_ready_address(settings)} did not answer within "
            f"{_READY_TIMEOUT:.0f} s; the log above may say why"
        )


def _ready_address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 -- not bound
    port = settings.internal_port or settings.port
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/readyz"


async def _answers_ready(settings: Settings) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            return await _status(_ready_address(settings)) == b"200"
    return False


async def _status(url: str) -> bytes:
    """The HTTP status of an answer; a client library would take longer to load."""
    location = urlsplit(url)
    reader, writer = await asyncio.open_connection(location.hostname, location.port)
    try:
        request = f"GET {location.path} HTTP/1.1\r\nHost: {location.netloc}\r\n"
        writer.write(f"{request}Connection: close\r\n\r\n".encode())
        return (await reader.readline()).partition(b" ")[2][:3]
    finally:
        writer.close()


def _announcement(settings: Settings, link: str, password: str = "") -> str:
    lines = [("link", link)]
    if settings.console_port:
        lines.append(("console", settings.console_url))
    if password:
        lines.append(("sign in", f"admin, {password} (said once: keep it)"))
    if settings.sandbox:
        lines.append(("sandbox", f"{settings.base_url}/sandbox"))
    lines += [("data", str(settings.data_dir)), ("stop", "Ctrl-C")]
    return "\n".join(
        ["", "tracker is ready", "", *(f"  {n:9}{v}" for n, v in lines), ""]
    )


async def _first_link(settings: Settings, environ: Mapping[str, str]) -> str:
    """A link that works, from the catalog in force; ours alone where there is none."""
    # Loading it takes longer than `find_running` may.
    from tracker.catalog import COPY, load_snapshot, read_copy, read_secrets  # noqa: PLC0415

    with suppress(CatalogError):
        secrets = {BASE_URL: settings.base_url, **environ}
        secrets |= read_secrets({}, settings.secrets_file)
        catalog = await load_snapshot(read_copy(settings.data_dir / COPY), secrets)
        now = datetime.now(UTC)
        closed = await _closed_links(settings, catalog, now)
        for partner, offer in catalog.open_links(now):
            if not is_closed(closed, offer.key, partner.key, now):
                return f"{settings.base_url}/c/{partner.key}/{offer.key}?sub1=hello"
    return settings.base_url


async def _first_password(settings: Settings) -> str:
    """
    The password of the first admin, made the moment before it is told; else "".

    It is kept nowhere. Where nobody saw it, `tracker users reset admin` makes a link.
    """
    # Loading it takes longer than `find_running` may.
    from tracker.flow.people import make_first_admin  # noqa: PLC0415
    from tracker.passwords import Passwords  # noqa: PLC0415
    from tracker.store.people import PeopleStore  # noqa: PLC0415

    if not settings.console_port:
        return ""
    with suppress(StoreUnavailableError, BusyError):
        async with make_pool(settings.database_conninfo, size=1) as pool:
            return await make_first_admin(PeopleStore(pool), Passwords())
    return ""


async def _closed_links(settings: Settings, catalog: Catalog, now: datetime) -> Closed:
    """The links that caps close; without an answer none is known to be."""
    if not catalog.has_caps:
        return {}
    with suppress(StoreUnavailableError, BusyError):
        async with make_pool(settings.database_conninfo, size=1) as pool:
            readings = await MeterStore(pool).list_current(now, only_reached=True)
            return closed_by(list_reached(catalog, readings, now))
    return {}


# ----------------------------------------------------------------------- waiting


async def _is_over(event: asyncio.Event, seconds: float) -> bool:
    """Wait so long for the event; whether it came."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


async def _first(*waits: "Coroutine[Any, Any, Any] | asyncio.Task[Any]") -> None:
    """Until the first of them is done; those that were begun here end with it."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task, wait in zip(tasks, waits, strict=True):
            if task is not wait:
                task.cancel()
