"""
Calls to addresses that are not public, however they are spelled or answered.

A canary listens on every address of this machine. Whatever opens a connection to it
is a hit, whether or not a request follows.
"""

import asyncio
import contextlib
import os
import random
import socket
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_address, ip_network

from row import Row, must, told

from tracker import sender as outbound
from tracker.domain.delivery import Failure
from tracker.domain.errors import TemplateError
from tracker.domain.outbound import PartnerPostback
from tracker.domain.request import Request, build_request
from tracker.sender import Sender

REFUSED = {Failure.FORBIDDEN_ADDRESS, Failure.NO_ADDRESS}
"""Nothing was even tried."""

V4 = {
    "127.0.0.1": "loopback",
    "127.1.2.3": "loopback",
    "0.0.0.0": "this host",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "192.168.1.1": "private",
    "169.254.169.254": "metadata",
    "100.100.100.200": "metadata, shared by carriers",
    "168.63.129.16": "metadata",
    "192.0.0.192": "metadata",
    "198.18.0.1": "benchmarks",
    "203.0.113.1": "documentation",
    "192.88.99.1": "6to4 relay",
    "224.0.0.1": "multicast",
    "255.255.255.255": "broadcast",
    "240.0.0.1": "reserved",
}
V6 = [
    "::", "::1", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "0::1",
    "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fec0::1", "ff02::1",
    "ff0e::1", "100::1", "100:0:0:1::1", "2001:db8::1", "2001:2::1", "2001:10::1",
    "2001:20::1", "3fff::1", "4000::1", "5f00::1", "e000::1",
    "fe80::1%25lo", "::1%25lo", "fe80::1%lo", "fe80::1%251", "::ffff:127.0.0.1%25lo",
]  # fmt: skip
HOSTS = [
    "localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "ip6-localhost",
    "", ".", "..", "%6c%6f%63alhost", "%31%32%37.0.0.1", "127%2e0%2e0%2e1",
    "127.0.0.1%00.example", "127.0.0.1%2f.example", "user@127.0.0.1",
    "public.example:80@127.0.0.1", "public.example%40127.0.0.1",
    "public.example\\@127.0.0.1", "127.0.0.1\\.public.example", "127.0.0.1#@public",
    "127.0.0.1?@public", "[127.0.0.1]", "[::1", "::1", "[::1]]", "[::ffff:127.1]",
    "[v1.127.0.0.1]", "0x7f.0x0.0x0.0x1", "0x7f.1", "0X7F000001", "0177.0.0.01",
    "00000177.0.0.1", "127.0.0.01", "127.000.000.001", "0x7f.0.0.0x01", "017700000001",
    "4294967297", "2130706433.", "127.0.0.1.", "127..0.1", "127.0.0.1..",
    " 127.0.0.1", "127.0.0.1 ", "127.0.0.1\t", "127.0.0.1\r\n", "\t127.0.0.1",
    "127\uff0e0\uff0e0\uff0e1", "127\u30020\u30020\u30021", "127\uff610\uff610\uff611",
    "\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
    "\u0661\u0662\u0667.0.0.1", "l\u24dec\u24d0lhost", "\uff4cocalhost",
    "loc\u00adalhost",
    "127.0.0.1\u200b", "xn--1-zfa.0.0.1", "0", "0.0", "0x0", "00", "0.0.0.0.", "[::]",
]  # fmt: skip
EMBEDDINGS = {
    "mapped": "::ffff:{}",
    "mapped, in full": "0:0:0:0:0:ffff:{}",
    "compatible": "::{}",
    "translated": "::ffff:0:{}",
    "NAT64": "64:ff9b::{}",
    "local NAT64": "64:ff9b:1::{}",
    "ISATAP": "2600:1:2:3:0:5efe:{}",
    "ISATAP, unique": "2600:1:2:3:200:5efe:{}",
    "ISATAP, link-local": "fe80::5efe:{}",
}
NOW = datetime(2026, 11, 22, tzinfo=UTC)
PUBLIC = ("1.1.1.1", "8.8.8.8", "2606:4700:4700::1111")
PRIVATE = ("127.0.0.1", "::1", "0.0.0.0", "10.0.0.1", "::ffff:127.0.0.1", "fe80::1%lo")
REDIRECTS = (301, 302, 303, 305, 307, 308, 401, 407)


def attack(scale):
    yield from asyncio.run(_attack(random.Random(scale.seed), scale))


