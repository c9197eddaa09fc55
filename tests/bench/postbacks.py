"""How fast sales are recorded with what they owe, and how soon partners hear."""

import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import httpx
import servers
from ground import TOKEN
from load import push, send_at
from published import HEADERS, URL
from table import Ratio, Row, judge

from tracker.domain.click_id import LENGTH

ROUNDS = 10
SECONDS = 2
RATE = 1000
DELIVERY_RATE = 200
BACKLOG = 20_000


def measure(ground):
    """Postbacks that are each accepted and owe a delivery."""
    ground.write_catalog()
    with (
        servers.web(ground.environ) as ours,
        servers.textbook(ground.environ) as textbook,
    ):
        target = a_sale(click(ours))
        for server in (ours, textbook):
            push(server.url(""), 1, {}, script(target, f"warm-{server.port}"))
        rounds = [_round(ours, textbook, target, n) for n in range(ROUNDS)]
        yield from _throughput(rounds, ground)
        yield _latency(ours, target)


def measure_deliveries(ground):
    """From the commit to the partner, and as many as one worker can send."""
    port = servers.free_port()
    ground.write_catalog(sink_port=port)
    with servers.web(ground.environ) as ours:
        target = a_sale(click(ours))
        with sink(ground, port) as noted, servers.worker(ground.environ):
            send_at(ours.port, numbered(target, "w", 200), DELIVERY_RATE, {})
            time.sleep(1)
            send_at(ours.port, numbered(target, "d", 2000), DELIVERY_RATE, {})
            _await_empty(ground)
        yield _delay(noted)
        owed = ground.count("delivery_archive")
        while ground.count("deliveries") < BACKLOG:
            push(ours.url(""), 1, {}, script(target, f"backlog-{time.time()}"))
    backlog = ground.count("deliveries")
    with sink(ground, port):
        started = time.monotonic()
        with servers.worker(ground.environ):
            while ground.count("delivery_archive") == owed:
                started = time.monotonic()
            _await_empty(ground)
            seconds = time.monotonic() - started
    yield _speed(ground, backlog, seconds)


def a_sale(click_id):
    """What an advertiser calls, up to the transaction's number."""
    return (
        f"/postback?click_id={click_id}&token={TOKEN}&goal=sale&amount=49.90"
        "&transaction_id="
    )


def click(server):
    """The id of a click of our own."""
    location = httpx.get(server.url(URL), headers=HEADERS).headers["location"]
    return location.partition("cid=")[2][:LENGTH]


def script(target, series):
    """Lua for wrk: each request is another transaction."""
    return f"""
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", "{target}{series}-" .. n)
end"""


def numbered(target, series, number):
    return [f"{target}{series}-{n}" for n in range(number)]


def _round(ours, textbook, target, number):
    found = {}
    for name, server in (("tracker", ours), ("textbook", textbook)):
        before = server.cpu_seconds()
        pushed = push(server.url(""), SECONDS, {}, script(target, f"{name}-{number}"))
        cost = (server.cpu_seconds() - before) / pushed.requests
        found[name] = (pushed, cost)
    return found


def _throughput(rounds, ground):
    for name in rounds[0]:
        speed = Ratio(tuple(one[name][0].per_second for one in rounds)).median
        cost = Ratio(tuple(one[name][1] for one in rounds)).median
        remark = f"{cost * 1e6:.0f} µs of CPU each"
        yield Row(f"postbacks/s, {name}", f"{speed:,.0f}", remark=remark)
    ratio = Ratio(
        tuple(
            one["tracker"][0].per_second / one["textbook"][0].per_second
            for one in rounds
        )
    )
    yield Row(
        "accepted postbacks/s, deliveries enqueued, against textbook",
        str(ratio),
        "≥ 3×",
        "6×",
        judge(ratio.median, 3, 6, less_is_better=False, spread=ratio.rounds),
    )
    sent = sum(one["tracker"][0].requests for one in rounds)
    errors = sum(one["tracker"][0].errors for one in rounds)
    kept, owed = ground.count("conversions"), ground.count("deliveries")
    yield Row(
        "conversions and deliveries found afterwards",
        f"{kept:,} and {owed:,}",
        remark=f"{sent:,} answered in these rounds, {errors} errors; more in warm-up",
    )


def _latency(server, target):
    targets = numbered(target, "open", RATE * 10)
    found = send_at(server.port, targets, RATE, {})
    p99 = found.percentile(0.99) * 1000
    return Row(
        "postback p99, open loop at 1,000/s",
        f"{p99:.1f} ms",
        "≤ 15 ms",
        "≤ 6 ms",
        judge(p99, 15, 6, less_is_better=True),
        f"median {found.percentile(0.5) * 1000:.1f} ms, {found.failed} failed",
    )


@contextmanager
def sink(ground, port):
    """A partner's server beside the load; its notes are there when it has ended."""
    notes = ground.folder / f"sink-{time.monotonic_ns()}"
    command = [sys.executable, str(Path(__file__).with_name("sink.py"))]
    running = servers.running(
        [*command, str(port), str(notes)], core=servers.LOAD_CORE, port=port
    )
    with running:
        yield notes


def _delay(notes):
    """Arrival of the postback to the partner's hit: the commit lies between."""
    delays = sorted(
        float(hit) - _seconds(changed_at)
        for hit, changed_at in map(str.split, notes.read_text().splitlines()[200:])
    )
    p95 = quantiles(delays, n=20)[18] * 1000
    return Row(
        "postback arrived → partner called, p95 at 200/s",
        f"{p95:.1f} ms",
        "≤ 50 ms",
        "≤ 15 ms",
        judge(p95, 50, 15, less_is_better=True),
        f"median {delays[len(delays) // 2] * 1000:.1f} ms; the commit is in it",
    )


def _speed(ground, backlog, seconds):
    attempts = ground.count("delivery_attempts")
    speed = backlog / seconds
    return Row(
        "deliveries/s by one worker, attempts logged",
        f"{speed:,.0f}",
        "≥ 2,000",
        "5,000",
        judge(speed, 2000, 5000, less_is_better=False),
        f"{backlog:,} in {seconds:.1f} s; {attempts:,} attempts in all",
    )


def _seconds(changed_at):
    return datetime.fromisoformat(changed_at).astimezone(UTC).timestamp()


def _await_empty(ground):
    for _ in range(1200):
        if ground.count("deliveries") == 0:
            return
        time.sleep(0.05)
    raise SystemExit("deliveries are left after a minute")
