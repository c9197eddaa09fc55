"""The catalog as people see it, and edit it."""

import re
from html import unescape

import pytest
from desk_catalog import CATALOG, LITERAL, TOKEN

from tracker.console import catalog, wording


def hidden(text, name):
    return unescape(re.search(rf'name="{name}" value="([^"]*)"', text)[1])


def typed(text):
    """What stands in the editor, as a browser has it."""
    inner = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", text, re.DOTALL)[1]
    return unescape(inner)


async def edited(client, text, **form):
    page = (await client.get("/catalog/edit")).text
    return await client.post(
        "/catalog/edit",
        data={"text": text, "base": hidden(page, "base"), "do": "save", **form},
    )


async def test_what_is_in_force_is_said_in_words(as_role):
    async with as_role("viewer") as viewer:
        offers = (await viewer.get("/catalog")).text
        partners = (await viewer.get("/catalog?show=partners")).text
        advertisers = (await viewer.get("/catalog?show=advertisers")).text

    assert "is what is in force" in offers
    assert "2.50 USD" in offers
    assert "8 % of the amount" in offers
    assert "paused" in offers
    assert "changes: true" in partners
    assert "a token" in advertisers
    assert "/catalog/edit" not in offers


async def test_entries_are_searched_by_key_and_name(operator):
    page = (await operator.get("/catalog?show=partners&q=DEALS")).text

    assert "bestdeals" in page
    assert 'id="partners-quiet"' not in page


async def test_no_secret_stands_on_a_page_of_a_viewer_s(as_role, catalog_file):
    """Neither the values of references, nor what is written in the file itself."""
    catalog_file.write_text(CATALOG + "# another\n")
    shown = ("", "?show=partners", "?show=advertisers", "/versions/1?whole=1")
    async with as_role("viewer") as viewer:
        seen = "".join([(await viewer.get(f"/catalog{one}")).text for one in shown])
    async with as_role("operator") as operator:
        whole = (await operator.get("/catalog/versions/1?whole=1")).text

    assert "https://quiet.example/pb?token=***" in seen
    assert "api_key=***" in seen
    assert "a-literal-secret" not in seen
    assert LITERAL in whole
    assert "${ACME_TOKEN}" in seen
    assert TOKEN not in seen + whole
    assert "the-key-of-the-inbox" not in seen + whole


async def test_an_edit_is_put_in_force_to_the_byte(operator, catalog_file):
    page = (await operator.get("/catalog/edit")).text
    assert typed(page) == CATALOG

    answer = await edited(operator, typed(page).replace("name: Shoes", "name: Boots"))

    assert (answer.status_code, answer.headers["location"]) == (303, "/catalog?saved=2")
    assert catalog_file.read_text() == CATALOG.replace("name: Shoes", "name: Boots")
    after = (await operator.get("/catalog?saved=2")).text
    assert "Version 2 is in force" in after
    assert "by ada" in after
    assert "Boots" in after


async def test_faults_are_named_by_line_and_nothing_is_lost(operator, catalog_file):
    faulty = CATALOG.replace("2.50", "two <b>")

    answer = await edited(operator, faulty)

    assert answer.status_code == 422
    assert '<a href="#L16">line 16</a>' in answer.text
    assert 'id="L16"' in answer.text
    assert typed(answer.text) == faulty
    assert "<b>" not in answer.text
    assert catalog_file.read_text() == CATALOG


@pytest.mark.parametrize(("path", "form"), [
    ("/catalog/check", {}), ("/catalog/edit", {"do": "check"}),
])  # fmt: skip
async def test_a_text_is_checked_without_being_saved(
    operator, catalog_file, path, form
):
    page = (await operator.get("/catalog/edit")).text
    base = hidden(page, "base")

    good = await operator.post(path, data={"text": CATALOG, "base": base, **form})
    bad = await operator.post(path, data={"text": "version: 2", "base": base, **form})

    assert "It is good" in good.text
    assert "#L1" in bad.text
    assert (await operator.get("/catalog/versions/2")).status_code == 404