async def _attack(chance, scale):
    findings = []
    async with canary() as bird:
        spellings = sorted(set(list_spellings()))
        with nobody_known():
            reached = [s for s in spellings if not await is_refused(s, bird.port)]
        findings += [
            must(
                "spellings of forbidden addresses",
                len(spellings),
                len(spellings) >= 200,
            ),
            must("spellings that were tried", reached or "none", not reached),
            must("hits on the canary", bird.hits, not bird.hits),
        ]
        changes = scale.pick(10_000, 500)
        tried = await rebind(chance, bird.port, changes)
        findings += [
            told("answers that changed, public ones tried", f"{changes}, {tried}"),
            must("hits after answers that changed", bird.hits, not bird.hits),
        ]
        followed = await redirect(bird.port)
        findings += [
            must(
                "redirects and hints that were answered",
                followed,
                followed == len(REDIRECTS),
            ),
            must("hits after redirects", bird.hits, not bird.hits),
        ]
        arrived = await through_proxies(bird.port)
        findings += [
            must("calls that went past a proxy of the environment", arrived, arrived),
            must("hits through proxies", bird.hits, not bird.hits),
        ]
        findings.append(must("the canary can be hit", *await sing(bird)))
    return findings


class Canary:
    def __init__(self):
        self.hits = 0
        self.port = 0

    async def hear(self, _, writer):
        self.hits += 1
        writer.close()


@asynccontextmanager
async def canary():
    """Listens on every address of this machine, IPv6 ones where there are any."""
    bird = Canary()
    first = await asyncio.start_server(bird.hear, "0.0.0.0", 0)
    bird.port = first.sockets[0].getsockname()[1]
    servers = [first]
    with contextlib.suppress(OSError):
        servers.append(await asyncio.start_server(bird.hear, "::", bird.port))
    try:
        yield bird
    finally:
        for server in servers:
            server.close()


async def sing(bird):
    """A guard that is told to let it pass: or the silence would prove nothing."""
    async with Sender([ip_network("127.0.0.0/8")]) as sender:
        await sender.send(a_call(f"http://127.0.0.1:{bird.port}/"))
    return bird.hits, bird.hits > 0


def list_spellings():
    """Hosts as they may stand in a URL."""
    yield from HOSTS
    for text in V6:
        yield f"[{text}]"
    for text in V4:
        yield from spell_v4(IPv4Address(text))
        for embedding in EMBEDDINGS.values():
            yield f"[{embedding.format(text)}]"
        yield f"[{ip_address('::ffff:' + text).exploded}]"
    for text in ("127.0.0.1", "10.0.0.1", "169.254.169.254"):
        yield f"[{six_to_four(text)}]"
        yield f"[{teredo(text)}]"
    yield from own_addresses()


def spell_v4(address):
    """As old C libraries read them: any base, any number of parts."""
    number, parts = int(address), address.packed
    yield str(address)
    yield from (str(number), hex(number), f"0{number:o}", f"{address}.")
    yield ".".join(hex(part) for part in parts)
    yield ".".join(f"0{part:o}" for part in parts)
    yield f"{parts[0]}.{number & 0xFFFFFF}"
    yield f"{hex(parts[0])}.{parts[1]}.0{number & 0xFFFF:o}"


def six_to_four(text):
    high, low = divmod(int(IPv4Address(text)), 1 << 16)
    return f"2002:{high:x}:{low:x}::1"


def teredo(text):
    """The client's address is turned over, bit by bit."""
    high, low = divmod(int(IPv4Address(text)) ^ 0xFFFFFFFF, 1 << 16)
    return f"2001:0:4136:e378:8000:63bf:{high:x}:{low:x}"


def own_addresses():
    """What the interfaces of this machine have, public-looking or not."""
    for family, far in (
        (socket.AF_INET, "192.0.2.1"),
        (socket.AF_INET6, "2001:db8::1"),
    ):
        with (
            contextlib.suppress(OSError),
            socket.socket(family, socket.SOCK_DGRAM) as one,
        ):
            one.connect((far, 9))
            own = one.getsockname()[0]
            yield f"[{own}]" if ":" in own else own


async def is_refused(host, port):
    """By the sender, and on the way that a partner's template takes to it."""
    url = f"http://{host}:{port}/"
    async with Sender() as sender:
        answers = [await sender.send(a_call(url))]
        with contextlib.suppress(TemplateError):
            built = build_request(PartnerPostback("all", url), {}, {}, "dl_1", NOW)
            answers.append(await sender.send(built))
    return all(one.failure in REFUSED for one in answers)


