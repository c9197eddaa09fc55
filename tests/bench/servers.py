"""The servers under test, each on one core, and what they used of it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

HERE = Path(__file__).parent
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = CORES[0]
SECOND_CORE = CORES[len(CORES) > 1]
OTHER_CORES = set(CORES[2:] if len(CORES) >= 4 else CORES[1:] or CORES)
"""The stores run beside the load: what is measured is the server alone."""

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STOP_SECONDS = 30

UVICORN = [
    *("--loop", "uvloop", "--http", "httptools", "--lifespan", "on"),
    *("--no-access-log", "--no-server-header", "--no-date-header"),
    *("--log-level", "error"),
]


@dataclass(frozen=True)
class Server:
    """A process that answers on a port of loopback, or none that answers on 0."""

    process: subprocess.Popen
    port: int
    log: Path

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def cpu_seconds(self):
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / _TICKS

    def resident_bytes(self):
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * _PAGE

    def wait_until(self, is_so, *, seconds=60, pause=0.05):
        """Asks again and again; the end of it all if the process ended, or is late."""
        deadline = time.monotonic() + seconds
        while not is_so():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-2000:]
                raise SystemExit(f"{self.process.args} ended, or is late\n{said}")
            time.sleep(pause)


@contextmanager
def running(command, log, environ=None, *, cores=(SERVER_CORE,), port=0):
    """
    The command on these cores; ready when its port answers, if it has one.

    What it says goes to the file `log`, as a user's log goes somewhere.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, sorted(cores))), *command],
            env={**os.environ, **(environ or {})},
            stdout=output,
            stderr=output,
        )
    server = Server(process, port, log)
    try:
        if port:
            server.wait_until(lambda: _is_open(server))
        yield server
    finally:
        _end(process)


def bare(ground):
    """A uvicorn that answers a fixed 302."""
    return _uvicorn("bare:app", ground, {})


def textbook(ground):
    """The ordinary handler, with the same server flags."""
    return _uvicorn("textbook:app", ground, ground.environ)


@contextmanager
def web(ground, core=SERVER_CORE) -> Iterator[Server]:
    """`tracker serve`."""
    port = free_port()
    log = ground.folder / f"serve-{port}.log"
    command = [sys.executable, "-m", "tracker", "serve"]
    ours = {**ground.environ, "TRACKER_PORT": str(port)}
    with running(command, log, ours, cores=(core,), port=port) as server:
        server.wait_until(lambda: _is_ready(server))
        yield server


def worker(ground, cores=(SERVER_CORE,)):
    """`tracker worker`."""
    command = [sys.executable, "-m", "tracker", "worker"]
    log = ground.folder / "worker.log"
    return running(command, log, ground.environ, cores=cores)


@contextmanager
def nginx(ground) -> Iterator[Server]:
    """`return 302`, the floor of them all; Debian's package nginx-light has it."""
    port, folder = free_port(), ground.folder
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid;"
        " error_log /dev/null; events {} http {"
        " access_log off; keepalive_requests 1000000000; server {"
        f" listen 127.0.0.1:{port}; location / {{ return 302 https://shop.example/; }}"
        " } }\n"
    )
    command = [shutil.which("nginx"), "-c", str(config), "-p", str(folder)]
    with running(command, folder / "nginx.log", port=port) as server:
        yield server


@contextmanager
def sink(ground, port):
    """A partner's server beside the load; its notes are there when it has ended."""
    notes = ground.folder / f"sink-{time.monotonic_ns()}"
    command = [sys.executable, str(HERE / "sink.py"), str(port), str(notes)]
    log = ground.folder / "sink.log"
    with running(command, log, cores=OTHER_CORES, port=port):
        yield notes


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _uvicorn(app, ground, environ) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), *UVICORN]
    log = ground.folder / f"{app}-{port}.log"
    inside = {**environ, "PYTHONPATH": str(HERE)}
    with running(command, log, inside, port=port) as server:
        yield server


def _is_open(server):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0


def _is_ready(server):
    return httpx.get(server.url("/readyz")).status_code == httpx.codes.OK


def _end(process):
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
