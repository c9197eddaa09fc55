"""A postback is tried in the browser; nothing is written, and no secret shown."""

import re
from html import unescape

import pytest
from desk_catalog import LITERAL, TOKEN

from tracker.domain.click import Visit
from tracker.flow.redirect import redirect_visitor

BESTDEALS = {"partner": "bestdeals", "offer": "shoes"}


def field(page, name):
    """What a field of the form says."""
    found = re.search(rf'name="{name}"[^>]*?value="([^"]*)"', page)
    if found:
        return unescape(found[1])
    return unescape(re.search(rf'<textarea[^>]*name="{name}"[^>]*>\n?(.*?)<', page)[1])


def text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


@pytest.fixture
async def made(operator):
    """The form with a made-up click, as a browser would send it."""
    page = (
        await operator.post("/tester", data={**BESTDEALS, "sub1": "ad-7", "do": "make"})
    ).text
    return {
        **BESTDEALS,
        "sub1": "ad-7",
        "made": field(page, "made"),
        "url": field(page, "url"),
        "do": "explain",
    }


async def written(rows):
    tables = ("clicks", "postbacks", "conversions", "deliveries")
    return [(await rows(f"select count(*) from {table}"))[0][0] for table in tables]


async def test_a_made_up_click_goes_from_postback_to_partner(
    operator, made, rows, inbox
):
    """Its labels reach the partner's call, and nothing is written anywhere."""
    assert f"click_id={made['made']}" in made["url"]
    assert "token=***" in made["url"]

    said = text(await operator.post("/tester", data=made))

    assert "it would make a conversion" in said
    assert "the advertiser's own token was taken" in said
    assert "token *** → token click" in said
    assert "cid=ad-7&status=approved&payout=2.5" in said
    assert "{sub1} ad-7 from the made-up click" in said
    assert "Would be told at once" in said
    assert await written(rows) == [0, 0, 0, 0]
    assert inbox.hits == []


async def test_a_link_leads_to_a_click_at_once(operator):
    page = (await operator.get("/tester", params=BESTDEALS)).text

    assert field(page, "made") in field(page, "url")


async def test_what_is_wrong_is_said_with_what_would_be_otherwise(operator, made):
    wrong = {**made, "url": made["url"].replace("token=***", "token=wrong-token")}

    answer = await operator.post("/tester", data=wrong)

    assert "quarantined: bad_token (HTTP 401)" in text(answer)
    assert "Nothing would change: nobody is told." in text(answer)
    assert "wrong-token" not in answer.text


@pytest.mark.parametrize(
    ("pasted", "kept"),
    [
        ({"url": "{url}&password=hunter22"}, "password=***"),
        ({"url": "/postback/acme?token=" + TOKEN}, "token=***"),
        ({"url": "/elsewhere?api_key=hunter22"}, "api_key=***"),
        ({"body": '{"token": "hunter22", "goal": "lead"}'}, '"token": "***"'),
        ({"body": "token=hunter22&goal=lead"}, "token=***&goal=lead"),
        ({"url": "/postback/acme?token=hunter22&note=hunter22"}, "note=***"),
        ({"body": "token=hunter22&note=hunter22"}, "note=***"),
        ({"headers": "Authorization: Bearer hunter22"}, "Authorization: Bearer ***"),
        ({"headers": "X-Api-Key: hunter22"}, "X-Api-Key: ***"),
        ({"url": "https://me:hunter22@x.example/postback"}, "https://***@x.example"),
    ],
)
async def test_what_was_pasted_is_shown_again_without_its_secrets(
    operator, made, pasted, kept
):
    said = {n: text.replace("{url}", made["url"]) for n, text in pasted.items()}

    answer = await operator.post("/tester", data={**made, **said})

    assert "hunter22" not in answer.text
    assert TOKEN not in answer.text
    assert kept in unescape(answer.text)


async def test_the_token_that_is_taken_never_stands_on_the_page(operator, made):
    """Nor does it for somebody who asks for it under another name."""
    sly = {**made, "url": f"{made['url']}&sub1=***&goal=***"}

    answer = await operator.post("/tester", data=sly)

    assert "the advertiser's own token was taken" in text(answer)
    assert TOKEN not in answer.text
    assert LITERAL not in answer.text
    assert "the-key-of-the-inbox" not in answer.text


async def test_a_real_click_is_known_by_its_id(operator, runtime):
    asked = Visit("bestdeals", "shoes", {"sub1": "real"})
    arrived = await redirect_visitor(runtime, asked)
    click_id = re.search(r"cid=(\w+)", arrived)[1]

    form = {"asked": click_id, "do": "explain"}
    page = (await operator.post("/tester", data=form)).text
    answer = await operator.post("/tester", data={**form, "url": field(page, "url")})

    assert "{sub1} real from the click" in text(answer)


async def test_a_test_is_really_sent_and_marked(operator, made, inbox, rows):
    answer = await operator.post("/tester", data={**made, "send": "all"})

    (hit,) = inbox.hits
    assert hit.target.startswith("/pb?cid=ad-7")
    assert hit.headers["X-Tracker-Test"] == "1"
    assert "Judged success" in text(answer)
    assert "the-key-of-the-inbox" not in answer.text
    assert await written(rows) == [0, 0, 0, 0]


async def test_who_may_not_act_sends_nothing(as_role, made, inbox):
    async with as_role("viewer") as viewer:
        shown = await viewer.post("/tester", data=made)
        refused = await viewer.post("/tester", data={**made, "send": "all"})

    assert "Send it once" not in shown.text
    assert "it would make a conversion" in text(shown)
    assert refused.status_code == 403
    assert inbox.hits == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"partner": "bestdeal", "offer": "shoes", "do": "make"}, "did you mean"),
        ({"do": "make"}, "Name a click, or a partner and an offer"),
        ({"asked": "nonsense", "do": "make"}, "A click id has 32 characters"),
        ({"asked": "cv_nobody", "do": "explain"}, "cv_nobody"),
        ({"asked": "pb_nobody", "do": "explain"}, "pb_nobody"),
        ({"url": "/c/x/y", "do": "explain"}, "is no postback"),
        (
            {**BESTDEALS, "made": "forged", "do": "explain", "url": "/postback"},
            "forged",
        ),
    ],
)
async def test_what_cannot_be_tried_is_said(operator, said, told):
    assert told in text(await operator.post("/tester", data=said))


async def test_hostile_text_is_text(operator):
    answer = await operator.post(
        "/tester",
        data={"url": '/postback?goal=</textarea><script>"\0', "do": "explain"},
    )

    assert "&lt;script&gt;" in answer.text
    assert "\0" not in answer.text
    assert "<script>" not in answer.text