@contextmanager
def nobody_known():
    """A name server that knows no name: what is read as an address still is one."""
    ask = socket.getaddrinfo

    def answer(host, port, family=0, kind=0, proto=0, flags=0):
        if "localhost" not in str(host).lower():
            flags |= socket.AI_NUMERICHOST
        return ask(host, port, family, kind, proto, flags)

    socket.getaddrinfo = answer
    try:
        yield
    finally:
        socket.getaddrinfo = ask


async def rebind(chance, port, changes):
    """A name whose addresses change with every question; how many calls were tried."""
    tried = [0]
    with answers_that_change(chance), public_ones_refused(tried), no_cache():
        async with Sender() as sender:
            for number in range(changes):
                name = "rebound.test" if number % 2 else f"{number}.rebound.test"
                answer = await sender.send(a_call(f"http://{name}:{port}/"))
                assert answer.status is None
    return tried[0]


@contextmanager
def answers_that_change(chance):
    """A resolver of the attacker's: each answer is one, the other, or both."""
    ask = socket.getaddrinfo

    def answer(host, port, *rest, **named):
        if not str(host).endswith(".test"):
            return ask(host, port, *rest, **named)
        some = chance.sample(PUBLIC, chance.randint(0, 2))
        some += chance.sample(PRIVATE, chance.randint(0 if some else 1, 2))
        chance.shuffle(some)
        return [found(address, port) for address in some]

    socket.getaddrinfo = answer
    try:
        yield
    finally:
        socket.getaddrinfo = ask


def found(address, port):
    if ":" in address:
        place = (address.partition("%")[0], port, 0, 1 if "%" in address else 0)
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", place)
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


@contextmanager
def public_ones_refused(tried):
    """Nothing leaves this machine: what is public refuses, as the wire would."""
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def refuse(sock, address):
        if address[0] in PUBLIC:
            tried[0] += 1
            raise ConnectionRefusedError
        await connect(sock, address)

    loop.sock_connect = refuse
    try:
        yield
    finally:
        del loop.sock_connect


@contextmanager
def no_cache():
    """A name is asked for again at each call."""
    before, outbound.DNS_CACHE_SECONDS = outbound.DNS_CACHE_SECONDS, 0
    try:
        yield
    finally:
        outbound.DNS_CACHE_SECONDS = before


async def redirect(port):
    """A partner that is allowed sends us elsewhere; how many ways it tried."""
    elsewhere = f"http://127.0.0.1:{port}/"
    ways = 0
    for status in REDIRECTS:
        ways += await is_called(status, elsewhere)
    return ways


async def is_called(status, elsewhere):
    """Whether a partner that names another place was called itself."""
    async with (
        a_partner(status, elsewhere) as partner,
        Sender([ip_network("127.0.0.2/32")]) as sender,
    ):
        answer = await sender.send(a_call(partner))
    return answer.status == status


@asynccontextmanager
async def a_partner(status, elsewhere):
    """On a loopback address of its own, which alone is allowed."""
    head = (
        f"HTTP/1.1 {status} Elsewhere\r\nLocation: {elsewhere}\r\n"
        f"Refresh: 0; url={elsewhere}\r\nLink: <{elsewhere}>; rel=preload\r\n"
        f'Alt-Svc: http/1.1="{elsewhere}"\r\nContent-Location: {elsewhere}\r\n'
        "Proxy-Authenticate: Basic\r\nWWW-Authenticate: Basic\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n"
    )

    async def speak(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head.encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.2", 0)
    try:
        yield f"http://127.0.0.2:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def through_proxies(port):
    """Whether a call arrives though the environment names a proxy for everything."""
    proxy = f"http://127.0.0.1:{port}"
    names = [f"{kind}_proxy" for kind in ("http", "https", "all", "ftp", "ws")]
    with environment({**dict.fromkeys(names, proxy), "no_proxy": ""}):
        return await is_called(200, proxy)


@contextmanager
def environment(changed):
    both = {**changed, **{name.upper(): value for name, value in changed.items()}}
    before = {name: os.environ.get(name) for name in both}
    os.environ.update(both)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def a_call(url):
    return Request("GET", url, url)


ROW = Row(10, "calls to addresses that are not public", attack)
