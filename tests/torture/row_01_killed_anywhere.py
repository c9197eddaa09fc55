"""A process is SIGKILLed at every place where that could matter."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from arena import arena, write_catalog
from checker import NO_ANSWER, NOTHING_ODD
from proxy import PASS, RESET
from row import Row, must

from tracker.failpoints import FAILPOINTS

WANTED_PLACES = 24
PATIENCE_SECONDS = 40
PROVOKE_SECONDS = 3.0
KILLED = -9
LEASE_SECONDS = 61

IN_WEB = (
    "click.drawn",
    "click.kept",
    "postback.locked",
    "postback.written",
    "postback.committed",
    "catalog.loaded",
    "catalog.copied",
)
SPOOLING = ("spool.write", "spool.written", "spool.committed")
DRAINING = ("spool.adopted", "drain.settled", "drain.deleted")
"""In this order: what is left by one is there for the next."""

IN_WORKER = tuple(
    name for name in FAILPOINTS if name not in {*IN_WEB, *SPOOLING, *DRAINING}
)

RARE = ("catalog.", "partitions.", "spool.", "drain.", "lease.")
"""Reached once after a start, or seldom."""


def attack(scale):
    with arena(scale) as ground, ground.proxied() as proxies:
        web, worker, _ = ground.start(
            ground.web(), ground.worker(**ground.elsewhere()), ground.sink()
        )
        traffic = ground.traffic(web, seed=scale.seed, rate=60, share=0.7).start()
        ground.await_hits(1)
        rounds = scale.pick(10, 1)
        first, second = Victim(web, scale), Victim(worker, scale)
        with ThreadPoolExecutor(2) as threads:
            tasks = [
                threads.submit(first.die_in_web, proxies, rounds),
                threads.submit(second.die_in_worker, ground, rounds),
            ]
        for task in tasks:
            task.result()
        yield _places(Counter(first.met + second.met), rounds)
        tally = ground.settle(traffic, NOTHING_ODD.also(NO_ANSWER))
        yield from tally.findings()


def _places(met, rounds):
    """Each as often as it was to be met."""
    missed = sorted(name for name in FAILPOINTS if met[name] < rounds)
    figure = f"{len(met)}, {met.total()} kills"
    if missed:
        figure += f", too seldom: {', '.join(missed)}"
    return must("places", figure, len(met) >= WANTED_PLACES and not missed)


class Victim:
    """A process that is armed, ends where it was told to, and is started again."""

    def __init__(self, process, scale):
        self._process = process
        self._chance = random.Random(scale.seed)
        self._latest = scale.pick(5, 1)
        self.met = []

    def die_in_web(self, proxies, rounds):
        """By turns it is Redis or Postgres that is away, and makes it spool."""
        for number in range(rounds):
            self._die_at(self._shuffled(IN_WEB))
            away = proxies["postgres" if number % 2 else "redis"]
            away.switch(RESET)
            self._die_at(self._shuffled(SPOOLING))
            if away is proxies["postgres"]:
                away.switch(PASS)
            self._die_at(DRAINING)
            away.switch(PASS)
        self._revive()

    def die_in_worker(self, ground, rounds):
        """Time passes, so that the leases of the dead run out."""
        for _ in range(rounds):
            for name in self._shuffled(IN_WORKER):
                if name.startswith("lease."):
                    self._die_at(["claim.leased"])
                ground.pass_time(LEASE_SECONDS)
                self._die_at([name], partial(_edit, ground, name))
        self._revive()

    def _die_at(self, names, provoke=lambda: None):
        for name in names:
            self._process.kill()
            self._process.start(TRACKER_FAILPOINTS=f"{name}:kill@{self._draw(name)}")
            deadline = time.monotonic() + PATIENCE_SECONDS
            provoke()
            while time.monotonic() < deadline and not self._ends():
                provoke()
            if self._process.exit_code == KILLED:
                self.met.append(name)

    def _ends(self):
        """Within the time that it may take to be there by itself."""
        return self._process.ends_within(PROVOKE_SECONDS)

    def _draw(self, name):
        """At which time; what a process does once after its start has no other."""
        is_rare = name.startswith(RARE)
        return 1 if is_rare else self._chance.randint(1, self._latest)

    def _revive(self):
        self._process.kill()
        self._process.start()
        self._process.await_ready()

    def _shuffled(self, names):
        return self._chance.sample(names, len(names))


def _edit(ground, name):
    """What no process would come by otherwise."""
    if name.startswith("catalog."):
        write_catalog(ground, f"{name} {time.monotonic()}")


ROW = Row(1, "SIGKILL at every failpoint, again and again", attack)
