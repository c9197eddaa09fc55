"""HTTP as it really comes, byte by byte."""

import asyncio

import pytest
from wire import HOST, Heard, served


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
