"""What a postback must prove, over HTTP and on real stores."""

import hashlib
import hmac
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import pytest
from cast import TOKEN

from tracker.cli.story import postback_document
from tracker.domain import suspicion
from tracker.domain.advertiser import Auth, Reply, Signature
from tracker.domain.identity import new_postback_id
from tracker.domain.judgement import witness
from tracker.domain.outcome import Reason
from tracker.domain.postback import Postback
from tracker.domain.signature import Call, Message, sign, signature_header
from tracker.flow.postback import accept_postback
from tracker.flow.quarantine import Pardon, release_postback
from tracker.flow.story import tell_postback
from tracker.web.app import TrackerApp
from tracker.web.query import read_pairs

KEY = "the-key-of-initech"
NEXT_KEY = "the-next-key-of-initech"
PATH = "/postback/initech"
SECOND = timedelta(seconds=1)


def said(answer):
    body = answer.json()
    return answer.status_code, body["status"], body["reason"]


@pytest.fixture
def signed(client):
    """Initech's server: signs, and sends what it has signed."""
    numbers = count()

    async def signed(  # each has its default
        said, *, key=KEY, nonce=None, late=0, client=client, path=PATH, signature=None
    ):
        query = str(httpx.QueryParams(said))
        nonce = nonce or f"nonce-{next(numbers):04}"
        message = Message(str(int(time.time()) - late), nonce, path, query, b"")
        header = signature_header(message, signature or sign(key, message))
        return await client.get(
            f"{path}?{query}", headers={"tracker-signature": header}
        )

    return signed


@pytest.mark.parametrize("key", [KEY, NEXT_KEY])
async def test_either_of_two_live_keys_proves_a_call(visit, signed, key):
    click_id = await visit("bestdeals/tools")
    assert said(await signed({"click_id": click_id}, key=key)) == (200, "accepted", "")


async def test_behind_the_query_a_signature_proves_as_much(visit, client):
    query = f"click_id={await visit('bestdeals/tools')}"
    now = int(time.time())
    made = sign(KEY, Message(str(now), "nonce-1234", "/postback", query, b""))
    signed = f"{query}&timestamp={now}&nonce=nonce-1234&signature={made}"
    assert said(await client.get(f"/postback?{signed}")) == (200, "accepted", "")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"key": "the-key-of-somebody-else"}, "bad_signature"),
        ({"signature": "0" * 64}, "bad_signature"),
        ({"late": 303}, "stale_signature"),
        ({"late": -303}, "stale_signature"),
    ],
)
async def test_what_is_not_proven_is_kept_and_its_nonce_is_not(
    visit, signed, rows, wrong, reason
):
    """Else a stranger could use up the nonces of an honest sender."""
    lead = {"click_id": await visit("bestdeals/tools")}

    refused = await signed(lead, nonce="nonce-of-it", **wrong)
    assert await rows("select count(*) from nonces") == [{"count": 0}]
    honest = await signed(lead, nonce="nonce-of-it")

    assert said(refused) == (401, "quarantined", reason)
    assert said(honest) == (200, "accepted", "")


async def test_without_a_signature_nothing_is_proven(visit, client):
    query = {"click_id": await visit("bestdeals/tools"), "token": TOKEN}
    answer = await client.get(PATH, params=query)
    assert said(answer) == (401, "quarantined", "bad_signature")


async def test_a_signature_serves_for_its_own_path_only(visit, signed, client):
    lead = {"click_id": await visit("bestdeals/tools")}
    answer = await signed(lead, path="/postback")
    header = answer.request.headers["tracker-signature"]

    moved = await client.get(PATH, params=lead, headers={"tracker-signature": header})

    assert said(moved) == (401, "quarantined", "bad_signature")


async def test_a_key_proves_nothing_for_another_advertiser_s_click(visit, signed, rows):
    shoes = {"click_id": await visit("bestdeals/shoes")}

    own_route = await signed(shoes)
    generic = await signed(shoes, path="/postback")

    assert said(own_route) == (403, "quarantined", "wrong_advertiser")
    assert said(generic) == (401, "quarantined", "missing_token")
    assert await rows("select count(*) from conversions") == [{"count": 0}]


async def test_an_advertiser_that_this_process_has_not_heard_of_yet_is_proven_too(
    visit, signed, runtime
):
    """Another one followed an edit sooner, and sent the visitor."""
    click_id = await visit("bestdeals/tools")
    runtime.catalog = replace(runtime.catalog, version=0, advertisers={}, offers={})

    answer = await signed({"click_id": click_id}, path="/postback")

    assert said(answer) == (200, "accepted", "")


