import json
import time

import httpx
import pytest
from cast import Advertiser, get_raw

from tracker.store import conversions
from tracker.web.app import TrackerApp


def said(answer):
    """Status and reason of an answer, once its shape is as promised."""
    body = answer.json()
    assert set(body) == {"status", "reason", "conversion_id", "postback_id"}
    return body["status"], body["reason"]


async def test_a_sale_becomes_a_conversion_and_the_partner_is_told(
    visit, advertiser, partner, rows, run_worker_once
):
    click_id = await visit(sub1="banner-7")

    answer = await advertiser.report(
        click_id, goal="sale", transaction_id="order-1", amount="50.00"
    )
    await run_worker_once()

    assert said(answer) == ("accepted", "")
    (row,) = await rows("select * from conversions")
    assert (row["partner"], row["offer"], row["goal"]) == ("bestdeals", "shoes", "sale")
    assert (str(row["payout"]), str(row["revenue"])) == ("4.000000", "6.000000")
    assert partner.told == [
        {
            "cid": "banner-7",
            "goal": "sale",
            "status": "approved",
            "payout": "4.00",
            "tx": "order-1",
        }
    ]


async def test_a_repeated_postback_pays_once(
    visit, advertiser, partner, run_worker_once
):
    """
    An advertiser that retries neither doubles the payout nor tells the partner twice.
    """
    click_id = await visit()

    first = await advertiser.report(click_id)
    second = await advertiser.report(click_id)
    await run_worker_once()

    assert [said(first), said(second)] == [("accepted", ""), ("duplicate", "repeated")]
    assert first.json()["conversion_id"] == second.json()["conversion_id"]
    assert len(partner.told) == 1


async def test_sixteen_at_once_make_one_conversion(
    visit, advertiser, at_once, rows, partner, run_worker_once
):
    click_id = await visit()

    answers = await at_once(*(advertiser.report(click_id) for _ in range(16)))
    await run_worker_once()

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["conversion_id"] for answer in answers}) == 1
    assert sorted(said(answer)[0] for answer in answers) == [
        "accepted",
        *["duplicate"] * 15,
    ]
    assert await rows("select count(*) from conversions") == [{"count": 1}]
    assert await rows("select count(*) from conversion_changes") == [{"count": 1}]
    assert await rows("select count(*) from postbacks") == [{"count": 16}]
    assert len(partner.told) == 1


async def test_the_constraint_decides_between_two_processes(
    visit, settings, advertiser, at_once, rows
):
    """Neither process knows of the other's batch."""
    click_id = await visit()
    other = TrackerApp(settings)
    async with (
        other.pages.router.lifespan_context(other.pages),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(other), base_url="http://other.test"
        ) as client,
    ):
        reports = [who.report(click_id) for who in (advertiser, Advertiser(client)) * 8]
        answers = await at_once(*reports)

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["conversion_id"] for answer in answers}) == 1
    assert await rows("select count(*) from conversions") == [{"count": 1}]


async def test_a_lead_and_a_sale_on_one_click_are_two(visit, advertiser, rows):
    click_id = await visit()

    lead = await advertiser.report(click_id, goal="lead")
    sale = await advertiser.report(
        click_id, goal="sale", transaction_id="order-1", amount="10"
    )

    assert (said(lead)[0], said(sale)[0]) == ("accepted", "accepted")
    assert await rows("select count(*) from conversions") == [{"count": 2}]


async def test_the_same_transaction_with_another_click_is_a_conflict(
    visit, advertiser, rows
):
    """One order cannot pay two partners, whatever the goal is counted by."""
    for goal in ("sale", "lead"):
        one, other = await visit(), await visit()
        order = {"goal": goal, "transaction_id": f"order-{goal}", "amount": "10"}

        await advertiser.report(one, **order)
        answer = await advertiser.report(other, **order)

        assert answer.status_code == 409
        assert said(answer) == ("quarantined", "transaction_conflict")
    assert await rows("select count(*) from conversions") == [{"count": 2}]


async def test_rejected_stays_rejected_though_the_approval_is_retried(
    visit, advertiser, rows
):
    click_id = await visit()

    answers = [
        await advertiser.report(click_id, status=status)
        for status in ("approved", "rejected", "approved")
    ]

    assert [said(answer) for answer in answers] == [
        ("accepted", ""),
        ("updated", ""),
        ("duplicate", "repeated"),
    ]
    assert await rows("select status from conversions") == [{"status": "rejected"}]


