"""One call over a real socket, whatever the other side does."""

import asyncio
import gzip
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network

import aiohttp
import pytest
from aiohttp import web
from parties import break_off, hang, hang_up, never_end

from tracker import sender as outbound
from tracker.domain.answer import MAX_ANSWER
from tracker.domain.delivery import Failure
from tracker.domain.errors import ForbiddenAddressError
from tracker.domain.request import Request
from tracker.sender import AddressGuard, GuardedResolver, Sender


def a_request(url, **changed):
    return replace(Request("GET", url, url), **changed)


@pytest.fixture
async def sender():
    """One that may call loopback."""
    async with Sender([ip_network("127.0.0.0/8")]) as sender:
        yield sender


@pytest.fixture
async def strict_sender():
    """One that may call public addresses only."""
    async with Sender() as sender:
        yield sender


@pytest.fixture
async def listen():
    """Listens on loopback with a coroutine that speaks to each connection; its URL."""
    async with AsyncExitStack() as servers:

        async def listen(speak):
            async def serve(reader, writer):
                async with aclosing_writer(writer):
                    await speak(reader, writer)

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            await servers.enter_async_context(server)
            return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

        yield listen


@asynccontextmanager
async def aclosing_writer(writer):
    """Closed at the end, whatever the other side did meanwhile."""
    try:
        yield
    except ConnectionError:
        pass
    finally:
        writer.close()


async def a_request_of(reader):
    return await reader.readuntil(b"\r\n\r\n")


async def test_the_url_goes_out_byte_for_byte(sender, partner_inbox):
    target = "/a%2Fb/../c;d?x=%7B1%7D&y=%2b+%20&z=a%0D%0A&&=#"
    answer = await sender.send(a_request(partner_inbox.url(target)))

    assert (answer.status, answer.body, answer.failure) == (200, b"OK", "")
    assert partner_inbox.hits[0].target == target.removesuffix("#")


async def test_headers_and_body_arrive_as_they_are(sender, partner_inbox):
    headers = {"User-Agent": "tracker/0", "X-Label": "one", "Content-Type": "a/b"}
    await sender.send(
        a_request(partner_inbox.url(), method="POST", headers=headers, body=b"\0\xff")
    )

    (hit,) = partner_inbox.hits
    assert (hit.method, hit.body) == ("POST", b"\0\xff")
    assert headers.items() <= hit.headers.items()
    assert "Cookie" not in hit.headers


async def test_an_own_header_takes_the_place_of_a_usual_one(sender, partner_inbox):
    """However it is spelled: a server may refuse what is said twice."""
    await sender.send(a_request(partner_inbox.url(), headers={"accept": "text/plain"}))

    (hit,) = partner_inbox.hits
    said = [value for name, value in hit.headers.items() if name.lower() == "accept"]
    assert said == ["text/plain"]


@pytest.mark.parametrize("url", ["http://user@{}/", "http://127.0.0.1\\@{}/"])
async def test_a_url_with_a_user_in_it_is_not_called(sender, partner_inbox, url):
    server = partner_inbox.url().split("/")[2]
    answer = await sender.send(a_request(url.format(server)))

    assert answer.status is None
    assert partner_inbox.hits == []


async def test_no_redirect_is_followed(sender, partner_inbox):
    elsewhere = partner_inbox.url("/elsewhere")
    partner_inbox.answers.append(
        web.Response(status=302, headers={"Location": elsewhere})
    )
    answer = await sender.send(a_request(partner_inbox.url()))

    assert answer.status == 302
    assert len(partner_inbox.hits) == 1


async def test_no_cookie_comes_back(sender, partner_inbox):
    answer = web.Response(headers={"Set-Cookie": "a=1"})
    partner_inbox.answers.append(answer)
    for _ in range(2):
        await sender.send(a_request(partner_inbox.url()))

    assert "Cookie" not in partner_inbox.hits[1].headers


async def test_a_body_without_an_end_is_cut(sender, partner_inbox):
    partner_inbox.answers.append(never_end)
    answer = await sender.send(a_request(partner_inbox.url()))

    assert (answer.status, len(answer.body)) == (200, MAX_ANSWER)
    assert answer.failure is Failure.NONE


async def test_a_compressed_body_is_not_unpacked(sender, partner_inbox):
    packed = gzip.compress(b"0" * 10_000_000)
    partner_inbox.answers.append(
        web.Response(body=packed, headers={"Content-Encoding": "gzip"})
    )
    answer = await sender.send(a_request(partner_inbox.url()))

    assert answer.body == packed[:MAX_ANSWER]
    assert partner_inbox.hits[0].headers["Accept-Encoding"] == "identity"


