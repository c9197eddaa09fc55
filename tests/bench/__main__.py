"""
The benchmark: `make bench`, and `make bench-large` for the rows with millions.

Starts everything itself, measures in one run on the same cores, prints a table and
writes it beside this file. `python tests/bench clicks claims` measures parts, and
only prints them.
"""

import gc
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import clicklog
import clicks
import console
import deliveries
import growth
import large_catalog
import postbacks
import processes
import statements
from machine import describe
from rounds import is_whole
from table import render

USUAL = {
    "clicks": clicks.measure,
    "postbacks": postbacks.measure,
    "deliveries": deliveries.measure,
    "clicklog": clicklog.measure,
    "catalog": large_catalog.measure,
    "partners": growth.measure_partners,
    "processes": processes.measure,
}
LARGE = {
    "stored": growth.measure_stored_clicks,
    "conversions": growth.measure_conversions,
    "claims": growth.measure_claims,
    "statements": statements.measure,
    "console": console.measure,
}


@dataclass(frozen=True)
class Suite:
    """Parts that make one table, and where it is written to."""

    command: str
    file: str
    parts: dict


SUITES = {
    "usual": Suite("make bench", "RESULTS.md", USUAL),
    "large": Suite("make bench-large", "RESULTS-large.md", LARGE),
}


def main():
    # So that everything that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    # Or the generator would stop, now and then, to look through what it imported.
    gc.freeze()
    words = sys.argv[1:] or ["usual"]
    if words[0] in SUITES:
        _run(SUITES[words[0]])
    else:
        parts = USUAL | LARGE
        print(render(_measured(parts[word] for word in words)))


def _run(suite):
    started = time.monotonic()
    rows = _measured(suite.parts.values())
    minutes = (time.monotonic() - started) / 60
    text = f"{describe(suite.command, minutes)}\n{render(rows)}\n"
    print(f"\n{text}")
    if is_whole():
        Path(__file__).with_name(suite.file).write_text(text)


def _measured(parts):
    """Row by row, each told as soon as it is there."""
    rows = []
    for part in parts:
        for row in part():
            print(f"{row.what}: {row.figure} {row.verdict} {row.remark}", flush=True)
            rows.append(row)
    return rows


if __name__ == "__main__":
    main()
