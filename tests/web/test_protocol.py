"""HTTP as it really comes, byte by byte."""

import asyncio

import pytest
from wire import HOST, Heard, served

from tracker.web.protocol import ForgivingProtocol


@pytest.fixture
async def heard():
    return Heard()


@pytest.fixture
async def call(heard):
    """Opens a connection to a server of ours."""
    async with asyncio.timeout(20), served(heard) as call:
        yield call


def a_request(path="/a", *headers, method="GET", body=b""):
    lines = [f"{method} {path} HTTP/1.1\r\n".encode(), HOST]
    lines += [f"{header}\r\n".encode() for header in headers]
    if body:
        lines.append(b"Content-Length: %d\r\n" % len(body))
    return b"".join([*lines, b"\r\n", body])


LAST = a_request("/last", "Connection: close")


async def test_a_body_is_never_taken_for_a_request_to_be_mended(call, heard):
    """It was answered before it came; a byte more of it would begin the next one."""
    body = b"GET /a b c HTTP/1.1\r\n" + b"x" * 9
    head = a_request("/unread", f"Content-Length: {len(body)}", method="POST")
    line = await call()

    await line.say(head)
    first = await line.answer()
    await line.say(body)
    rest = await line.answers(LAST)

    assert (first, rest) == ((200, "/unread"), [(200, "/last")])


async def test_a_blank_in_a_url_is_mended_on_a_connection_that_is_kept(call, heard):
    line = await call()

    for path in ("/a b", "/c d"):
        await line.say(a_request(path))
        assert await line.answer() == (200, path)


async def test_what_follows_a_body_is_no_header(call, heard):
    """A trailer could say for whom a proxy asks, after the proxy has said it."""
    head = a_request("/a", "Transfer-Encoding: chunked", method="POST")
    line = await call()

    await line.say(head, b"3\r\nabc\r\n0\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")

    assert await line.answer() == (200, "/a")
    ((_, _, body, headers),) = heard.requests
    assert body == b"abc"
    assert b"x-forwarded-for" not in dict(headers)


async def test_trailers_without_end_are_not_taken_in(call):
    line = await call()
    head = a_request("/a", "Transfer-Encoding: chunked", method="POST")
    await line.say(head, b"0\r\n")

    with pytest.raises(ConnectionError):
        await line.say(*[b"X: y\r\n" * 10_000] * 1000)


async def test_what_came_before_rubbish_is_answered_first(call, heard):
    """Else the answer to the rubbish would be taken for that of the request."""
    line = await call()
    await line.say(a_request("/held"), b"RUBBISH\r\n\r\n")

    heard.let_go.set()

    assert await line.answers() == [(200, "/held")]


async def test_a_broken_body_is_refused_when_its_turn_comes(call, heard):
    line = await call()
    chunked = a_request("/a", "Transfer-Encoding: chunked", method="POST")
    await line.say(a_request("/held"), chunked, b"not a size\r\n")

    heard.let_go.set()
    answers = await line.answers()

    assert [status for status, _ in answers] == [200, 400]
    assert heard.paths == ["/held"]


@pytest.mark.parametrize("rest", [b"RUBBISH\r\n\r\n", b"GET http://t HTTP/1.1\r\n\r\n"])
async def test_rubbish_on_a_kept_connection_is_told_so(call, rest):
    line = await call()
    await line.say(a_request())

    assert await line.answer() == (200, "/a")
    assert [status for status, _ in await line.answers(rest)] == [400]


async def test_who_asked_for_another_protocol_is_answered_once(call, heard):
    """What follows may be of that protocol, or half of it may be lost already."""
    line = await call()
    upgrade = a_request("/a", "Connection: upgrade", "Upgrade: h2c")
    await line.say(upgrade, b"POST /b HTTP/1.1\r\nContent-Length: 40\r\n\r\n")

    assert await line.answer() == (200, "/a")
    assert await line.answers(LAST) == []
    assert heard.paths == ["/a"]