@pytest.mark.parametrize("path", ["/postback", PATH])
async def test_a_signature_that_an_edit_asks_for_meanwhile_counts(
    visit, signed, runtime, path
):
    """Heard by the catalog of before, and judged by that of now."""
    click_id = await visit("bestdeals/tools")
    fall_behind(runtime, "initech")

    answer = await signed({"click_id": click_id}, path=path)

    assert said(answer) == (200, "accepted", "")


async def test_so_does_one_of_an_advertiser_s_own_making(visit, client, runtime):
    click_id = await visit("bestdeals/masks")
    made = hashlib.md5(f"{click_id}10a-pinch-of-salt".encode()).hexdigest()
    fall_behind(runtime, "umbrella")

    query = {"cid": click_id, "total": 10, "check": made, "token": TOKEN}
    answer = await client.get("/postback/umbrella", params=query)

    assert said(answer) == (200, "accepted", "")


def fall_behind(runtime, advertiser):
    """To where nobody had to sign, and the offers were not there."""
    own = replace(runtime.catalog.advertisers[advertiser], auth=Auth(none=True))
    advertisers = {advertiser: own}
    runtime.catalog = replace(
        runtime.catalog, version=0, advertisers=advertisers, offers={}
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "signed for initech: hmac held"),
        ({"late": 400}, "signed for initech: hmac held, but not in time"),
        ({"signature": "0" * 64}, "signed for initech: nothing held"),
    ],
)
async def test_its_story_says_what_was_proven(visit, signed, runtime, wrong, told):
    answer = await signed({"click_id": await visit("bestdeals/tools")}, **wrong)

    postback = await runtime.reports.get_postback(answer.json()["postback_id"])

    (arrival,) = tell_postback(postback)
    assert told in arrival.details
    assert told.endswith("in time") is postback_document(postback)["proof"]["is_stale"]


# ------------------------------------------------------------------------- nonces


async def test_a_retry_with_its_nonce_gets_the_first_answer(
    visit, signed, rows, partner, run_worker_once
):
    """Even where every postback counts, and a second one would be paid."""
    refill = {"click_id": await visit("bestdeals/tools"), "goal": "refill"}

    first = await signed(refill, nonce="refill-1")
    again = await signed(refill, nonce="refill-1")
    other = await signed(refill, nonce="refill-2")
    await run_worker_once()

    assert first.json() == again.json()
    assert said(other) == (200, "accepted", "")
    assert len(partner.told) == 2
    found = await rows("select outcome, reason from postbacks order by received_at")
    assert [tuple(row.values()) for row in found] == [
        ("accepted", ""),
        ("duplicate", "repeated"),
        ("accepted", ""),
    ]


async def test_across_midnight_a_nonce_is_the_same(visit, runtime, rows):
    """Its sender came back after a restart, and signed it anew."""
    query = f"click_id={await visit('bestdeals/tools')}&goal=refill"
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    midnight = datetime.combine(tomorrow, datetime.min.time(), UTC)

    first = await accept_postback(runtime, signed_at(runtime, midnight - SECOND, query))
    again = await accept_postback(runtime, signed_at(runtime, midnight + SECOND, query))

    assert first == again
    assert first.verdict == "accepted"
    assert await rows("select count(*) from conversions") == [{"count": 1}]


def signed_at(runtime, at, query):
    """Initech's refill with its own nonce, as it arrives at that time."""
    message = Message(str(int(at.timestamp())), "refill-1842", PATH, query, b"")
    header = signature_header(message, sign(KEY, message))
    parameters = read_pairs(query)
    postback = Postback(
        id=new_postback_id(at),
        received_at=at,
        method="GET",
        path=PATH,
        address="",
        route="initech",
        parameters=tuple(parameters),
    )
    call = Call("", PATH, query, header=header, route="initech", parameters=parameters)
    return witness(postback, call, runtime.rules())


async def test_a_nonce_serves_for_one_content(visit, signed, rows):
    lead = {"click_id": await visit("bestdeals/tools")}
    await signed({**lead, "status": "pending"}, nonce="nonce-of-one")

    answer = await signed({**lead, "status": "approved"}, nonce="nonce-of-one")

    assert said(answer) == (409, "quarantined", "replayed")
    assert await rows("select status from conversions") == [{"status": "pending"}]


async def test_what_was_wrong_is_as_wrong_when_it_comes_again(visit, signed):
    wrong = {"click_id": await visit("bestdeals/tools"), "amount": "abc"}

    first = await signed(wrong, nonce="nonce-of-it")
    again = await signed(wrong, nonce="nonce-of-it")

    assert first.json() == again.json()
    assert said(first) == (422, "quarantined", "bad_amount")


