"""
A partner's server, as cheap as one can be: it answers 200 and notes when.

`python sink.py PORT FILE`: at SIGTERM the times of all calls are in the file, each with
what stood behind `at=`, as lines of `arrival changed_at`.
"""

import asyncio
import signal
import sys
import time
from urllib.parse import unquote

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK"

calls = []


class Sink(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        now = time.time()
        for request in data.split(b"\r\n\r\n")[:-1]:
            calls.append((now, request[: request.find(b" HTTP/")]))
            self.transport.write(ANSWER)


async def main(port, path):
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Sink, "127.0.0.1", port, backlog=1024)
    await stop.wait()
    server.close()
    with open(path, "w") as file:  # noqa: PTH123, ASYNC230 - nothing else runs now
        file.writelines(
            f"{now} {unquote(line.partition(b'at=')[2].decode())}\n"
            for now, line in calls
        )


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
