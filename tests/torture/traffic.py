"""
The load: visitors who follow links, and an advertiser who reports what some of them do.

`python traffic.py PLAN`, until SIGTERM; then no visitor comes any more, and the
advertiser goes on until each of its reports was answered, or patience is over. Every
attempt is on disk before it is made, every answer once it is there.

Visitors come at their times, whatever becomes of those before them. An advertiser tries
again, with the same transaction, what was not answered with 2xx; some reports it sends
twice all the same.
"""

import asyncio
import gc
import json
import random
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import uvloop
from journal import Journal
from launch import tie_to_parent
from market import OFFER, PARTNERS, TOKEN

VISITOR = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101",
    "Referer": "https://blog.example/ten-pairs-of-shoes",
}
VISITOR_SECONDS = 30.0
ADVERTISER_SECONDS = 8.0
IDLE_SECONDS = 0.5

_AHEAD = 0.25
"""Seconds before its time that an attempt is written down."""

_NO_ANSWER = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True)
class Plan:
    """
    `rate` is in visitors a second, who are numbered from `first` on. `share` of them
    buy, `repeated` of these are reported twice. Pauses are in seconds: from a click to
    its sale, from one try to the next, and for how long the advertiser goes on after
    the last visitor.
    """

    ports: list[int]
    notes: str
    seed: int
    rate: float
    first: int = 0
    share: float = 0.5
    repeated: float = 0.05
    longest_thought: float = 0.5
    first_pause: float = 0.25
    longest_pause: float = 2.0
    patience: float = 60.0


class Traffic:
    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self._plan, self._session = plan, session
        self._chance = random.Random(plan.seed)
        self._journal = Journal(Path(plan.notes))
        self._stop = asyncio.Event()
        self._ends_at = float("inf")

    async def run(self):
        async with asyncio.TaskGroup() as tasks:
            start = time.monotonic() + _AHEAD
            for number in count():
                due = start + number / self._plan.rate
                await self._pass(due - _AHEAD)
                if self._stop.is_set():
                    return
                tasks.create_task(self._visit(self._plan.first + number, due))

    def end(self):
        """No visitor from now on, and then only so much patience."""
        self._ends_at = time.monotonic() + self._plan.patience
        self._stop.set()

    async def _visit(self, number, due):
        partner = self._chance.choice(PARTNERS)
        is_sale = self._chance.random() < self._plan.share
        await self._journal.write("visit", visit=number, partner=partner, due=due)
        await _sleep_until(due)
        query = f"sub1=visit-{number}&gclid={number:020}"
        path = f"/c/{partner}/{OFFER}?{query}"
        status, said = await self._call(number, path, VISITOR, VISITOR_SECONDS)
        click_id = _click_id(said)
        await self._journal.write(
            "redirect",
            visit=number,
            status=status,
            click=click_id,
            at=time.monotonic(),
            said="" if click_id else said,
        )
        if is_sale and click_id:
            await asyncio.sleep(self._chance.uniform(0, self._plan.longest_thought))
            await self._sell(number, partner, click_id)

    async def _sell(self, number, partner, click_id):
        amount = f"{self._chance.randint(100, 20000) / 100:.2f}"
        sale = {
            "click_id": click_id,
            "transaction_id": f"order-{number}",
            "amount": amount,
        }
        await self._journal.write("sale", **sale, partner=partner)
        await self._report(sale)
        if self._chance.random() < self._plan.repeated:
            await self._report(sale)

    async def _report(self, sale):
        """Again and again, until somebody says that it is kept."""
        pause = self._plan.first_pause
        for attempt in count(1):
            if await self._try(sale, attempt) or time.monotonic() > self._ends_at:
                return
            await asyncio.sleep(pause * self._chance.uniform(0.8, 1.2))
            pause = min(2 * pause, self._plan.longest_pause)

    async def _try(self, sale, attempt):
        transaction = sale["transaction_id"]
        tried_at = time.monotonic()
        await self._journal.write(
            "report", transaction=transaction, attempt=attempt, at=tried_at
        )
        path = "/postback?" + urlencode({**sale, "goal": "sale", "token": TOKEN})
        status, said = await self._call(attempt, path, {}, ADVERTISER_SECONDS)
        await self._journal.write(
            "answer",
            transaction=transaction,
            attempt=attempt,
            status=status,
            said=said,
            tried_at=tried_at,
            at=time.monotonic(),
        )
        return 200 <= status < 300

    async def _call(self, number, path, headers, seconds):
        """The status and what was said with it; 0 if there was no answer."""
        port = self._plan.ports[number % len(self._plan.ports)]
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.get(
                    f"http://127.0.0.1:{port}{path}",
                    headers=headers,
                    allow_redirects=False,
                ) as answer,
            ):
                body = await answer.text()
                return answer.status, answer.headers.get("Location", body)
        except _NO_ANSWER as error:
            return 0, repr(error)

    async def _pass(self, moment):
        """The time until then, or until the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(moment - time.monotonic()):
                await self._stop.wait()


def _click_id(location):
    return parse_qs(urlsplit(location).query).get("cid", [""])[0]


async def _sleep_until(moment):
    await asyncio.sleep(moment - time.monotonic())


async def main(plan):
    # A long pause of ours would be counted as the tracker's.
    gc.freeze()
    connections = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS)
    async with aiohttp.ClientSession(
        connector=connections,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        traffic = Traffic(plan, session)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, traffic.end)
        await traffic.run()


if __name__ == "__main__":
    tie_to_parent()
    uvloop.run(main(Plan(**json.loads(sys.argv[1]))))
