"""Redis is SIGKILLed, frozen, full, read-only, and at last it forgets everything."""

import signal
import time
from contextlib import contextmanager

from arena import arena, free_port, wait_until
from checker import read_evidence
from row import Row, must, told

RATE = 80
LONGEST_MS = 75
CALM_SECONDS = 1.0
_SECOND_LOAD = 1_000_000


def attack(scale):
    with arena(scale) as ground:
        web, worker, _ = ground.start(ground.web(), ground.worker(), ground.sink())
        traffic = ground.traffic(web, seed=scale.seed, rate=RATE, share=0.3).start()
        ground.await_hits(1)
        yield from _interrupted(ground, scale)
        tally = ground.settle(traffic)
        yield from tally.findings()
        yield must("of these, clicks", tally.counted_lost, tally.counted_lost == 0)
        yield from _flushed(ground, scale, web, worker)


def _interrupted(ground, scale):
    """What Redis had acknowledged is there afterwards."""
    attacks = {
        "SIGKILLed": (killed, scale.pick(5, 1)),
        "SIGSTOPped": (frozen, scale.pick(30, 1)),
        "out of memory": (full, scale.pick(10, 1)),
        "read-only": (read_only, scale.pick(10, 1)),
    }
    times = {}
    for name, (spoiled, seconds) in attacks.items():
        started = time.monotonic()
        with spoiled(ground):
            time.sleep(seconds)
        times[name] = (started, time.monotonic())
        time.sleep(CALM_SECONDS)
    seen = read_evidence(ground.folder)
    yield told("before", f"p99 {seen.latency(before=times['SIGKILLed'][0]):.0f} ms")
    for name, (after, before) in times.items():
        yield _redirected(name, seen, after, before)


def _redirected(name, seen, after, before):
    """A visitor whose answer is not there yet has waited for longer than that."""
    some = [one for one in seen.redirects if after <= one.due < before]
    arrived = sum(one.status == 302 for one in some)
    p99 = seen.latency(after, before)
    figure = f"{arrived} of {len(some)}, p99 {p99:.0f} ms"
    is_all = arrived == len(some) >= RATE * (before - after) * 0.9
    return must(f"{name}: redirected in ≤ 75 ms", figure, is_all and p99 <= LONGEST_MS)


@contextmanager
def killed(ground):
    ground.kill_valkey()
    yield
    ground.valkey.start()


@contextmanager
def frozen(ground):
    with ground.frozen([ground.valkey_pid()]):
        yield


@contextmanager
def full(ground):
    with ground.redis() as client:
        client.config_set("maxmemory", "1")
        yield
        client.config_set("maxmemory", "0")


@contextmanager
def read_only(ground):
    """A replica of a host that is dead, as after a failover that went wrong."""
    with ground.redis() as client:
        client.replicaof("127.0.0.1", free_port())
        yield
        client.replicaof("NO", "ONE")


def _flushed(ground, scale, web, worker):
    """Clicks that nobody had folded are gone; their ids still tell whose they are."""
    worker.signal(signal.SIGSTOP)
    traffic = ground.traffic(
        web, seed=scale.seed + 1, rate=RATE, first=_SECOND_LOAD
    ).start()
    started = time.monotonic()
    wait_until(lambda: ground.count_unfolded() > RATE, 30, "clicks")
    with ground.redis() as client:
        client.flushall()
    time.sleep(scale.pick(5, 0.5))
    worker.signal(signal.SIGCONT)
    tally = ground.settle(traffic)
    yield _redirected(
        "FLUSHALL", read_evidence(ground.folder), started, time.monotonic()
    )
    yield from tally.findings()


ROW = Row(4, "Redis SIGKILLed, SIGSTOPped 30 s, full, read-only, flushed", attack)