async def test_a_rejection_that_overtakes_its_approval_is_kept(visit, advertiser, rows):
    click_id = await visit()

    await advertiser.report(click_id, status="rejected")
    late = await advertiser.report(click_id, status="approved")

    assert said(late) == ("duplicate", "stale_status")
    assert await rows("select status from conversions") == [{"status": "rejected"}]


async def test_a_status_moves_by_transaction_alone_long_after_the_window(
    visit, client, rows, partner, run_worker_once
):
    """On its own route an advertiser needs no click id to settle what it reported."""
    click_id = await visit("bestdeals/game", sub1="one")
    mine = {"secret": "another-token", "order": "o-1", "event": "e2", "total": "9.99"}
    await client.get("/postback/globex", params={"cid": click_id, **mine})
    await run_worker_once()
    answer = await client.get("/postback/globex", params={**mine, "st": "1"})
    await run_worker_once()

    assert (answer.status_code, answer.text) == (200, "OK")
    assert await rows("select status from conversions") == [{"status": "approved"}]
    assert [told["status"] for told in partner.told] == ["pending", "approved"]
    assert {told["cid"] for told in partner.told} == {"one"}


async def test_another_transaction_counts_once_per_click(visit, advertiser):
    click_id = await visit()
    await advertiser.report(click_id, transaction_id="t-1")
    answer = await advertiser.report(click_id, transaction_id="t-2")
    assert said(answer) == ("duplicate", "other_transaction")


async def test_an_upsell_adds_its_amount(
    visit, advertiser, rows, partner, run_worker_once
):
    click_id = await visit()
    for transaction_id, amount in (("t-1", "10"), ("t-2", "5"), ("t-2", "5")):
        answer = await advertiser.report(
            click_id, goal="upsell", transaction_id=transaction_id, amount=amount
        )
        await run_worker_once()

    assert said(answer) == ("duplicate", "repeated")
    (row,) = await rows("select amount, payout, changes from conversions")
    assert (float(row["amount"]), float(row["payout"]), row["changes"]) == (15, 1.5, 2)
    assert [told["payout"] for told in partner.told] == ["1.00", "1.50"]


async def test_an_amount_in_another_currency_is_converted_once(visit, advertiser, rows):
    click_id = await visit()
    await advertiser.report(
        click_id, goal="sale", transaction_id="t-1", amount="10.01", currency="eur"
    )

    (row,) = await rows("select * from conversions")
    assert (str(row["sent_amount"]), row["sent_currency"]) == ("10.010000", "EUR")
    assert str(row["amount"]) == "11.011000"
    assert (str(row["payout"]), str(row["revenue"])) == ("0.880000", "1.320000")


async def test_query_form_and_json_are_equal(visit, client, rows):
    click_id = await visit()
    order = {"click_id": click_id, "token": "s3cret-token", "goal": "sale"}
    amount = {"transaction_id": "t-1", "amount": 49.9}

    as_json = await client.post("/postback", json={**order, **amount})
    as_form = await client.post("/postback", params=order, data=amount)
    as_parts = await client.post(
        "/postback", files={k: (None, str(v)) for k, v in {**order, **amount}.items()}
    )

    assert said(as_json) == ("accepted", "")
    assert said(as_form) == said(as_parts) == ("duplicate", "repeated")
    assert (
        str((await rows("select amount from conversions"))[0]["amount"]) == "49.900000"
    )


async def test_a_token_may_come_as_a_bearer(visit, client):
    click_id = await visit()
    answer = await client.get(
        "/postback",
        params={"click_id": click_id},
        headers={"authorization": "Bearer s3cret-token"},
    )
    assert said(answer) == ("accepted", "")


async def test_other_names_for_the_click_are_understood(visit, client):
    for name in ("cid", "clickid", "SubID"):
        query = {name: (await visit()).upper(), "token": "s3cret-token"}
        assert said(await client.get("/postback", params=query)) == ("accepted", "")


async def test_a_token_is_never_kept(visit, advertiser, rows):
    await advertiser.report(await visit())
    await advertiser.report(await visit(), token="wr0ng-token")

    everything = json.dumps(await rows("select * from postbacks"), default=repr)
    assert "s3cret-token" not in everything
    assert "wr0ng-token" not in everything


async def test_the_click_is_found_when_redis_has_forgotten_it(
    visit, advertiser, runtime, partner, run_worker_once
):
    """The partner gets its own labels back, from the click log."""
    click_id = await visit(sub1="from-postgres")
    await run_worker_once()
    await runtime.redis.flushall()

    await advertiser.report(click_id)
    await run_worker_once()

    assert [told["cid"] for told in partner.told] == ["from-postgres"]


