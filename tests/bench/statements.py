"""A network's statement of a million lines beside a million conversions."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import servers
from ground import prepared
from growth import convert, log_days
from servers import SERVER_CORE
from table import at_least, at_most, judged

LINES = 1_000_000
STATEMENTS = 3

SPEED = at_least(50_000, 100_000, "/s")
MEMORY = at_most(200, 100, " MB")

# One line in two hundred says another sum, and one in two hundred is not ours.
_WRITE = """
copy (select click_id, transaction_id || case when n % 200 = 1 then '-x' else '' end,
             goal, status, case when n % 200 = 2 then 1 else amount end,
             to_char(converted_at, 'YYYY-MM-DD HH24:MI:SS')
        from (select *, row_number() over () as n from conversions) as numbered)
  to stdout (format csv)
"""
# Copies are of one click; a statement is of as many as it has lines.
_TELL_APART = """
update conversions
   set click_id = overlay(click_id placing right(id, 16) from 17)
"""
_HEADER = b"click_id,transaction_id,goal,status,amount,at\n"


def measure():
    """The whole command, from its start to its end, on a core of its own."""
    with prepared() as ground:
        (click_id, *_) = log_days(ground, 1)
        with servers.web(ground) as web:
            convert(ground, web, click_id)
        file = ground.folder / "statement.csv"
        _write(ground, file)
        runs = [_reconcile(ground, file) for _ in range(STATEMENTS)]
    seconds, usage, done = sorted(runs, key=lambda run: run[0])[STATEMENTS // 2]
    cpu = usage.ru_utime + usage.ru_stime
    kinds = {one["kind"]: one["count"] for one in done["kinds"]}
    said = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    yield judged(
        "lines of a statement reconciled",
        done["lines"] / seconds,
        SPEED,
        f"{done['lines']:,} lines in {seconds:.1f} s, {cpu:.1f} s of its core; {said}",
    )
    yield judged(
        "resident memory of the command, at most",
        max(usage.ru_maxrss for _, usage, _ in runs) * 1024 / 1e6,
        MEMORY,
        f"the most of {STATEMENTS} runs; what Postgres holds is not in it",
    )


def _write(ground, file):
    with ground.database() as connection, file.open("wb") as out:
        connection.execute(_TELL_APART)
        connection.execute("vacuum analyze conversions")
        out.write(_HEADER)
        with connection.cursor().copy(_WRITE) as rows:
            out.writelines(rows)


def _reconcile(ground, file):
    """Seconds, what the process used, and what it said."""
    command = [
        *("taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "tracker"),
        *("reconcile", str(file), "--advertiser", "acme", "--json"),
        *("--from", "2026-01-01", "--to", f"{datetime.now(UTC) + timedelta(1):%F}"),
        *("--out", str(ground.folder / "differences.csv")),
    ]
    started = time.monotonic()
    with subprocess.Popen(
        command, env={**os.environ, **ground.environ}, stdout=subprocess.PIPE
    ) as process:
        said = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    return seconds, usage, json.loads(said)
