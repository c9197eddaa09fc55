from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from cast import get_raw
from redis.exceptions import ConnectionError as RedisConnectionError

from tracker.domain.click import MAX_VALUE, Click
from tracker.domain.click_id import ClickClass
from tracker.store.clicks import click_key, decode_click


async def test_a_visitor_arrives_with_a_click_id(client, runtime):
    """The link's labels are filled in, and the id names who sent whom to what."""
    answer = await client.get("/c/bestdeals/shoes?sub1=banner 7&sub2=x")
    location = urlsplit(answer.headers["location"])
    query = parse_qs(location.query)

    assert (answer.status_code, location.netloc) == (302, "shop.acme.example")
    assert (query["source"], query["s"]) == (["bestdeals"], ["banner 7"])
    facts = runtime.mint.read(query["cid"][0])
    assert runtime.catalog.partner_numbered(facts.partner_number).key == "bestdeals"
    assert runtime.catalog.offer_numbered(facts.offer_number).key == "shoes"
    assert facts.click_class is ClickClass.VISIT


async def test_the_redirect_is_never_cached_nor_indexed(client):
    headers = (await client.get("/c/bestdeals/shoes")).headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-robots-tag"] == "noindex, nofollow"


async def test_a_click_is_in_redis_before_its_redirect(visit, runtime):
    """Both the hot record and the entry that becomes the click log."""
    click_id = await visit(sub1="one", gclid="g1", colour="red")

    record = decode_click(click_id, await runtime.redis.get(click_key(0, click_id)))
    assert record.subs[:2] == ("one", "")
    assert (record.ad_ids, record.params) == ({"gclid": "g1"}, {"colour": "red"})
    assert await runtime.stream.count(0) == 1


async def test_what_is_kept_of_a_visit(client, rows, run_worker_once):
    headers = {
        "user-agent": "Mozilla/5.0",
        "referer": "https://blog.example/post",
        "accept-language": "fr",
    }
    answer = await client.get("/c/bestdeals/shoes?sub10=ten", headers=headers)
    await run_worker_once()

    (row,) = await rows("select * from clicks")
    assert (row["user_agent"], row["referrer"], row["language"]) == (
        "Mozilla/5.0",
        "https://blog.example/post",
        "fr",
    )
    assert (str(row["address"]), row["sub10"]) == ("127.0.0.1", "ten")
    assert row["destination"] == answer.headers["location"]


async def test_long_and_hostile_values_are_kept_as_far_as_they_go(
    visit, rows, run_worker_once
):
    """A NUL, which Postgres cannot keep, does not cost the click."""
    await visit(sub1="a\0b", sub2="x" * 5000, **{f"p{n}": "v" for n in range(100)})
    await run_worker_once()

    (row,) = await rows("select sub1, sub2, params from clicks")
    assert row["sub1"] == "a\ufffdb"
    assert (len(row["sub2"]), len(row["params"])) == (MAX_VALUE, 32)


@pytest.mark.parametrize(
    ("headers", "click_class"),
    [
        ({"sec-purpose": "prefetch;prerender"}, ClickClass.PREFETCH),
        ({"purpose": "prefetch"}, ClickClass.PREFETCH),
        ({"x-moz": "prefetch"}, ClickClass.PREFETCH),
        ({}, ClickClass.VISIT),
    ],
)
async def test_a_prefetch_is_answered_alike_and_marked(
    client, runtime, headers, click_class
):
    answer = await client.get("/c/bestdeals/shoes", headers=headers)
    click_id = parse_qs(urlsplit(answer.headers["location"]).query)["cid"][0]
    assert runtime.mint.read(click_id).click_class is click_class


async def test_a_head_request_is_answered_alike_and_marked(client, runtime):
    answer = await client.head("/c/bestdeals/shoes")
    click_id = parse_qs(urlsplit(answer.headers["location"]).query)["cid"][0]
    assert runtime.mint.read(click_id).click_class is ClickClass.HEAD


@pytest.mark.parametrize(
    "path",
    [
        "/c/nobody/shoes",
        "/c/bestdeals/nothing",
        "/c/quiet/game",
        "/c/bestdeals",
        "/c/",
        "/c/bestdeals/shoes/more",
        "/c/%00/%ff",
    ],
)
async def test_an_unknown_link_is_a_404_and_no_click(client, runtime, path):
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (404, "There is no such link.\n")
    assert await runtime.stream.count(0) == 0


async def test_a_paused_offer_without_a_fallback_is_gone_and_the_click_kept(
    client, rows, run_worker_once
):
    answer = await client.get("/c/bestdeals/closed?sub1=one")
    await run_worker_once()

    assert answer.status_code == 410
    (row,) = await rows("select class, reason, sub1 from clicks")
    assert row == {"class": 3, "reason": "offer_paused", "sub1": "one"}


