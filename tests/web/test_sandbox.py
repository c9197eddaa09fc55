from contextlib import asynccontextmanager
from urllib.parse import urlencode

import httpx
import pytest
from aiohttp import web
from starlette.applications import Starlette

from tracker.program import program
from tracker.settings import Settings
from tracker.web.sandbox import KEPT_HITS, MAX_BODY, MAX_VALUE, sandbox_routes

TOKEN = "token-of-the-shop"
CLICK = "2n0dtd73004hyzr000010001qe5cb1yg"
SCRIPT = "<script>alert('1')</script>"
SHOP = f"/sandbox/shop?cid={CLICK}&source=bestdeals"


class Tracker:
    """The tracker's postback endpoint, as the shop's server sees it."""

    def __init__(self):
        self.heard = []
        self.answer = web.Response

    async def hear(self, request):
        self.heard.append((request.method, request.path, list(request.query.items())))
        return self.answer(text='{"status":"accepted"}')


@pytest.fixture
def tracker():
    return Tracker()


@pytest.fixture
async def base_url(tracker):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", tracker.hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def visiting(**settings):
    app = Starlette(routes=sandbox_routes(Settings(**settings)))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        yield client


@pytest.fixture
async def client(base_url, monkeypatch):
    monkeypatch.setenv("SANDBOX_POSTBACK_TOKEN", TOKEN)
    async with visiting(sandbox=True, base_url=base_url) as client:
        yield client


async def press(client, action="buy", order="o-1", amount="49.90", **headers):
    form = {"action": action, "order": order, "amount": amount}
    return await client.post(SHOP, data=form, headers=headers)


async def hits(client, after=0):
    answer = await client.get("/sandbox/inbox/hits", params={"after": after})
    return answer.json()


def test_there_is_no_sandbox_unless_it_is_asked_for():
    assert sandbox_routes(Settings()) == []


async def test_the_start_page_leads_to_the_tracked_link_and_the_inbox(client, base_url):
    page = await client.get("/sandbox")

    assert f'href="{base_url}/c/bestdeals/acme-shoes?sub1=demo-1"' in page.text
    assert 'href="/sandbox/inbox"' in page.text


@pytest.mark.parametrize(
    "path", ["/sandbox", SHOP, "/sandbox/inbox", "/sandbox/inbox/view"]
)
async def test_a_page_loads_nothing_from_elsewhere(client, path):
    page = await client.get(path)

    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "<script" not in page.text
    assert "style=" not in page.text


async def test_the_pages_say_how_the_program_is_called(client, monkeypatch):
    start, shop = await client.get("/sandbox"), await client.get(SHOP)

    assert f"{program()} demo</code>" in start.text
    assert f"{program()} trace {CLICK}</code>" in shop.text


async def test_the_style_sheet_comes_from_the_package(client):
    style = await client.get("/sandbox/style.css")

    assert style.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in style.text


async def test_pages_behind_a_prefix_link_to_each_other():
    async with visiting(sandbox=True, base_url="https://t.example/go") as client:
        page = await client.get("/sandbox")

    assert 'href="/go/sandbox/style.css"' in page.text


# ----------------------------------------------------------------------- the shop


async def test_the_shop_shows_the_click_id_that_came_with_the_visitor(client):
    page = await client.get(SHOP)

    assert f'<code class="id">{CLICK}</code>' in page.text


async def test_the_shop_reports_what_was_bought_with_its_token(client, tracker):
    await press(client)

    sent = {
        "click_id": CLICK,
        "transaction_id": "o-1",
        "goal": "sale",
        "status": "approved",
        "amount": "49.90",
        "token": TOKEN,
    }
    assert tracker.heard == [("GET", "/postback/acme", list(sent.items()))]


async def test_a_refund_reports_the_same_order_as_rejected(client, tracker):
    await press(client)
    await press(client, "refund")

    orders = [dict(query)["transaction_id"] for _, _, query in tracker.heard]
    statuses = [dict(query)["status"] for _, _, query in tracker.heard]
    assert (orders, statuses) == (["o-1", "o-1"], ["approved", "rejected"])


async def test_the_shop_shows_the_call_and_the_answer_but_not_its_token(
    client, base_url
):
    await press(client)
    page = await client.get(SHOP)

    shown = page.text.replace("<wbr>", "").replace("&amp;", "&")
    assert f"{base_url}/postback/acme?click_id={CLICK}&transaction_id=o-1&" in shown
    assert "&token=***<" in shown
    assert "{&#34;status&#34;:&#34;accepted&#34;}" in shown
    assert TOKEN not in shown


async def test_reloading_after_a_purchase_buys_nothing(client, tracker):
    answer = await press(client)

    assert answer.status_code == 303
    assert str(answer.next_request.url) == f"http://t{SHOP}#orders"


async def test_a_shop_without_a_token_sends_none_and_says_so(
    base_url, tracker, monkeypatch
):
    monkeypatch.delenv("SANDBOX_POSTBACK_TOKEN", raising=False)
    async with visiting(sandbox=True, base_url=base_url) as client:
        await press(client)
        page = await client.get(SHOP)

    assert "token" not in dict(tracker.heard[0][2])
    assert "SANDBOX_POSTBACK_TOKEN</code> is not set" in page.text


