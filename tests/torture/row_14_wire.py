"""Row 14: every public endpoint, by its description and by the bytes of the wire."""

import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

from row import Row, must, told
from wire_fuzz import Fuzz
from wire_ground import prepared, serving
from wire_raw import (
    HIDDEN,
    HONEST,
    ODD,
    REVEALED,
    SMUGGLING,
    converse,
    mutated,
    statuses,
)

CALLER = Path(__file__).parent / "wire_caller.py"
SLOW_CONNECTIONS = 500
RATE = 200
AT_ONCE = 32
LATEST_SECONDS = {"head": 16, "body": 36}
"""Patience, and how long until the next look; and a second for a busy machine."""

CATALOG = """\
version: 1
currency: USD
advertisers:
  acme: {auth: {token: "${ACME_TOKEN}"}}
offers:
  shoes:
    advertiser: acme
    url: https://shop.example/?cid={click_id}&s={sub1}
    goals: {sale: {payout: 1.50, revenue: 2.00}}
partners:
  bestdeals: {offers: all}
"""


def attack(scale):
    with prepared(CATALOG) as ground, serving(ground) as server:
        yield from _fuzzed(server, scale)
        yield from _found(_smuggled(server.port))
        yield from _found(_odd(server.port))
        yield from _found(_mutated(server.port, scale))
        yield from _found(_crowded(server.port, scale))
        if scale.is_full:
            yield from _found(_outwaited(server.port))
        yield from _after(server)


def _found(asking):
    async def gather():
        return [finding async for finding in asking]

    return asyncio.run(gather())


def _fuzzed(server, scale):
    fuzz = Fuzz(server, scale.seed)
    fuzz.run(scale.pick(full=300, brief=5))
    errors = {code: n for code, n in fuzz.statuses.items() if code >= 500}
    yield told("requests from the description, by status", dict(fuzz.statuses))
    yield must("5xx among them", errors or 0, not errors)
    said = f"{len(fuzz.faults)} {fuzz.faults[:3] or ''}".strip()
    yield must("answers that the description does not have", said, not fuzz.faults)


async def _smuggled(port):
    """Each in one piece, and with its head apart, so that the body comes late."""
    asked = {}
    for name, request in SMUGGLING.items():
        head, end, body = request.partition(b"\r\n\r\n")
        asked[name, "at once"] = ((request + HONEST,), "")
        asked[name, "in parts"] = ((head + end, body, HONEST), "")
    answers = dict(zip(asked, await _converse(port, asked.values()), strict=True))
    revealed = [name for name, (said, _) in answers.items() if REVEALED in said]
    control, _ = await converse(port, HIDDEN)
    yield must("by itself the hidden one is answered", 1, REVEALED in control)
    yield must("hidden requests that were answered", revealed or 0, not revealed)
    for finding in _told_of(f"{len(asked)} smuggling pairs", answers.values()):
        yield finding


async def _odd(port):
    """Each from who waits, from who ends its half, and from who is gone at once."""
    asked = [((one,), ends) for one in ODD.values() for ends in ("", "half", "early")]
    answers = await _converse(port, asked)
    for finding in _told_of(f"{len(asked)} odd requests", answers):
        yield finding


async def _mutated(port, scale):
    rng = random.Random(scale.seed)
    number = scale.pick(full=20_000, brief=500)
    ends = ("half", "half", "early")
    asked = [(mutated(rng), rng.choice(ends)) for _ in range(number)]
    answers = await _converse(port, asked)
    for finding in _told_of(f"{number} requests with bytes changed", answers):
        yield finding


async def _converse(port, asked):
    """What comes back of each, some of them at the same time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(parts, ends):
        async with places:
            return await converse(port, *parts, ends=ends)

    return await asyncio.gather(*[one(parts, ends) for parts, ends in asked])


def _told_of(what, answers):
    heard = Counter(code for said, _ in answers for code in statuses(said))
    waiting = sum(not said and not is_closed for said, is_closed in answers)
    errors = {code: number for code, number in heard.items() if code >= 500}
    yield told(f"answers to {what}", dict(sorted(heard.items())))
    yield told("left without an answer, until their time is over", waiting)
    yield must("5xx among them", errors or 0, not errors)


async def _crowded(port, scale):
    """Quiet rounds and attacked ones in turn, so that the machine disturbs both."""
    quiet, crowded = [], []
    for _ in range(scale.pick(full=8, brief=2)):
        seconds = scale.pick(full=5, brief=1)
        quiet.append(await _call(port, seconds))
        async with _crowd(port):
            crowded.append(await _call(port, seconds))
    failed = sum(one["failed"] for one in quiet + crowded)
    yield must("honest clicks that failed beside the crowd", failed, failed == 0)
    before, beside = _p99(quiet), _p99(crowded)
    # In brief a p99 is that of two seconds, with other attacks beside it.
    most = scale.pick(full=2, brief=6)
    yield must(
        f"others' p99 beside {SLOW_CONNECTIONS} slow connections (at most {most}×)",
        f"{beside / before:.2f}× ({1e3 * before:.1f} ms, {1e3 * beside:.1f} ms)",
        beside <= most * before,
    )


def _p99(rounds):
    """The median of the rounds: one that was disturbed says nothing."""
    return statistics.median(
        statistics.quantiles(one["seconds"], n=100)[98] for one in rounds
    )


async def _call(port, seconds):
    """In a process of its own: what the attack costs us is not their latency."""
    caller = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CALLER), str(port), str(RATE), str(seconds)),
        stdout=subprocess.PIPE,
    )
    said, _ = await caller.communicate()
    return json.loads(said)


@asynccontextmanager
async def _crowd(port):
    """Half of them slow with a head, half with a body: a byte a second each."""
    lines = await asyncio.gather(
        *[_begin(port, number) for number in range(SLOW_CONNECTIONS)]
    )
    dripping = asyncio.create_task(_drip(lines))
    yield
    dripping.cancel()
    for _, writer in lines:
        writer.transport.abort()


async def _begin(port, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b"POST /postback HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\n\r\n"
    writer.write(body if number % 2 else b"GET /c/bestdeals/shoes HTTP/1.1\r\nX: ")
    return reader, writer


async def _drip(lines):
    while True:
        for _, writer in lines:
            writer.write(b"x")
            await asyncio.sleep(1 / len(lines))


async def _outwaited(port):
    for kind, number in (("head", 0), ("body", 1)):
        lines = await asyncio.gather(*[_begin(port, number) for _ in range(50)])
        dripping = asyncio.create_task(_drip(lines))
        began = time.monotonic()
        said = await asyncio.gather(*[_until_closed(reader) for reader, _ in lines])
        took = time.monotonic() - began
        dripping.cancel()
        latest = LATEST_SECONDS[kind]
        yield must(
            f"the last of 50 with a slow {kind} was ended after (at most {latest} s)",
            f"{took:.1f} s, with {dict(Counter(said))}",
            took <= latest and set(said) == {408},
        )


async def _until_closed(reader):
    said = b""
    try:
        while piece := await reader.read(1 << 16):
            said += piece
    except ConnectionError:
        pass
    return next(iter(statuses(said)), None)


def _after(server):
    log = server.said()
    faults = [line for line in log.splitlines() if "Traceback" in line]
    yield must("errors with a trace in its log", faults[:3] or 0, not faults)
    answered, _ = asyncio.run(converse(server.port, HONEST))
    yield must("it answers afterwards", statuses(answered), statuses(answered) == [200])
    yield told("the most it had in memory", f"{server.resident_kilobytes('VmHWM')} KB")


ROW = Row(14, "every public endpoint, by its description and byte by byte", attack)
