"""
Load: as much as goes in (closed loop), or so much a second (open loop).

Latency is counted from when a request was to be sent, not from when it could be: a
server that stalls is charged for everybody who had to wait, and for the millisecond
by which the generator's own timer is late.
"""

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import count

import uvloop

CONNECTIONS = 64

_TICK = 0.001
_PATIENCE = 30.0


@dataclass(frozen=True)
class Requests:
    """The targets in turn; with a series, each with a number of its own behind it."""

    targets: tuple[str, ...]
    series: str = ""

    def named(self, name):
        """The same, and another series; without a series, as they are."""
        return replace(self, series=f"{self.series}-{name}") if self.series else self

    def target(self, number):
        ending = f"{self.series}-{number}" if self.series else ""
        return self.targets[number % len(self.targets)] + ending


@dataclass(frozen=True)
class Throughput:
    """
    What was answered; `errors` are answers that were bad.

    Up to `cut_off` more were on their way when the time was over.
    """

    requests: int = 0
    seconds: float = 0.0
    errors: int = 0
    cut_off: int = 0

    @property
    def per_second(self):
        return self.requests / self.seconds

    def __add__(self, other):
        return Throughput(
            self.requests + other.requests,
            self.seconds + other.seconds,
            self.errors + other.errors,
            self.cut_off + other.cut_off,
        )


@dataclass
class Latencies:
    """Seconds, for every request that was answered; `failed` were answered badly."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def total(self):
        """Nobody was hung up on."""
        return Throughput(len(self.seconds), sum(self.seconds), self.failed)

    def percentile(self, share):
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def generator():
    """Which one `push` uses."""
    if shutil.which("wrk") is None:
        return (
            "no wrk, so a generator of its own, which is slower and bounds the servers"
        )
    said = subprocess.run(["wrk", "-v"], check=False, capture_output=True, text=True)
    return said.stdout.partition(" Copyright")[0]


def push(server, requests, seconds, headers, connections=CONNECTIONS):
    """As many requests as these connections can make; wrk where there is one."""
    if shutil.which("wrk") is None:
        return uvloop.run(_push(server.port, requests, seconds, headers, connections))
    return _wrk(server, requests, seconds, headers, connections)


def send_at(server, requests, rate, seconds, headers):
    """So many a second, each at its time; how long each took from then."""
    return uvloop.run(_send_at(server.port, requests, rate, seconds, headers))


def _wrk(server, requests, seconds, headers, connections):
    named = [part for n, v in headers.items() for part in ("-H", f"{n}: {v}")]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_lua(requests))
        script.flush()
        is_plain = len(requests.targets) == 1 and not requests.series
        given = [] if is_plain else ["-s", script.name]
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *named, *given]
        said = subprocess.run(
            [*command, server.url(requests.targets[0])],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return _read(said, connections)


def _lua(requests):
    targets = ", ".join(map(json.dumps, requests.targets))
    ending = f' .. "{requests.series}-" .. n' if requests.series else ""
    return f"""
local targets = {{ {targets} }}
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", targets[n % #targets + 1]{ending})
end"""


def _read(said, connections):
    requests, seconds = re.search(r"(\d+) requests in ([\d.]+)s", said).groups()
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))
    for found in re.findall(r"Socket errors: (.*)", said):
        errors += sum(map(int, re.findall(r"\d+", found)))
    return Throughput(int(requests), float(seconds), errors, connections)


async def _push(port, requests, seconds, headers, connections):
    gate = Gate(headers)
    await gate.open(port, connections)
    numbers = count(1)
    started = time.perf_counter()

    def offer():
        now = time.perf_counter()
        if now - started < seconds:
            gate.offer(requests.target(next(numbers)), now)

    gate.when_answered = offer
    for _ in range(connections):
        offer()
    await gate.drain(seconds)
    took = time.perf_counter() - started
    answered = gate.latencies
    return Throughput(len(answered.seconds), took, answered.failed)


async def _send_at(port, requests, rate, seconds, headers):
    gate = Gate(headers)
    await gate.open(port, CONNECTIONS)
    start = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        while time.perf_counter() < due:
            await asyncio.sleep(_TICK)
        gate.offer(requests.target(number), due)
    await gate.drain()
    return gate.latencies


class Gate:
    """Hands each request to a connection that is free, or to the next that is."""

    def __init__(self, headers):
        self.latencies = Latencies()
        self.when_answered = lambda: None
        self._rest = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._unanswered = 0
        self._waiting = deque()
        self._free = deque()
        self._all = []

    async def open(self, port, connections):
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(lambda: Caller(self), "127.0.0.1", port)

    def offer(self, target, due):
        self._unanswered += 1
        request = f"GET {target} HTTP/1.1\r\nHost: t\r\n{self._rest}\r\n".encode()
        if self._free:
            self._free.popleft().send(request, due)
        else:
            self._waiting.append((request, due))

    def opened(self, caller):
        self._all.append(caller)
        self._free.append(caller)

    def answered(self, caller, due, is_good):
        self._unanswered -= 1
        self.latencies.seconds.append(time.perf_counter() - due)
        self.latencies.failed += not is_good
        if self._waiting:
            caller.send(*self._waiting.popleft())
        else:
            self._free.append(caller)
        self.when_answered()

    async def drain(self, seconds=0):
        """Every answer is there; who owes one half a minute later is broken."""
        async with asyncio.timeout(seconds + _PATIENCE):
            while self._unanswered:
                await asyncio.sleep(_TICK)
        for caller in self._all:
            caller.transport.close()


class Caller(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, gate):
        self._gate = gate
        self._due = 0.0
        self._answer = b""

    def connection_made(self, transport):
        self.transport = transport
        self._gate.opened(self)

    def send(self, request, due):
        self._due, self._answer = due, b""
        self.transport.write(request)

    def data_received(self, data):
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if end and len(body) >= int(length[1]):
            self._gate.answered(self, self._due, self._answer[9:10] in b"23")
