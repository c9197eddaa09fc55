"""
The way out: one HTTP call to a partner, and what came of it.

A partner's URL may name anything. Every concrete address is judged before a socket
is made for it, every answer of the resolver before one is chosen, and a host that
only looks like a name is refused. Nothing a partner does raises an error here.
"""

import asyncio
import re
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import Self
from weakref import WeakSet

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from tracker.domain.address import (
    Address,
    Network,
    is_allowed,
    is_odd_literal,
    is_public,
    unmapped,
)
from tracker.domain.answer import MAX_ANSWER, Answer
from tracker.domain.delivery import Failure
from tracker.domain.errors import ForbiddenAddressError
from tracker.domain.request import Request

CONNECT_SECONDS = 5
TOTAL_SECONDS = 15
DNS_CACHE_SECONDS = 60

RESOLVER_THREADS = 64
"""Names that can be looked up at once: a name server that hangs keeps one of them."""

_MAX_DETAIL = 200
# What may be done twice (RFC 9110, 9.2.2).
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
_AN_UNUSED_PORT = 9
_TIMEOUT = aiohttp.ClientTimeout(connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS)

_URL = re.compile(r"((?i:https?)://[^/?#@\\]+)((?:[/?][^#]*)?)(?:#.*)?")
# Whatever else a URL holds was percent-encoded before.
_VISIBLE = re.compile(r"[!-~]*")
# 101 is an answer to a question that is not asked here.
_MAX_INTERIM = 10
_INTERIM = frozenset(range(100, 200)) - {101}
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_USUAL = {"Accept": "*/*", "Accept-Encoding": "identity"}

_Sockaddr = tuple[
    int | socket.AddressFamily,
    int | socket.SocketKind,
    int,
    str,
    tuple[str | int, ...],
]


class _StaleConnectionError(aiohttp.ServerDisconnectedError):
    """A kept connection was found useless before anything was sent on it."""


class _EndlessHintsError(aiohttp.ClientError):
    """It speaks and speaks, and never comes to its answer."""


@dataclass(slots=True)
class _Way:
    """How far a call has come: whether it is certain that there is a server."""

    is_reached: bool = False


class AddressGuard:
    """Judges addresses: public or allowed, and not one of our own."""

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self.allowed = tuple(allowed)

    def check(self, text: str) -> None:
        """Raises ForbiddenAddressError for an address that may not be called."""
        address = ip_address(text)
        if is_allowed(address, self.allowed):
            return
        if not is_public(address) or _is_our_own(unmapped(address)):
            raise ForbiddenAddressError(f"{address} is not public")

    def make_socket(self, address_info: _Sockaddr) -> socket.socket:
        """The socket for one concrete address, which is judged first."""
        family, kind, protocol, _, address = address_info
        self.check(str(address[0]))
        return socket.socket(family, kind, protocol)


