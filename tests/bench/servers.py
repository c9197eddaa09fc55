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
SERVER_CORE = 0
LOAD_CORE = (os.cpu_count() or 1) - 1
"""The stores run beside the load: what is measured is the server alone."""

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

UVICORN = [
    *("--loop", "uvloop", "--http", "httptools", "--lifespan", "on"),
    *("--no-access-log", "--no-server-header", "--no-date-header"),
    *("--log-level", "error"),
]


@dataclass(frozen=True)
class Server:
    """A process that answers on a port of loopback, or none that answers on 0."""

    process: subprocess.Popen
    port: int = 0

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


@contextmanager
def running(command, environ=None, *, core=SERVER_CORE, port=0) -> Iterator[Server]:
    """The command on one core; ready when its port answers, if it has one."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        env={**os.environ, **(environ or {})},
    )
    try:
        if port:
            _await_port(process, port)
        yield Server(process, port)
    finally:
        process.terminate()
        process.wait(30)


def bare():
    """A uvicorn that answers a fixed 302."""
    return _uvicorn("bare:app", {})


def textbook(environ):
    """The ordinary handler, with the same server flags."""
    return _uvicorn("textbook:app", environ)


@contextmanager
def web(environ) -> Iterator[Server]:
    """`tracker serve`."""
    port = free_port()
    command = [sys.executable, "-m", "tracker", "serve"]
    ours = {**environ, "TRACKER_PORT": str(port)}
    with running(command, ours, port=port) as server:
        _await_ready(server)
        yield server


def worker(environ, core=SERVER_CORE):
    """`tracker worker`."""
    return running([sys.executable, "-m", "tracker", "worker"], environ, core=core)


@contextmanager
def nginx(folder) -> Iterator[Server]:
    """`return 302`, the floor of them all; Debian's package nginx-light has it."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid;"
        " error_log /dev/null; events {} http {"
        " access_log off; keepalive_requests 1000000000; server {"
        f" listen 127.0.0.1:{port}; location / {{ return 302 https://shop.example/; }}"
        " } }\n"
    )
    command = [shutil.which("nginx"), "-c", str(config), "-p", str(folder)]
    with running(command, port=port) as server:
        yield server


@contextmanager
def _uvicorn(app, environ) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), *UVICORN]
    inside = {**environ, "PYTHONPATH": str(HERE)}
    with running(command, inside, port=port) as server:
        yield server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_port(process, port):
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"{process.args} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"{process.args} does not answer")


def _await_ready(server):
    for _ in range(600):
        if httpx.get(server.url("/readyz")).status_code == httpx.codes.OK:
            return
        time.sleep(0.05)
    raise SystemExit("tracker serve does not become ready")
