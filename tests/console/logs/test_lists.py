"""The logs: what is listed, to whom, and how one goes on."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tracker.store import journal
from tracker.store.journal import ClickWanted, DeliveryWanted, PostbackWanted
from tracker.store.paging import Place

HOSTILE = "<img src=x onerror=alert(1)>\0\u202e" + "w" * 300


@pytest.fixture(scope="module")
async def sale(visit, report, deliver):
    """A click that was sold, and told of."""
    click_id = await visit(sub1="banner-7")
    outcome = await report(click_id, goal="sale", transaction_id="T-7", amount="50")
    await deliver()
    return click_id, outcome


@pytest.mark.parametrize(
    "path", ["/clicks", "/postbacks", "/conversions", "/deliveries", "/quarantine"]
)
async def test_every_log_shows_what_was_kept(viewer, sale, report, path):
    click_id, outcome = sale
    refused = await report(click_id, token="wrong")
    expected = {
        "/clicks": click_id,
        "/postbacks": outcome.postback_id,
        "/conversions": outcome.conversion_id,
        "/deliveries": outcome.conversion_id,
        "/quarantine": refused.postback_id,
    }

    answer = await viewer.get(path)

    assert answer.status_code == 200
    assert expected[path] in answer.text
    assert "the-token-of-acme" not in answer.text


@pytest.mark.parametrize(
    ("path", "fits", "not_"),
    [
        ("/clicks", "partner=bestdeals", "partner=rival"),
        ("/clicks", "advertiser=acme", "advertiser=nobody"),
        ("/clicks", "offer=shoes", "offer=hats"),
        ("/clicks", "class=visit", "class=test"),
        ("/clicks", "sub1=banner-7", "sub1=banner-8"),
        ("/clicks", "sub1=%20banner-7%20", "sub1=banner-7%00"),
        ("/clicks", "label=sub1&value=banner-7", "label=sub2&value=banner-7"),
        ("/clicks", "traffic=visit", "traffic=bot"),
        ("/clicks", "from=2024-01-01", "country=FR"),
        ("/clicks", "from=2024-01-01", "device=phone"),
        ("/clicks", "from=2024-01-01", "reason=capped"),
        ("/clicks", "from=2024-01-01", "to=2024-01-01"),
        ("/conversions", "partner=bestdeals", "partner=rival"),
        ("/conversions", "status=pending", "status=rejected"),
        ("/conversions", "advertiser=acme", "advertiser=globex"),
        ("/conversions", "goal=sale", "goal=lead"),
        ("/conversions", "offer=shoes", "offer=hats"),
        ("/conversions", "transaction=T-7", "transaction=T-8"),
        ("/conversions", "sub1=banner-7", "sub1=banner-8"),
        ("/conversions", "from=2024-01-01", "to=2024-01-01"),
        ("/postbacks", "outcome=accepted", "outcome=ignored"),
        ("/postbacks", "advertiser=acme", "advertiser=globex"),
        ("/postbacks", "transaction=T-7", "transaction=T-8"),
        ("/postbacks", "from=2024-01-01", "reason=capped"),
        ("/postbacks", "from=2024-01-01", "to=2024-01-01"),
        ("/deliveries", "state=delivered", "state=dead"),
        ("/deliveries", "partner=bestdeals", "partner=rival"),
        ("/deliveries", "postback=all", "postback=none"),
        ("/deliveries", "from=2024-01-01", "reason=expired"),
        ("/deliveries", "from=2024-01-01", "to=2024-01-01"),
    ],
)
async def test_each_filter_keeps_what_it_names(viewer, sale, path, fits, not_):
    click_id, outcome = sale
    ids = {
        "/clicks": click_id,
        "/postbacks": outcome.postback_id,
        "/conversions": outcome.conversion_id,
        "/deliveries": outcome.conversion_id,
    }

    kept = await viewer.get(f"{path}?{fits}")
    others = await viewer.get(f"{path}?{not_}")

    assert ids[path] in kept.text
    assert others.status_code == 200
    assert ids[path] not in others.text


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-13-01",
        "from=1999-12-31",
        "to=9999-12-31",
        "to=x",
        "class=nobody",
        "before=u",
        "after=%00",
    ],
)
async def test_what_cannot_be_understood_is_said(viewer, query):
    answer = await viewer.get(f"/clicks?{query}")

    assert answer.status_code == 400


async def test_the_last_day_is_included(viewer, sale):
    today = datetime.now(UTC).date()
    days = f"from={today - timedelta(days=1)}&to={today}"

    shown = await viewer.get(f"/clicks?{days}&sub1=banner-7")

    assert sale[0] in shown.text


async def test_the_last_answer_of_a_partner_stands_beside_its_delivery(viewer, sale):
    shown = await viewer.get("/deliveries?partner=bestdeals")

    assert re.search(r"200\b.*?\d+ ms", shown.text, re.DOTALL)


async def test_pages_go_on_without_a_gap_and_back(runtime, visit):
    ids = [await visit(sub2="pages") for _ in range(7)][::-1]
    wanted = ClickWanted(label=("sub2", "pages"))

    pages, place = [], Place(size=3)
    for _ in range(3):
        pages.append(await runtime.journal.list_clicks(wanted, place))
        place = Place(older_than=pages[-1].older, size=3)
    back = await runtime.journal.list_clicks(
        wanted, Place(newer_than=pages[1].newer, size=3)
    )

    assert [[one.id for one in page.rows] for page in pages] == [
        ids[:3],
        ids[3:6],
        ids[6:],
    ]
    assert (pages[0].newer, pages[2].older) == ("", "")
    assert [one.id for one in back.rows] == ids[:3]


async def test_a_search_in_the_dark_says_how_far_it_looked(
    runtime, viewer, visit, monkeypatch
):
    first = await visit(sub9="needle")
    for _ in range(4):
        await visit()
    few = replace(journal._CLICKS, at_most=3)
    monkeypatch.setattr(journal, "_CLICKS", few)
    wanted = ClickWanted(label=("sub9", "needle"))

    near = await runtime.journal.list_clicks(wanted)
    far = await runtime.journal.list_clicks(wanted, Place(older_than=near.older))
    shown = await viewer.get("/clicks?sub9=needle")

    assert (len(near.rows), near.looked_to is None) == (0, False)
    assert [one.id for one in far.rows] == [first]
    assert "Looked back as far as" in shown.text
    on = re.search(r'href="([^"]+)">Look further back', shown.text)
    assert first in (await viewer.get(on[1].replace("&amp;", "&"))).text


async def test_deliveries_owed_and_finished_are_one_list(
    runtime, visit, report, deliver
):
    """Three of each partner and offer: pages cross from one table to the other."""
    for _ in range(3):
        await report(await visit())
    await deliver()
    for _ in range(3):
        await report(await visit())

    pages, cursor = [], ""
    while True:
        page = await runtime.journal.list_deliveries(
            DeliveryWanted(), Place(older_than=cursor, size=5)
        )
        pages.append(page)
        cursor = page.older
        if not cursor:
            break

    listed = [(one.created_at, one.id) for page in pages for one in page.rows]
    assert len(set(listed)) == len(listed) >= 12
    assert listed == sorted(listed, reverse=True)
    await deliver()


async def test_hostile_values_are_text(viewer, visit, report):
    click_id = await visit(sub1=HOSTILE, **{"<b>": HOSTILE})
    await report(click_id, amount=HOSTILE, **{"<script>": HOSTILE})

    pages = [
        await viewer.get(path)
        for path in (
            "/clicks",
            "/postbacks",
            "/quarantine",
            f"/click/{click_id}",
            f"/clicks?sub1={HOSTILE[:28]}",
        )
    ]

    assert {page.status_code for page in pages} == {200}
    for page in pages:
        assert "<img" not in page.text
        assert "<script>" not in page.text.replace('<script src="', "")
        assert "\0" not in page.text
    assert "&lt;img src=x" in pages[0].text


def sums_in(text):
    """Numbers with two digits behind the point; seconds of a time have six."""
    return set(re.findall(r"(?<![\d:])\d+\.\d{2}(?!\d)", text))


async def test_a_partner_sees_its_own_rows_and_less_of_them(as_who, sale, visit):
    click_id, outcome = sale
    rivals = await visit("rival")
    own, rival = as_who("bestdeals"), as_who("rival")

    mine = {
        path: (await own.get(path)).text
        for path in ("/clicks", "/conversions", "/deliveries")
    }
    theirs = {
        path: (await rival.get(f"{path}?partner=bestdeals")).text
        for path in ("/clicks", "/conversions", "/deliveries")
    }

    assert click_id in mine["/clicks"]
    assert rivals not in mine["/clicks"]
    assert "192.0.2" not in mine["/clicks"]
    for text in mine.values():
        assert not re.search(r"\b(rival|hats|acme)\b", text.replace("acme.example", ""))
    assert outcome.conversion_id in mine["/conversions"]
    assert sums_in(mine["/conversions"]) & {"4.00", "6.00", "50.00"} == {"4.00"}
    assert outcome.conversion_id in mine["/deliveries"]
    assert "crm" not in mine["/deliveries"]
    assert rivals in theirs["/clicks"]
    for text in theirs.values():
        assert click_id not in text
        assert outcome.conversion_id not in text


async def test_quarantine_is_counted_by_reason(runtime, viewer, visit, report):
    click_id = await visit()
    for _ in range(3):
        await report(click_id, token="wrong")
    page = await runtime.journal.list_postbacks(
        PostbackWanted(outcome="quarantined", reason="bad_token"), Place(size=500)
    )

    shown = (await viewer.get("/quarantine?reason=bad_token")).text

    count = re.search(r"bad_token <strong>(\d+)</strong>", shown)[1]
    assert int(count) == len(page.rows) >= 3
    assert "compare the token it sends" in shown
