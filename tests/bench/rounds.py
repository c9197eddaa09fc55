"""
Rounds: several contestants do the same thing in turns.

Whatever disturbs the machine for a while disturbs all of them, so their ratios hold
where their figures do not.
"""

import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from load import Requests, Throughput, push
from servers import Server
from table import Bound, Row

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "10"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "2"))
"""Of each turn; to try the benchmark out, fewer and shorter ones will do."""

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
"""Of the rows that a ground is filled with."""

Turn = Callable[[int], Mapping[str, float]]
"""What a contestant does in round so and so, and the figures it made."""


@dataclass(frozen=True)
class Rounds:
    """The figures of each round, by contestant."""

    each: tuple[Mapping[str, Mapping[str, float]], ...]

    def all(self, contestant, figure):
        return [one[contestant][figure] for one in self.each]

    def median(self, contestant, figure):
        return statistics.median(self.all(contestant, figure))

    def ratios(self, figure, contestant, against):
        """Of each round, so that both had the same minute."""
        both = zip(self.all(contestant, figure), self.all(against, figure), strict=True)
        return [one / other for one, other in both]

    def compare(self, what, bound: Bound, ratios, remark=""):
        """The median of the ratios with their spread, judged."""
        median = statistics.median(ratios)
        spread = f"({min(ratios):.2f}–{max(ratios):.2f})"
        verdict = bound.judge(median, ratios)
        return Row(what, f"{median:.2f}× {spread}", *bound.limits(), verdict, remark)


def scaled(number):
    return int(number * SCALE)


def is_whole():
    """Whether nothing was made smaller than it is by default."""
    return not any(name.startswith("BENCH_") for name in os.environ)


def alternate(contestants: Mapping[str, Turn]) -> Rounds:
    """All rounds; every other one in the opposite order."""
    rounds = []
    for number in range(ROUNDS):
        order = list(contestants)[:: -1 if number % 2 else 1]
        rounds.append({name: contestants[name](number) for name in order})
    return Rounds(tuple(rounds))


class Contestant:
    """A server that is pushed as hard as it goes, and what it has answered."""

    def __init__(self, server: Server, requests: Requests, headers=None):
        self.server = server
        self.total = Throughput()
        self._requests = requests
        self._headers = headers or {}

    def __call__(self, number):
        """One turn; its requests are no other turn's."""
        return self.push(f"round-{number}", SECONDS)

    def push(self, name, seconds):
        before = self.server.cpu_seconds()
        requests = self._requests.named(f"{name}-{self.server.port}")
        pushed = push(self.server, requests, seconds, self._headers)
        if pushed.errors:
            raise SystemExit(f"{pushed.errors} requests to {self.server} went wrong")
        self.total += pushed
        cost = (self.server.cpu_seconds() - before) / pushed.requests
        return {
            "per_second": pushed.per_second,
            "seconds": 1 / pushed.per_second,
            "cpu": cost,
        }
