"""A click's page, the pages of its parts, and how any id leads there."""

import re

import pytest

from tracker.domain.spelling import full_time
from tracker.flow.conclusion import conclude
from tracker.flow.erasure import erase_click
from tracker.flow.story import tell
from tracker.flow.trace import trace

FORGED = "2n1qabchncj0n5zq5dcttmgz00000000"


@pytest.fixture(scope="module")
async def life(visit, report, deliver, inbox, runtime):
    """A click that saw everything: refused, pending, approved, told badly and well."""
    await deliver()
    click_id = await visit(sub1="banner-9")
    refused = await report(click_id, token="wrong", transaction_id="L-1")
    inbox.answers.extend([500])
    sale = {"goal": "sale", "transaction_id": "L-1", "amount": "50"}
    outcome = await report(click_id, **sale)
    await report(click_id, **sale, status="approved")
    await deliver()
    owed = await runtime.reports.list_deliveries_of([outcome.conversion_id])
    return click_id, outcome, refused, owed


def words_of(page):
    """What a page says, as its reader has it."""
    text = re.sub(r"<[^>]+>", " ", re.sub(r"</?(?:code|a)\b[^>]*>", "", page.text))
    for entity, sign in (("&#39;", "'"), ("&#34;", '"'), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, sign)
    return " ".join(text.split())


async def test_a_page_tells_what_the_command_tells(viewer, runtime, life):
    click_id, *_ = life
    told = await trace(runtime, click_id)

    said = words_of(await viewer.get(f"/click/{click_id.upper()}"))

    for event in tell(told):
        assert event.headline in said
        for detail in event.details:
            assert " ".join(detail.split()) in said
    for one in conclude(told):
        assert one.sentence in said
        assert one.remedy.replace("`", "") in said


async def test_every_id_of_the_story_leads_to_its_page(viewer, life):
    click_id, outcome, refused, owed = life

    page = await viewer.get(f"/click/{click_id}")

    for leads in (
        f"/conversions/{outcome.conversion_id}",
        *(f"/postbacks/{one.postback_id}" for one in (outcome, refused)),
        *(f"/deliveries/{one.id}" for one in owed),
    ):
        assert f'<a href="{leads}">{leads.rpartition("/")[2]}</a>' in page.text


async def test_an_id_leads_nowhere_where_its_reader_may_not_go(as_who, viewer, life):
    click_id, outcome, *_ = life
    own = f"/conversions/{outcome.conversion_id}"

    told = await as_who("bestdeals").get(f"/click/{click_id}")
    alone = await viewer.get(own)

    assert f'href="{own}"' in told.text
    assert "/postbacks/" not in told.text
    assert f'href="{own}"' not in alone.text


async def test_it_says_what_is_owed_and_when(viewer, runtime, life):
    _, _, _, owed = life
    waits = [one for one in owed if one.due_at]

    said = words_of(await viewer.get(f"/click/{life[0]}"))

    assert waits
    for one in waits:
        assert f"next try {full_time(one.due_at)}" in said


async def test_an_attempt_can_be_tried_by_hand_without_its_secret(viewer, life):
    said = words_of(await viewer.get(f"/click/{life[0]}"))

    assert re.search(r"curl -sS -- '[^']*/pb\?cid=banner-9[^']*key=\*\*\*'", said)
    assert "hush-hush" not in said


async def test_a_delivery_can_be_sent_by_hand_whole(viewer, life):
    crm = next(one for one in life[3] if one.postback == "crm")

    said = words_of(await viewer.get(f"/deliveries/{crm.id}"))

    assert "curl -sS -X POST" in said
    assert f'--data-raw \'{{"id":"{life[1].conversion_id}"' in said.replace(
        "&#34;", '"'
    )
    assert "X-Key: ***" in said
    assert "hush-hush" not in said


@pytest.mark.parametrize("path", ["/click/{0}", "/conversions/{1}", "/deliveries/{2}"])
async def test_a_partner_sees_its_side_of_it(as_who, life, path):
    click_id, outcome, refused, owed = life
    own = [one for one in owed if one.partner == "bestdeals"]
    path = path.format(click_id, outcome.conversion_id, own[0].id)

    shown = await as_who("bestdeals").get(path)
    foreign = await as_who("rival").get(path)
    said = words_of(shown)

    assert (shown.status_code, foreign.status_code) == (200, 404)
    assert "payout 4.00" in said or "/pb?" in said
    for secret in (
        "192.0.2", "revenue", "amount 50", refused.postback_id, "offer:shoes", "/crm",
        "bad_token", "Approve", "Replay",
    ):  # fmt: skip
        assert secret not in said


async def test_a_delivery_to_others_is_not_there_for_a_partner(as_who, life):
    other = next(one for one in life[3] if one.partner == "offer:shoes")

    answers = [
        await as_who("bestdeals").get(f"/deliveries/{one}")
        for one in (other.id, "dl_" + "0" * 24)
    ]

    assert [one.status_code for one in answers] == [404, 404]
    assert answers[1].text == answers[0].text.replace(other.id, "dl_" + "0" * 24)


