"""
Load: as much as goes in (closed loop), or so much a second (open loop).

Latency is counted from when a request was to be sent, not from when it could be: a
server that stalls is charged for everybody who had to wait.
"""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field

CONNECTIONS = 64


@dataclass(frozen=True)
class Throughput:
    requests: int
    seconds: float
    errors: int

    @property
    def per_second(self):
        return self.requests / self.seconds


@dataclass
class Latencies:
    """Seconds, for every request that was answered; `failed` were not, or badly."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def percentile(self, share):
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def push(url, seconds, headers, script=""):
    """
    As many requests as 64 connections can make; wrk where there is one.

    `script` is Lua that defines `request`, where each has to be another one.
    """
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: apt-get install wrk")
    named = [part for n, v in headers.items() for part in ("-H", f"{n}: {v}")]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        given = ["-s", lua.name] if script else []
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *named, *given]
        said = subprocess.run(
            [*command, url], capture_output=True, text=True, check=True
        ).stdout
    return _read(said)


def send_at(port, targets, rate, headers):
    """Each target at its time, so many a second; how long each took from then."""
    return asyncio.run(_send_at(port, list(targets), rate, headers))


def _read(said):
    requests, seconds = re.search(r"(\d+) requests in ([\d.]+)s", said).groups()
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))
    for found in re.findall(r"Socket errors: (.*)", said):
        errors += sum(map(int, re.findall(r"\d+", found)))
    return Throughput(int(requests), float(seconds), errors)


async def _send_at(port, targets, rate, headers):
    gate = Gate(Latencies(), headers)
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Caller(gate), "127.0.0.1", port)
    start = time.perf_counter() + 0.1
    for number, target in enumerate(targets):
        due = start + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        gate.offer(target, due)
    async with asyncio.timeout(30):
        while gate.unanswered:
            await asyncio.sleep(0.01)
    gate.close()
    return gate.latencies


class Gate:
    """Hands each request to a connection that is free, or to the next that is."""

    def __init__(self, latencies, headers):
        self.latencies = latencies
        self.unanswered = 0
        self._rest = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._waiting = deque()
        self._free = deque()
        self._all = []

    def offer(self, target, due):
        self.unanswered += 1
        request = f"GET {target} HTTP/1.1\r\nHost: t\r\n{self._rest}\r\n".encode()
        if self._free:
            self._free.popleft().send(request, due)
        else:
            self._waiting.append((request, due))

    def opened(self, caller):
        self._all.append(caller)
        self._free.append(caller)

    def answered(self, caller, due, is_good):
        self.unanswered -= 1
        self.latencies.seconds.append(time.perf_counter() - due)
        self.latencies.failed += not is_good
        if self._waiting:
            caller.send(*self._waiting.popleft())
        else:
            self._free.append(caller)

    def close(self):
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
