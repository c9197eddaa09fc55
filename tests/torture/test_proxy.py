import asyncio
import time
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from proxy import PASS, RESET, SILENCE, Fault, FaultProxy, running_proxy

_names = count(1)


async def echo(reader, writer):
    """Says everything again, and goodbye after `bye`."""
    while line := await reader.readline():
        writer.write(line)
        if line == b"bye\n":
            break
    writer.close()


async def serve(place):
    if isinstance(place, Path):
        return await asyncio.start_unix_server(echo, place)
    return await asyncio.start_server(echo, *place)


async def connect(place):
    if isinstance(place, Path):
        return await asyncio.open_unix_connection(place)
    return await asyncio.open_connection(*place)


@pytest.fixture(params=["tcp", "unix"])
def places(request, short_folder):
    """Where the proxy listens, and where it leads."""
    if request.param == "unix":
        return short_folder / "here", short_folder / "there"
    return ("127.0.0.1", 0), ("127.0.0.1", 0)


@pytest.fixture
async def proxy(places):
    here, there = places
    async with await serve(there) as server:
        if not isinstance(there, Path):
            there = server.sockets[0].getsockname()
        proxy = FaultProxy(here, there)
        await proxy.open()
        yield proxy
        await proxy.close()


@asynccontextmanager
async def talking(proxy):
    reader, writer = await connect(proxy.here)
    try:
        yield Talk(reader, writer)
    finally:
        writer.close()


class Talk:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def say(self, words):
        """What comes back; nothing if the other end is gone."""
        self.writer.write(words)
        try:
            return await self.reader.read(100)
        except ConnectionError:
            return b""


async def test_it_passes_everything_on(proxy):
    async with talking(proxy) as talk:
        assert await talk.say(b"hello\n") == b"hello\n"


async def test_latency_delays_each_way(proxy):
    proxy.switch(Fault(latency=0.05))
    async with talking(proxy) as talk:
        started = time.monotonic()
        assert await talk.say(b"hello\n") == b"hello\n"
    assert time.monotonic() - started >= 0.1


async def test_a_reset_ends_what_is_open_and_what_comes(proxy):
    async with talking(proxy) as open_one:
        await open_one.say(b"hello\n")
        proxy.switch(RESET)
        assert await open_one.say(b"hello\n") == b""
    async with talking(proxy) as new_one:
        assert await new_one.say(b"hello\n") == b""


async def test_a_silence_keeps_everything_until_it_is_over(proxy):
    async with talking(proxy) as talk:
        await talk.say(b"hello\n")
        proxy.switch(SILENCE)
        answer = asyncio.create_task(talk.say(b"anybody?\n"))
        done, _ = await asyncio.wait([answer], timeout=0.05)
        proxy.switch(PASS)
        assert (len(done), await answer) == (0, b"anybody?\n")


async def test_a_cut_comes_after_so_many_bytes_of_the_answers(proxy):
    async with talking(proxy) as talk:
        await talk.say(b"before the cut nothing counts\n")
        proxy.switch(Fault(cut_after=8))
        heard = [await talk.say(b"hello\n"), await talk.say(b"hello\n")]
        assert (heard, await talk.reader.read()) == ([b"hello\n", b"he"], b"")


async def test_a_slow_close_tells_the_other_end_late(proxy):
    proxy.switch(Fault(slow_close=0.05))
    async with talking(proxy) as talk:
        started = time.monotonic()
        assert await talk.say(b"bye\n") == b"bye\n"
        assert await talk.reader.read() == b""
    assert time.monotonic() - started >= 0.05


async def test_it_is_switched_from_another_thread(places):
    here, there = places
    async with await serve(there) as server:
        if not isinstance(there, Path):
            there = server.sockets[0].getsockname()
        proxy = running_proxy(here, there)
        switch = await asyncio.to_thread(proxy.__enter__)
        async with talking(switch) as talk:
            await talk.say(b"hello\n")
            switch.switch(RESET)
            assert await talk.say(b"hello\n") == b""
        await asyncio.to_thread(proxy.__exit__, None, None, None)