async def test_what_operators_noted_is_theirs(as_who, operator, visit, report):
    click_id = await visit()
    sale = await report(click_id)
    await operator.post(
        f"/conversions/{sale.conversion_id}/reject", data={"note": "looks like fraud"}
    )

    theirs = words_of(await operator.get(f"/click/{click_id}"))
    partners = words_of(await as_who("bestdeals").get(f"/click/{click_id}"))

    assert "looks like fraud" in theirs
    assert "rejected" in partners
    assert "looks like fraud" not in partners
    assert "olga" not in partners


async def test_a_partner_is_not_told_that_nobody_called(as_who, visit, report):
    """What is in quarantine is between the advertiser and us."""
    click_id = await visit()
    await report(click_id, token="wrong")

    said = words_of(await as_who("bestdeals").get(f"/click/{click_id}"))

    assert "No conversion has counted for it." in said
    for word in ("Nobody has reported", "quarantine", "To do", "tracker postback"):
        assert word not in said


async def test_what_is_to_be_done_is_for_operators(viewer, as_who, life):
    """Both what a story comes to and what each event of it asks for."""
    staff = words_of(await viewer.get(f"/click/{life[0]}"))
    partner = words_of(await as_who("bestdeals").get(f"/click/{life[0]}"))

    assert staff.count("To do:") > 2
    assert "bestdeals/all is not told yet" in partner
    assert "To do:" not in partner


async def test_parts_have_pages_of_their_own(viewer, life):
    _, outcome, refused, owed = life

    conversion = words_of(await viewer.get(f"/conversions/{outcome.conversion_id}"))
    postback = words_of(await viewer.get(f"/postbacks/{refused.postback_id}"))
    delivery = words_of(await viewer.get(f"/deliveries/{owed[0].id}"))

    assert "pending → approved" in conversion
    assert refused.postback_id not in conversion
    assert "quarantined: bad_token" in postback
    assert outcome.conversion_id not in postback
    assert "attempt" in delivery
    assert owed[1].id not in delivery


async def test_a_gap_has_its_remedy(viewer, visit, runtime):
    silent, erased = await visit(), await visit(sub1="private")
    await erase_click(runtime, erased, "olga")

    said = words_of(await viewer.get(f"/click/{silent}"))
    gone = words_of(await viewer.get(f"/click/{erased}"))

    assert "Nobody has reported anything for it." in said
    assert "ask the advertiser whether it has called" in said
    assert "all it told was erased by olga" in gone
    assert "private" not in gone


@pytest.mark.parametrize(
    ("asked", "leads"),
    [
        ("{click}", "/click/{click}"),
        (" {CLICK}\n", "/click/{click}"),
        ("https://shop.acme.example/?cid={click}&x=1", "/click/{click}"),
        ("https%3A%2F%2Fshop.example%2F%3Fcid%3D{click}", "/click/{click}"),
        ("{conversion}", "/conversions/{conversion}"),
        ("{CONVERSION}", "/conversions/{conversion}"),
        ("cv_ {rest}", "/conversions/{conversion}"),
        ("{postback}", "/postbacks/{postback}"),
        ("{delivery}", "/deliveries/{delivery}"),
        ("ch_{rest}", "/conversions/{conversion}"),
        ("L-1", "/conversions/{conversion}"),
        ("banner-9", "/click/{click}"),
    ],
)
async def test_any_id_leads_to_its_story(viewer, life, asked, leads):
    click_id, outcome, refused, owed = life
    names = {
        "click": click_id,
        "CLICK": click_id.upper(),
        "conversion": outcome.conversion_id,
        "CONVERSION": outcome.conversion_id.upper(),
        "rest": outcome.conversion_id.removeprefix("cv_"),
        "postback": refused.postback_id,
        "delivery": owed[0].id,
    }

    answer = await viewer.get("/find", params={"id": asked.format(**names)})

    assert answer.headers["location"] == leads.format(**names)


@pytest.mark.parametrize("asked", ["", "nothing", "<script>", "\0", "ch_" + "0" * 24])
async def test_what_is_not_there_is_said(viewer, asked):
    answer = await viewer.get("/find", params={"id": asked})

    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert "<script>" not in answer.text.replace('<script src="', "")


async def test_a_partner_finds_nothing_of_others(as_who, life):
    _, outcome, *_ = life
    rest = outcome.conversion_id.removeprefix("cv_")
    rival, own = as_who("rival"), as_who("bestdeals")

    answers = {
        asked: (await rival.get("/find", params={"id": asked})).status_code
        for asked in ("L-1", "banner-9", f"ch_{rest}")
    }
    found = await own.get("/find", params={"id": "L-1"})
    postback = await own.get("/find", params={"id": life[2].postback_id})

    assert {*answers.values(), postback.status_code} == {404}
    assert found.headers["location"] == f"/conversions/{outcome.conversion_id}"


async def test_an_id_that_is_nobodys_has_no_page(viewer):
    answers = [
        await viewer.get(path)
        for path in (
            f"/click/{FORGED}",
            "/click/x",
            "/conversions/pb_1",
            "/postbacks/x",
        )
    ]

    assert {one.status_code for one in answers} == {404}
