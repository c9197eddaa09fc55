"""How fast visitors are redirected, and what it costs."""

import re
import shutil
from contextlib import ExitStack

import httpx
import servers
from ground import prepared
from load import Requests, send_at
from published import HEADERS, URL
from rounds import Contestant, alternate
from table import Row, at_least, at_most, judged, kept

WARM_UP_SECONDS = 1
OPEN_SECONDS = 8

THROUGHPUT = at_least(0.40, 0.55, "×")
CPU = at_most(0.40, 0.28, "×")
P99 = at_most(10, 4, " ms")


def measure():
    """Clicks against bare uvicorn, a textbook handler and nginx, in turns."""
    with prepared() as ground, ExitStack() as stack:
        ground.write_catalog()
        contestants = {
            name: Contestant(stack.enter_context(server), Requests((URL,)), HEADERS)
            for name, server in _servers(ground).items()
        }
        for contestant in contestants.values():
            contestant.push("warm", WARM_UP_SECONDS)
        rounds = alternate(contestants)
        yield from speeds("clicks", rounds)
        yield from _ratios(rounds)
        ours = contestants["tracker"]
        yield kept(
            "clicks found in Redis",
            ground.count_unfolded(),
            ours.total,
            _lost(ours.server),
        )
        rate = max(rounds.all("tracker", "per_second")) / 2
        slow = _latencies_while_rewriting(ground, ours.server, rate)
    yield from _latency(rate)
    yield judged(
        "the same, while Redis writes its file anew",
        _p99(slow),
        P99,
        f"{rate:,.0f}/s, median {slow.percentile(0.5) * 1000:.1f} ms; its writer and"
        " the load share a core",
    )


def speeds(what, rounds):
    """How many a second each contestant answered, and what of its core that took."""
    for name in rounds.each[0]:
        cost = rounds.median(name, "cpu") * 1e6
        speed = rounds.median(name, "per_second")
        yield Row(
            f"{what}/s, {name}", f"{speed:,.0f}", remark=f"{cost:.0f} µs of CPU each"
        )


def _servers(ground):
    found = {
        "tracker": servers.web(ground),
        "textbook": servers.textbook(ground),
        "bare": servers.bare(ground),
    }
    if shutil.which("nginx"):
        found["nginx"] = servers.nginx(ground)
    return found


def _ratios(rounds):
    yield rounds.compare(
        "clicks/s against bare uvicorn",
        THROUGHPUT,
        rounds.ratios("per_second", "tracker", "bare"),
    )
    yield rounds.compare(
        "server CPU per click against textbook",
        CPU,
        rounds.ratios("cpu", "tracker", "textbook"),
    )


def _latency(rate):
    """On new stores, too small for Redis to write its file anew meanwhile."""
    with prepared() as ground:
        ground.write_catalog()
        with servers.web(ground) as ours:
            found = send_at(ours, Requests((URL,)), rate, OPEN_SECONDS, HEADERS)
            lost = _lost(ours)
        yield judged(
            "click p99, open loop at half of peak",
            _p99(found),
            P99,
            f"{rate:,.0f}/s, median {found.percentile(0.5) * 1000:.1f} ms",
        )
        yield kept(
            "clicks of the open loop found in Redis",
            ground.count_unfolded(),
            found.total,
            lost,
        )


def _latencies_while_rewriting(ground, server, rate):
    with ground.redis() as client:
        client.bgrewriteaof()
    return send_at(server, Requests((URL,)), rate, OPEN_SECONDS, HEADERS)


def _p99(found):
    return found.percentile(0.99) * 1000


def _lost(server):
    """What the server says that it redirected without a store's word for it."""
    told = httpx.get(server.url("/metrics")).text
    lost = re.search(r"^tracker_clicks_lost_total ([\d.]+)", told, re.MULTILINE)[1]
    return int(float(lost))