async def test_a_new_connection_proves_that_there_is_a_server(
    sender, partner_inbox, monkeypatch
):
    """On one that was kept, silence may be the network's as well as the partner's."""
    monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.2)
    partner_inbox.answers.extend([hang, 200, hang])
    on_new = await sender.send(a_request(partner_inbox.url()))
    answered = await sender.send(a_request(partner_inbox.url()))
    on_kept = await sender.send(a_request(partner_inbox.url()))
    await partner_inbox.stop()
    refused = await sender.send(a_request(partner_inbox.url()))

    reached = [one.is_reached for one in (on_new, answered, on_kept, refused)]
    assert reached == [True, True, False, False]


async def test_whether_a_server_takes_connections_can_be_asked(
    sender, strict_sender, partner_inbox
):
    server = partner_inbox.url("")
    asked = [await one.can_connect(server) for one in (sender, strict_sender)]
    await partner_inbox.stop()

    assert [*asked, await sender.can_connect(server)] == [True, False, False]
    assert partner_inbox.hits == []


async def test_a_partner_that_hangs_is_given_up(sender, partner_inbox, monkeypatch):
    monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.2)
    partner_inbox.answers.append(hang)
    answer = await sender.send(a_request(partner_inbox.url()))

    assert (answer.status, answer.failure) == (None, Failure.TIMEOUT)
    assert 0.15 < answer.duration.total_seconds() < 2


async def test_a_status_that_came_counts_though_the_body_breaks_off(
    sender, partner_inbox
):
    partner_inbox.answers.append(break_off)
    answer = await sender.send(a_request(partner_inbox.url()))

    assert (answer.status, answer.body) == (200, b"half")
    assert answer.failure is Failure.BROKEN_ANSWER


async def test_no_answer_is_a_result_too(sender, partner_inbox):
    partner_inbox.answers.extend([hang_up, hang_up])
    answer = await sender.send(a_request(partner_inbox.url()))

    assert (answer.status, answer.failure) == (None, Failure.BROKEN_ANSWER)


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", None)])
async def test_a_kept_connection_that_ends_is_tried_again_where_that_is_safe(
    sender, listen, method, status
):
    """Nobody knows whether a POST was taken in, so it waits for its next attempt."""

    async def answer_once(reader, writer):
        await a_request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await a_request_of(reader)

    url = await listen(answer_once)
    first = await sender.send(a_request(url))
    second = await sender.send(a_request(url, method=method))

    assert (first.status, second.status) == (200, status)


async def test_a_connection_is_kept_and_used_again(sender, listen):
    connections = []

    async def answer(reader, writer):
        connections.append(writer)
        while await a_request_of(reader):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

    url = await listen(answer)
    answers = [await sender.send(a_request(url)) for _ in range(3)]

    assert [answer.body for answer in answers] == [b"OK"] * 3
    assert len(connections) == 1


async def test_what_came_unasked_answers_nothing(sender, listen):
    """A server that says goodbye on a connection that is kept, and leaves it open."""
    was_answered, said = asyncio.Event(), asyncio.Event()

    async def answer_twice(reader, writer):
        await a_request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await was_answered.wait()
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        said.set()
        await reader.read()

    url = await listen(answer_twice)
    await sender.send(a_request(url))
    was_answered.set()
    await said.wait()
    # Nothing tells when it has come in over there.
    await asyncio.sleep(0.01)

    assert (await sender.send(a_request(url))).status == 200


async def test_what_comes_before_the_answer_is_not_it(sender, listen):
    async def hint_first(reader, writer):
        await a_request_of(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        writer.write(b"HTTP/1.0 201 Created\r\nRetry-After: 7\r\n\r\nto the end")

    answer = await sender.send(a_request(await listen(hint_first)))

    assert (answer.status, answer.body) == (201, b"to the end")
    assert answer.retry_after == "7"


async def test_who_never_comes_to_its_answer_is_not_listened_to(sender, listen):
    """Each hint costs us more than it costs the partner."""

    async def hint_for_ever(reader, writer):
        await a_request_of(reader)
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
            await writer.drain()

    answer = await sender.send(a_request(await listen(hint_for_ever)))

    assert (answer.status, answer.failure) == (None, Failure.BROKEN_ANSWER)
    assert answer.duration.total_seconds() < 5


async def test_a_status_that_came_counts_though_the_body_takes_too_long(
    sender, listen, monkeypatch
):
    monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.2)

    async def dawdle(reader, writer):
        await a_request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow")
        await reader.read()

    answer = await sender.send(a_request(await listen(dawdle)))

    assert (answer.status, answer.body) == (200, b"slow")
    assert (answer.failure, answer.detail) == (Failure.TIMEOUT, "TimeoutError")


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 2 \r\n\r\n"])
async def test_what_is_not_http_is_a_result_too(sender, listen, said):
    async def speak(_reader, writer):
        writer.write(said)
        await writer.drain()

    answer = await sender.send(a_request(await listen(speak)))

    assert (answer.status, answer.failure) == (None, Failure.BROKEN_ANSWER)