async def test_the_same_call_many_times_at_once_is_one(visit, signed, at_once, rows):
    """In one batch, and between two processes."""
    refill = {"click_id": await visit("bestdeals/tools"), "goal": "refill"}

    answers = await at_once(*(signed(refill, nonce="at-once-1") for _ in range(16)))

    assert len({answer.content for answer in answers}) == 1
    assert said(answers[0]) == (200, "accepted", "")
    assert await rows("select count(*) from conversions") == [{"count": 1}]


async def test_the_constraint_decides_which_process_was_first(
    visit, signed, settings, at_once, rows, client
):
    refill = {"click_id": await visit("bestdeals/tools"), "goal": "refill"}
    other = TrackerApp(settings)
    async with (
        other.pages.router.lifespan_context(other.pages),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(other), base_url="http://other.test"
        ) as second,
    ):
        both = [(one, f"nonce-{n:04}") for n in range(8) for one in (client, second)]
        answers = await at_once(
            *(signed(refill, client=one, nonce=nonce) for one, nonce in both)
        )

    told = [answer.json()["conversion_id"] for answer in answers]
    assert {answer.status_code for answer in answers} == {200}
    assert told[::2] == told[1::2]
    assert await rows("select count(*) from conversions") == [{"count": 8}]


async def test_nonces_of_two_advertisers_have_nothing_to_do_with_each_other(
    visit, signed, runtime, rows
):
    lead = {"click_id": await visit("bestdeals/tools")}
    await signed(lead, nonce="nonce-of-one")
    async with runtime.pool.connection() as connection:
        await connection.execute("update nonces set advertiser = 'acme'")

    answer = await signed({**lead, "status": "rejected"}, nonce="nonce-of-one")

    assert said(answer) == (200, "updated", "")


# ------------------------------------------------------------------ as of its arrival


async def test_a_release_judges_by_what_was_proven_at_arrival(
    visit, signed, runtime, rows
):
    """The signature is gone, and an hour old by now: that it held is kept."""
    wrong = {"click_id": await visit("bestdeals/tools"), "goal": "nothing"}
    answer = await signed(wrong)
    postback_id = answer.json()["postback_id"]
    async with runtime.pool.connection() as connection:
        await connection.execute(
            "update postbacks set parameters ="
            " jsonb_set(parameters, '{1,1}', '\"lead\"')"
        )

    outcome = await release_postback(runtime, postback_id, Pardon("ann"))

    assert outcome.verdict == "accepted"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"key": "the-key-of-somebody-else"}, Reason.BAD_SIGNATURE),
        ({"late": 400}, Reason.STALE_SIGNATURE),
    ],
)
async def test_a_signature_can_be_waived(visit, signed, runtime, wrong, reason):
    answer = await signed({"click_id": await visit("bestdeals/tools")}, **wrong)
    postback_id = answer.json()["postback_id"]

    still = await release_postback(runtime, postback_id, Pardon("ann"))
    waived = await release_postback(runtime, postback_id, Pardon("ann", waived=reason))

    assert (still.reason, waived.verdict) == (reason, "accepted")


async def test_a_replayed_one_stays_so(visit, signed, runtime):
    lead = {"click_id": await visit("bestdeals/tools")}
    await signed({**lead, "status": "pending"}, nonce="nonce-of-one")
    answer = await signed({**lead, "status": "approved"}, nonce="nonce-of-one")

    postback_id = answer.json()["postback_id"]
    outcome = await release_postback(runtime, postback_id, Pardon("ann"))

    assert outcome.reason is Reason.REPLAYED


async def test_neither_key_nor_signature_is_kept(visit, signed, client, rows):
    click_id = await visit("bestdeals/masks")
    made = hashlib.md5(f"{click_id}10a-pinch-of-salt".encode()).hexdigest()
    for path in ("/postback", "/postback/umbrella", "/postback/nobody"):
        await client.get(path, params={"cid": click_id, "total": 10, "check": made})
    answer = await signed({"click_id": click_id})

    everything = json.dumps(await rows("select * from postbacks"), default=repr)
    header = answer.request.headers["tracker-signature"]
    for secret in (made, KEY, header.rpartition("=")[2]):
        assert secret not in everything


# ------------------------------------------------------- of an advertiser's own making


async def test_a_signature_of_its_own_and_a_token_must_both_hold(visit, client):
    click_id = await visit("bestdeals/masks")
    made = hashlib.md5(f"{click_id}10a-pinch-of-salt".encode()).hexdigest()
    right = {"cid": click_id, "total": "10", "check": made, "token": TOKEN}

    answers = [
        await client.get("/postback/umbrella", params={**right, **changed})
        for changed in ({"token": "x"}, {"check": "x"}, {"total": "11"}, {})
    ]

    assert [said(answer)[2] for answer in answers] == [
        "bad_token",
        "bad_signature",
        "bad_signature",
        "",
    ]


