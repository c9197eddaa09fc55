"""
What no client library would send.

`SMUGGLING` are requests that two servers could disagree about the end of; behind each
stands another, hidden one, and then an honest one. `ODD` are those that a server may
refuse or answer, as long as it does either in peace.
"""

import asyncio
import re

HOST = b"Host: t\r\n"
HIDDEN = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
REVEALED = b'"openapi":'
"""Nothing but the answer to the hidden request holds it."""

HONEST = b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"

_FIRST_SECONDS = 3.0
_QUIET_SECONDS = 0.3
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def _post(*headers, path=b"/postback", version=b"1.1"):
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST " + path + b" HTTP/" + version + b"\r\n" + HOST + lines + b"\r\n"


_LENGTH = b"Content-Length: %d"
_ALL = _LENGTH % len(HIDDEN)
_CHUNKED = b"Transfer-Encoding: chunked"
_ONE_CHUNK = b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"
_NO_CHUNK = b"0\r\n\r\n"

SMUGGLING = {
    "CL.TE": _post(_LENGTH % (5 + len(HIDDEN)), _CHUNKED) + _NO_CHUNK + HIDDEN,
    "TE.CL": _post(_CHUNKED, _LENGTH % 4) + _ONE_CHUNK,
    "TE.TE": _post(_CHUNKED, b"Transfer-Encoding: x") + _NO_CHUNK + HIDDEN,
    "TE.TE, the other way": _post(b"Transfer-Encoding: x", _CHUNKED) + _ONE_CHUNK,
    "TE that is not chunked": _post(b"Transfer-Encoding: xchunked") + HIDDEN,
    "TE with a blank before the colon": _post(b"Transfer-Encoding : chunked", _ALL)
    + _NO_CHUNK
    + HIDDEN,
    "TE with a vertical tab": _post(b"Transfer-Encoding: \x0bchunked", _ALL)
    + _NO_CHUNK
    + HIDDEN,
    "TE folded": _post(b"Transfer-Encoding:\r\n chunked", _ALL) + _NO_CHUNK + HIDDEN,
    "TE in HTTP/1.0": _post(_CHUNKED, version=b"1.0") + _NO_CHUNK + HIDDEN,
    "TE in quotes": _post(b'Transfer-Encoding: "chunked"') + HIDDEN,
    "two lengths": _post(_LENGTH % 0, _ALL) + HIDDEN,
    "two lengths, the other way": _post(_ALL, _LENGTH % 0) + HIDDEN,
    "a list of lengths": _post(b"Content-Length: 0, %d" % len(HIDDEN)) + HIDDEN,
    "a signed length": _post(b"Content-Length: +0") + HIDDEN,
    "a negative length": _post(b"Content-Length: -1") + HIDDEN,
    "a hexadecimal length": _post(b"Content-Length: 0x0") + HIDDEN,
    "an endless length": _post(b"Content-Length: " + b"9" * 40) + HIDDEN,
    "a length in a folded line": _post(b"X: y\r\n Content-Length: 0", _ALL) + HIDDEN,
    "a length behind a bare LF": _post(b"X: y\nContent-Length: 0", _ALL) + HIDDEN,
    "a length behind a bare CR": _post(b"X: y\rContent-Length: 0", _ALL) + HIDDEN,
    "a length behind a NUL": _post(b"X: y\0\r\nContent-Length: 0", _ALL) + HIDDEN,
    "a chunk's size with 0x": _post(_CHUNKED) + b"0x0\r\n\r\n" + HIDDEN,
    "a chunk's size below 0": _post(_CHUNKED) + b"-1\r\n\r\n" + HIDDEN,
    "a chunk's size of 65 bits": _post(_CHUNKED) + b"1" + b"0" * 16 + b"\r\n" + HIDDEN,
    "a chunk's end of LF": _post(_CHUNKED) + b"0\n\n" + HIDDEN,
    "a chunk longer than it says": _post(_CHUNKED) + b"1\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "a chunk's extension of LF": _post(_CHUNKED) + b"5;\nabc\r\n0\r\n\r\n" + HIDDEN,
    "a body that is a request": _post(_ALL) + HIDDEN,
    "a chunk that is a request": _post(_CHUNKED, path=b"/c/a/b") + _ONE_CHUNK,
    "an unread body that is a request": _post(_ALL, path=b"/c/a/b") + HIDDEN,
    "an unread body with a blank in its line": _post(
        _LENGTH % (len(HIDDEN) + 17), path=b"/c/a/b"
    )
    + b"GET /a b HTTP/1.1"
    + HIDDEN,
    "a trailer that is a request": _post(_CHUNKED)
    + b"0\r\nX: "
    + HIDDEN[:-4]
    + b"\r\n\r\n",
    "an Upgrade": _post(b"Connection: upgrade", b"Upgrade: h2c", _ALL) + HIDDEN,
    "an Expect that is not waited for": _post(b"Expect: 100-continue", _ALL) + HIDDEN,
}

_LONG = b"x" * 1_000_000
_GET = b"GET /c/bestdeals/shoes"

