"""Who comes in by a password, and what keeps everybody else out."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from signed_in import CHEAP, PASSWORD, headers_in, person_in
from structlog.testing import capture_logs

from tracker.console.entrance import safe_next
from tracker.domain.attempts import Attempts
from tracker.domain.badge import Badges, Purpose
from tracker.domain.click_id import SigningKeys
from tracker.metrics import PASSWORDS_HASHED
from tracker.passwords import MAX_WAITING, Passwords
from tracker.store.people import PeopleStore
from tracker.store.postgres import make_pool
from tracker.store.sessions import SessionStore

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
SAFE_FETCH = {"sec-fetch-site": "same-origin", "origin": "http://console.test"}


@pytest.fixture(autouse=True)
def forgotten(runtime):
    """No test has the failures of another."""
    runtime.attempts = Attempts()


@pytest.fixture
async def vera(runtime):
    return await person_in(runtime, "vera", "viewer")


@pytest.fixture
async def operator(runtime, browser):
    person_id = await person_in(runtime, "olga", "operator")
    async with browser(await headers_in(runtime, person_id)) as client:
        yield client


def entering(client, name="vera", password=PASSWORD, **said):
    form = {"name": name, "password": password, **said}
    return client.post("/sign-in", data=form)


async def test_a_session_is_new_and_only_its_hash_is_kept(browser, vera, ask):
    async with browser() as client:
        first = await entering(client)
        one = client.cookies["tracker_session"]
        await entering(client)
        other = client.cookies["tracker_session"]

    cookie = first.headers.get_list("set-cookie")[0].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert one != other
    kept = str(await ask("select sessions::text from sessions"))
    assert one.partition(".")[0] not in kept
    assert PASSWORD not in str(await ask("select people::text from people"))


async def test_behind_tls_no_plain_connection_has_the_cookie(console, browser, vera):
    runtime = console.state.runtime
    plain = runtime.settings
    https = {"console_url": "https://console.example"}
    runtime.settings = plain.model_copy(update=https)
    try:
        async with browser() as client:
            answer = await entering(client)
    finally:
        runtime.settings = plain

    cookies = answer.headers.get_list("set-cookie")
    assert cookies
    for cookie in cookies:
        assert cookie.startswith("__Host-tracker_")
        assert "Secure" in cookie
        assert "Path=/;" in cookie
        assert "Domain" not in cookie


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "/ok\r\nSet-Cookie: x",
        " /ok",
        "",
        "/sign-in?next=/sign-in",
        "/" + "x" * 2001,
        "/é",
    ],
)
def test_nobody_is_led_away(wanted):
    assert safe_next(wanted) == "/"


async def test_who_came_for_a_page_gets_to_it(browser, vera):
    async with browser() as client:
        sent = await client.get("/catalog?show=offers&q=a%20b")
        door = await client.get(sent.headers["location"])
        entered = await entering(client, next="/catalog?show=offers&q=a%20b")

    assert (
        sent.headers["location"]
        == "/sign-in?next=/catalog%3Fshow%3Doffers%26q%3Da%2520b"
    )
    assert 'value="/catalog?show=offers&amp;q=a%20b"' in door.text
    assert entered.headers["location"] == "/catalog?show=offers&q=a%20b"


async def test_a_part_of_a_page_leads_the_whole_page_to_the_door(browser):
    headers = {
        "hx-request": "true",
        "hx-current-url": "http://console.test/report?by=a",
    }
    async with browser(headers) as client:
        answer = await client.get("/catalog")

    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/sign-in?next=/report%3Fby%3Da"


async def test_an_unknown_name_costs_what_a_wrong_password_costs(
    browser, runtime, vera, ask
):
    await person_in(runtime, "gone", "viewer")
    await ask("update people set ended_at = tracker_now() where name = 'gone'")
    said = []
    for name, password in (
        ("vera", "wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("vera", "x" * 5000),
    ):
        before = PASSWORDS_HASHED._value.get()
        async with browser(address=f"192.0.2.{len(said)}") as client:
            answer = await entering(client, name, password)
        hashed = PASSWORDS_HASHED._value.get() - before
        said.append((answer.status_code, "is wrong" in answer.text, hashed))

    assert said == [(403, True, 1)] * 4


def test_nobody_s_hash_costs_what_today_s_hashes_cost():
    hasher = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1)

    assert not hasher.check_needs_rehash(Passwords(hasher)._nobodys)


async def test_a_cheaper_hash_is_renewed_when_the_password_is_there(
    browser, runtime, vera, ask
):
    dearer = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    runtime.passwords = Passwords(dearer)
    async with browser() as client:
        first, second = await entering(client), await entering(client)
    runtime.passwords = Passwords(CHEAP)

    ((kept,),) = await ask("select password_hash from people where name = 'vera'")
    assert (first.status_code, second.status_code) == (303, 303)
    assert "m=16,t=2" in kept


async def test_no_more_wait_for_a_hash_than_there_is_memory_for(browser, runtime, vera):
    runtime.passwords = Passwords(CHEAP)
    runtime.passwords._waiting = MAX_WAITING
    async with browser() as client:
        answer = await entering(client)
    runtime.passwords = Passwords(CHEAP)

    assert (answer.status_code, "at once" in answer.text) == (503, True)


@pytest.mark.parametrize(
    "name", ["", "\0", "x" * 10_000, "\u202evera", "<script>", "a" * 79 + "é", "%00"]
)
async def test_hostile_names_are_names_that_nobody_has(browser, name):
    async with browser() as client:
        answer = await entering(client, name)

    assert answer.status_code == 403
    assert "<script>" not in answer.text.partition("<main")[2]


async def test_a_stranger_s_form_has_its_bounds(browser):
    async with browser() as client:
        large = await entering(client, password="x" * 20_000)
        chunked = await client.post("/sign-in", content=_chunks())

    assert (large.status_code, chunked.status_code) == (413, 413)


async def _chunks():
    yield b"name=vera&password="
    yield b"x" * 100


# ---------------------------------------------------------------------- guessing


async def test_guessing_ends_and_another_address_gets_in(browser, vera):
    async with browser(address="198.51.100.1") as stranger:
        tried = [
            (await entering(stranger, password="no")).status_code for _ in range(11)
        ]
        right = await entering(stranger)
    async with browser(address="198.51.100.2") as honest:
        entered = await entering(honest)

    assert tried == [403] * 10 + [429]
    assert right.status_code == 429
    assert 0 < int(right.headers["retry-after"]) <= 300
    assert entered.status_code == 303


async def test_many_tries_at_once_are_no_way_around_it(browser, vera):
    async with browser(address="198.51.100.3") as stranger:
        answers = await asyncio.gather(
            *(entering(stranger, password="no") for _ in range(15))
        )

    assert sorted(one.status_code for one in answers) == [403] * 10 + [429] * 5


async def test_a_browser_that_knows_the_name_is_not_kept_out(browser, vera):
    async with browser(address="198.51.100.4") as mine:
        await entering(mine)
        async with browser(address="198.51.100.4") as stranger:
            for number in range(60):
                stranger.headers["x-forwarded-for"] = f"203.0.113.{number}"
                await entering(stranger, password="no")
        entered = await entering(mine)

    assert entered.status_code == 303


def test_a_name_is_limited_over_all_addresses_for_those_who_do_not_know_it():
    attempts, now = Attempts(), datetime(2026, 11, 22, tzinfo=UTC)
    for number in range(50):
        attempts.begin(f"203.0.113.{number}", "vera", now, is_known=False)

    with pytest.raises(Exception, match="too many failures"):
        attempts.begin("198.51.100.1", "vera", now, is_known=False)
    attempts.begin("198.51.100.1", "vera", now, is_known=True)
    attempts.begin("198.51.100.1", "olga", now, is_known=False)
    later = now + timedelta(minutes=5)
    attempts.begin("198.51.100.1", "vera", later, is_known=False)


async def test_the_address_is_what_a_trusted_proxy_says(browser, vera, ask):
    async with browser({"x-forwarded-for": "198.51.100.9"}, address="10.0.0.1") as one:
        await entering(one, password="no")
    async with browser({"x-forwarded-for": "1.2.3.4"}, address="198.51.100.8") as liar:
        await entering(liar, password="no")

    noted = "select address from audit_log where action = %s order by id desc limit 2"
    assert await ask(noted, "sign_in.refused") == [("198.51.100.8",), ("198.51.100.9",)]


# ------------------------------------------------------------- sessions and forms


@pytest.mark.parametrize(
    "change",
    [
        {"x-csrf-token": ""},
        {"x-csrf-token": "nonsense"},
        {"x-csrf-token": b"\xff"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://console.test.evil.example"},
    ],
)
async def test_a_form_that_is_not_ours_does_nothing(operator, change):
    answer = await operator.post("/catalog/check", headers=change, data={"text": "x"})

    assert answer.status_code == 403


async def test_a_form_of_another_session_does_nothing(operator, runtime, vera):
    other = (await headers_in(runtime, vera))["x-csrf-token"]
    mine = operator.headers.pop("x-csrf-token")

    theirs = await operator.post("/catalog/check", data={"csrf": other, "text": "x"})
    ours = await operator.post("/catalog/check", data={"csrf": mine, "text": "x"})

    assert (theirs.status_code, ours.status_code) == (403, 200)


async def test_our_own_page_is_from_here(operator):
    answer = await operator.post(
        "/catalog/check", headers=SAFE_FETCH, data={"text": "x"}
    )

    assert answer.status_code == 200


async def test_nobody_is_signed_in_by_another_site(browser, vera):
    async with browser({"sec-fetch-site": "cross-site"}) as client:
        answer = await entering(client)

    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


async def test_signing_out_ends_the_session_in_the_store(operator):
    kept = dict(operator.headers)
    left = await operator.post("/sign-out")

    assert left.headers["location"] == "/sign-in"
    assert (await operator.get("/catalog", headers=kept)).status_code == 303


@pytest.mark.parametrize(
    "change",
    [
        "seen_at = tracker_now() - interval '12 hours 1 second'",
        "created_at = tracker_now() - interval '7 days 1 second'",
    ],
)
async def test_a_session_ends_by_itself(operator, ask, change):
    assert (await operator.get("/catalog")).status_code == 200

    await ask(f"update sessions set {change}")

    assert (await operator.get("/catalog")).status_code == 303


@pytest.mark.parametrize(
    "cookie", ["", "nonsense", "a.b", "x" * 5000, "\xe9", "secret of session 1.AAAA"]
)
async def test_a_cookie_that_we_did_not_sign_is_none(browser, cookie):
    async with browser(
        {"cookie": f"tracker_session={cookie}".encode("latin-1")}
    ) as one:
        assert (await one.get("/catalog")).status_code == 303


def test_what_is_signed_for_one_purpose_serves_no_other():
    keys = SigningKeys(1, {0: bytes(16), 1: bytes([1]) * 16})
    old, new = Badges(SigningKeys(0, {0: bytes(16)})), Badges(keys)
    signed = old.sign(Purpose.INVITATION, "7")

    assert new.read(Purpose.INVITATION, signed) == "7"
    assert new.read(Purpose.SESSION, signed) == ""
    assert old.read(Purpose.INVITATION, new.sign(Purpose.INVITATION, "7")) == ""


@pytest.mark.parametrize(
    "shown", ["", "nonsense", "tracker_" + "x" * 43, "\xff", "x" * 9000]
)
async def test_a_token_that_is_none_is_not_helped_by_a_cookie(operator, shown):
    header = {"authorization": f"Bearer {shown}".encode("latin-1")}

    answer = await operator.get("/catalog", headers=header)

    assert (answer.status_code, "www-authenticate" in answer.headers) == (401, True)


# --------------------------------------------------------------------- what is kept


async def test_with_the_store_away_nobody_is_let_in(console, browser, runtime, vera):
    headers = await headers_in(runtime, vera)
    people, sessions = runtime.people, runtime.sessions
    pool = make_pool(NOWHERE, size=1, kept=0, timeout=0.1)
    await pool.open(wait=False)
    runtime.people, runtime.sessions = PeopleStore(pool), SessionStore(pool)
    try:
        async with browser() as client:
            door, entered = await client.get("/sign-in"), await entering(client)
        async with browser(headers) as signed_in:
            inside = await signed_in.get("/catalog")
    finally:
        runtime.people, runtime.sessions = people, sessions
        await pool.close()

    assert [one.status_code for one in (door, entered, inside)] == [200, 503, 503]
    assert "nobody can be let in" in entered.text
    assert "set-cookie" not in entered.headers


async def test_no_secret_is_logged_or_noted(browser, vera, ask):
    with capture_logs() as said:
        async with browser() as client:
            await entering(client, password="a wrong password")
            await entering(client)
            session = client.cookies["tracker_session"]

    noted = str(await ask("select audit_log::text from audit_log"))
    events = [one["event"] for one in said]
    assert events == ["person.refused", "person.signed_in"]
    for secret in (PASSWORD, "a wrong password", session.partition(".")[0]):
        assert secret not in str(said)
        assert secret not in noted
