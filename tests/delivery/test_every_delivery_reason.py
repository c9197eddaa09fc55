"""Every reason of a delivery, brought about by what a partner, or nobody, answers."""

import pytest
from aiohttp import web
from parties import a_catalog, a_delivery, a_postback, hang, hang_up

from tracker import sender
from tracker.domain.answer import RETRY_DELAYS
from tracker.domain.breaker import OpenReason
from tracker.domain.delivery import DeadReason, Failure, HeldReason
from tracker.domain.outbound import Rule
from tracker.flow.delivery import deliver_due, end_expired_leases, sweep_deliveries


class World:
    """A tracker that owes something, a partner, and the time."""

    def __init__(self, runtime, owe, inbox, clock):
        self.runtime = runtime
        self.inbox = inbox
        self.clock = clock
        self._owe = owe

    async def owe(self, number=1, *, url=None, has_click=True, **postback):
        """So many deliveries, each of a conversion of its own."""
        url = url or self.inbox.url()
        self.runtime.catalog = catalog = a_catalog(a_postback(url, **postback))
        made = [
            a_delivery(conversion=f"cv_{n}", catalog=catalog) for n in range(number)
        ]
        await self._owe(*(one.but(has_click=has_click) for one in made))

    async def work(self, **later):
        """One pass of the worker, when so much time has gone by."""
        if later:
            self.clock.advance(**later)
        await sweep_deliveries(self.runtime)
        await deliver_due(self.runtime)


@pytest.fixture
def world(runtime, owe, partner_inbox, clock, monkeypatch):
    monkeypatch.setattr(sender, "TOTAL_SECONDS", 0.2)
    return World(runtime, owe, partner_inbox, clock)


def answers(*said, number=1, **postback):
    """So many are owed, and the partner says this."""

    async def provoke(world):
        world.inbox.answers.extend(said)
        await world.owe(number, **postback)
        await world.work()

    return provoke


def is_away(number=1):
    """So many are owed, and nobody listens."""

    async def provoke(world):
        await world.inbox.stop()
        await world.owe(number)
        await world.work()

    return provoke


async def speaks_no_tls(world):
    await world.owe(url=world.inbox.url().replace("http:", "https:"))
    await world.work()


async def the_worker_dies(world):
    await world.owe()
    await world.runtime.deliveries.claim(1)
    world.clock.advance(seconds=61)
    await end_expired_leases(world.runtime)


async def its_postback_is_removed(world):
    await world.owe()
    world.runtime.catalog = a_catalog(is_retired=True)
    await world.work()


async def its_click_is_late(world):
    await world.owe(url=world.inbox.url("/pb?s={sub1}"), has_click=False)
    await world.work()


async def its_click_never_comes(world):
    await its_click_is_late(world)
    await world.work(hours=24, seconds=1)


async def it_fails_to_the_end(world):
    await answers(*[500] * 12)(world)
    for delay in RETRY_DELAYS:
        await world.work(seconds=1.2 * delay.total_seconds() + 0.1)


async def it_grows_old(world):
    await answers(500)(world)
    await world.work(days=7, seconds=1)


TOO_OFTEN = web.Response(status=429, headers={"Retry-After": "60"})

FAILED = {
    Failure.NONE: answers(200),
    Failure.FORBIDDEN_ADDRESS: answers(url="http://169.254.169.254/"),
    Failure.NO_ADDRESS: answers(url="http://nowhere.invalid/"),
    Failure.NO_CONNECTION: is_away(),
    Failure.BAD_CERTIFICATE: speaks_no_tls,
    Failure.TIMEOUT: answers(hang),
    Failure.BROKEN_ANSWER: answers(hang_up, hang_up),
    Failure.BAD_STATUS: answers(500),
    Failure.NO_SUCCESS_PATTERN: answers(200, success="ACCEPTED"),
    Failure.GONE: answers(410),
    Failure.FINAL_ANSWER: answers(400, final=Rule(statuses=frozenset({"400"}))),
    Failure.RETRY_ANSWER: answers(200, retry=Rule(body="OK")),
    Failure.BAD_TEMPLATE: answers(url="http://127.0.0.1/pb?key=${NOT_SET}"),
    Failure.WORKER_DIED: the_worker_dies,
}
HELD = {
    HeldReason.PAUSED_LANE: answers(410),
    HeldReason.REMOVED_POSTBACK: its_postback_is_removed,
    HeldReason.CLICK_DETAILS: its_click_is_late,
}
DEAD = {
    DeadReason.ATTEMPTS_EXHAUSTED: it_fails_to_the_end,
    DeadReason.EXPIRED: it_grows_old,
    DeadReason.CLICK_DETAILS_LOST: its_click_never_comes,
    DeadReason.REFUSED: answers(400, final=Rule(statuses=frozenset({"400"}))),
    DeadReason.NOT_WANTED: answers(url="http://127.0.0.1/pb?s={sub2|required}"),
}
OPENED = {
    OpenReason.UNREACHABLE: is_away(number=5),
    OpenReason.FAILING: answers(*[500] * 10, number=10),
    OpenReason.RATE_LIMITED: answers(TOO_OFTEN),
}


@pytest.mark.parametrize(
    ("table", "reasons"),
    [(FAILED, Failure), (HELD, HeldReason), (DEAD, DeadReason), (OPENED, OpenReason)],
)
def test_every_reason_of_a_delivery_is_brought_about(table, reasons):
    assert set(table) == set(reasons)


@pytest.mark.parametrize("reason", FAILED, ids=lambda reason: reason or "none")
async def test_an_attempt_is_kept_with_why_it_failed(world, ledger, reason):
    await FAILED[reason](world)

    (error,) = ledger.column("select error from delivery_attempts")
    assert error.partition(":")[0] == reason


@pytest.mark.parametrize("reason", HELD)
async def test_what_waits_says_for_what(world, ledger, reason):
    await HELD[reason](world)

    assert ledger.column("select held_reason from deliveries") == [reason]


@pytest.mark.parametrize("reason", DEAD)
async def test_what_is_given_up_says_why(world, ledger, reason):
    await DEAD[reason](world)

    assert ledger.archived == [f"dead {reason}"]


@pytest.mark.parametrize("reason", OPENED)
async def test_a_lane_that_is_left_alone_says_why(world, ledger, reason):
    await OPENED[reason](world)

    assert ledger.column("select opened_reason from lanes") == [reason]