class GuardedResolver(AbstractResolver):
    """Looks names up in threads of its own; one forbidden answer refuses the name."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, "resolver")

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """Every address of the name, each of them judged."""
        loop = asyncio.get_running_loop()
        look_up = self._look_up
        return await loop.run_in_executor(self._threads, look_up, host, port, family)

    def _look_up(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> list[ResolveResult]:
        """A name may have thousands of addresses: all are judged off the loop."""
        found = _look_up(host, port, family)
        for result in found:
            self._guard.check(result["host"])
        return found

    async def close(self) -> None:
        """Does not wait for name servers that hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Sender:
    """
    Sends requests; use it as an async context manager, or close it.

    Connections and the reading of answers are aiohttp's. Its session is left out:
    what it adds (cookies, redirects, proxies) is not wanted here, and costs more
    than all the rest of a call.

    Calls at once are bounded by who claims deliveries, not here: a call that
    waited for a place would be charged to its partner.
    """

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self._guard = AddressGuard(allowed)
        # What aiohttp knows of a server belongs to an event loop, as connections do.
        self._origin = lru_cache(maxsize=16384)(_origin)
        self._resolver: GuardedResolver | None = None
        self._connector: aiohttp.TCPConnector | None = None
        self._kept: WeakSet[ResponseHandler] = WeakSet()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection; calls under way end with an answer that says so."""
        if self._connector is not None and self._resolver is not None:
            await self._connector.close()
            await self._resolver.close()
        self._connector = self._resolver = None
        self._origin.cache_clear()

    async def send(self, request: Request) -> Answer:
        """What came of it: an answer, or why there is none. Only cancelling raises."""
        loop = asyncio.get_running_loop()
        began, way = loop.time(), _Way()
        try:
            answer = await self._call(request, began + TOTAL_SECONDS, way)
        except Exception as error:  # noqa: BLE001 - what a partner does is a result
            answer = Answer(
                None,
                failure=_failure(error),
                detail=_detail(error),
                is_reached=way.is_reached,
            )
        return replace(answer, duration=timedelta(seconds=loop.time() - began))

    async def can_connect(self, server: str) -> bool:
        """Whether `scheme://host:port` takes a connection now; it is told nothing."""
        # By nothing that was kept: a connection, or the address of a name.
        async with Sender(self._guard.allowed) as other:
            try:
                connector = other._open()
                connection = await connector.connect(_origin(server), [], _TIMEOUT)
            except Exception:  # noqa: BLE001 - what a partner does is a result
                return False
            connection.close()
            return True

    async def _call(self, request: Request, deadline: float, way: _Way) -> Answer:
        server, target = _split(request.url)
        origin = self._origin(server)
        message = _message(request, target, origin.headers[hdrs.HOST])
        try:
            return await self._exchange(origin, message, deadline, way)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not _may_be_repeated(request, error):
                raise
            # A connection that was kept may be closed at any time (RFC 9110, 9.2.2).
            return await self._exchange(origin, message, deadline, way)

    async def _exchange(
        self,
        origin: aiohttp.ClientRequest,
        message: bytes,
        deadline: float,
        way: _Way,
    ) -> Answer:
        way.is_reached = False
        async with asyncio.timeout_at(deadline):
            connection = await self._open().connect(origin, [], _TIMEOUT)
        protocol = connection.protocol
        # On a line that was kept, silence may as well be a line that was cut.
        way.is_reached = protocol not in self._kept
        try:
            answer = await _converse(connection, message, deadline)
            if protocol is not None:
                self._kept.add(protocol)
            return answer
        finally:
            # One that was released before is in use again, and is left alone.
            connection.close()

    def _open(self) -> aiohttp.TCPConnector:
        """Made at the first call, in the event loop that it belongs to."""
        if self._connector is None:
            self._resolver = GuardedResolver(self._guard)
            self._connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                socket_factory=self._guard.make_socket,
                ttl_dns_cache=DNS_CACHE_SECONDS,
                limit=0,
            )
        return self._connector


def _may_be_repeated(request: Request, error: Exception) -> bool:
    if isinstance(error, aiohttp.ClientConnectorError):
        return False
    return request.method in _IDEMPOTENT or isinstance(error, _StaleConnectionError)


def _split(url: str) -> tuple[str, str]:
    """Scheme, host and port; and the rest as it is, without the fragment."""
    found = _URL.fullmatch(url)
    if found is None or not _VISIBLE.fullmatch(url):
        raise aiohttp.InvalidURL(url)
    server, target = found.groups()
    return server, target if target.startswith("/") else f"/{target}"


def _origin(server: str) -> aiohttp.ClientRequest:
    """What aiohttp knows a server by; raises for one that no URL can name."""
    try:
        url = URL(server, encoded=True)
        origin = aiohttp.ClientRequest("GET", url)
    except ValueError:
        raise aiohttp.InvalidURL(server) from None
    if is_odd_literal(url.raw_host or ""):
        raise ForbiddenAddressError("the host is an address in an odd spelling")
    return origin


def _message(request: Request, target: str, host: str) -> bytes:
    """The request as it stands on the wire."""
    own = {name.lower() for name in request.headers}
    usual = {name: value for name, value in _USUAL.items() if name.lower() not in own}
    headers = {"Host": host, **usual, **request.headers}
    if request.method != "GET" or request.body:
        headers["Content-Length"] = str(len(request.body))
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if any(map(_CONTROLS.search, lines)):
        raise ValueError("a header of more than one line")
    head = "\r\n".join([f"{request.method} {target} HTTP/1.1", *lines])
    return f"{head}\r\n\r\n".encode() + request.body


async def _converse(
    connection: aiohttp.connector.Connection, message: bytes, deadline: float
) -> Answer:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or protocol.should_close:
        # Something came unasked since the last call: it answers nothing.
        raise _StaleConnectionError
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    transport.write(message)
    async with asyncio.timeout_at(deadline):
        head, content = await _read_head(protocol)
    body, failure, detail = await _read(content, deadline)
    connection.release()
    return Answer(
        head.code,
        body,
        retry_after=head.headers.get(hdrs.RETRY_AFTER, ""),
        failure=failure,
        detail=detail,
    )


async def _read_head(
    protocol: ResponseHandler,
) -> tuple[aiohttp.http.RawResponseMessage, aiohttp.StreamReader]:
    """That of the answer itself; a server may say a few things on its way to it."""
    for _ in range(_MAX_INTERIM):
        head, content = await protocol.read()
        if head.code not in _INTERIM:
            return head, content
    raise _EndlessHintsError


async def _read(
    content: aiohttp.StreamReader, deadline: float
) -> tuple[bytes, Failure, str]:
    """The start of the body; a status that came is kept though the body breaks off."""
    if content.is_eof() and content.total_bytes < MAX_ANSWER:
        return content.read_nowait(), Failure.NONE, ""
    body = bytearray()
    try:
        async with asyncio.timeout_at(deadline):
            while len(body) < MAX_ANSWER:
                chunk = await content.read(MAX_ANSWER - len(body))
                if not chunk:
                    return bytes(body), Failure.NONE, ""
                body += chunk
    except (aiohttp.ClientError, OSError) as error:
        return bytes(body), _failure(error), _detail(error)
    return bytes(body), Failure.NONE, f"cut at {MAX_ANSWER} bytes"


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in found
    ]


def _is_our_own(address: Address) -> bool:
    """
    Whether one of our interfaces has it.

    The kernel would send from the very address it sends to; asking it costs no
    packet, and cannot go stale as a list of interfaces does.
    """
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _AN_UNUSED_PORT))
            return ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False


def _failure(error: BaseException) -> Failure:
    causes = tuple(_causes(error))
    for kind, failure in _FAILURES:
        if any(isinstance(cause, kind) for cause in causes):
            return failure
    return Failure.BROKEN_ANSWER


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _detail(error: BaseException) -> str:
    """In words without the URL, whose query may hold secrets."""
    causes = tuple(_causes(error))
    # Asyncio's own way to end a wait says nothing of what was waited for.
    told = [one for one in causes if not isinstance(one, asyncio.CancelledError)]
    root = (told or causes)[-1]
    said = str(root) if isinstance(root, OSError) else type(root).__name__
    return (said or type(root).__name__)[:_MAX_DETAIL]


# In this order: an error is the first of these that stands in its chain of causes.
_FAILURES: tuple[tuple[type[BaseException], Failure], ...] = (
    (ForbiddenAddressError, Failure.FORBIDDEN_ADDRESS),
    (aiohttp.InvalidURL, Failure.NO_ADDRESS),
    (aiohttp.ClientConnectorDNSError, Failure.NO_ADDRESS),
    # A name that cannot be asked for, such as one with an empty label.
    (UnicodeError, Failure.NO_ADDRESS),
    (TimeoutError, Failure.TIMEOUT),
    (aiohttp.ClientSSLError, Failure.BAD_CERTIFICATE),
    (aiohttp.ClientConnectorError, Failure.NO_CONNECTION),
)
