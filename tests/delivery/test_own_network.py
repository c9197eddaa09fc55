"""When nobody can be reached it is our own network, and no partner's fault."""

import asyncio
import socket

import pytest
from aiohttp import web
from parties import a_catalog, a_delivery, a_postback
from structlog.testing import capture_logs

from tracker import worker
from tracker.domain.network import is_down
from tracker.flow import network
from tracker.worker import Dispatcher, keep_going, running


class Host:
    """A port that nobody listens on yet."""

    def __init__(self):
        self.told = 0
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/pb"

    async def come_back(self):
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def stop(self):
        await self._runner.cleanup()
        self._socket.close()

    async def _answer(self, _):
        self.told += 1
        return web.Response()


@pytest.fixture
async def hosts():
    hosts = [Host() for _ in range(4)]
    yield hosts
    for host in hosts:
        await host.stop()


@pytest.fixture
async def owe_to(runtime, owe):
    """Twenty deliveries to each of these URLs."""

    async def owe_to(*urls):
        postbacks = [a_postback(url, id=f"p{n}") for n, url in enumerate(urls)]
        runtime.catalog = a_catalog(*postbacks)
        await owe(
            *(
                a_delivery(conversion=f"cv_{n}", catalog=a_catalog(postback))
                for n in range(20)
                for postback in postbacks
            )
        )

    return owe_to


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - Postgres has no event to await
            await asyncio.sleep(0.01)


async def test_nobody_is_charged_while_nobody_is_reached(
    runtime, owe_to, hosts, ledger, monkeypatch
):
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    await owe_to(*(host.url for host in hosts))
    dispatcher = Dispatcher(runtime)
    with capture_logs() as logs:
        async with running([keep_going("deliver", dispatcher.dispatch)]):
            await until(lambda: any(log["event"] == "network.down" for log in logs))
            for host in hosts:
                await host.come_back()
            await until(lambda: len(ledger.archived) == 80)
            await dispatcher.drain()

    assert ledger.outcomes == ["delivered"] * 80
    assert set(ledger.column("select attempts from delivery_archive")) == {1}
    assert ledger.column("select lane from lanes") == []
    told = [log["event"] for log in logs if log["event"].startswith("network.")]
    assert told == ["network.down", "network.up"]


async def test_while_it_is_down_only_a_few_probes_go(
    runtime, owe_to, hosts, monkeypatch
):
    monkeypatch.setattr(worker, "POLL_SECONDS", 60)
    await owe_to(*(host.url for host in hosts))
    dispatcher = Dispatcher(runtime)
    tries = count_tries(runtime, monkeypatch)
    with capture_logs():
        await dispatcher._fill_places()
        await until(lambda: dispatcher._network.is_down and not dispatcher._tasks)
        before = len(tries)
        await dispatcher._fill_places()
        await until(lambda: not dispatcher._tasks)
        dispatcher.wake()

    assert len(tries) - before == worker.PROBES
    assert not dispatcher._wake.is_set()


async def test_two_that_are_down_together_are_charged(
    runtime, owe_to, hosts, ledger, monkeypatch
):
    monkeypatch.setattr(network, "DOUBT_SECONDS", 0.2)
    await owe_to(hosts[0].url, hosts[1].url)
    dispatcher = Dispatcher(runtime)
    async with running([keep_going("deliver", dispatcher.dispatch)]):
        await until(lambda: len(ledger.column("select lane from lanes")) == 2)
        await dispatcher.drain()

    opened = ledger.column("select opened_reason from lanes")
    assert opened == ["unreachable"] * 2


async def test_three_that_are_down_while_others_answer_are_charged(
    runtime, owe_to, hosts, ledger, monkeypatch
):
    """They are not most of those that were called."""
    monkeypatch.setattr(network, "DOUBT_SECONDS", 0.2)
    await hosts[0].come_back()
    await owe_to(*(host.url for host in hosts))
    dispatcher = Dispatcher(runtime)
    with capture_logs() as logs:
        async with running([keep_going("deliver", dispatcher.dispatch)]):
            await until(lambda: len(ledger.column("select lane from lanes")) == 3)
            await until(lambda: hosts[0].told == 20)
            await dispatcher.drain()

    assert [log for log in logs if log["event"].startswith("network.")] == []


@pytest.mark.parametrize(
    ("unreached", "reached", "verdict"),
    [
        (1, 0, None),
        (2, 0, None),
        (3, 0, True),
        (3, 1, None),
        (4, 1, True),
        (7, 2, None),
        (8, 2, True),
        (1, 1, None),
        (1, 2, False),
    ],
)
def test_three_hosts_at_least_and_four_times_as_many_as_are_reached(
    unreached, reached, verdict
):
    assert is_down(unreached, reached) is verdict


def count_tries(runtime, monkeypatch):
    tries, send = [], runtime.sender.send

    async def counted(request):
        tries.append(request)
        return await send(request)

    monkeypatch.setattr(runtime.sender, "send", counted)
    return tries
