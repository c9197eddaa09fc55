"""Whoever comes to whichever page gets what its declaration says, and nothing else."""

import re
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from signed_in import headers_in, person_in
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from tracker.console.app import PAGES, _route
from tracker.console.problems import API
from tracker.domain.person import GRANTS, Actor, Permission, Role
from tracker.store.audit import Deed

ROLES = tuple(Role)
SCOPES = tuple(Permission)


def _told(name):
    async def told(_):
        return PlainTextResponse(name)

    told.__name__ = name
    return told


@pytest.fixture(scope="module")
async def rooms(console):
    """Every page behind its guard; each says only which one it is."""
    app = Starlette(
        routes=[
            _route(replace(one, endpoint=_told(one.endpoint.__name__), notes=False))
            for one in PAGES
        ]
    )
    app.state.runtime = console.state.runtime
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://console.test"
    ) as client:
        yield client


def _visits() -> Iterator:
    for one in PAGES:
        for method in one.methods:
            yield one, method, re.sub(r"\{[^}]*\}", "1", one.path)


def _in(answer, declared):
    return (answer.status_code, answer.text) == (200, declared.endpoint.__name__)


async def _admitted(rooms, headers):
    """Each page, and whether it let that one in or refused."""
    for declared, method, path in _visits():
        answer = await rooms.request(method, path, headers=headers)
        yield declared, answer


async def test_a_stranger_sees_the_door_and_nothing_else(rooms):
    wrong = []
    async for declared, answer in _admitted(rooms, {"content-length": "0"}):
        if declared.needs is None:
            is_right = _in(answer, declared)
        elif declared.path.startswith(API):
            is_right = answer.status_code == 401
            is_right &= answer.headers["content-type"] == "application/problem+json"
        else:
            is_right = answer.status_code == 303
            is_right &= answer.headers["location"].startswith("/sign-in")
        if not is_right:
            wrong.append((declared.path, answer.status_code))

    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_gets_what_is_granted_to_it(rooms, runtime, role):
    partner = "bestdeals" if role is Role.PARTNER else None
    person_id = await person_in(runtime, f"one-{role}", role, partner)
    headers = await headers_in(runtime, person_id)

    wrong = []
    async for declared, answer in _admitted(rooms, headers):
        is_granted = declared.needs is None or declared.needs in GRANTS[role]
        is_right = _in(answer, declared) if is_granted else answer.status_code == 403
        if not is_right:
            wrong.append((declared.path, answer.status_code))

    assert wrong == []


@pytest.mark.parametrize("scope", SCOPES)
async def test_each_scope_gets_what_it_says_and_no_person_s_rooms(
    rooms, runtime, scope
):
    person_id = await person_in(runtime, "programmer", Role.ADMIN)
    token = f"tracker_token-for-{scope}"
    made = {"person_id": person_id, "name": "x", "scopes": [scope], "lifetime": "1 day"}
    await runtime.tokens.insert(token, made, Deed(Actor("test"), "token.made"))

    wrong = []
    async for declared, answer in _admitted(
        rooms, {"authorization": f"Bearer {token}"}
    ):
        is_granted = declared.needs is scope and declared.takes_token
        is_right = (
            _in(answer, declared)
            if is_granted or declared.needs is None
            else answer.status_code == 403
        )
        if not is_right:
            wrong.append((declared.path, answer.status_code))

    assert wrong == []


def test_what_is_about_people_takes_a_person():
    """
    A token that got into other hands must not choose a password, nor open pages.

    What the API lets a token for `administer` do gives no more than it may itself.
    """
    about = ("/me", "/tokens", "/people", "/sign-out")
    of_people = [one for one in PAGES if one.path.startswith(about)]

    assert len(of_people) > 10
    assert [one.path for one in of_people if one.takes_token] == []
    assert {one.needs for one in PAGES if one.path.startswith("/people")} == {
        Permission.ADMINISTER
    }


def test_strangers_are_let_in_where_they_must_be():
    open_to_all = {one.path for one in PAGES if one.needs is None}

    assert open_to_all <= {
        "/static/{name}",
        "/sign-in",
        "/invitations/{token}",
        "/healthz",
        "/api/v1/openapi.json",
    }
