from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web
from rich.console import Console

from tracker.cli.demo import DemoError, plan_reports, render, run_demo

CLICK = "2n0dtd73004hyzr000010001qe5cb1yg"
TOKEN = "token-of-the-shop"
SOON = timedelta(milliseconds=200)


class StandIn:
    """A tracker at the wire: it redirects, accepts, and tells the partner or not."""

    def __init__(self, *, tells=True):
        self.tells = tells
        self.clicks = 0
        self.hits = []

    async def click(self, request):
        if "no-such-offer" in request.path:
            return web.Response(status=404)
        self.clicks += 1
        location = f"http://shop.example/?cid={self.clicks:032}"
        return web.Response(status=302, headers={"Location": location})

    async def postback(self, request):
        sent = request.query
        if sent["token"] != TOKEN or not sent["transaction_id"]:
            return web.json_response(
                {"status": "quarantined", "reason": "no"}, status=401
            )
        told = (sent["transaction_id"], sent["status"])
        if self.tells:
            pairs = [["cid", told[0]], ["tx", told[0]], ["status", told[1]]]
            self.hits.append({"number": len(self.hits) + 1, "parameters": pairs})
        return web.json_response({"status": "accepted", "reason": ""})

    async def list_hits(self, request):
        after = int(request.query["after"])
        return web.json_response({"count": len(self.hits), "hits": self.hits[after:]})


@asynccontextmanager
async def serving(stand_in):
    app = web.Application()
    app.router.add_get("/c/{partner}/{offer}", stand_in.click)
    app.router.add_get("/postback/acme", stand_in.postback)
    app.router.add_get("/sandbox/inbox/hits", stand_in.list_hits)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_demo_waits_until_the_partner_was_told_of_everything():
    async with serving(StandIn()) as base_url:
        summary = await run_demo(base_url, TOKEN, 40)

    assert summary.owed > 15
    assert summary.told == summary.owed
    assert summary.click_id


async def test_the_demo_counts_what_the_partner_was_never_told():
    async with serving(StandIn(tells=False)) as base_url:
        summary = await run_demo(base_url, TOKEN, 16, patience=SOON)

    assert summary.told == 0
    assert summary.waited >= SOON
    assert "0 of" in shown(summary)


async def test_every_click_is_counted_once_by_kind_and_status():
    async with serving(StandIn()) as base_url:
        summary = await run_demo(base_url, TOKEN, 17)

    assert summary.clicks == {
        ("visit", 302): 12,
        ("HEAD", 302): 2,
        ("prefetch", 302): 2,
        ("unknown link", 404): 1,
    }
    assert timedelta() < summary.redirect_mean
    assert summary.redirect_p95 < timedelta(seconds=15)


async def test_progress_is_told_once_per_click():
    advances = []
    async with serving(StandIn()) as base_url:
        await run_demo(base_url, TOKEN, 5, advance=lambda: advances.append(1))

    assert len(advances) == 5


@pytest.mark.parametrize(
    ("base_url", "sentence"),
    [
        ("http://127.0.0.1:1", "No sandbox answers at http://127.0.0.1:1: start one"),
        ("localhost:8080", "is not a URL like"),
        ("http://[", "is not a URL like"),
        ("", "is not a URL like"),
    ],
)
async def test_without_a_sandbox_the_demo_says_what_to_do(base_url, sentence):
    with pytest.raises(DemoError, match=sentence.replace("[", r"\[")):
        await run_demo(base_url, TOKEN, 1)


async def test_a_server_that_is_no_sandbox_is_not_demonstrated_on():
    async with serving(StandIn()) as base_url:
        with pytest.raises(DemoError):
            await run_demo(f"{base_url}/elsewhere", TOKEN, 1)


def test_a_demo_has_every_kind_of_postback():
    reports = [
        report.example
        for number in range(200)
        for report in plan_reports(number, CLICK, f"demo-{number}", TOKEN)
    ]

    assert Counter(reports).keys() == {
        "sale",
        "sale, repeated",
        "approved → rejected",
        "rejected → approved for 1",
        "forged click id",
        "wrong token",
        "amount=abc",
        "empty transaction_id",
    }


def test_a_forged_id_looks_like_one_of_ours():
    [report] = plan_reports(1, CLICK, "demo-1", TOKEN)

    forged = report.parameters["click_id"]
    assert forged != CLICK
    assert (len(forged), forged[:-1]) == (len(CLICK), CLICK[:-1])


def shown(summary):
    console = Console(width=100, record=True, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        console.print(render(summary))
    return capture.get()