async def test_a_paused_offer_sends_its_visitors_to_its_fallback(client):
    answer = await client.get("/c/bestdeals/moved")
    assert answer.headers["location"] == "https://elsewhere.example/?from=bestdeals"


async def test_a_deep_link_keeps_the_template_s_query(client):
    """The page is the partner's choice, the click id is ours."""
    wanted = "https://shop.acme.example/red?size=42&cid=stolen#top"
    answer = await client.get("/c/bestdeals/shoes", params={"deeplink": wanted})
    location = urlsplit(answer.headers["location"])
    query = parse_qs(location.query)

    assert (location.path, location.fragment) == ("/red", "top")
    assert (query["size"], len(query["cid"])) == (["42"], 1)
    assert query["cid"] != ["stolen"]


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("https://evil.example/", "deeplink_not_listed"),
        ("https://shop.acme.example@evil.example/", "bad_deeplink"),
        ("https://shop.acme.example\\@evil.example/", "bad_deeplink"),
        ("//evil.example/", "bad_deeplink"),
        ("javascript:alert(1)", "bad_deeplink"),
        ("https://shop.acme.example:99999/", "bad_deeplink"),
        ("https://evil.example/\r\nSet-Cookie: a=b", "bad_deeplink"),
    ],
)
async def test_a_refused_deep_link_goes_to_the_normal_page(
    client, rows, run_worker_once, wanted, reason
):
    answer = await client.get("/c/bestdeals/shoes", params={"deeplink": wanted})
    await run_worker_once()

    location = answer.headers["location"]
    assert location.startswith("https://shop.acme.example/landing?cid=")
    assert await rows("select reason from clicks") == [{"reason": reason}]


async def test_a_signed_deep_link_may_go_anywhere(client, runtime):
    wanted = "https://other.example/page"
    signature = runtime.seal.sign("bestdeals", "shoes", wanted)
    query = {"deeplink": wanted, "deeplink_signature": signature}

    answer = await client.get("/c/bestdeals/shoes", params=query)
    stolen = await client.get("/c/quiet/shoes", params=query)

    assert answer.headers["location"].startswith("https://other.example/page?cid=")
    assert stolen.headers["location"].startswith("https://shop.acme.example/landing")


async def test_an_id_that_is_taken_is_minted_again(visit, runtime, monkeypatch):
    """Two processes may start their counters at the same place."""
    first = await visit()
    ids = iter([first])
    mint = runtime.mint.mint
    monkeypatch.setattr(
        runtime.mint, "mint", lambda **facts: next(ids, None) or mint(**facts)
    )
    second = await visit(sub1="another visitor")

    assert second != first
    assert await runtime.stream.count(0) == 2


async def test_the_visitor_arrives_though_redis_is_down(client, runtime, monkeypatch):
    """The click is lost, and counted so, aloud."""

    async def fails(*_):
        raise RedisConnectionError("down")

    monkeypatch.setattr(runtime.clicks, "insert", fails)
    answer = await client.get("/c/bestdeals/shoes")

    assert answer.status_code == 302
    click_id = parse_qs(urlsplit(answer.headers["location"]).query)["cid"][0]
    assert runtime.mint.read(click_id)


async def test_a_click_that_redis_confirms_late_is_the_visitor_s_own(
    client, runtime, monkeypatch
):
    """It counted as lost, and yet it is there, under the id the visitor carries."""
    insert = runtime.clicks.insert

    async def insert_unheard(*arguments):
        await insert(*arguments)
        raise TimeoutError

    monkeypatch.setattr(runtime.clicks, "insert", insert_unheard)
    answer = await client.get("/c/bestdeals/shoes")

    click_id = parse_qs(urlsplit(answer.headers["location"]).query)["cid"][0]
    ((_, fields),) = await runtime.redis.xrange("clicks:{0}")
    assert list(fields) == [click_id.encode()]


async def test_a_query_of_a_megabyte_does_not_keep_a_visitor(app):
    query = b"sub1=one&junk=" + b"x" * 1_000_000
    status, headers, _ = await get_raw(app, "/c/bestdeals/shoes", query)
    assert status == 302
    assert "s=one" in headers["location"]


async def test_other_methods_are_told_so(client):
    answer = await client.post("/c/bestdeals/shoes")
    assert answer.status_code == 405


def test_a_record_may_leave_out_the_labels_that_it_has_not():
    record = msgspec.msgpack.encode([3, ["one"], {}, {}, "", "", "", "", "", ""])

    assert decode_click("a", record) == Click("a", 3, subs=("one", *("",) * 9))