async def test_no_header_can_start_another_line(sender, partner_inbox):
    for headers in ({"X-Label": "a\r\nX-Evil: b"}, {"X\n": "a"}, {"X": "\0"}):
        answer = await sender.send(a_request(partner_inbox.url(), headers=headers))
        assert answer.failure is Failure.BROKEN_ANSWER

    assert partner_inbox.hits == []


async def test_nobody_at_home_is_a_result_too(sender, unused_tcp_port):
    answer = await sender.send(a_request(f"http://127.0.0.1:{unused_tcp_port}/"))

    assert (answer.status, answer.failure) == (None, Failure.NO_CONNECTION)


async def test_a_partner_without_a_certificate_is_not_spoken_to(sender, partner_inbox):
    url = partner_inbox.url().replace("http:", "https:")
    answer = await sender.send(a_request(url))

    assert (answer.status, answer.failure) == (None, Failure.BAD_CERTIFICATE)


@pytest.mark.parametrize("url", ["http://", "http://[::1", "ftp://a/", "http://a:b/"])
async def test_a_url_that_is_none_is_a_result_too(sender, url):
    assert (await sender.send(a_request(url))).status is None


async def test_a_name_that_does_not_exist_is_a_result_too(sender):
    answer = await sender.send(a_request("http://nowhere.invalid/"))

    assert (answer.status, answer.failure) == (None, Failure.NO_ADDRESS)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
    ],
)
async def test_this_machine_is_refused_in_every_spelling(
    strict_sender, partner_inbox, host
):
    url = f"http://{host}:{partner_inbox.port}/"
    answer = await strict_sender.send(a_request(url))

    assert (answer.status, answer.failure) == (None, Failure.FORBIDDEN_ADDRESS)
    assert partner_inbox.hits == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
async def test_odd_spellings_are_refused_even_of_what_is_allowed(
    sender, partner_inbox, host
):
    answer = await sender.send(a_request(f"http://{host}:{partner_inbox.port}/"))

    assert answer.failure is Failure.FORBIDDEN_ADDRESS


async def test_one_forbidden_address_refuses_the_name(monkeypatch):
    """A name that is public half of the time is a way in all the same."""
    resolver = GuardedResolver(AddressGuard())
    monkeypatch.setattr(
        outbound.socket,
        "getaddrinfo",
        lambda *_: [
            (2, 1, 6, "", ("1.1.1.1", 80)),
            (2, 1, 6, "", ("127.0.0.1", 80)),
        ],
    )
    with pytest.raises(ForbiddenAddressError):
        await resolver.resolve("two-faced.example", 80)
    await resolver.close()


async def test_our_own_addresses_are_refused_though_public(monkeypatch):
    guard = AddressGuard()
    monkeypatch.setattr(outbound, "is_public", lambda _: True)

    guard.check("192.0.2.1")
    with pytest.raises(ForbiddenAddressError):
        guard.check("127.0.0.1")
    with pytest.raises(ForbiddenAddressError):
        guard.check("::ffff:127.0.0.1")


async def test_proxies_of_the_environment_are_not_used(
    sender, partner_inbox, monkeypatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    assert (await sender.send(a_request(partner_inbox.url()))).status == 200


async def test_what_went_wrong_is_told_without_the_url(strict_sender, monkeypatch):
    for url in ("http://127.0.0.1/?key=hush", "http://[::1/?key=hush", "a:?key=hush"):
        answer = await strict_sender.send(a_request(url))
        assert answer.detail
        assert "hush" not in answer.detail


async def test_an_error_of_the_library_is_a_result_too(
    sender, partner_inbox, monkeypatch
):
    def fail(*_args, **_kwargs):
        raise RuntimeError("the transport is closed")

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", fail)
    answer = await sender.send(a_request(partner_inbox.url()))

    assert answer.failure is Failure.BROKEN_ANSWER
