"""
The benchmark: `make bench`.

Starts everything itself, measures in one run on the same cores, prints a table and
writes it to tests/bench/RESULTS.md.
"""

import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import clicks
import postbacks
from ground import prepared
from table import render

PARTS = {
    "clicks": clicks.measure,
    "postbacks": postbacks.measure,
    "deliveries": postbacks.measure_deliveries,
}
RESULTS = Path(__file__).with_name("RESULTS.md")

_PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "redis", "psycopg")


def main():
    chosen = sys.argv[1:] or list(PARTS)
    started = time.monotonic()
    rows = []
    for name in chosen:
        with prepared() as ground:
            for row in PARTS[name](ground):
                print(
                    f"{row.what}: {row.figure} {row.verdict} {row.remark}", flush=True
                )
                rows.append(row)
    text = f"{_heading(time.monotonic() - started)}\n{render(rows)}\n"
    if chosen == list(PARTS):
        RESULTS.write_text(text)
    print(f"\n{text}")


def _heading(seconds):
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"""\
# Results

`make bench`, {seconds / 60:.1f} minutes, {time.strftime("%Y-%m-%d", time.gmtime())}.
{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python
{platform.python_version()}; {packages}.
The server on one core, stores and load on the other; Redis syncs always, Postgres every
commit; 64 connections.
"""


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
