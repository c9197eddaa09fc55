"""
The way out: one HTTP call to a partner, and what came of it.

A partner's URL may name anything. Every concrete address is judged before a socket
is made for it, every answer of the resolver before one is chosen, and a host that
only looks like a name is refused. Nothing a partner does raises an error here.
"""

import asyncio
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, ip_address
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from tracker.domain.address import (
    Address,
    Network,
    is_allowed,
    is_odd_literal,
    is_public,
    unmapped,
)
from tracker.domain.delivery import MAX_ANSWER, Answer, Failure, Request
from tracker.domain.errors import ForbiddenAddressError

CONNECT_SECONDS = 5
TOTAL_SECONDS = 15
DNS_CACHE_SECONDS = 60

RESOLVER_THREADS = 64
"""Names that can be looked up at once: a name server that hangs keeps one of them."""

_MAX_DETAIL = 200
_AN_UNUSED_PORT = 9

_Sockaddr = tuple[
    int | socket.AddressFamily,
    int | socket.SocketKind,
    int,
    str,
    tuple[str | int, ...],
]


class AddressGuard:
    """Judges addresses: public or allowed, and not one of our own."""

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    def check(self, text: str) -> None:
        """Raises ForbiddenAddressError for an address that may not be called."""
        address = ip_address(text)
        if is_allowed(address, self._allowed):
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
        found = await loop.run_in_executor(self._threads, _look_up, host, port, family)
        for result in found:
            self._guard.check(result["host"])
        return found

    async def close(self) -> None:
        """Does not wait for name servers that hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Sender:
    """
    Sends requests; use it as an async context manager, or close it.

    Calls at once are bounded by who claims deliveries, not here: a call that
    waited for a place would be charged to its partner.
    """

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self._guard = AddressGuard(allowed)
        self._resolver: GuardedResolver | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection; calls under way end with an answer that says so."""
        if self._session is not None and self._resolver is not None:
            await self._session.close()
            await self._resolver.close()
        self._session = self._resolver = None

    async def send(self, request: Request) -> Answer:
        """What came of it: an answer, or why there is none. Only cancelling raises."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await self._call(request)
        except Exception as error:  # noqa: BLE001 - what a partner does is a result
            answer = Answer(None, failure=_failure(error), detail=_detail(error))
        return replace(answer, duration=timedelta(seconds=loop.time() - began))

    async def _call(self, request: Request) -> Answer:
        url = URL(request.url, encoded=True)
        if is_odd_literal(url.raw_host or ""):
            raise ForbiddenAddressError("the host is an address in an odd spelling")
        async with self._open().request(
            request.method,
            url,
            headers={"Accept-Encoding": "identity", **request.headers},
            data=request.body or None,
            allow_redirects=False,
        ) as response:
            body, failure, detail = await _read(response)
            retry_after = response.headers.get("Retry-After", "")
            return Answer(
                response.status,
                body,
                retry_after=retry_after,
                failure=failure,
                detail=detail,
            )

    def _open(self) -> aiohttp.ClientSession:
        """Made at the first call, in the event loop that it belongs to."""
        if self._session is None:
            self._resolver = GuardedResolver(self._guard)
            self._session = _session(self._guard, self._resolver)
        return self._session


def _session(guard: AddressGuard, resolver: GuardedResolver) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=resolver,
        socket_factory=guard.make_socket,
        ttl_dns_cache=DNS_CACHE_SECONDS,
        limit=0,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(
            total=TOTAL_SECONDS, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        # What is never unpacked cannot explode, and only the start is looked at.
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("User-Agent", "Content-Type"),
    )


async def _read(response: aiohttp.ClientResponse) -> tuple[bytes, Failure, str]:
    """The start of the body; a status that came is kept though the body breaks off."""
    body = bytearray()
    try:
        while len(body) < MAX_ANSWER:
            chunk = await response.content.read(MAX_ANSWER - len(body))
            if not chunk:
                return bytes(body), Failure.NONE, ""
            body += chunk
    except (aiohttp.ClientError, OSError) as error:
        return bytes(body), _failure(error), _detail(error)
    response.close()
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
    root = tuple(_causes(error))[-1]
    said = str(root) if isinstance(root, OSError) else type(root).__name__
    return (said or type(root).__name__)[:_MAX_DETAIL]


# In this order: an error is the first of these that stands in its chain of causes.
_FAILURES: tuple[tuple[type[BaseException], Failure], ...] = (
    (ForbiddenAddressError, Failure.FORBIDDEN_ADDRESS),
    (aiohttp.InvalidURL, Failure.NO_ADDRESS),
    (aiohttp.ClientConnectorDNSError, Failure.NO_ADDRESS),
    (TimeoutError, Failure.TIMEOUT),
    (aiohttp.ClientSSLError, Failure.BAD_CERTIFICATE),
    (aiohttp.ClientConnectorError, Failure.NO_CONNECTION),
)
