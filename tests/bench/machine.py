"""What the figures were measured on, and with."""

import os
import platform
import shutil
import subprocess
import tempfile
import textwrap
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

from ground import prepared
from load import CONNECTIONS, generator
from rounds import ROUNDS, SECONDS
from servers import CORES, OTHER_CORES, SERVER_CORE

_PACKAGES = (
    "tracker",
    "uvicorn",
    "uvloop",
    "httptools",
    "starlette",
    "redis",
    "hiredis",
    "psycopg",
)
_WRITES = 200


def describe(command, minutes):
    """The head of the results."""
    return f"""\
# Results

`{command}`, {minutes:.1f} minutes, {time.strftime("%Y-%m-%d", time.gmtime())}.

- Machine: {_processor()}, {len(CORES)} cores, {_memory()} GB of memory,
  {_system()}; 4 kB are written and synced in {_sync_ms():.1f} ms (median).
- Versions: {_versions()}.
- Load: {generator()}, {CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS} s each;
  latencies by an open loop, from the scheduled send.
- The server runs on core {SERVER_CORE}, stores and load on {_listed(OTHER_CORES)}; the
  console and its stores run on all, as nobody else asks them.
- Redis syncs always, Postgres every commit; all settings are the defaults.

A row is `short` only if its whole spread is; `beyond` is what was hoped for.
"""


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory():
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return round(pages / 2**30)


def _system():
    return f"{platform.system()} {platform.release()}"


def _sync_ms():
    """What every durable store on this disk waits for."""
    with tempfile.NamedTemporaryFile(dir="/tmp", buffering=0) as file:
        return median(_sync(file) for _ in range(_WRITES)) * 1000


def _sync(file):
    started = time.perf_counter()
    file.write(bytes(4096))
    os.fdatasync(file.fileno())
    return time.perf_counter() - started


def _versions():
    packages = [f"{name} {version(name)}" for name in _PACKAGES]
    named = [f"Python {platform.python_version()}", *packages, *_stores()]
    return textwrap.fill(", ".join(named), 86, subsequent_indent="  ")


def _stores():
    with prepared() as ground, ground.redis() as client:
        yield f"Postgres {ground.ask('show server_version')[0]}"
        yield f"Valkey {client.info('server')['valkey_version']}"
    if shutil.which("nginx"):
        said = subprocess.run(
            ["nginx", "-v"], check=True, capture_output=True, text=True
        )
        yield said.stderr.rpartition(" ")[2].strip().replace("/", " ")


def _listed(cores):
    return " and ".join(map(str, sorted(cores)))