async def test_a_click_that_no_store_knows_is_attributed_from_its_id(
    visit, advertiser, runtime, rows
):
    """Its labels are lost, so the call that needs them waits, and says for what."""
    click_id = await visit(sub1="lost")
    await runtime.redis.flushall()

    answer = await advertiser.report(click_id)

    assert said(answer) == ("accepted", "")
    (row,) = await rows("select partner, offer from conversions")
    assert row == {"partner": "bestdeals", "offer": "shoes"}
    held = await rows("select held_reason from deliveries")
    assert held == [{"held_reason": "click_details"}]


async def test_a_partner_without_postbacks_owes_nothing(visit, advertiser, rows):
    await advertiser.report(await visit("quiet/shoes"))
    assert await rows("select count(*) from conversions") == [{"count": 1}]
    assert await rows("select count(*) from deliveries") == [{"count": 0}]


@pytest.mark.parametrize(
    ("changed", "status", "reason"),
    [
        ({"token": ""}, 401, "missing_token"),
        ({"click_id": ""}, 422, "missing_click_id"),
        ({"click_id": "\0"}, 404, "unknown_click"),
        ({"click_id": "[CLICKID]"}, 422, "unfilled_macro"),
        ({"click_id": "#clickid#"}, 422, "unfilled_macro"),
        ({"amount": "${amount}"}, 422, "unfilled_macro"),
        ({"amount": "abc"}, 422, "bad_amount"),
        ({"amount": "-1"}, 422, "bad_amount"),
        ({"amount": "1e9"}, 422, "bad_amount"),
        ({"amount": "NaN"}, 422, "bad_amount"),
        ({"amount": "1,5"}, 422, "bad_amount"),
        ({"amount": "٣"}, 422, "bad_amount"),
        ({"amount": "9" * 400}, 422, "bad_amount"),
        ({"revenue": "abc"}, 422, "bad_amount"),
        ({"transaction_id": ""}, 422, "missing_transaction_id"),
        ({"transaction_id": "a\0b"}, 422, "bad_transaction_id"),
        ({"transaction_id": "a\nb"}, 422, "bad_transaction_id"),
        ({"currency": "SEK", "transaction_id": ""}, 422, "unknown_currency"),
    ],
)
async def test_however_it_is_spelled_rubbish_is_kept_with_its_reason(
    visit, advertiser, rows, changed, status, reason
):
    order = {"goal": "sale", "transaction_id": "t-1", "amount": "10"}
    said_to_us = {"click_id": await visit(), **order, **changed}

    answer = await advertiser.report(**said_to_us)

    assert (answer.status_code, said(answer)) == (status, ("quarantined", reason))
    assert await rows("select outcome, reason from postbacks") == [
        {"outcome": "quarantined", "reason": reason}
    ]
    assert await rows("select count(*) from conversions") == [{"count": 0}]


async def test_a_status_mapped_to_ignored_is_answered_well(visit, client, rows):
    query = {
        "cid": await visit("bestdeals/game"),
        "secret": "another-token",
        "st": "test",
        "event": "e1",
    }
    answer = await client.get("/postback/globex", params=query)
    assert (answer.status_code, answer.text) == (200, "OK")
    assert await rows("select outcome from postbacks") == [{"outcome": "ignored"}]


@pytest.mark.parametrize("name", ["click_id", "amount", "transaction_id", "status"])
async def test_a_parameter_sent_twice_has_no_value_anyone_could_choose(
    visit, client, name
):
    order = {"goal": "sale", "transaction_id": "t-1", "amount": "10"}
    query = {"click_id": await visit(), "token": "s3cret-token", **order}
    answer = await client.get("/postback", params=[*query.items(), (name, "other")])
    assert said(answer)[0] == "quarantined"
    assert answer.status_code in {404, 422}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"[" * 5000, "application/json"),
        (b'{"click_id": {"a": [1, {"b": null}]}}', "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b"no boundary", "multipart/form-data"),
        (b"--x\r\nrubbish", "multipart/form-data; boundary=x"),
        (b"%zz=%&&=&;", "application/x-www-form-urlencoded"),
        (b"\x00\xff", "application/octet-stream"),
        (b'{"click_id": "\\ud800"}', "application/json"),
    ],
)
async def test_rubbish_in_a_body_is_answered_and_kept(client, rows, content, kind):
    answer = await client.post(
        "/postback", content=content, headers={"content-type": kind}
    )
    assert answer.status_code in {404, 422}
    assert said(answer)[0] == "quarantined"
    assert await rows("select count(*) from postbacks") == [{"count": 1}]


