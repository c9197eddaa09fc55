"""What an advertiser's server does with `tracker.sdk`, and what it is told."""

import json
from decimal import Decimal

import httpx
import pytest
from cast import TOKEN

from tracker.sdk import (
    AsyncReporter,
    Patience,
    RefusedError,
    Reporter,
    UnreachableError,
)

KEY = "the-key-of-initech"
AT_ONCE = Patience(pauses=(0, 0))


class Wire(httpx.AsyncBaseTransport):
    """A network to the tracker that loses answers."""

    def __init__(self, app):
        self._inner = httpx.ASGITransport(app)
        self.losses = 0
        self.sent = []

    async def handle_async_request(self, request):
        self.sent.append(request.headers["tracker-signature"])
        answer = await self._inner.handle_async_request(request)
        if len(self.sent) <= self.losses:
            raise httpx.ReadTimeout("lost")
        return answer


@pytest.fixture
def wire(app):
    return Wire(app)


@pytest.fixture
async def reporter(wire):
    http = httpx.AsyncClient(transport=wire)
    async with AsyncReporter(
        "http://tracker.test/", "initech", key=KEY, patience=AT_ONCE, http=http
    ) as reporter:
        yield reporter


async def test_a_report_is_signed_and_answered(visit, reporter):
    answer = await reporter.report(click_id=await visit("bestdeals/tools"), status=None)

    assert (answer.http_status, answer.status) == (200, "accepted")
    assert answer.conversion_id.startswith("cv_")
    assert answer.postback_id.startswith("pb_")


async def test_an_answer_that_is_lost_is_asked_for_again(visit, reporter, wire, rows):
    """Each postback of this goal counts, and yet it is one."""
    wire.losses = 2
    click_id = await visit("bestdeals/tools")

    answer = await reporter.report(click_id=click_id, goal="refill")

    assert answer.status == "accepted"
    assert (len(wire.sent), len(set(wire.sent))) == (3, 1)
    assert await rows("select count(*) from conversions") == [{"count": 1}]


async def test_after_a_restart_the_same_nonce_is_the_same_report(visit, reporter):
    refill = {"click_id": await visit("bestdeals/tools"), "goal": "refill"}
    first = await reporter.report(**refill, nonce="order-1842")
    assert await reporter.report(**refill, nonce="order-1842") == first


async def test_what_is_refused_is_raised_with_its_reason(reporter, wire):
    with pytest.raises(RefusedError, match="404: unknown_click") as caught:
        await reporter.report(click_id="nonsense")
    assert caught.value.answer.reason == "unknown_click"
    assert len(wire.sent) == 1


async def test_patience_ends(visit, reporter, wire):
    wire.losses = 3
    with pytest.raises(UnreachableError, match="lost"):
        await reporter.report(click_id=await visit("bestdeals/tools"))
    assert len(wire.sent) == 3


def test_no_try_begins_when_the_time_for_it_is_over():
    """However slow each of the others was; a signature would be stale in the end."""
    http, sent = a_tracker(httpx.Response(503), httpx.Response(200))
    hasty = Patience(pauses=(0, 0), within=0)

    with pytest.raises(UnreachableError, match="503"):
        a_reporter(http, patience=hasty).report(click_id="c")
    assert len(sent) == 1


def test_there_is_time_for_six_tries_that_nobody_answers():
    patience = Patience()
    longest = sum(patience.timeout + 1.2 * pause for pause in patience.pauses)
    assert (len(patience.pauses), longest < patience.within) == (5, True)


def a_tracker(*answers):
    """Answers in turn, and keeps what it was sent."""
    sent, left = [], list(answers)

    def answer(request):
        sent.append(request)
        return left.pop(0)

    return httpx.Client(transport=httpx.MockTransport(answer)), sent


def a_reporter(http, patience=AT_ONCE, **proof):
    url = "https://track.example/in"
    return Reporter(url, "acme", http=http, patience=patience, **proof)


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_what_a_later_try_may_mend_is_tried_again(status):
    """408 is what a crowded connection, or a slow one, is told."""
    http, sent = a_tracker(
        httpx.Response(status, json={"status": "failed", "reason": "send it again"}),
        httpx.Response(200, json={"status": "accepted"}),
    )
    assert a_reporter(http, key=KEY).report(click_id="c").status == "accepted"
    assert len(sent) == 2


def test_a_report_without_waiting_is_the_same():
    away = httpx.Response(503, json={"status": "failed", "reason": "later"})
    http, sent = a_tracker(away, httpx.Response(202, json={"status": "spooled"}))

    with a_reporter(http, key=KEY, token=TOKEN) as reporter:
        answer = reporter.report(click_id="c", amount=Decimal("4E+1"), count=3)

    assert (answer.status, answer.http_status) == ("spooled", 202)
    assert [str(one.url) for one in sent] == [
        "https://track.example/in/postback/acme"
    ] * 2
    assert sent[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert sent[0].headers["tracker-signature"] == sent[1].headers["tracker-signature"]
    assert json.loads(sent[1].content) == {
        "click_id": "c",
        "amount": "40",
        "count": "3",
    }


def test_a_reply_of_the_advertiser_s_own_is_an_answer_too():
    http, _ = a_tracker(httpx.Response(200, text="OK"))
    answer = a_reporter(http).report(click_id="c")
    assert (answer.status, answer.text) == ("", "OK")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"status": "quarantined", "reason": "bad_token"}),
        (429, {"status": "failed", "reason": "too many"}),
        (302, {}),
        (404, ["not", "ours"]),
    ],
)
def test_what_is_no_success_is_never_taken_for_one(status, body):
    http, sent = a_tracker(httpx.Response(status, json=body))
    with pytest.raises(RefusedError):
        a_reporter(http).report(click_id="c")
    assert len(sent) == 1


def test_money_is_never_a_float():
    with pytest.raises(TypeError, match="amount is text, a whole number or a Decimal"):
        a_reporter(httpx.Client()).report(amount=49.9)


@pytest.mark.parametrize("nonce", ["short", "x" * 101, "with a blank", "é" * 10])
def test_a_nonce_that_could_not_be_read_is_refused(nonce):
    with pytest.raises(ValueError, match="a nonce has"):
        a_reporter(httpx.Client(), key=KEY).report(click_id="c", nonce=nonce)


def test_a_base_url_needs_its_scheme():
    with pytest.raises(ValueError, match="http"):
        Reporter("track.example", "acme")
