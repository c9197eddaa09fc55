"""Who is let in through the API; no token gives more than it may itself."""

import pytest
from signed_in import person_in

from tracker.domain.person import GRANTS, Actor, Permission, Person, Role
from tracker.flow.entry import make_token

API = "/api/v1"
ALL = sorted(Permission)


@pytest.fixture
async def with_token(runtime, as_who):
    """A program with a token of an admin's, for these scopes."""
    person_id = await person_in(runtime, "anna", Role.ADMIN)
    anna = Person(person_id, "anna", Role.ADMIN, None, GRANTS[Role.ADMIN])
    said = {"name": "program", "days": "1"}

    async def with_token(*scopes):
        token = await make_token(runtime, anna, said, scopes, Actor("anna"))
        program = as_who("stranger")
        program.headers["authorization"] = f"Bearer {token}"
        return program

    return with_token


async def id_of(program, name):
    people = (await program.get(f"{API}/people")).json()
    return next(one["id"] for one in people if one["name"] == name)


async def test_somebody_is_invited_and_chooses_a_password(with_token, as_who, runtime):
    program = await with_token(*ALL)

    made = await program.post(
        f"{API}/invitations", json={"name": "Ida", "role": "viewer"}
    )
    waiting = await program.get(f"{API}/invitations")
    path = made.json()["url"].removeprefix(runtime.settings.console_url)
    door = await as_who("stranger").get(path)

    (invited,) = [one for one in waiting.json() if one["name"] == "ida"]
    assert (made.status_code, door.status_code) == (201, 200)
    assert (invited["role"], invited["made_by"]) == ("viewer", "anna")
    assert path.rpartition("/")[2] not in waiting.text


async def test_a_link_is_taken_back(with_token, as_who, runtime):
    program = await with_token(*ALL)
    made = await program.post(
        f"{API}/invitations", json={"name": "lost", "role": "partner",
                                    "partner": "rival"}
    )  # fmt: skip
    (lost,) = [
        one
        for one in (await program.get(f"{API}/invitations")).json()
        if one["name"] == "lost"
    ]

    done = await program.post(f"{API}/invitations/{lost['id']}/revoke")
    again = await program.post(f"{API}/invitations/{lost['id']}/revoke")
    path = made.json()["url"].removeprefix(runtime.settings.console_url)
    door = await as_who("stranger").get(path)

    assert [done.status_code, again.status_code, door.status_code] == [204, 404, 404]


async def test_somebody_is_changed_signed_out_and_ended(with_token, runtime):
    await person_in(runtime, "nora", Role.VIEWER)
    program = await with_token(*ALL)
    path = f"{API}/people/{await id_of(program, 'nora')}"

    changed = await program.post(
        f"{path}/role", json={"role": "partner", "partner": "bestdeals"}
    )
    nobodys = await program.post(f"{path}/role", json={"role": "partner"})
    signed_out = await program.post(f"{path}/sign-out")
    link = await program.post(f"{path}/reset")
    ended = await program.post(f"{path}/end")
    nora = await runtime.people.get_named("nora")
    deeds = await program.get(f"{API}/audit", params={"who": "anna", "limit": 4})

    said = [one.status_code for one in (changed, nobodys, signed_out, link, ended)]
    assert said == [204, 409, 204, 201, 204]
    assert "/invitations/" in link.json()["url"]
    assert (nora.role, nora.partner) == ("partner", "bestdeals")
    assert nora.ended_at is not None
    assert [one["action"] for one in deeds.json()["items"]] == [
        "person.ended", "password.reset", "sessions.ended", "person.changed"
    ]  # fmt: skip


async def test_a_token_is_said_once_and_serves_until_it_is_revoked(with_token):
    program = await with_token("administer", "own", "see")

    made = await program.post(
        f"{API}/tokens", json={"name": "nightly", "scopes": ["own"], "days": 2}
    )
    token = made.json()["token"]
    listed = await program.get(f"{API}/tokens")
    (nightly,) = [one for one in listed.json() if one["name"] == "nightly"]
    header = {"authorization": f"Bearer {token}"}
    served = await program.get(f"{API}/me", headers=header)
    done = await program.post(f"{API}/tokens/{nightly['id']}/revoke")
    after = await program.get(f"{API}/me", headers=header)

    assert (made.status_code, served.json()["scopes"]) == (201, ["own"])
    assert token not in listed.text
    assert (done.status_code, after.status_code) == (204, 401)


@pytest.mark.parametrize("missing", ALL)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("invitations", {"name": "mallory", "role": "admin"}),
        ("people/{}/role", {"role": "admin"}),
        ("people/{}/reset", None),
        ("tokens", {"name": "more", "scopes": ALL, "days": 1}),
    ],
)
async def test_no_token_gives_more_than_it_may(
    with_token, runtime, path, body, missing
):
    """Neither to a token, nor to a person whose link or role it would choose."""
    admin = await person_in(runtime, "ada", Role.ADMIN)
    program = await with_token(*(one for one in ALL if one != missing))

    answer = await program.post(f"{API}/{path.format(admin)}", json=body)

    assert (answer.status_code, missing in answer.text) == (403, True)
    assert "invitations/" not in answer.text
    assert "tracker_" not in answer.text


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("invitations", {"name": "anna", "role": "viewer"}, 409),
        ("invitations", {"name": "a b", "role": "viewer"}, 409),
        ("invitations", {"name": "\0", "role": "viewer"}, 409),
        ("invitations", {"name": "x", "role": "king"}, 422),
        ("invitations", {"name": "x", "role": "partner", "partner": "\0"}, 409),
        ("invitations", {"name": "x" * 81, "role": "viewer"}, 422),
        ("invitations/" + "9" * 30 + "/revoke", None, 404),
        ("people/" + "9" * 30 + "/role", {"role": "viewer"}, 404),
        ("people/" + "9" * 30 + "/reset", None, 404),
        ("people/" + "9" * 30 + "/end", None, 404),
        ("tokens/" + "9" * 30 + "/revoke", None, 404),
        ("tokens", {"name": "x", "scopes": [], "days": 1}, 422),
        ("tokens", {"name": "x", "scopes": ["all"], "days": 1}, 422),
        ("tokens", {"name": "x", "scopes": ["own"], "days": 0}, 422),
        ("tokens", {"name": "x", "scopes": ["own"], "days": 367}, 422),
        ("tokens", {"name": "x", "scopes": ["own"], "days": "1"}, 422),
        ("tokens", {"name": "a\0b", "scopes": ["own"], "days": 1}, 409),
    ],
)
async def test_what_cannot_be_is_refused(with_token, path, body, status):
    program = await with_token(*ALL)

    answer = await program.post(f"{API}/{path}", json=body)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
