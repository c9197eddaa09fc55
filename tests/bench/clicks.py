"""How fast visitors are redirected, and what it costs."""

import shutil
from contextlib import ExitStack

import servers
from load import push, send_at
from published import HEADERS, URL
from table import Ratio, Row, judge

ROUNDS = 10
SECONDS = 2
WARM_UP_SECONDS = 1


def measure(ground):
    """Clicks against bare uvicorn, a textbook handler and nginx, in turns."""
    ground.write_catalog()
    with ExitStack() as stack:
        contestants = {
            "tracker": stack.enter_context(servers.web(ground.environ)),
            "textbook": stack.enter_context(servers.textbook(ground.environ)),
            "bare": stack.enter_context(servers.bare()),
        }
        if shutil.which("nginx"):
            contestants["nginx"] = stack.enter_context(servers.nginx(ground.folder))
        for server in contestants.values():
            push(server.url(URL), WARM_UP_SECONDS, HEADERS)
        rounds = [
            {name: _round(server) for name, server in contestants.items()}
            for _ in range(ROUNDS)
        ]
        peak = max(one["tracker"][0].per_second for one in rounds)
        yield from _rows(rounds)
        yield _latency(contestants["tracker"], peak)
        yield _kept(ground)


def _round(server):
    before = server.cpu_seconds()
    pushed = push(server.url(URL), SECONDS, HEADERS)
    return pushed, (server.cpu_seconds() - before) / pushed.requests


def _rows(rounds):
    for name in rounds[0]:
        speeds = [one[name][0].per_second for one in rounds]
        costs = [one[name][1] for one in rounds]
        speed, cost = Ratio(tuple(speeds)).median, Ratio(tuple(costs)).median
        remark = f"{cost * 1e6:.0f} µs of CPU each"
        yield Row(f"clicks/s, {name}", f"{speed:,.0f}", remark=remark)
    speed = _ratio(rounds, "bare", lambda one: one[0].per_second)
    yield Row(
        "clicks/s against bare uvicorn",
        str(speed),
        "≥ 0.40×",
        "0.55×",
        judge(speed.median, 0.40, 0.55, less_is_better=False, spread=speed.rounds),
    )
    cost = _ratio(rounds, "textbook", lambda one: one[1])
    yield Row(
        "server CPU per click against textbook",
        str(cost),
        "≤ 0.40×",
        "≤ 0.28×",
        judge(cost.median, 0.40, 0.28, less_is_better=True, spread=cost.rounds),
    )
    errors = sum(one["tracker"][0].errors for one in rounds)
    yield Row("errors among these clicks", str(errors))


def _ratio(rounds, against, figure):
    return Ratio(tuple(figure(one["tracker"]) / figure(one[against]) for one in rounds))


def _latency(server, peak):
    rate = peak / 2
    found = send_at(server.port, [URL] * int(rate * 10), rate, HEADERS)
    p99 = found.percentile(0.99) * 1000
    return Row(
        "click p99, open loop at half of peak",
        f"{p99:.1f} ms",
        "≤ 10 ms",
        "≤ 4 ms",
        judge(p99, 10, 4, less_is_better=True),
        f"{rate:,.0f}/s, median {found.percentile(0.5) * 1000:.1f} ms",
    )


def _kept(ground):
    with ground.redis() as client:
        kept = client.xlen("clicks:{0}")
    return Row("clicks found in Redis afterwards", f"{kept:,}")
