"""People with a session of their own, as the console itself would open it."""

from itertools import count

from argon2 import PasswordHasher

from tracker.domain.badge import Purpose
from tracker.domain.errors import NotFoundError
from tracker.domain.person import Actor, Role, Standing
from tracker.passwords import Passwords
from tracker.store.audit import Deed

PASSWORD = "correct horse battery staple"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
STORED = CHEAP.hash(PASSWORD)

_numbers = count(1)


async def person_in(runtime, name, role, partner=None):
    """The id of that person, who is made if there is none; the password is PASSWORD."""
    runtime.passwords = Passwords(CHEAP)
    try:
        return (await runtime.people.get_named(name)).id
    except NotFoundError:
        deed = Deed(Actor("test"), "person.added", name)
        standing = Standing(Role(role), partner)
        return await runtime.people.insert(name, standing, STORED, deed)


async def headers_in(runtime, person_id):
    """What a browser sends in which that person is signed in, a form's token too."""
    secret = f"the secret of session {next(_numbers)}"
    opened = {
        "person_id": person_id,
        "password_hash": (await runtime.people.get(person_id)).password_hash,
        "address": "192.0.2.1",
        "agent": "a browser",
    }
    deed = Deed(Actor("test"), "sign_in.accepted")
    await runtime.sessions.insert(secret, opened, deed)
    cookie = runtime.badges.sign(Purpose.SESSION, secret)
    return {
        "cookie": f"tracker_session={cookie}",
        "x-csrf-token": runtime.badges.form_token(secret),
    }
