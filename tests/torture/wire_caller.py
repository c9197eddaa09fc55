"""
An honest caller beside an attack: so many clicks a second, each at its time.

`python wire_caller.py PORT RATE SECONDS` prints, as JSON, how long each took from when
it was due, and how many were not answered with a redirect.
"""

import asyncio
import json
import sys
import time

LINES = 8
_REQUEST = b"GET /c/bestdeals/shoes?sub1=honest HTTP/1.1\r\nHost: t\r\n\r\n"


async def call(port, rate, seconds):
    lines = asyncio.Queue()
    for _ in range(LINES):
        lines.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    began = time.monotonic() + 0.05
    due = [began + number / rate for number in range(int(rate * seconds))]
    took = await asyncio.gather(*[_ask(lines, moment) for moment in due])
    return {"seconds": [one for one in took if one], "failed": took.count(None)}


async def _ask(lines, due):
    await asyncio.sleep(due - time.monotonic())
    reader, writer = await lines.get()
    try:
        writer.write(_REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    finally:
        lines.put_nowait((reader, writer))
    return time.monotonic() - due if head.startswith(b"HTTP/1.1 302") else None


if __name__ == "__main__":
    port, rate, seconds = map(float, sys.argv[1:])
    print(json.dumps(asyncio.run(call(int(port), rate, seconds))))
