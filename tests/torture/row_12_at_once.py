"""The same postback a hundred times at once: one conversion, one delivery."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp
from defended import KEY, TOKEN, defended
from row import Row, must, told

from tracker.domain.signature import Message, sign, signature_header

AT_ONCE = 100

DOUBLED = """
select count(*)
  from (select click_id from conversions group by click_id having count(*) <> 1) as odd
"""
UNEVEN = """
select count(*)
  from conversions
 where (select count(*) from deliveries where conversion_id = conversions.id) <> 1
    or (select count(*) from conversion_changes where conversion_id = conversions.id)
       <> 1
"""


@dataclass(frozen=True)
class Report:
    """What is sent a hundred times, byte by byte the same."""

    path: str
    headers: dict[str, str]


def once_per_click(click_id, _):
    return Report(f"/postback/acme?click_id={click_id}&token={TOKEN}", {})


def once_per_transaction(click_id, number):
    said = f"click_id={click_id}&goal=sale&transaction_id=order-{number}"
    return Report(f"/postback?{said}&token={TOKEN}", {})


def once_per_nonce(click_id, number):
    """Each postback of this goal counts: only its nonce makes it one."""
    path, query = "/postback/initech", f"click_id={click_id}&goal=refill"
    message = Message(str(int(time.time())), f"nonce-{number:06}", path, query, b"")
    header = signature_header(message, sign(KEY, message))
    return Report(f"{path}?{query}", {"tracker-signature": header})


KINDS = (
    (once_per_click, "shoes"),
    (once_per_transaction, "shoes"),
    (once_per_nonce, "tools"),
)


def attack(scale):
    rounds = scale.pick(200, 6)
    sent = rounds * AT_ONCE
    with defended(webs=2) as tracker:
        started = time.monotonic()
        answers = asyncio.run(_report(tracker, rounds))
        pace = sent / (time.monotonic() - started)
        conversions = tracker.ask("select count(*) from conversions")
        doubled, uneven = tracker.ask(DOUBLED), tracker.ask(UNEVEN)
        kept = tracker.ask("select count(*) from postbacks")
    named = [len({conversion for *_, conversion in one}) for one in answers]
    verdicts = Counter((status, said) for one in answers for status, said, _ in one)
    good = verdicts[200, "accepted"] + verdicts[200, "duplicate"]
    yield told("pace", f"{pace:,.0f} postbacks/s into two web processes")
    yield told("answers", ", ".join(f"{n} {v}" for (_, v), n in verdicts.items()))
    yield must("conversions", f"{conversions} of {rounds}", conversions == rounds)
    yield must("clicks without exactly one conversion", doubled, not doubled)
    yield must("conversions without exactly one delivery", uneven, not uneven)
    yield must("accepted or duplicate", f"{good} of {sent}", good == sent)
    yield must("rounds told of two conversions", _not_one(named), not _not_one(named))
    yield must("postbacks kept", f"{kept} of {sent}", kept == sent)


def _not_one(numbers):
    return sum(number != 1 for number in numbers)


async def _report(tracker, rounds):
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as client:
        return [await _round(tracker, client, number) for number in range(rounds)]


async def _round(tracker, client, number):
    """HTTP status, verdict and conversion of each answer."""
    make, offer = KINDS[number % len(KINDS)]
    report = make(await tracker.visit(client, offer), number)
    calls = [
        _call(client, tracker.urls[n % 2] + report.path, report.headers)
        for n in range(AT_ONCE)
    ]
    return await asyncio.gather(*calls)


async def _call(client, url, headers):
    async with client.get(url, headers=headers) as answer:
        said = await answer.json()
        return answer.status, said["status"], said.get("conversion_id")


ROW = Row(12, "the same postback a hundred times at once", attack)