async def test_after_somebody_else_s_edit_both_are_shown(operator, catalog_file):
    """Pressing the button again is not enough: they have to be seen first."""
    page = (await operator.get("/catalog/edit")).text
    mine = CATALOG.replace("name: Shoes", "name: Mine")
    theirs = CATALOG.replace("name: Acme\n", "name: Theirs\n")
    assert (await edited(operator, theirs)).status_code == 303

    form = {"text": mine, "base": hidden(page, "base"), "do": "save"}
    conflict = await operator.post("/catalog/edit", data=form)
    again = {**form, "base": hidden(conflict.text, "base")}
    again = await operator.post("/catalog/edit", data=again)

    assert (conflict.status_code, again.status_code) == (409, 409)
    assert typed(again.text) == mine
    assert "name: Theirs" in unescape(again.text)
    assert catalog_file.read_text() == theirs
    seen = {**form, "seen": hidden(again.text, "seen")}
    assert (await operator.post("/catalog/edit", data=seen)).status_code == 303
    assert catalog_file.read_text() == mine


async def test_the_difference_to_the_file_is_shown(operator, catalog_file):
    catalog_file.write_text(CATALOG.replace("payout: 2.50", "payout: lots"))

    page = (await operator.get("/catalog")).text

    assert "is newer than what is in force" in page
    assert "payout: lots" in page
    assert "line 16" in page


async def test_history_says_who_and_when_and_what(operator):
    await edited(operator, CATALOG.replace("name: Shoes", "name: Boots"))

    history = (await operator.get("/catalog/versions")).text
    second = (await operator.get("/catalog/versions/2")).text

    assert "ada" in history
    assert "outside the console" in history
    assert "+     name: Boots" in second
    assert "−     name: Shoes" in second  # noqa: RUF001 - as it is written


async def test_an_earlier_version_is_restored_with_one_click(operator, catalog_file):
    await edited(operator, CATALOG.replace("name: Shoes", "name: Boots"))
    page = (await operator.get("/catalog/versions/1")).text

    answer = await operator.post(
        "/catalog/versions/1/restore", data={"base": hidden(page, "base")}
    )

    assert answer.headers["location"] == "/catalog?saved=3"
    assert catalog_file.read_text() == CATALOG


async def test_a_stale_restore_is_refused(operator, catalog_file):
    await edited(operator, CATALOG.replace("name: Shoes", "name: Sandals"))
    page = (await operator.get("/catalog/versions/1")).text
    await edited(operator, CATALOG.replace("name: Shoes", "name: Boots"))

    answer = await operator.post(
        "/catalog/versions/1/restore", data={"base": hidden(page, "base")}
    )

    assert answer.status_code == 409
    assert "Boots" in catalog_file.read_text()


def followed(page):
    """Where the pager of a page goes on."""
    return unescape(re.search(r'<a[^>]* href="([^"]+)"[^>]*>Older', page)[1])


async def test_entries_and_versions_go_on_where_a_page_ends(operator, monkeypatch):
    monkeypatch.setattr(wording, "PER_PAGE", 2)
    monkeypatch.setattr(catalog, "VERSIONS_PER_PAGE", 1)
    await edited(operator, CATALOG.replace("name: Shoes", "name: Boots"))
    first, newest = "/catalog?show=offers", "/catalog/versions"

    pages = [(await operator.get(one)).text for one in (first, newest)]
    others = [(await operator.get(followed(one))).text for one in pages]

    keys = [re.findall(r'id="offers-(\w+)"', one) for one in (pages[0], others[0])]
    assert keys == [["abroad", "hats"], ["shoes"]]
    assert ["ada" in one for one in (pages[1], others[1])] == [True, True]
    assert ["outside the console" in one for one in (pages[1], others[1])] == [
        False, True
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["7", "x", "-1", "\u00b2", "9" * 5000, f"{2**31}"])
async def test_a_version_that_never_was_is_not_found(operator, version):
    assert (await operator.get(f"/catalog/versions/{version}")).status_code == 404
