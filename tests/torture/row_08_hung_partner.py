"""
One partner hangs, with tens of thousands of deliveries due, and others are told of
conversions as they are committed. Beside it stands the same without that partner: the
same stores, a database and a worker of its own. They take turns, half a second each, so
that what disturbs the machine disturbs both.
"""

import asyncio
import random
import time
from statistics import median, quantiles

import psycopg
from lane_ground import PATIENCE_SECONDS, Partner, grounds
from row import Row, must, told

OTHERS = 4
RATE = 100
TURN_SECONDS = 0.5
LATE_SECONDS = 5

MOST = 1.2
MOST_IN_BRIEF = 3.0
"""
Of a few hundred calls beside other tests the p95 is that of the machine's pauses; one
that waited for the partner that hangs would be a thousand times as late.
"""

_ARE_HANGING = "select count(*) > 0 from deliveries where lease_token is not null"


def attack(scale):
    due, turns = scale.pick(50_000, 2_000), scale.pick(120, 4)
    partners = {f"other{n}": Partner(_well) for n in range(2 * OTHERS)}
    hung = Partner(_never)
    sides = [
        {key: one.port for key, one in list(partners.items())[:OTHERS]},
        {key: one.port for key, one in list(partners.items())[OTHERS:]},
    ]
    sides[1]["hung"] = hung.port
    dice = random.Random(scale.seed)
    with grounds(*sides) as (quiet, busy), quiet.worker(), busy.worker():
        contest = _Contest(quiet, busy, partners, hung, dice)
        yield from asyncio.run(contest.run(due, turns, scale.pick(MOST, MOST_IN_BRIEF)))


async def _well(_):
    return 200


async def _never(_):
    await asyncio.Event().wait()


class _Contest:
    def __init__(self, quiet, busy, partners, hung, dice):
        self.sides = {"undisturbed": quiet, "beside it": busy}
        self.partners, self.hung, self.dice = partners, hung, dice
        self.committed = {"undisturbed": {}, "beside it": {}}

    async def run(self, due, turns, most):
        for one in (*self.partners.values(), self.hung):
            await one.come_up()
        await self._take_turns(PATIENCE_SECONDS)
        self._forget()
        busy = self.sides["beside it"]
        busy.owe("hung", [f"hung{number}" for number in range(due)])
        await busy.until(_ARE_HANGING)
        for _ in range(turns):
            await self._take_turns()
        return self._findings(due, most)

    def _forget(self):
        for committed in self.committed.values():
            committed.clear()
        for partner in self.partners.values():
            partner.calls.clear()

    async def _take_turns(self, patience=LATE_SECONDS):
        for side in self.dice.sample(list(self.sides), 2):
            await self._take_turn(side)
            await self._wait_for_calls(patience)

    async def _take_turn(self, side):
        """Conversions at a steady rate, each of which owes one delivery."""
        ground, committed = self.sides[side], self.committed[side]
        others = [key for key in ground.ports if key != "hung"]
        async with await psycopg.AsyncConnection.connect(
            ground.url, autocommit=True
        ) as connection:
            began = time.monotonic()
            for number in range(int(RATE * TURN_SECONDS)):
                await asyncio.sleep(began + number / RATE - time.monotonic())
                name = f"{side[:2]}{time.monotonic_ns()}"
                query, values = ground.owing(self.dice.choice(others), [name])
                await connection.execute(query, values)
                committed[f"dl_{name}"] = time.monotonic()
                await connection.execute("notify tracker_deliveries")

    async def _wait_for_calls(self, seconds):
        deadline = time.monotonic() + seconds
        while self._count_missing() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    def _count_missing(self):
        came = sum(len(partner.calls) for partner in self.partners.values())
        return sum(map(len, self.committed.values())) - came

    def _delays(self, committed):
        """Of those that arrived, from the commit on."""
        arrived = {
            delivery: at
            for partner in self.partners.values()
            for at, delivery in partner.calls
        }
        return [
            arrived[delivery] - at
            for delivery, at in committed.items()
            if delivery in arrived
        ]

    def _findings(self, due, most):
        p95 = {}
        for side, committed in self.committed.items():
            delays = self._delays(committed)
            p95[side] = quantiles(delays, n=20)[18] * 1000
            yield told(
                f"commit → hit, {side}",
                f"p95 {p95[side]:.1f} ms, median {median(delays) * 1000:.1f} ms"
                f" of {len(delays)}",
            )
        ratio, missing = p95["beside it"] / p95["undisturbed"], self._count_missing()
        yield must(f"p95 against it, at most {most}×", f"{ratio:.2f}×", ratio <= most)
        yield must(f"calls that took over {LATE_SECONDS} s", missing, missing == 0)
        yield told(f"calls to the partner that hangs, {due} due", len(self.hung.calls))


ROW = Row(8, "one partner hung, with tens of thousands due", attack)
