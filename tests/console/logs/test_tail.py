"""Logs that go on by themselves."""

import asyncio
import json
import re
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from signed_in import headers_in, person_in

from tracker.console import tail
from tracker.domain.person import Actor
from tracker.flow import tail as tails
from tracker.flow.entry import end_sessions
from tracker.flow.tail import Tail


class Stream:
    """What somebody hears, as it comes over the wire."""

    def __init__(self):
        self.status = 0
        self.text = ""
        self.is_over = False
        self.came = asyncio.Event()
        self.gone = asyncio.Event()

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.status = message.get("status", self.status)
        self.text += message.get("body", b"").decode()
        if message["type"] == "http.response.body":
            self.is_over = not message.get("more_body", False)
        self.came.set()

    async def hear(self, word):
        """Until the word came; what came by then."""
        await self._until(lambda: word in self.text)
        return self.text

    async def answered(self):
        """With which status it begins."""
        await self._until(lambda: self.status)
        return self.status

    async def ended(self):
        await self._until(lambda: self.is_over)

    async def _until(self, is_so):
        async with asyncio.timeout(10):
            while not is_so():
                self.came.clear()
                await self.came.wait()


@pytest.fixture
def listen(console, headers_of, monkeypatch):
    """Somebody listens to a log, for as long as the block lasts."""
    monkeypatch.setattr(tails, "READ_SECONDS", 0.01)
    monkeypatch.setattr(tail, "ASK_AGAIN_SECONDS", 0.02)

    @asynccontextmanager
    async def listen(who, path, query=""):
        stream = Stream()
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [
                (name.encode(), value.encode())
                for name, value in headers_of.get(who, {}).items()
            ],
        }
        task = asyncio.create_task(console(scope, stream.receive, stream.send))
        await stream.answered()
        try:
            yield stream
        finally:
            stream.gone.set()
            await task

    return listen


@pytest.fixture
def listeners(console):
    return lambda: console.state.tails.listeners


@pytest.fixture
def until_heard(visit):
    """Clicks come one after the other until one of them is heard; its id."""

    async def until_heard(stream, partner="bestdeals", **query):
        async with asyncio.timeout(10):
            while True:
                click_id = await visit(partner, **query)
                for _ in range(20):
                    await asyncio.sleep(0.005)
                    if click_id in stream.text:
                        return click_id

    return until_heard


async def test_what_comes_is_told_as_a_row(listen, until_heard):
    async with listen("viewer", "/clicks/tail") as stream:
        click_id = await until_heard(stream, sub1="<b>live")

    assert "data: <tr>" in stream.text
    assert f"/click/{click_id}" in stream.text
    assert "&lt;b&gt;live" in stream.text
    assert "<b>" not in stream.text


async def test_filters_hold_and_partners_hear_of_their_own(listen, until_heard, visit):
    async with (
        listen("bestdeals", "/clicks/tail") as own,
        listen("viewer", "/clicks/tail", "sub1=live") as filtered,
        listen("viewer", "/clicks/tail", "partner=rival") as others,
    ):
        rivals = await until_heard(others, "rival")
        plain = await until_heard(own)
        labelled = await until_heard(filtered, sub1="live")
        await own.hear(labelled)

    assert rivals not in own.text
    assert "192.0.2" not in own.text
    assert plain not in filtered.text + others.text


@pytest.mark.parametrize("log", ["postbacks", "conversions", "deliveries"])
async def test_every_log_has_a_tail(listen, visit, report, log):
    async with listen("viewer", f"/{log}/tail") as stream, asyncio.timeout(10):
        while "<tr>" not in stream.text:
            await report(await visit())

    assert stream.status == 200


@pytest.mark.parametrize("log", ["conversions", "deliveries"])
async def test_a_partner_hears_of_its_own_sales(listen, visit, report, log):
    """Each sale of its own comes after one of its rival's, and the other way round."""
    sold = {"rival": [], "bestdeals": []}
    async with (
        listen("bestdeals", f"/{log}/tail") as own,
        listen("viewer", f"/{log}/tail", "partner=rival") as filtered,
        asyncio.timeout(10),
    ):
        heard = {"bestdeals": own, "rival": filtered}
        while any(_count(sold[who], heard[who]) < 2 for who in sold):
            for who, ids in sold.items():
                ids.append((await report(await visit(who))).conversion_id)

    assert _count(sold["rival"], own) == 0
    assert _count(sold["bestdeals"], filtered) == 0


async def test_what_comes_is_not_of_days_that_are_over(listen, until_heard):
    async with (
        listen("viewer", "/clicks/tail", "to=2024-01-01") as over,
        listen("viewer", "/clicks/tail") as now,
    ):
        await over.hear("still here")
        await until_heard(now)

    assert "<tr>" not in over.text


def _count(ids, stream):
    return sum(one in stream.text for one in ids)


async def test_a_program_hears_rows_as_the_log_has_them(listen, until_heard, viewer):
    async with (
        listen("viewer", "/api/v1/clicks/tail", "sub1=a%E2%80%A8b") as stream,
        listen("bestdeals", "/api/v1/clicks/tail") as own,
        listen("rival", "/api/v1/clicks/tail") as rival,
    ):
        click_id = await until_heard(stream, sub1="a\u2028b")
        await own.hear(click_id)
        await until_heard(rival, "rival")

    listed = (await viewer.get("/api/v1/clicks?sub1=a\u2028b")).json()["items"]
    assert rows_in(stream.text)[-1] == listed[0]
    assert {"address", "partner"} & rows_in(own.text)[-1].keys() == set()
    assert click_id not in rival.text
    assert "advertiser" not in own.text


