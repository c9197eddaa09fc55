"""What an admin decides about people, and what everybody decides alone."""

import asyncio
import re
from html import unescape

import pytest
from signed_in import PASSWORD

from tracker.console import audit

NEW = "another good password"


@pytest.fixture
async def admin(as_role):
    async with as_role("admin", name="root") as client:
        yield client


async def link_in(admin):
    """The first link that waits for somebody, as a path."""
    page = (await admin.get("/people")).text
    return re.search(r"http://\S+?(/invitations/[^<\s]+)", page)[1]


def person_in_list(page, name):
    return re.search(rf'href="(/people/\d+)"><span[^>]*>{re.escape(name)}<', page)[1]


async def test_an_invited_person_chooses_a_password_once(admin, browser):
    said = {"name": "Zoe@Example.com", "role": "operator"}
    assert (await admin.post("/people", data=said)).status_code == 303
    link = await link_in(admin)

    async with browser() as zoe:
        assert "zoe@example.com" in (await zoe.get(link)).text
        chosen = {"password": NEW, "again": NEW}
        answers = await asyncio.gather(
            zoe.post(link, data=chosen), zoe.post(link, data=chosen)
        )
        door = {"name": "ZOE@example.com", "password": NEW, "next": "/catalog"}
        entered = await zoe.post("/sign-in", data=door)
        catalog = await zoe.get("/catalog")
        people = await zoe.get("/people")

    assert sorted(one.status_code for one in answers) == [303, 404]
    assert (entered.status_code, entered.headers["location"]) == (303, "/catalog")
    assert (catalog.status_code, people.status_code) == (200, 403)
    assert "/invitations/" not in (await admin.get("/people")).text


async def test_a_partner_has_the_key_of_one_that_there_is(admin):
    said = {"name": "bea", "role": "partner", "partner": "nobody"}
    refused = await admin.post("/people", data=said)
    invited = await admin.post("/people", data={**said, "partner": "bestdeals"})

    assert refused.status_code == 422
    assert "no partner of that key" in refused.text
    assert invited.status_code == 303


@pytest.mark.parametrize(
    "name", ["", "x" * 81, "two words", "\u0430" * 3, "a\0" + "\u202e"]
)
async def test_a_name_that_could_be_another_s_is_refused(admin, name):
    answer = await admin.post("/people", data={"name": name, "role": "viewer"})

    assert answer.status_code == 422


async def test_a_forged_link_is_none(browser, runtime):
    async with browser() as stranger:
        for token in ("1", "1.AAAA", "%00", "x" * 500):
            answer = await stranger.get(f"/invitations/{token}")
            assert answer.status_code == 404, token


async def test_a_link_can_be_taken_back(admin, browser):
    await admin.post("/people", data={"name": "zoe", "role": "viewer"})
    link = await link_in(admin)
    taken = re.search(r"/people/links/\d+/revoke", (await admin.get("/people")).text)

    await admin.post(taken[0])

    async with browser() as zoe:
        assert (await zoe.get(link)).status_code == 404


async def test_of_several_links_for_one_name_the_last_serves(admin, browser):
    links = []
    for role in ("admin", "viewer"):
        await admin.post("/people", data={"name": "zoe", "role": role})
        links.append(await link_in(admin))

    async with browser() as zoe:
        answers = [await zoe.get(link) for link in links]
    assert [one.status_code for one in answers] == [404, 200]


async def test_who_was_ended_has_no_link_left_to_come_back_by(admin, as_role, browser):
    """One that was lost, say, before somebody gave them a password otherwise."""
    await admin.post("/people", data={"name": "vera", "role": "admin"})
    link = await link_in(admin)
    async with as_role("viewer", name="vera"):
        path = person_in_list((await admin.get("/people")).text, "vera")
    await admin.post(f"{path}/end")

    async with browser() as vera:
        answer = await vera.post(link, data={"password": NEW, "again": NEW})
    assert answer.status_code == 404


async def test_a_link_opens_nothing_else_that_has_its_number(admin, browser, rows):
    """A database that was restored from a backup gives numbers out again."""
    await admin.post("/people", data={"name": "zoe", "role": "viewer"})
    link = await link_in(admin)
    ((number,),) = await rows("delete from invitations returning id")
    sequence = "pg_get_serial_sequence('invitations', 'id')"
    await rows(f"select setval({sequence}, {number}, false)")
    await admin.post("/people", data={"name": "root2", "role": "admin"})

    async with browser() as zoe:
        assert (await zoe.get(link)).status_code == 404
        assert (await zoe.get(await link_in(admin))).status_code == 200


