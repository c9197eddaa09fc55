"""Somebody is ended or changed while something is still done in their name."""

import pytest
from signed_in import STORED, person_in

from tracker.domain.errors import NotFoundError, RefusedChangeError
from tracker.domain.person import GRANTS, Actor, Person, Role, Standing
from tracker.flow.entry import make_token
from tracker.flow.people import (
    accept_invitation,
    change_standing,
    end_person,
    invite_person,
    reset_password,
)

ROOT = Actor("root")
PASSWORD = "another good password"


async def made_again(runtime, name):
    """Who was ended comes back, as a viewer."""
    url = await invite_person(runtime, name, Standing(Role.VIEWER), ROOT)
    await accept_invitation(runtime, url.rpartition("/")[2], PASSWORD, "")


async def test_a_token_made_while_its_owner_ends_never_serves(runtime):
    """The request was let in before, and writes after."""
    number = await person_in(runtime, "early", Role.VIEWER)
    early = Person(number, "early", Role.VIEWER, None, GRANTS[Role.VIEWER])
    await end_person(runtime, number, ROOT)

    with pytest.raises(NotFoundError):
        await make_token(
            runtime, early, {"name": "late", "days": "9"}, ["see"], Actor("early")
        )
    await made_again(runtime, "early")

    assert await runtime.tokens.list_tokens(number) == []


async def test_a_link_for_a_viewer_is_none_for_an_admin(runtime):
    """Who might choose a viewer's password may not choose an admin's by it."""
    number = await person_in(runtime, "riser", Role.VIEWER)
    known = await runtime.people.get(number)
    await change_standing(runtime, number, Role.ADMIN, "", ROOT)

    url = await reset_password(runtime, known, ROOT)
    with pytest.raises(NotFoundError):
        await accept_invitation(runtime, url.rpartition("/")[2], PASSWORD, "")

    assert (await runtime.people.get(number)).password_hash == STORED


async def test_who_was_ended_invites_nobody(runtime):
    """Their request was let in before, and the link would outlive them."""
    number = await person_in(runtime, "leaver", Role.ADMIN)
    await person_in(runtime, "stayer", Role.ADMIN)
    await end_person(runtime, number, ROOT)

    with pytest.raises(RefusedChangeError):
        await invite_person(
            runtime, "friend", Standing(Role.ADMIN), Actor("leaver", "", number)
        )

    waiting = await runtime.people.list_invitations()
    assert "friend" not in {one.name for one in waiting}
