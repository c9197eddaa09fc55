"""
A partner's server: it answers once what it heard is on disk.

`python partner_sink.py PORT FILE DELAY`, until it is ended.
"""

import asyncio
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import uvloop
from aiohttp import web
from journal import Journal
from launch import tie_to_parent

IDLE_SECONDS = 0.5
"""So that how many connections there are says how many are in use."""


async def main(port, path, delay):
    journal = Journal(path)

    async def hear(request):
        await journal.write(
            "hit",
            delivery=request.headers.get("X-Tracker-Delivery", ""),
            at=time.monotonic(),
            **dict(parse_qsl(urlsplit(request.raw_path).query)),
        )
        await asyncio.sleep(delay)
        return web.Response(text="OK")

    runner = web.ServerRunner(web.Server(hear, keepalive_timeout=IDLE_SECONDS))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    tie_to_parent()
    uvloop.run(main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))