async def test_the_last_admin_stays(admin, as_role, rows):
    own = person_in_list((await admin.get("/people")).text, "root")
    alone = [
        await admin.post(f"{own}/end"),
        await admin.post(f"{own}/role", data={"role": "viewer"}),
    ]
    async with as_role("admin", name="second") as second:
        other = person_in_list((await admin.get("/people")).text, "second")
        await asyncio.gather(admin.post(f"{other}/end"), second.post(f"{own}/end"))

    assert [one.status_code for one in alone] == [409, 409]
    assert "last admin" in alone[0].text
    left = "select count(*) from people where role = 'admin' and ended_at is null"
    assert await rows(left) == [(1,)]


@pytest.mark.parametrize(
    ("action", "said"),
    [("end", {}), ("role", {"role": "operator"}), ("sessions/end", {})],
)
async def test_what_changes_a_person_ends_their_sessions(admin, as_role, action, said):
    async with as_role("viewer", name="vera") as vera:
        assert (await vera.get("/catalog")).status_code == 200
        path = person_in_list((await admin.get("/people")).text, "vera")

        assert (await admin.post(f"{path}/{action}", data=said)).status_code == 303

        after = await vera.get("/catalog")
    assert (after.status_code, after.headers["location"]) == (
        303,
        "/sign-in?next=/catalog",
    )


async def test_another_s_password_is_set_by_a_link_alone(admin, as_role, browser):
    async with as_role("viewer", name="vera") as vera:
        path = person_in_list((await admin.get("/people")).text, "vera")
        await admin.post(f"{path}/reset")
        assert (await vera.get("/catalog")).status_code == 200
        link = await link_in(admin)
        async with browser() as stranger:
            weak = {"password": "short", "again": "short"}
            differ = {"password": NEW, "again": PASSWORD}
            good = {"password": NEW, "again": NEW}
            said = [await stranger.post(link, data=one) for one in (weak, differ, good)]
        after = await vera.get("/catalog")

    assert [one.status_code for one in said] == [422, 422, 303]
    assert after.status_code == 303


async def test_who_was_ended_and_is_invited_again_is_the_same(
    admin, as_role, browser, rows
):
    async with as_role("viewer", name="vera"):
        path = person_in_list((await admin.get("/people")).text, "vera")
    await admin.post(f"{path}/end")

    await admin.post("/people", data={"name": "vera", "role": "operator"})
    async with browser() as vera:
        await vera.post(await link_in(admin), data={"password": NEW, "again": NEW})

    found = await rows("select id, role, ended_at from people where name = 'vera'")
    assert found == [(int(path.rpartition("/")[2]), "operator", None)]


async def test_my_password_takes_the_one_i_have(as_role, browser):
    async with as_role("viewer", name="vera") as vera:
        new = {"new": NEW, "again": NEW}
        wrong = await vera.post("/me/password", data={"old": "nonsense", **new})
        right = await vera.post("/me/password", data={"old": PASSWORD, **new})
        after = await vera.get("/me")
    async with browser() as again:
        entered = await again.post("/sign-in", data={"name": "vera", "password": NEW})

    assert (wrong.status_code, right.status_code) == (422, 303)
    assert (after.status_code, entered.status_code) == (303, 303)


async def test_a_session_is_no_way_to_guess_the_password(as_role):
    async with as_role("viewer", name="vera") as vera:
        said = {"old": "nonsense", "new": NEW, "again": NEW}
        tried = [await vera.post("/me/password", data=said) for _ in range(11)]
        right = await vera.post("/me/password", data={**said, "old": PASSWORD})

    assert [one.status_code for one in tried] == [422] * 10 + [429]
    assert right.status_code == 429


async def test_one_session_ends_and_the_others_stay(as_role):
    async with (
        as_role("viewer", name="vera") as here,
        as_role("viewer", name="vera") as there,
    ):
        ends = re.findall(r"/me/sessions/\w{64}/end", (await here.get("/me")).text)
        this = re.search(
            r"this one.*?(/me/sessions/\w+/end)",
            (await here.get("/me")).text,
            re.DOTALL,
        )
        (other,) = {*ends} - {this[1]}

        await here.post(other)

        assert (await here.get("/me")).status_code == 200
        assert (await there.get("/me")).status_code == 303


async def test_nobody_ends_a_session_of_another(as_role):
    async with (
        as_role("viewer", name="vera") as vera,
        as_role("operator", name="olga") as olga,
    ):
        (theirs,) = re.findall(r"/me/sessions/\w{64}/end", (await vera.get("/me")).text)

        assert (await olga.post(theirs)).status_code == 404
        assert (await vera.get("/me")).status_code == 200


