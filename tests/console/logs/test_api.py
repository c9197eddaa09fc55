"""The API answers what its declarations say, and to each what is theirs."""

import re
from datetime import datetime
from decimal import Decimal

import jsonschema_rs
import pytest

from tracker.console.api.description import document
from tracker.console.api.index import CALLS
from tracker.domain.person import Permission

API = "/api/v1"
DESCRIPTION = document(CALLS, "http://console")
LISTS = [call.path for call in CALLS if call.is_list]
READS = [
    call
    for call in CALLS
    if call.method == "GET"
    and "{" not in call.path
    and call.answer_type == "application/json"
]
QUERIES = {
    "/links": {"partner": "bestdeals", "offer": "shoes"},
    "/find": {"id": "one"},
}


@pytest.fixture(scope="module")
async def sale(visit, report, deliver):
    """A click of bestdeals's that was a sale, and its partner told."""
    click = await visit(sub1="x")
    sold = await report(click, goal="sale", amount="50.00", transaction_id="one")
    await deliver()
    return click, sold.conversion_id


@pytest.fixture
async def admin(as_who):
    return as_who("admin")


@pytest.fixture
async def bestdeals(as_who):
    return as_who("bestdeals")


def fits(path, body, method="get"):
    """Whether the body is as the description says of that call."""
    answers = DESCRIPTION["paths"][path][method]["responses"]["200"]
    schema = answers["content"]["application/json"]["schema"]
    whole = {**schema, "components": DESCRIPTION["components"]}
    jsonschema_rs.validate(whole, body)
    return True


@pytest.mark.parametrize("call", READS, ids=lambda call: call.path)
async def test_a_call_answers_what_it_declares(admin, sale, call):
    answer = await admin.get(API + call.path, params=QUERIES.get(call.path))

    assert answer.status_code == 200, answer.text
    assert fits(call.path, answer.json())


@pytest.mark.parametrize(
    "asked",
    [
        "clicks?partner=rival&partner=bestdeals",
        "clicks?partner=",
        "clicks?sub1=x&sub2=y",
        "conversions?status=pending&status=approved",
        "report?period=",
        "overview?period=forever",
    ],
)
async def test_what_would_be_answered_with_something_else_is_refused(admin, asked):
    answer = await admin.get(f"{API}/{asked}")

    assert answer.status_code == 400, answer.text


async def test_dimensions_come_together_or_one_by_one(admin):
    together = await admin.get(f"{API}/report?by=partner,offer")
    one_by_one = await admin.get(f"{API}/report?by=partner&by=offer")

    assert together.json()["by"] == one_by_one.json()["by"] == ["partner", "offer"]


async def test_a_story_is_told_to_staff_and_to_its_partner(admin, bestdeals, sale):
    click, conversion = sale
    for path, one in (("clicks", click), ("conversions", conversion)):
        for client in (admin, bestdeals):
            answer = await client.get(f"{API}/{path}/{one}")
            assert fits(f"/{path}/{{id}}", answer.json())


async def test_a_partner_learns_neither_revenue_nor_address(bestdeals, sale):
    click, conversion = sale
    for path in (f"clicks/{click}", f"conversions/{conversion}", "clicks", "report",
                 "conversions", "deliveries"):  # fmt: skip
        answer = await bestdeals.get(f"{API}/{path}")
        assert answer.status_code == 200
        for word in ("revenue", "192.0.2", "advertiser", "margin"):
            assert word not in answer.text


@pytest.mark.parametrize("asked", [0, 1, "one", "x"])
async def test_an_id_leads_to_a_call_that_tells_of_it(bestdeals, as_who, sale, asked):
    named = {"id": sale[asked] if isinstance(asked, int) else asked}

    found = await bestdeals.get(f"{API}/find", params=named)
    told = await bestdeals.get(found.json()["path"])
    rival = as_who("rival")
    lead = await rival.get(f"{API}/find", params=named)
    theirs = await rival.get(lead.json().get("path", "/nothing"))

    assert sale[1] in told.text or sale[0] in told.text
    assert theirs.status_code == 404