async def test_a_caller_that_has_said_everything_is_answered(heard):
    class Noticing(ForgivingProtocol):
        def eof_received(self):
            heard.let_go.set()
            return super().eof_received()

    async with served(heard, Noticing) as call:
        line = await call()
        await line.say(a_request("/held"))
        line.writer.write_eof()

        assert await line.answers() == [(200, "/held")]


async def test_a_caller_that_ends_within_its_body_is_not_waited_for(call, heard):
    line = await call()
    await line.say(a_request("/a", "Content-Length: 9", method="POST"), b"half")
    line.writer.write_eof()

    assert await line.answers() == []
    assert (heard.cut_off, heard.paths) == (1, [])


class Measured(ForgivingProtocol):
    """Knows how many requests have waited for their turn at once."""

    most = 0

    def data_received(self, data):
        super().data_received(data)
        Measured.most = max(Measured.most, len(self.pipeline))


async def test_a_caller_that_asks_faster_than_it_is_answered_is_slowed_down(heard):
    """All of it is answered, in order; no more waits than one reading brought."""
    padding = f"X: {'x' * 5000}"
    paths = [f"/{number}" for number in range(1000)]
    asked = [a_request(path, padding, method="POST", body=b"x") for path in paths]

    async with served(heard, Measured) as call:
        line = await call()
        saying = asyncio.create_task(line.say(*asked, LAST))
        answers = await line.answers()
        await saying

    assert [body for _, body in answers] == [*paths, "/last"]
    assert Measured.most < 100


class Hurried(ForgivingProtocol):
    head_seconds = 0.1
    request_seconds = 0.4
    look_seconds = 0.02


@pytest.fixture
async def hurry(heard):
    """Opens a connection to a server of little patience."""
    async with asyncio.timeout(20), served(heard, Hurried) as call:
        yield call


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (b"", []),
        (b"\r\n", []),
        (b"GET /a HTTP/1.1\r\nX: y", [408]),
        (a_request("/a", "Content-Length: 9", method="POST") + b"half", [408]),
        (a_request("/unread", "Content-Length: 9", method="POST") + b"half", [200]),
        (a_request("/a") + b"GET /b HT", [200, 408]),
    ],
)
async def test_a_request_that_never_comes_to_its_end_is_ended(hurry, said, answers):
    line = await hurry()

    assert [status for status, _ in await line.answers(said)] == answers


async def test_a_line_break_between_requests_keeps_no_connection(hurry):
    """It has ended uvicorn's own waiting for the next request."""
    line = await hurry()
    await line.say(a_request("/a"))

    assert await line.answer() == (200, "/a")
    assert await line.answers(b"\r\n") == []


async def test_a_body_has_longer_than_a_head(hurry, heard):
    """And who waits for us has no deadline at all."""
    line, began = await hurry(), asyncio.get_running_loop().time()

    answers = await line.answers(a_request("/a", "Content-Length: 9", method="POST"))
    took = asyncio.get_running_loop().time() - began

    assert [status for status, _ in answers] == [408]
    assert took > Hurried.request_seconds


async def test_an_answer_that_takes_long_is_waited_for(hurry, heard):
    line = await hurry()
    await line.say(a_request("/held"))

    # Longer than any patience: only the passing of time can tell.
    await asyncio.sleep(2 * Hurried.request_seconds)
    heard.let_go.set()

    assert await line.answer() == (200, "/held")


async def test_a_caller_that_reads_no_answers_is_hung_up_on(hurry):
    line = await hurry()
    long = a_request(f"/{'x' * 30_000}")

    with pytest.raises(ConnectionError):
        await line.say(*[long] * 1000)


async def test_who_is_slowest_makes_room_for_who_comes(heard):
    class Small(ForgivingProtocol):
        places = 20

    async with served(heard, Small) as call:
        slow = [await call() for _ in range(20)]
        for line in slow:
            await line.say(b"GET /slow HTTP/1.1\r\nX: ")
        newest = await call()
        await newest.say(a_request("/a"))

        assert await newest.answer() == (200, "/a")
        assert (await slow[0].answer())[0] == 408
        assert await slow[-1].answers(b"y\r\nConnection: close\r\n\r\n") == [
            (200, "/slow")
        ]