async def test_a_token_is_shown_once_and_may_no_more_than_said(as_role, browser, rows):
    async with as_role("operator", name="olga") as olga:
        said = {"name": "reports", "days": "30", "scope": ["see", "own"]}
        made = await olga.post("/tokens", data=said)
        token = re.search(r'id="token">(tracker_[^<]+)<', made.text)[1]
        later = (await olga.get("/me")).text
        more = await olga.post("/tokens", data={**said, "scope": ["administer"]})
        revoke = re.search(r"/tokens/\d+/revoke", later)[0]
        async with browser({"authorization": f"Bearer {token}"}) as program:
            read = await program.get("/catalog")
            written = await program.get("/catalog/edit")
            person = await program.post("/tokens", data=said)
            await olga.post(revoke)
            revoked = await program.get("/catalog")

    assert token not in later
    assert more.status_code == 422
    statuses = [one.status_code for one in (read, written, person, revoked)]
    assert statuses == [200, 403, 403, 401]
    everything = await rows("select api_tokens::text from api_tokens")
    assert token.removeprefix("tracker_") not in str(everything)


async def test_a_token_loses_what_its_owner_loses(admin, as_role, browser):
    async with as_role("operator", name="olga") as olga:
        said = {"name": "editor", "days": "30", "scope": ["see", "edit"]}
        made = await olga.post("/tokens", data=said)
    token = re.search(r'id="token">(tracker_[^<]+)<', made.text)[1]
    path = person_in_list((await admin.get("/people")).text, "olga")

    await admin.post(f"{path}/role", data={"role": "viewer"})

    async with browser({"authorization": f"Bearer {token}"}) as program:
        assert (await program.get("/catalog")).status_code == 200
        assert (await program.get("/catalog/edit")).status_code == 403


@pytest.mark.parametrize(
    "said",
    [
        {"name": "", "days": "30", "scope": "own"},
        {"name": "x", "days": "0", "scope": "own"},
        {"name": "x", "days": "3650", "scope": "own"},
        {"name": "x", "days": "30"},
        {"name": "x", "days": "30", "scope": "everything"},
    ],
)
async def test_a_token_that_cannot_be_is_refused(as_role, said):
    async with as_role("viewer") as viewer:
        assert (await viewer.post("/tokens", data=said)).status_code == 422


async def test_all_of_it_is_in_the_audit_log(admin, operator):
    await operator.post("/tokens", data={"name": "<b>", "days": "1", "scope": "own"})
    await operator.post("/catalog/edit", data={"text": "x", "base": "", "do": "check"})
    await admin.post("/people", data={"name": "zoe", "role": "viewer"})

    page = (await admin.get("/audit")).text
    own = (await admin.get("/audit?who=ada")).text

    assert "<code>token.made</code>" in page
    assert "<code>save_edit</code>" in page
    assert "<code>person.invited</code>" in page
    assert "192.0.2.1" in page
    assert "<b>" not in page
    assert "person.invited" not in own


async def test_the_audit_log_goes_on_where_a_page_ends(admin, operator, monkeypatch):
    monkeypatch.setattr(audit, "ROWS", 1)
    for name in ("first", "second"):
        await operator.post("/tokens", data={"name": name, "days": "1", "scope": "own"})

    newest = (await admin.get("/audit?who=ada")).text
    older = unescape(re.search(r'<a[^>]* href="([^"]+)"[^>]*>Older', newest)[1])
    before = (await admin.get(older)).text

    assert ["second" in one for one in (newest, before)] == [True, False]
    assert ["first" in one for one in (newest, before)] == [False, True]


async def test_of_a_form_no_more_is_noted_than_what_was_done(operator, rows):
    """A postback that is tried may have a real token in it."""
    form = {"url": "/postback/acme?token=hunter22", "headers": "X-Key: hunter22"}
    await operator.post("/tester", data={**form, "do": "explain"})

    (noted,) = await rows("select audit_log::text from audit_log where action='try_it'")
    assert "do=explain" in noted[0]
    assert "hunter22" not in noted[0]


async def test_an_action_that_was_refused_is_not_noted_as_done(operator, rows):
    """Neither what raises, nor what answers with what was wrong."""
    form = {"text": "version: 1", "base": "", "do": "save"}
    missing = await operator.post("/deliveries/nothing/retry")
    conflict = await operator.post("/catalog/edit", data=form)

    assert (missing.status_code, conflict.status_code) == (404, 409)
    noted = "select from audit_log where action in ('retry', 'save_edit')"
    assert await rows(noted) == []