async def test_a_lane_that_waits_is_listed_until_it_is_resumed(operator, runtime):
    lane = "bestdeals/all@paused.example"
    await runtime.lanes.pause(lane, "410")

    before = await operator.get(f"{API}/lanes")
    done = await operator.post(f"{API}/lanes/resume", json={"lane": lane})
    after = await operator.get(f"{API}/lanes")

    assert (done.status_code, lane in after.text) == (204, False)
    assert [one["lane"] for one in before.json()] == [lane]
    assert fits("/lanes", before.json())


async def test_what_is_anothers_is_not_there(bestdeals, visit):
    theirs = await visit("rival")

    answer = await bestdeals.get(f"{API}/clicks/{theirs}")
    asked = [
        await bestdeals.get(f"{API}/{path}", params={"partner": "rival"})
        for path in ("clicks", "conversions", "deliveries", "report")
    ]

    assert answer.status_code == 404
    assert [one.status_code for one in asked] == [400] * 4


@pytest.mark.parametrize(
    "call",
    [one for one in CALLS if one.needs is not Permission.OWN],
    ids=lambda one: f"{one.method} {one.path}",
)
async def test_a_partner_is_refused_what_is_for_staff(bestdeals, call):
    path = re.sub(r"\{[^}]*\}", "1", call.path)

    answer = await bestdeals.request(call.method, API + path)

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


async def test_cursors_pass_each_row_once_while_rows_come(admin, visit):
    before = {await visit(sub1="walk") for _ in range(5)}
    seen, cursor = [], None
    while True:
        asked = {"sub1": "walk", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get(f"{API}/clicks", params=asked)).json()
        seen += [row["id"] for row in page["items"]]
        await visit(sub1="walk")
        if not (cursor := page["next"]):
            break

    assert sorted(seen) == sorted(before)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "asked",
    [
        {"cursor": "\x00"},
        {"cursor": "zzz'--"},
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "00000000100000"},
        {"limit": "-1"},
        {"limit": "9" * 5000},
        {"limit": "٣"},
        {"limit": ""},
        {"limit": ["1", "2"]},
        {"cursor": ["", ""]},
        {"no_such": "1"},
    ],
    ids=lambda asked: str(asked)[:20],
)
async def test_a_place_that_is_none_is_said_to_be(admin, path, asked):
    answer = await admin.get(API + path, params=asked)

    assert answer.status_code == 400
    assert answer.json()["status"] == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 100_000, 422),
        (b"{", 400),
        (b"\xff", 400),
        (b'{"amount": 5}', 422),
        (b'{"amount": "-5"}', 422),
        (b'{"amount": "NaN"}', 422),
        (b'{"amount": "5\\u0000"}', 422),
        (b'{"amount": "5", "other": 1}', 422),
        (b'{"amount": "5", "amount": "6"}', 422),
        (b"{}", 422),
        (b"null", 422),
        (b'{"amount": "5", "note": "' + b"x" * 3_000_000 + b'"}', 413),
    ],
    ids=range(12),
)
async def test_a_body_that_cannot_be_is_a_problem(operator, sale, body, status):
    answer = await operator.post(
        f"{API}/conversions/{sale[1]}/adjust",
        content=body,
        headers={"content-type": "application/json"},
    )

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("nonsense", 415),
        ("Application/JSON; charset=utf-8", 422),
    ],
)
async def test_a_body_is_of_the_type_that_is_described(operator, sale, said, status):
    answer = await operator.post(
        f"{API}/conversions/{sale[1]}/adjust",
        content=b'{"amount": "no amount"}',
        headers={"content-type": said},
    )

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_form_of_ours_is_no_body_either(operator, sale):
    """The guard has read it then, to find the token of the form."""
    token = operator.headers.pop("x-csrf-token")

    answer = await operator.post(
        f"{API}/conversions/{sale[1]}/reject", data={"csrf": token}
    )

    assert answer.status_code == 415


async def test_decimals_are_text_and_times_are_utc(admin, sale):
    row = (await admin.get(f"{API}/conversions/{sale[1]}")).json()["conversions"][0]

    assert isinstance(row["payout"], str)
    assert Decimal(row["payout"]) == Decimal("4.00")
    assert row["clicked_at"].endswith("Z")
    assert datetime.fromisoformat(row["clicked_at"]).utcoffset().total_seconds() == 0