async def test_a_megabyte_is_too_large_and_its_beginning_kept(app, client, rows):
    junk = b"click_id=x&junk=" + b"y" * 1_000_000

    answer = await client.post("/postback", content=junk)
    status, _, body = await get_raw(app, "/postback", junk)

    assert said(answer) == ("quarantined", "too_large")
    assert (answer.status_code, status, json.loads(body)["reason"]) == (
        413,
        413,
        "too_large",
    )
    for row in await rows("select parameters from postbacks"):
        assert row["parameters"][0] == ["click_id", "x"]
        assert len(row["parameters"][1][1]) < 5000


async def test_a_bad_percent_sign_is_only_text(visit, client):
    click_id = await visit()
    answer = await client.get(
        f"/postback?click_id={click_id}&token=s3cret-token&x=%zz&%"
    )
    assert said(answer) == ("accepted", "")


async def test_a_poisoned_postback_does_not_fail_its_neighbours(
    visit, advertiser, at_once, monkeypatch
):
    """Three in one batch, of which the store will not take one."""
    good, bad = await visit(), await visit()
    row = conversions._postback_row

    def spoiled(judged):
        made = row(judged)
        return {**made, "path": "\0"} if judged.click_id == bad else made

    monkeypatch.setattr(conversions, "_postback_row", spoiled)
    answers = await at_once(
        advertiser.report(good), advertiser.report(bad), advertiser.report(good)
    )

    assert [answer.status_code for answer in answers] == [200, 500, 200]


async def test_half_a_body_is_not_judged(app, visit, rows):
    """An amount of 49.90 that was cut off is not an amount of 4."""
    body = f"click_id={await visit()}&token=s3cret-token&goal=sale&amount=4"
    messages = iter([
        {"type": "http.request", "body": body.encode(), "more_body": True},
        {"type": "http.disconnect"},
    ])  # fmt: skip
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/postback",
        "query_string": b"transaction_id=t-1",
        "headers": [(b"content-length", b"90")],
        "client": ("127.0.0.1", 40000),
    }

    async def receive():
        return next(messages)

    async def send(message):
        pass

    await app(scope, receive, send)
    assert await rows("select count(*) from postbacks") == [{"count": 0}]


async def test_an_update_beyond_the_limit_is_quarantined(visit, advertiser, rows):
    """Limits hold for what a conversion becomes, not only for what it was."""
    order = {"click_id": await visit(), "goal": "upsell", "amount": "4000"}

    await advertiser.report(**order, transaction_id="t-1")
    beyond = await advertiser.report(**order, transaction_id="t-2")

    assert said(beyond) == ("quarantined", "over_limit")
    assert await rows("select amount::int from conversions") == [{"amount": 4000}]


async def test_a_correction_without_a_status_leaves_the_status(visit, client, rows):
    """Neither is a pending sale approved by it, nor is it stale once approved."""
    mine = {"secret": "another-token", "order": "o-1", "event": "e2", "total": "10"}
    click_id = await visit("bestdeals/game")
    await client.get("/postback/globex", params={"cid": click_id, **mine})
    await client.get("/postback/globex", params=mine)
    assert await rows("select status from conversions") == [{"status": "pending"}]


async def test_a_sale_that_is_added_to_keeps_its_status(visit, advertiser, rows):
    order = {"click_id": await visit(), "goal": "upsell"}
    await advertiser.report(**order, amount="10", transaction_id="t-1")
    await advertiser.report(**order, amount="5", transaction_id="t-2")
    assert await rows("select status, amount::int from conversions") == [
        {"status": "approved", "amount": 15}
    ]


async def test_a_confirmation_adds_nothing(visit, advertiser, rows):
    """Networks send the same amount again with the status that settles it."""
    order = {"click_id": await visit(), "goal": "upsell", "amount": "100"}
    await advertiser.report(**order, status="pending")
    answer = await advertiser.report(**order, status="approved")
    assert said(answer)[0] == "updated"
    assert await rows("select status, amount::int from conversions") == [
        {"status": "approved", "amount": 100}
    ]


async def test_the_first_transaction_that_is_named_is_the_conversion_s_own(
    visit, advertiser, rows
):
    click_id = await visit()
    await advertiser.report(click_id)
    await advertiser.report(click_id, transaction_id="t-1")
    answer = await advertiser.report(click_id, transaction_id="t-2", status="rejected")

    assert said(answer) == ("duplicate", "other_transaction")
    assert await rows("select transaction_id from conversions") == [
        {"transaction_id": "t-1"}
    ]