@pytest.fixture
def shop(client, runtime):
    """Initech's shop system: signs its body and the time of it, in a header."""
    rule = Signature(
        "signature",
        "sha256",
        "{timestamp}.{body}",
        KEY,
        header="x-shop",
        read="v1=([0-9a-f]+)",
        vars={"timestamp": "t=([0-9]+)"},
        within=timedelta(minutes=5),
    )
    initech = replace(runtime.catalog.advertisers["initech"], auth=Auth(signature=rule))
    runtime.catalog.advertisers["initech"] = initech

    async def shop(said, *, key=KEY, late=0):
        body, at = json.dumps(said), int(time.time()) - late
        made = hmac.digest(key.encode(), f"{at}.{body}".encode(), "sha256").hex()
        return await client.post(
            PATH,
            content=body,
            headers={"x-shop": f"t={at},v1={made}", "content-type": "application/json"},
        )

    return shop


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"key": "the-key-of-somebody-else"}, Reason.BAD_SIGNATURE),
        ({"late": 400}, Reason.STALE_SIGNATURE),
    ],
)
async def test_a_signature_over_the_body_is_judged_like_any_other(
    visit, shop, runtime, wrong, reason
):
    click_id = await visit("bestdeals/tools")
    answer = await shop({"click_id": click_id, "goal": "lead"}, **wrong)
    postback_id = answer.json()["postback_id"]

    still = await release_postback(runtime, postback_id, Pardon("ann"))
    waived = await release_postback(runtime, postback_id, Pardon("ann", waived=reason))

    assert (said(answer)[2], still.reason) == (reason, reason)
    assert waived.verdict == "accepted"


async def test_that_a_body_was_signed_is_kept_and_nothing_of_how(
    visit, shop, runtime, rows
):
    click_id = await visit("bestdeals/tools")
    answer = await shop({"click_id": click_id, "goal": "nothing"})
    async with runtime.pool.connection() as connection:
        await connection.execute(
            "update postbacks set parameters ="
            " jsonb_set(parameters, '{1,1}', '\"lead\"')"
        )

    kept = json.dumps(await rows("select * from postbacks"), default=repr)
    outcome = await release_postback(
        runtime, answer.json()["postback_id"], Pardon("ann")
    )

    assert outcome.verdict == "accepted"
    header = answer.request.headers["x-shop"]
    assert header.rpartition("=")[2] not in kept
    assert KEY not in kept


# ------------------------------------------------------------------ too many failures


@pytest.fixture
def caller(app):
    """A client at an address of its own, as the server sees it."""

    def caller(address):
        transport = httpx.ASGITransport(app, client=(address, 40000))
        return httpx.AsyncClient(transport=transport, base_url="http://tracker.test")

    return caller


async def test_after_too_many_failures_only_failing_answers_are_replaced(
    visit, caller, rows
):
    click_id = await visit("bestdeals/shoes")
    async with caller("203.0.113.7") as shared, caller("203.0.113.8") as other:
        wrong = {"click_id": click_id, "token": "guess"}
        answers = [
            await shared.get("/postback", params=wrong)
            for _ in range(3 * suspicion.ANSWERED)
        ]
        honest = await shared.get("/postback", params={**wrong, "token": TOKEN})
        elsewhere = await other.get("/postback", params=wrong)

    told = [answer.status_code for answer in answers]
    refused = answers[told.index(429)]
    assert told.count(401) in range(suspicion.ANSWERED, 2 * suspicion.ANSWERED + 1)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["status"] == "failed"
    assert (honest.status_code, elsewhere.status_code) == (200, 401)


async def test_what_is_kept_of_failures_is_bounded(visit, caller, rows):
    click_id = await visit("bestdeals/shoes")
    wrong = {"click_id": click_id, "token": "guess"}
    async with caller("2001:db8::1") as one, caller("2001:db8::2") as neighbour:
        for _ in range(suspicion.KEPT + 10):
            await one.get("/postback", params=wrong)
            await neighbour.get("/postback", params=wrong)

    (found,) = await rows("select count(*) from postbacks")
    # A minute may end meanwhile.
    assert suspicion.KEPT <= found["count"] <= 2 * suspicion.KEPT


async def test_who_always_wants_200_gets_it_and_reads_that_it_failed(
    visit, caller, runtime
):
    acme = runtime.catalog.advertisers["acme"]
    patient = replace(acme, reply=Reply(always_200=True))
    runtime.catalog.advertisers["acme"] = patient
    wrong = {"click_id": await visit(), "token": "guess"}
    async with caller("203.0.113.9") as shared:
        answers = [
            await shared.get("/postback/acme", params=wrong)
            for _ in range(3 * suspicion.ANSWERED)
        ]

    assert {answer.status_code for answer in answers} == {200}
    told = {answer.json()["status"] for answer in answers}
    assert told == {"quarantined", "failed"}