async def test_an_approval_is_done_and_noted(operator, admin, visit, report):
    sold = await report(
        await visit(), goal="sale", amount="10.00", transaction_id="to-approve"
    )
    path = f"{API}/conversions/{sold.conversion_id}"

    answer = await operator.post(f"{path}/approve", json={"note": "seen"})
    row = (await operator.get(path)).json()
    deeds = (await admin.get(f"{API}/audit", params={"action": "approved"})).json()

    assert answer.status_code == 204
    assert row["conversions"][0]["status"] == "approved"
    assert [one["about"] for one in deeds["items"]] == [f"{path}/approve"]


async def test_a_form_of_another_site_does_nothing(operator, sale):
    answer = await operator.post(
        f"{API}/conversions/{sale[1]}/reject", headers={"x-csrf-token": "no"}
    )

    assert answer.status_code == 403


async def test_a_catalog_is_put_only_over_what_was_read(operator):
    read = await operator.get(f"{API}/catalog")
    text, match = read.json()["text"], {"if-match": read.headers["etag"]}
    path, weak = f"{API}/catalog", {"if-match": f"W/{read.headers['etag']}"}

    faulty = await operator.put(path, content="version: 7", headers=match)
    put = await operator.put(path, content=text + "# one more\n", headers=weak)
    late = await operator.put(path, content=text + "# late\n", headers=match)
    blind = await operator.put(path, content=text)

    assert [one.status_code for one in (faulty, put, late, blind)] == [
        422, 200, 412, 428
    ]  # fmt: skip


async def test_an_earlier_catalog_is_restored_over_what_was_read(operator, admin):
    path, first = f"{API}/catalog", f"{API}/catalog/versions/1"
    read = await operator.get(path)
    match = {"if-match": read.headers["etag"]}
    await operator.put(path, content=read.json()["text"] + "# later\n", headers=match)
    now = {"if-match": (await operator.get(path)).headers["etag"]}

    late = await operator.post(f"{first}/restore", headers=match)
    blind = await operator.post(f"{first}/restore")
    never = await operator.post(f"{path}/versions/{10**12}/restore", headers=now)
    done = await operator.post(f"{first}/restore", headers=now)
    deeds = await admin.get(f"{API}/audit", params={"action": "restore_version"})

    said = [one.status_code for one in (late, blind, never, done)]
    texts = [(await operator.get(one)).json()["text"] for one in (path, first)]
    assert said == [412, 428, 404, 200]
    assert fits("/catalog/versions/{version}/restore", done.json(), "post")
    assert texts[0] == texts[1]
    assert deeds.json()["items"][0]["about"] == f"{first}/restore"


async def test_a_postback_is_explained_before_it_comes(operator):
    asked = {"partner": "bestdeals", "offer": "shoes"}
    answer = await operator.post(f"{API}/postbacks/explain", json=asked)

    assert answer.status_code == 200, answer.text
    assert fits("/postbacks/explain", answer.json(), "post")


async def test_a_release_says_what_came_of_it(operator, visit, report):
    held = await report(await visit(), goal="no-such", transaction_id="held")
    path = f"{API}/quarantine/{held.postback_id}/release"

    answer = await operator.post(path, json={})

    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"] == "quarantined"


async def test_several_are_released_at_once(operator, admin, visit, report):
    held = [await report(await visit(), token="wrong") for _ in range(2)]
    ids = [*(one.postback_id for one in held), "pb_nonsense\0"]
    path = f"{API}/quarantine/release"

    kept = await operator.post(path, json={"ids": ids[:1]})
    done = await operator.post(path, json={"ids": ids, "waive": "bad_token"})
    deeds = await admin.get(f"{API}/audit", params={"action": "release_several"})

    said = done.json()
    assert fits("/quarantine/release", said, "post")
    assert (kept.json()["stayed"], said["released"], said["stayed"]) == (1, 2, 1)
    assert [one["outcome"] for one in said["items"]] == ["accepted", "accepted", None]
    assert "pb_nonsense" in said["items"][2]["refused"]
    assert ids[1] in deeds.json()["items"][0]["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"ids": []}, 422),
        ({"ids": ["pb_1"] * 201}, 422),
        ({"ids": ["pb_1"], "waive": "everything"}, 422),
        ({"ids": ["pb_1"], "waive": ""}, 200),
    ],
)
async def test_no_more_is_released_than_a_page_would(operator, body, status):
    answer = await operator.post(f"{API}/quarantine/release", json=body)

    assert answer.status_code == status