@pytest.mark.parametrize(
    "said_in_json",
    [
        '{"auth": {"token": "s3cret-token"}}',
        '{"token": "s3cret-token", "token": "wr0ng-token"}',
        '{"token": "s3cret-token"',
        '{"pad": "%s", "token": "s3cret-token"}' % ("x" * 40_000),
        '{"secret": "s3cret-token"}',
    ],
)
@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded"]
)
async def test_no_spelling_of_a_token_is_kept(client, rows, said_in_json, kind):
    for route in ("", "/nobody", "/acme/s3cret-token"):
        await client.post(
            f"/postback{route}", content=said_in_json, headers={"content-type": kind}
        )
    everything = json.dumps(await rows("select * from postbacks"), default=repr)
    assert "s3cret-token" not in everything


async def test_a_token_that_is_sent_twice_is_nobody_s(visit, client):
    click_id = await visit()
    answer = await client.get(
        f"/postback?click_id={click_id}&token=s3cret-token&token=wrong"
    )
    assert said(answer) == ("quarantined", "bad_token")


async def test_a_member_that_is_repeated_is_unclear(visit, client):
    body = f'{{"click_id": "{await visit()}", "token": "s3cret-token", "goal": "sale",'
    body += '"transaction_id": "t-1", "amount": 1, "amount": 900}'
    answer = await client.post("/postback", content=body)
    assert said(answer) == ("quarantined", "bad_amount")


@pytest.mark.parametrize("name", ["amount", "revenue"])
async def test_an_amount_that_no_column_holds_is_a_bad_one(visit, advertiser, name):
    order = {"goal": "sale", "transaction_id": "t-1", "amount": "1", "currency": "EUR"}
    answer = await advertiser.report(await visit(), **{**order, name: "9" * 12})
    assert said(answer) == ("quarantined", "bad_amount")


async def test_a_hostile_body_is_judged_at_once(client):
    """Names that grow with every level, and lists in lists."""
    nested = "[" * 900 + ",".join(["1"] * 12_000) + "]" * 900
    names = '{"a":' * 900 + "1" + "}" * 900
    for body in (nested, names):
        started = time.perf_counter()
        answer = await client.post("/postback", content=body)
        assert time.perf_counter() - started < 0.2
        assert said(answer)[0] == "quarantined"


async def visit_through_another(settings, link):
    """The click id of a visitor that another process has sent on."""
    other = TrackerApp(settings)
    async with other.pages.router.lifespan_context(other.pages):
        transport = httpx.ASGITransport(other)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://other.test"
        ) as client:
            answer = await client.get(f"/c/{link}")
    return answer.headers["location"].partition("cid=")[2][:32]


async def test_a_click_of_a_newer_catalog_is_judged_by_it(
    settings, catalog_file, advertiser, rows
):
    """Another process has followed the edit already, and this one has not."""
    text = catalog_file.read_text()
    catalog_file.write_text(text + "  newcomer:\n    offers: [shoes]\n")
    click_id = await visit_through_another(settings, "newcomer/shoes")

    assert said(await advertiser.report(click_id)) == ("accepted", "")
    assert await rows("select partner from conversions") == [{"partner": "newcomer"}]


async def test_a_catalog_that_cannot_be_followed_fails_no_neighbour(
    settings, catalog_file, visit, advertiser, at_once, monkeypatch
):
    """This process was not given a secret that the newer version needs."""
    known = await visit()
    text = catalog_file.read_text().replace("${GLOBEX_TOKEN}", "${NEW_TOKEN}")
    catalog_file.write_text(text + "  newcomer:\n    offers: [shoes]\n")
    monkeypatch.setenv("NEW_TOKEN", "given to the other one")
    unknown = await visit_through_another(settings, "newcomer/shoes")

    answers = await at_once(advertiser.report(unknown), advertiser.report(known))

    assert [said(answer) for answer in answers] == [
        ("quarantined", "unknown_click"),
        ("accepted", ""),
    ]


async def test_a_token_at_the_cut_is_not_kept_in_half(client, rows):
    """Only the beginning is kept, and what is masked is masked before the cut."""
    body = '{"pad": "' + "x" * 4070 + '", "t": "s3cret-token"' + " " * 40_000
    await client.post("/postback", content=body)
    assert "s3c" not in json.dumps(await rows("select parameters from postbacks"))


async def test_a_large_query_does_not_run_into_its_body(client, rows):
    query = {"click_id": "a", "pad": "x" * 2000}
    await client.post("/postback", params=query, content="amount=1&" + "y" * 40_000)
    (row,) = await rows("select parameters from postbacks")
    assert ["amount", "1"] in row["parameters"]
