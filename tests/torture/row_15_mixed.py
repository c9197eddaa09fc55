"""Everything at once: visitors, sales, and faults of stores, network and workers."""

import random
import time
from contextlib import ExitStack, contextmanager
from statistics import median

import faults
from arena import arena
from proxy import PASS, RESET, SILENCE, Fault
from row import Row, must, told

RATE = 50
SAMPLE_SECONDS = 1.0
_MEBIBYTE = 1 << 20

STORES = {
    "postgres": (
        faults.postgres_stopped,
        faults.postgres_killed,
        faults.postgres_frozen,
        faults.postgres_hanging_up,
    ),
    "redis": (
        faults.redis_killed,
        faults.redis_frozen,
        faults.redis_full,
        faults.redis_read_only,
    ),
}
NETWORK = (
    RESET,
    SILENCE,
    Fault(latency=0.03),
    Fault(latency=0.3),
    Fault(cut_after=4000),
    Fault(slow_close=5.0),
)


def attack(scale):
    chance = random.Random(scale.seed)
    with arena(scale) as ground, ground.proxied() as proxies:
        web, spared, victim, _ = ground.start(
            ground.web(), ground.worker(), ground.worker(), ground.sink()
        )
        traffic = ground.traffic(web, seed=scale.seed, rate=RATE).start()
        ground.await_hits(1)
        with Sampled(ground, {"web": web, "worker": spared}) as samples:
            met = list(_storm(ground, proxies, victim, chance, scale))
        yield told("faults", f"{len(met)}: {', '.join(sorted(set(met)))}")
        tally = ground.settle(traffic)
        yield told("redirects", f"p99 {ground.seen().latency():.0f} ms")
        yield from tally.findings()
        yield from samples.findings(scale)


def _storm(ground, proxies, victim, chance, scale):
    """Faults that were drawn, one after the other, with pauses in between."""
    shortest, longest = scale.pick((1.0, 20.0), (0.3, 0.9))
    ends_at = time.monotonic() + scale.pick(15 * 60, 4)
    while time.monotonic() < ends_at:
        with ExitStack() as stack:
            yield from (
                stack.enter_context(fault)
                for fault in _draw(ground, proxies, victim, chance)
            )
            time.sleep(chance.uniform(shortest, longest))
        time.sleep(chance.uniform(shortest, longest))


def _draw(ground, proxies, victim, chance):
    """One fault, or now and then two of different stores."""
    kinds = ["worker", *STORES]
    for kind in chance.sample(kinds, chance.choice([1, 1, 1, 2])):
        if kind == "worker":
            yield _killed(victim)
        elif chance.random() < 0.5:
            yield _store(ground, chance.choice(STORES[kind]))
        else:
            yield _network(proxies[kind], kind, chance.choice(NETWORK))


@contextmanager
def _killed(worker):
    worker.kill()
    yield "worker killed"
    worker.start()


@contextmanager
def _store(ground, fault):
    with fault(ground):
        yield fault.__name__.replace("_", " ")


@contextmanager
def _network(proxy, kind, fault):
    proxy.switch(fault)
    yield f"{kind} {_named(fault)}"
    proxy.switch(PASS)


def _named(fault):
    """By the one thing that it does."""
    (name,) = (key for key, value in vars(fault).items() if value != vars(PASS)[key])
    return name.removeprefix("is_").replace("_", " ")


class Sampled:
    """Memory and file descriptors of processes, while the block runs."""

    def __init__(self, ground, processes):
        self._processes = processes
        self._memory = {name: [] for name in processes}
        self._descriptors = {name: [] for name in processes}
        self._repeating = ground.repeating(SAMPLE_SECONDS, self._sample)

    def __enter__(self):
        self._sample()
        self._repeating.__enter__()
        return self

    def __exit__(self, *error):
        self._repeating.__exit__(*error)

    def findings(self, scale):
        """The last third of the time against the second; in brief with more room."""
        for name in self._processes:
            yield _flat(
                f"memory of {name}", self._memory[name], scale.pick(8, 24), "MB"
            )
            yield _flat(
                f"files of {name}", self._descriptors[name], scale.pick(16, 100), ""
            )

    def _sample(self):
        for name, process in self._processes.items():
            self._memory[name].append(process.resident_bytes() / _MEBIBYTE)
            self._descriptors[name].append(process.count_descriptors())


def _flat(what, samples, room, unit):
    third = len(samples) // 3
    before, after = median(samples[third : 2 * third]), median(samples[-third:])
    figure = f"{before:.0f} → {after:.0f} {unit}".strip()
    return must(f"{what} flat", figure, after <= before + room)


ROW = Row(15, "15 minutes of mixed load with random faults of 2–4", attack)