async def test_a_tracker_that_does_not_answer_is_shown_as_such():
    async with visiting(sandbox=True, base_url="http://127.0.0.1:1") as client:
        answer = await press(client)
        page = await client.get(SHOP)

    assert answer.status_code == 303
    assert "no answer" in page.text


async def test_another_site_cannot_press_the_button(client, tracker):
    answer = await press(client, **{"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert tracker.heard == []


async def test_a_form_without_bounds_is_refused(client, tracker):
    answer = await press(client, order="x" * MAX_BODY)

    assert answer.status_code == 413
    assert tracker.heard == []


async def test_one_visitor_does_not_see_the_orders_of_another(client):
    await press(client, order="not-yours")
    page = await client.get("/sandbox/shop?cid=another")

    assert "not-yours" not in page.text


# ---------------------------------------------------------------------- the inbox


async def test_the_inbox_keeps_exactly_what_the_partner_was_told(client):
    told = [("cid", "a&b=c d"), ("payout", "3.99"), ("cid", "é\n"), ("empty", "")]

    answer = await client.get(f"/sandbox/inbox?{urlencode(told)}")

    assert (answer.status_code, answer.text) == (200, "OK")
    heard = await hits(client)
    assert heard["count"] == 1
    assert heard["hits"][0]["method"] == "GET"
    assert heard["hits"][0]["parameters"] == [list(pair) for pair in told]


@pytest.mark.parametrize(
    ("body", "kept"),
    [({"data": {"tx": "o-1"}}, ["tx", "o-1"]), ({"json": {}}, ["body", "{}"])],
)
async def test_the_inbox_takes_calls_with_a_body(client, body, kept):
    answer = await client.post("/sandbox/inbox", **body)

    assert answer.text == "OK"
    assert (await hits(client))["hits"][0]["parameters"] == [kept]


async def test_looking_at_the_inbox_is_not_a_call(client):
    page = await client.get("/sandbox/inbox")

    assert "Nothing yet" in page.text
    assert (await hits(client))["count"] == 0


async def test_the_inbox_shows_the_newest_first_and_renews_itself(client):
    await client.get("/sandbox/inbox?tx=order-1")
    await client.get("/sandbox/inbox?tx=order-2")

    page = await client.get("/sandbox/inbox/view")
    assert page.text.index("order-2") < page.text.index("order-1")
    assert '<meta http-equiv="refresh"' in page.text


async def test_the_inbox_keeps_the_last_hits_and_counts_all(client):
    for number in range(KEPT_HITS + 1):
        await client.get(f"/sandbox/inbox?n={number}")

    heard = await hits(client)
    assert heard["count"] == KEPT_HITS + 1
    assert [hit["number"] for hit in heard["hits"]] == list(range(2, KEPT_HITS + 2))


async def test_hits_can_be_read_from_a_number_on(client):
    await client.get("/sandbox/inbox?n=1")
    await client.get("/sandbox/inbox?n=2")

    assert [hit["number"] for hit in (await hits(client, after=1))["hits"]] == [2]
    assert (await client.get("/sandbox/inbox/hits?after=x")).status_code == 400
    assert (await client.get("/sandbox/inbox/hits?after=-1")).status_code == 400


# ---------------------------------------------------------------- hostile values


@pytest.mark.parametrize("value", [SCRIPT, '"><img src=x>', "{{ 7*7 }}", "a\0b"])
async def test_hostile_values_are_shown_as_text(client, value):
    query = urlencode({"cid": value, value: "x"})
    await client.get(f"/sandbox/inbox?{query}")
    await client.post(f"/sandbox/shop?{query}", data={"order": value, "amount": value})

    pages = [
        (await client.get("/sandbox/inbox")).text,
        (await client.get(f"/sandbox/shop?{query}")).text,
    ]
    for page in pages:
        assert "<script" not in page
        assert "<img" not in page
        assert ">49<" not in page
        assert "\0" not in page


@pytest.mark.parametrize("query", ["%zz", "%00", "%ff%fe", "=", "&&", "x=%ed%a0%80"])
async def test_queries_that_are_rubbish_are_taken(client, query):
    assert (await client.get(f"/sandbox/inbox?{query}")).status_code == 200
    assert (await client.get("/sandbox/inbox/view")).status_code == 200
    assert (await client.get(f"/sandbox/shop?{query}")).status_code == 200


async def test_a_long_value_is_cut(client):
    await client.get("/sandbox/inbox", params={"cid": "x" * 50_000})

    [[_, kept]] = (await hits(client))["hits"][0]["parameters"]
    assert kept == "x" * MAX_VALUE


async def test_a_header_cannot_be_injected_through_the_redirect(client):
    answer = await client.post("/sandbox/shop?cid=a%0d%0aX-Evil:1", data={"order": "1"})

    assert "x-evil" not in answer.headers
    assert "\n" not in answer.headers["location"]