@pytest.mark.parametrize("log", ["postbacks", "conversions", "deliveries"])
async def test_every_tail_of_the_api_tells_rows(listen, visit, report, viewer, log):
    path = f"/api/v1/{log}"
    async with listen("viewer", f"{path}/tail") as stream, asyncio.timeout(10):
        while "data: " not in stream.text:
            await report(await visit())

    listed = (await viewer.get(f"{path}?limit=500")).json()["items"]
    told = rows_in(stream.text)[0]
    assert told["id"] in {one["id"] for one in listed}
    assert told.keys() == listed[0].keys()


def rows_in(text):
    """What a program reads of it: every event is one line."""
    lines = re.findall(r"^data: (.*)$", text, re.MULTILINE)
    return [json.loads(line) for line in lines]


async def test_it_ends_with_the_session(listen, listeners, runtime, headers_of):
    person_id = await person_in(runtime, "lena", "viewer")
    headers_of["leaver"] = await headers_in(runtime, person_id)

    async with listen("leaver", "/clicks/tail") as stream:
        await stream.hear("retry")
        assert listeners() == 1
        await end_sessions(runtime, person_id, "lena", Actor("lena"))
        await stream.hear("event: over")

    assert (stream.is_over, listeners()) == (True, 0)


async def test_it_ends_when_the_listener_leaves_or_the_process_stops(
    console, listen, listeners
):
    async with listen("viewer", "/clicks/tail") as left:
        await left.hear("still here")
    async with listen("viewer", "/clicks/tail") as stopped:
        await stopped.hear("still here")
        console.state.tails.close()
        await stopped.ended()

    assert listeners() == 0


async def test_an_answer_without_a_body_ends(viewer, listeners):
    answer = await viewer.head("/clicks/tail")

    assert (answer.status_code, listeners()) == (200, 0)


async def test_conversions_that_come_are_not_filtered_by_a_label(viewer):
    """They would be all of them: what comes says nothing of its click's labels."""
    answer = await viewer.get("/conversions/tail?sub1=x")

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("limit", "others"), [("MOST_LISTENERS", 503), ("MOST_OF_ONE", 200)]
)
async def test_so_many_listen_and_no_more(listen, monkeypatch, limit, others):
    """Whoever has all that one may have keeps nobody else from listening."""
    monkeypatch.setattr(tails, limit, 1)
    async with listen("viewer", "/clicks/tail") as first:
        await first.hear("still here")
        async with (
            listen("viewer", "/postbacks/tail") as second,
            listen("operator", "/postbacks/tail") as other,
        ):
            said = [await one.answered() for one in (first, second, other)]

    assert said == [200, 503, others]


async def test_of_many_who_come_at_once_no_more_listen(listen, listeners, monkeypatch):
    """None of them listens yet when the others ask whether there is room."""
    monkeypatch.setattr(tails, "MOST_OF_ONE", 2)
    async with AsyncExitStack() as opened, asyncio.timeout(10):
        came = [
            opened.enter_async_context(listen("viewer", "/clicks/tail"))
            for _ in range(8)
        ]
        said = [one.status for one in await asyncio.gather(*came)]

    assert sorted(said) == [200] * 2 + [503] * 6


async def test_who_leaves_before_the_answer_begins_keeps_no_place(
    console, headers_of, listeners
):
    async def leave(message):
        raise OSError(message["type"])

    headers = [(k.encode(), v.encode()) for k, v in headers_of["viewer"].items()]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/clicks/tail",
        "query_string": b"",
        "headers": headers,
    }
    with pytest.raises(OSError, match=r"response\.start"):
        await console(scope, Stream().receive, leave)

    assert listeners() == 0


async def test_a_log_is_read_once_for_all_who_listen(runtime, monkeypatch):
    """Each reading brings one more row; ten who listen hear of each once."""
    monkeypatch.setattr(tails, "READ_SECONDS", 0.001)
    rows = []

    async def read(_, place):
        rows.append(Row(f"row-{len(rows)}"))
        return rows[-place.size :]

    log, heard = Tail(read), []
    with log.listening(runtime, 1) as first, log.listening(runtime, 2) as second:
        async with asyncio.timeout(10):
            while len(heard) < 5:
                heard.append((await first.get(), await second.get()))

    assert [[one.id for one in mine] for mine, _ in heard] == [
        [f"row-{n}"] for n in range(1, 6)
    ]
    assert all(mine == other for mine, other in heard)
    assert log.listeners == 0


class Row:
    def __init__(self, name):
        self.id = name


async def test_nobody_is_answered_before_it_is_known_what_was_there():
    """A row that comes with the answer would be taken for one of before."""
    is_read = asyncio.Event()

    async def read(*_):
        await is_read.wait()
        return []

    log = Tail(read)
    with log.listening(None, 1):
        begun = asyncio.create_task(log.begin())
        await asyncio.sleep(0)
        assert not begun.done()

        is_read.set()
        await begun
