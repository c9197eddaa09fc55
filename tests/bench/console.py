"""The console over a large month: pages, reports and a long CSV, over HTTP."""

import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlencode

import httpx
import servers
from ground import prepared
from month import PASSWORD, WHO, fill
from rounds import scaled
from table import at_most, judged

ASKED = 20
WARM = 3
CSV_ROWS = 100_000

REPORT = at_most(300, None, " ms")
BY_SUB = at_most(1000, None, " ms")
LOG = at_most(200, None, " ms")
STORY = at_most(100, None, " ms")
MEMORY = at_most(64, None, " MB")

PAIRS = (
    "partner,offer",
    "partner,country",
    "offer,device",
    "day,partner",
    "offer,goal",
    "country,traffic",
)
LOGS = ("clicks", "postbacks", "conversions", "deliveries", "quarantine")
FILTERED = {
    "clicks": {"partner": "partner-7"},
    "postbacks": {"outcome": "quarantined"},
    "conversions": {"partner": "partner-7", "status": "rejected"},
    "deliveries": {"partner": "partner-7", "state": "dead"},
    "quarantine": {"reason": "bad_token"},
}
DEEP = 10
"""Pages that are turned over before one is measured."""


def measure():
    """Each page by itself, on all cores; the caches are as they are after three."""
    with prepared(servers.CORES) as ground:
        ids = fill(ground)
        with _console(ground) as server, _signed_in(server) as client:
            yield from _reports(client)
            yield from _logs(client)
            stories = [f"/click/{one}" for one in ids[: ASKED + WARM]]
            yield _timed(client, "a click's page", STORY, stories)
            yield _csv(client, server)


def _reports(client):
    yield _timed(client, "overview, 30 days", REPORT, ["/?period=30d"])
    for pair in PAIRS:
        asked = [f"/report?{urlencode({'period': '30d', 'by': pair})}"]
        yield _timed(client, f"30-day report by {pair}", REPORT, asked)
    asked = [f"/report?{_yesterday('sub1')}"]
    yield _timed(client, "a day's report by sub1", BY_SUB, asked)


def _yesterday(by):
    day = datetime.now(UTC).date() - timedelta(days=1)
    return urlencode({"from": day, "to": day, "by": by})


def _logs(client):
    for name in LOGS:
        yield _timed(client, f"{name}, first page", LOG, [f"/{name}"])
        asked = [f"/{name}?{urlencode(FILTERED[name])}"]
        yield _timed(client, f"{name}, filtered", LOG, asked)
        deep = [_turned_over(client, f"/{name}")]
        yield _timed(client, f"{name}, page {DEEP}", LOG, deep)


def _turned_over(client, path):
    """The address of a page that so many links lead to."""
    for _ in range(DEEP - 1):
        text = client.get(path).text
        links = [one for one in text.split("<a ") if 'rel="next"' in one]
        if not links:
            return path
        path = links[0].split('href="')[1].split('"')[0].replace("&amp;", "&")
    return path


def _timed(client, what, bound, paths):
    """The slowest but one in twenty, for that is what people remember."""
    times = [_time(client, paths[n % len(paths)]) for n in range(ASKED + WARM)][WARM:]
    places = quantiles(times, n=20, method="inclusive")
    return judged(what, places[18], bound, f"p95; p50 {places[9]:,.1f} ms")


def _time(client, path):
    started = time.perf_counter()
    answer = client.get(path)
    elapsed = (time.perf_counter() - started) * 1000
    if answer.status_code != httpx.codes.OK:
        raise SystemExit(f"{answer.status_code} for {path}")
    return elapsed


def _csv(client, server):
    """More than a hundred thousand lines, and what the process grew by meanwhile."""
    before = _forget_peak(server)
    started = time.perf_counter()
    path = f"/report.csv?{_yesterday('sub1,country,device')}"
    with client.stream("GET", path, timeout=300) as answer:
        answer.raise_for_status()
        lines = sum(chunk.count(b"\n") for chunk in answer.iter_bytes())
    seconds = time.perf_counter() - started
    remark = f"{lines:,} lines in {seconds:.1f} s; {before:.0f} MB before"
    if lines < scaled(CSV_ROWS):
        raise SystemExit(f"a CSV of too few rows: {remark}")
    what = "memory that a CSV of 100,000 rows takes"
    return judged(what, _peak(server) - before, MEMORY, remark)


def _forget_peak(server):
    """From now on the most is what it has now, in MB."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    return _peak(server)


def _peak(server):
    """The most memory that the process had since, in MB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    line = next(one for one in status if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@contextmanager
def _console(ground):
    port = servers.free_port()
    command = [sys.executable, "-m", "tracker", "console"]
    environ = {**ground.environ, "TRACKER_CONSOLE_PORT": str(port)}
    log = ground.folder / "console.log"
    cores = servers.CORES
    with servers.running(command, log, environ, cores=cores, port=port) as server:
        yield server


@contextmanager
def _signed_in(server):
    with httpx.Client(base_url=server.url(""), timeout=60) as client:
        asked = {"name": WHO, "password": PASSWORD, "next": "/"}
        origin = {"Origin": server.url("")}
        client.post("/sign-in", data=asked, headers=origin)
        yield client
