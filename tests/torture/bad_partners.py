"""
Partners' servers that misbehave, each in one way, on ports of loopback.

They speak raw bytes, because no server library could be made to. They run in a thread
of their own while the attack looks on from outside.
"""

import asyncio
import gzip
import socket
import ssl
import struct
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import trustme

RESET = struct.pack("ii", 1, 0)
KILOBYTE = b"x" * 1024
BOMB = gzip.compress(b"0" * 50_000_000)


@dataclass(frozen=True)
class Partner:
    """
    What it does, and what is to be written down of a call to it.

    `outcome` is that of the attempt, `status` the HTTP status, `failure` the word its
    error begins with; `asks` are the seconds it may ask us to wait, None for the usual.
    """

    name: str
    url: str
    outcome: str = "failed"
    status: int | None = None
    failure: str = ""
    success: str | None = None
    asks: float | None = None

    @property
    def id(self):
        return self.name.lower().replace(" ", "-")


def answer(status, body=b"OK", *headers):
    lines = [f"HTTP/1.1 {status} Whatever", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def says(said):
    """Answers each call with these bytes."""

    async def speak(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(said)
            await writer.drain()

    return speak


def begins(said):
    """Says this, and nothing more for as long as anybody listens."""

    async def speak(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await reader.read()

    return speak


def never_ends(start, more, pause=0.0):
    async def speak(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while not writer.is_closing():
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(pause)

    return speak


async def blurts(_reader, writer):
    """Takes whatever comes for HTTP."""
    writer.write(answer(400))
    await writer.drain()


async def drips(reader, writer):
    """A byte a second, from the first of its head on."""
    await reader.readuntil(b"\r\n\r\n")
    for byte in answer(200, b"x" * 100):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def resets(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


class Flapping:
    """Good, bad, good, bad; `told` is what it said to which delivery."""

    def __init__(self):
        self.told = {}

    async def __call__(self, reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            delivery = head.split(b"X-Tracker-Delivery: ")[1].split(b"\r\n")[0].decode()
            status = 500 if len(self.told) % 2 else 200
            self.told.setdefault(delivery, status)
            writer.write(answer(status))
            await writer.drain()


RETRY_AFTER = {
    "negative": ("-5", None),
    "huge": ("999999999", 36_000.0),
    "too long a number": ("9" * 400, None),
    "a date of the past": ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    "a date of the far future": ("Fri, 31 Dec 9999 23:59:59 GMT", 36_000.0),
    "a date that is none": ("Wed, 99 Oct 2015 77:28:00 GMT", None),
    "rubbish": ("soon; very soon", None),
    "a fraction": ("1.5", None),
    "an exponent": ("1e400", None),
    "several": ("120, 240", None),
    "digits of another script": ("\xb2\xb3", None),
    "nothing": ("", None),
    "sound": ("120", 120.0),
}
"""What stands in the header, and the seconds that are then waited (at most 10 h)."""

HONEST = 8
BAD_TLS = {"failure": "bad_certificate"}

_PLAIN = "http://127.0.0.1:{}/?d={{delivery_id}}"
_SECURE = "https://localhost:{}/"
_AUTHORITY = trustme.CA()
_DAY = timedelta(days=1)


def _context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def _certificates():
    """One that holds, and those that are wrong in one thing."""
    past = datetime.now(UTC) - _DAY
    return {
        "sound": _AUTHORITY.issue_cert("localhost"),
        "expired": _AUTHORITY.issue_cert(
            "localhost", not_before=past - _DAY, not_after=past
        ),
        "of a stranger": trustme.CA().issue_cert("localhost"),
        "of another host": _AUTHORITY.issue_cert("elsewhere.example"),
    }


class Party:
    """All of them; `partners` are those that listen, and those that do not."""

    def __init__(self):
        self.partners = []
        self.hits_elsewhere = 0
        self.flapping = Flapping()
        self.authority = _AUTHORITY.cert_pem.bytes()
        self._stack = ExitStack()

    async def open(self):
        canary = await self._listen(self._note)
        await self._add_slow()
        await self._add_answering(canary)
        await self._add_secure()
        self._add_absent()

    async def _note(self, _reader, _writer):
        self.hits_elsewhere += 1

    async def _add(self, name, speak, **expected):
        port = await self._listen(speak)
        self.partners.append(Partner(name, _PLAIN.format(port), **expected))

    async def _add_slow(self):
        slow = {"failure": "timeout"}
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nOK"
        cut = {"status": 200, "failure": "no_success_pattern", "success": "never"}
        kept = {"outcome": "delivered", "status": 200, "failure": "TimeoutError"}
        await self._add("hangs before its head", begins(b""), **slow)
        await self._add(
            "hangs within its head", begins(b"HTTP/1.1 200 OK\r\nX"), **slow
        )
        await self._add("hangs within its body", begins(half), **cut)
        await self._add("hangs after its status", begins(half), **kept)
        await self._add("one byte a second", drips, **slow)
        drop = never_ends(half[:-2] + b"O", b"K", 1.0)
        await self._add("one byte of a body a second", drop, **cut)

    async def _add_answering(self, canary):
        bad = {"failure": "bad_status"}
        good = {"outcome": "delivered", "status": 200}
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        endless = never_ends(chunked, b"400\r\n" + KILOBYTE + b"\r\n")
        packed = answer(200, BOMB, "Content-Encoding: gzip")
        broken = {"failure": "broken_answer"}
        lines = b"".join(b"X-%d: y\r\n" % number for number in range(100))
        await self._add("resets", resets, **broken)
        await self._add("endless body", endless, **good, failure="cut at 65536 bytes")
        await self._add("gzip bomb", says(packed), **good)
        head = never_ends(b"HTTP/1.1 200 OK\r\n", lines)
        await self._add("endless head", head, **broken)
        line = never_ends(b"HTTP/1.1 200 OK\r\nX: ", KILOBYTE)
        await self._add("endless line", line, **broken)
        hints = never_ends(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        await self._add("endless hints", hints, **broken)
        wrong = {"success": '"ok": *true', "failure": "no_success_pattern"}
        error = says(answer(200, b'{"ok": false}'))
        await self._add("200 with an error", error, status=200, **wrong)
        gone = {"status": 410, "failure": "gone"}
        await self._add("gone", says(answer(410)), **gone)
        await self._add("an error", says(answer(500)), status=500, **bad)
        flapping = {"outcome": "either"}
        await self._add("flapping", self.flapping, **flapping)
        for number, place in enumerate((f"127.0.0.1:{canary}", "169.254.169.254")):
            there = answer(302, b"", f"Location: http://{place}/")
            await self._add(f"redirect {number}", says(there), status=302, **bad)
        for name, (value, asks) in RETRY_AFTER.items():
            status = 429 if len(name) % 2 else 503
            said = answer(status, b"", f"Retry-After: {value}")
            expected = {"status": status, "asks": asks, **bad}
            await self._add(f"{status} with {name}", says(said), **expected)
        twice = answer(503, b"", "Retry-After: 120", "Retry-After: soon")
        await self._add("503 with two", says(twice), status=503, asks=120.0, **bad)
        for number in range(HONEST):
            await self._add(f"honest {number}", says(answer(200)), **good)

    async def _add_secure(self):
        speak = says(answer(200))
        for name, certificate in _certificates().items():
            port = await self._listen(speak, ssl=_context(certificate))
            is_good = name == "sound"
            expected = {"outcome": "delivered", "status": 200} if is_good else BAD_TLS
            url = _SECURE.format(port)
            self.partners.append(Partner(f"certificate {name}", url, **expected))
        plain = _SECURE.format(await self._listen(blurts))
        self.partners.append(Partner("plain text for TLS", plain, **BAD_TLS))
        silent = _SECURE.format(await self._listen(begins(b"")))
        self.partners.append(Partner("silence for TLS", silent, failure="timeout"))

    def _add_absent(self):
        nobody = self._stack.enter_context(_bound())
        crowded = self._stack.enter_context(_crowded())
        self.partners += [
            Partner("refuses", _PLAIN.format(nobody), failure="no_connection"),
            Partner("hangs at connect", _PLAIN.format(crowded), failure="timeout"),
            Partner("unresolvable", "http://nowhere.invalid/", failure="no_address"),
        ]

    async def _listen(self, speak, **options):
        async def serve(reader, writer):
            # Whatever the other side does is what this is for.
            with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
                await speak(reader, writer)
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, **options)
        return server.sockets[0].getsockname()[1]

    def close(self):
        self._stack.close()


@contextmanager
def _bound():
    """A port that is taken, and nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def _crowded():
    """Somebody listens, and takes no call: the queue is full."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            with suppress(BlockingIOError):
                waiting.connect(listening.getsockname())
        yield listening.getsockname()[1]


@contextmanager
def party():
    """They misbehave while it is open."""
    loop, guests = asyncio.new_event_loop(), Party()
    loop.set_exception_handler(lambda *_: None)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(guests.open(), loop).result()
        yield guests
    finally:
        _run_out(loop)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        guests.close()


def _run_out(loop):
    async def end():
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with suppress(Exception):
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