ODD = {
    "a head of 1 MB in one header": _GET + b" HTTP/1.1\r\nX: " + _LONG + b"\r\n\r\n",
    "a head of 1 MB in many headers": _GET
    + b" HTTP/1.1\r\n"
    + b"X: y\r\n" * 170_000
    + b"\r\n",
    "a name of 1 MB": _GET + b" HTTP/1.1\r\n" + _LONG + b": y\r\n\r\n",
    "a method of 1 MB": _LONG + b" / HTTP/1.1\r\n\r\n",
    "a URL of 1 MB": _GET + b"?x=" + _LONG + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path of 1 MB": b"GET /c/" + _LONG + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a body of 1 MB": _post(_LENGTH % len(_LONG)) + _LONG,
    "a chunk's extension of 1 MB": _post(_CHUNKED) + b"1;" + _LONG + b"\r\na\r\n",
    "trailers of 3 MB": _post(_CHUNKED) + b"0\r\n" + b"X: y\r\n" * 500_000 + b"\r\n",
    "two hundred at once": (_GET + b" HTTP/1.1\r\n" + HOST + b"\r\n") * 200 + HONEST,
    "two hundred postbacks at once": (_post(_LENGTH % 3) + b"a=b") * 200 + HONEST,
    "percent and nothing": _GET + b"?sub1=%&sub2=%z&%=%%%& HTTP/1.1\r\n\r\n",
    "percent and half a letter": b"GET /c/%E2%82/%FF?a=%C3 HTTP/1.1\r\n\r\n",
    "percent and a NUL": b"GET /c/%00/%00?%00=%00 HTTP/1.1\r\n\r\n",
    "percent and a line": _GET + b"?sub1=%0d%0aX-Evil:%20y HTTP/1.1\r\n\r\n",
    "percent and a slash": b"GET /c/bestdeals%2Fshoes HTTP/1.1\r\n\r\n",
    "percent twice": b"GET /postback/%2561cme?click_id=%2541 HTTP/1.1\r\n\r\n",
    "letters beyond ASCII": "GET /c/ü/é?ß=ø HTTP/1.1\r\n\r\n".encode(),
    "bytes that are no letters": b"GET /postback?\xff\xfe=\x80 HTTP/1.1\r\n\r\n",
    "dots": b"GET /c/../postback/./../c/bestdeals/shoes HTTP/1.1\r\n\r\n",
    "the absolute form": b"GET http://t/c/bestdeals/shoes HTTP/1.1\r\n\r\n",
    "the absolute form without a path": b"GET http://t HTTP/1.1\r\n\r\n",
    "the absolute form of elsewhere": b"GET https://evil.test:1/c/a/b HTTP/1.1\r\n\r\n",
    "the authority form": b"CONNECT t:443 HTTP/1.1\r\n\r\n",
    "the authority form of a GET": b"GET t:80 HTTP/1.1\r\n\r\n",
    "the asterisk form": b"OPTIONS * HTTP/1.1\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
    "HTTP/1.2": b"GET /healthz HTTP/1.2\r\n\r\n",
    "HTTP/2 by its version": b"GET /healthz HTTP/2.0\r\n\r\n",
    "HTTP/2 by its preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a header without a name": b"GET /healthz HTTP/1.1\r\n: y\r\n\r\n",
    "a header without a colon": b"GET /healthz HTTP/1.1\r\nxy\r\n\r\n",
    "a NUL in the URL": _GET + b"?sub1=\0 HTTP/1.1\r\n\r\n",
    "a NUL in a header": b"GET /healthz HTTP/1.1\r\nX: \0\r\n\r\n",
    "an unknown method": b"BREW /c/bestdeals/shoes HTTP/1.1\r\n\r\n",
    "a known method for nothing": b"PATCH /postback HTTP/1.1\r\n\r\n",
    "a TRACE": b"TRACE /c/bestdeals/shoes HTTP/1.1\r\n\r\n",
    "an odd Expect": _post(b"Expect: the worst", _LENGTH % 3) + b"a=b",
    "a WebSocket": b"GET /postback HTTP/1.1\r\nConnection: upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n\x81\x05hello",
    "line breaks alone": b"\r\n" * 1000,
    "nothing but zeros": b"\0" * 100_000,
    "JSON a thousand deep": _post(_LENGTH % 2000) + b"[" * 1000 + b"]" * 1000,
    "JSON with half a letter": _post(_LENGTH % 22) + b'{"click_id": "\\ud800"} ',
    "JSON of a number": _post(b"Content-Type: application/json", _LENGTH % 400)
    + b"9" * 400,
    "a form without an end": _post(
        b"Content-Type: multipart/form-data; boundary=x", _LENGTH % 20
    )
    + b"--x\r\nContent-Disposi",
    "a form without a boundary": _post(
        b"Content-Type: multipart/form-data", _LENGTH % 5
    )
    + b"--x--",
}


async def converse(port, *parts, ends=""):
    """
    Everything that comes back, until it is closed or quiet; and whether it is closed.

    `ends` is "half" for a caller that has said all, "early" for one that is gone.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = b""
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0)
        if ends == "half":
            writer.write_eof()
        if ends == "early":
            return answered, True
        while True:
            seconds = _QUIET_SECONDS if answered else _FIRST_SECONDS
            async with asyncio.timeout(seconds):
                piece = await reader.read(1 << 16)
            if not piece:
                return answered, True
            answered += piece
    except TimeoutError:
        return answered, False
    except OSError:
        return answered, True
    finally:
        writer.transport.abort()


def statuses(answered):
    return [int(one) for one in _STATUS.findall(answered)]


def mutated(rng):
    """One of them with some bytes changed, left out, doubled, or cut into parts."""
    data = bytearray(rng.choice([*SMUGGLING.values(), *_SHORT]))
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data))
        spoil = rng.randrange(4)
        if spoil == 0:
            data[at] = rng.randrange(256)
        elif spoil == 1:
            del data[at : at + rng.randint(1, 8)]
        elif spoil == 2:
            data[at:at] = rng.choice(_SPICES)
        else:
            data[at:at] = data[at : at + rng.randint(1, 40)]
        data = data or bytearray(b"x")
    cut = rng.randrange(len(data) + 1)
    return bytes(data[:cut]), bytes(data[cut:])


_SHORT = [one for one in ODD.values() if len(one) < 5000]
_SPICES = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"%", b"\xff", b"\r\n "),
    *(b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1\r\n"),
]
