"""
What may happen to a tracker, in any order: the steps of the property machine.

Each does one thing to the world; after each the audit looks at everything. Where a
store is away a step may come to nothing, and then it must have left nothing.
"""

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from audit import Act, Audit, ViolationError, hold
from evidence import Witness
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from ledger_model import WAIVABLE, Click, Report
from small_world import AWAY, SERVERS, World
from trade import BASE, EDITS

from tracker.domain.errors import RefusedChangeError
from tracker.domain.offer import Status
from tracker.domain.outcome import Reason
from tracker.flow.conversion import (
    Operator,
    set_conversion_amount,
    set_conversion_status,
)
from tracker.flow.quarantine import Pardon, release_postback

LINKS = (
    ("bestdeals", "shoes"),
    ("bestdeals", "game"),
    ("cheap", "shoes"),
    ("quiet", "shoes"),
    ("quiet", "game"),
)
SUBS = ("one", "zwei ß", "a&b=c", "")
AGES = (timedelta(minutes=50), timedelta(days=29), timedelta(days=31))
GOALS = ("lead", "sale", "upsell", "install", "share", "trial", "refill")
STATUSES = (None, "approved", "pending", "rejected", "ignored", "odd")
MOVES = ("approved", "pending", "rejected", "rejected")
AMOUNTS = (None, "10", "10.00", "99.995", "0.125", "5000.01", "ten")
TRANSACTIONS = (None, "order-1", "order-2", "{order}")
SAME = "the same"
CURRENCIES = ("EUR", "eur", "USD", "XYZ")
FORGERIES = (
    "flipped", "garbage", "no token", "bad token", "stranger", "route", "far",
)  # fmt: skip
MOODS = ("200", "500", "429", "410", "flapping", "hang")
SPANS = {
    "6 s": timedelta(seconds=6),
    "61 s": timedelta(seconds=61),
    "20 min": timedelta(minutes=20),
    "3 h": timedelta(hours=3),
    "25 h": timedelta(hours=25),
    "8 d": timedelta(days=8),
}

_NO_CLICK = Click("none", "bestdeals", "shoes", datetime.now(UTC), "")
"""Reported while no link leads anywhere."""

TRIES = 40

nth = st.integers(0, 15)
"""Which one of those there are, from the newest back."""

_STEPS = []


def seldom(usual, others):
    """One of the others about once in four times."""
    return st.sampled_from([*[usual] * 3 * len(others), *others])


def step(weight, **arguments):
    """So often, beside the others, this happens."""

    def listed(method):
        drawn = st.fixed_dictionaries(arguments)
        happening = drawn.map(lambda given: Happening(method.__name__, given))
        _STEPS.extend([happening] * weight)
        return method

    return listed


@dataclass(frozen=True)
class Happening:
    """A step that was drawn."""

    name: str
    given: dict

    def __repr__(self):
        told = ", ".join(f"{name}={value!r}" for name, value in self.given.items())
        return f"{self.name}({told})"


class TrackerMachine(RuleBasedStateMachine):
    """One life of one tracker; `ground`, `runner` and `template` are set by the row."""

    ground = runner = template = None
    steps = runs = 0

    def __init__(self):
        super().__init__()
        type(self).runs += 1
        self.world = World(self.ground, self.template)
        self.do(self.world.open())
        self.witness = Witness(self.world.direct_url)
        self.audit = Audit(self.world, self.witness)
        self.clicks, self.reports = [], []
        self.is_shaken = self.is_cut = False
        self.audit.check()

    @rule(what=st.deferred(lambda: st.sampled_from(_STEPS).flatmap(lambda one: one)))
    def happens(self, what):
        type(self).steps += 1
        self.is_shaken = False
        getattr(self, what.name)(**what.given)
        self.audit.check()

    def _pretty_print(self, value):
        """Hypothesis would say how it was built, and not what it is."""
        return repr(value)

    def do(self, step):
        return self.runner.run(step)

    def try_to(self, step):
        """A store that is away may keep a step from being done."""
        try:
            return self.do(step)
        except AWAY as error:
            hold(not self.is_calm, "a step failed with every store up:", repr(error))
            return None

    def insist(self, take_step):
        """As a worker's loop does: a connection that was cut costs one try each."""
        for _ in range(TRIES):
            with suppress(*AWAY):
                return self.do(take_step())
        raise ViolationError(f"it fails with every store up: {take_step}")

    @property
    def is_calm(self):
        return self.world.is_well and not self.is_shaken and not self.is_cut

    def teardown(self):
        try:
            if sys.exc_info()[0] is None:
                self.end_well()
        finally:
            self.witness.close()
            self.do(self.world.close())

    # -------------------------------------------------------------------- visitors

    @step(
        10,
        link=seldom(LINKS[0], LINKS),
        sub1=st.sampled_from(SUBS),
        ago=seldom(timedelta(), (*AGES, *AGES[:2])),
    )
    def visitor_clicks(self, link, sub1, ago):
        """Now, or long ago; wherever the link leads, the visitor gets there."""
        now = datetime.now(UTC)
        answer, landed = self.do(self.world.visit(*link, sub1, ago))
        hold(answer.status_code == 302, "a visitor got an error:", answer)
        self._see_landing(link, sub1, now - ago, landed)

    def _see_landing(self, link, sub1, at, landed):
        partner, offer = link
        book = self.world.book
        if partner in book.removed or offer not in book.partners[partner].offers:
            hold(landed.get("cid") == [""], "not sent elsewhere:", landed)
            return
        is_refused = book.partners[partner].is_paused or book.offers[offer].is_paused
        expected = None if is_refused else [partner]
        hold(landed.get("from") == expected, "sent to the wrong place:", landed)
        hold(is_refused or landed["s"] == [sub1], "arrived without its label:", landed)
        click = Click(landed["cid"][0], partner, offer, at, sub1, is_refused)
        hold(click.id not in self.world.visits, "an id was given twice:", click)
        self.world.remember(click)
        self.audit.model.add_click(click)
        self.clicks.append(click)

    # ----------------------------------------------------------------- advertisers

    @step(
        24,
        click=nth,
        goal=st.sampled_from((*GOALS * 3, None, "other")),
        status=seldom(None, STATUSES),
        amount=seldom("10", AMOUNTS),
        transaction=seldom("order-1", TRANSACTIONS),
        currency=seldom(None, CURRENCIES),
        revenue=seldom(None, ("3.005",)),
        times=seldom(1, (2, 4)),
    )
    def advertiser_reports(self, click, times, currency, revenue, **said):
        """An honest report, sent once or several times at once."""
        click = self._click(click)
        offer = BASE.offers[click.offer]
        is_named = offer.advertiser == "globex"
        report = Report(
            route=offer.advertiser if is_named else None,
            token=BASE.advertisers[offer.advertiser].token,
            click=click.id,
            currency=None if is_named else currency,
            revenue=None if is_named else revenue,
            **said,
        )
        self._send(*[report] * times)

    @step(6, report=nth, times=seldom(1, (3,)))
    def advertiser_repeats(self, report, times):
        self._send(*[self._report(report)] * times)

    @step(
        14,
        report=nth,
        status=st.sampled_from((*STATUSES, *MOVES * 3)),
        amount=seldom("20", AMOUNTS),
        transaction=seldom(SAME, TRANSACTIONS),
    )
    def advertiser_changes_its_mind(self, report, status, amount, transaction):
        report = self._report(report)
        if transaction == SAME:
            transaction = report.transaction
        said = {"status": status, "amount": amount, "transaction": transaction}
        self._send(replace(report, **said))

    @step(4, report=nth, status=st.sampled_from(STATUSES), is_named=st.booleans())
    def advertiser_names_the_transaction_alone(self, report, status, is_named):
        report = self._report(report)
        route = report.route or ("acme" if is_named else None)
        self._send(replace(report, click=None, status=status, route=route))

    @step(3, report=nth, other=nth)
    def advertiser_takes_another_click(self, report, other):
        """The same transaction for another click, perhaps another advertiser's."""
        self._send(replace(self._report(report), click=self._click(other).id))

    @step(8, report=nth, how=st.sampled_from(FORGERIES), where=st.integers(24, 31))
    def somebody_forges(self, report, how, where):
        self._send(_forged(self._report(report), how, where))

    def _click(self, which):
        if not self.clicks:
            self.visitor_clicks(LINKS[0], SUBS[0], timedelta())
        return _newest(self.clicks, which) if self.clicks else _NO_CLICK

    def _report(self, which):
        if not self.reports:
            owner = BASE.advertisers["acme"]
            click = self._click(0)
            return Report(None, owner.token, click.id, "sale", "order-1", amount="10")
        return _newest(self.reports, which)

    def _send(self, *reports):
        calls = self.do(self.world.report(*reports))
        self._check_refusals(calls)
        if calls[0].status < 300:
            self.reports.append(reports[0])

    def _check_refusals(self, calls):
        for call in calls:
            hold(call.status != 503 or not self.is_calm, "refused in a calm:", call)

    # ---------------------------------------------------------------------- stores

    @step(8, store=st.sampled_from(("postgres", "redis")))
    def a_store_goes_down(self, store):
        if store == "redis":
            self.ground.redis.go("refusing")
        else:
            self.world.send_postgres("refusing")

    @step(1)
    def redis_hangs(self):
        self.ground.redis.go("hanging")

    @step(8)
    def stores_come_back(self):
        self._bring_stores_back()

    @step(3, store=st.sampled_from(("postgres", "redis")))
    def connections_are_cut(self, store):
        getattr(self.ground, store).cut()
        self.is_cut = True

    @step(4, report=nth, after=st.integers(0, 3000))
    def postgres_acts_and_is_not_heard(self, report, after):
        """Whatever it has committed by then."""
        if not self.world.is_well:
            return
        self.is_shaken = True
        with self.world.losing_answers(after):
            self._send(self._report(report))
            self.audit.check()
        self._bring_stores_back()

    @step(1)
    def redis_forgets_everything(self):
        """What Postgres does not have yet is gone; what is on disk is not."""
        self.world.lost_visits |= self.world.ground.list_unfolded()
        self.ground.direct_redis.flushall()

    def _bring_stores_back(self):
        self.world.send_postgres("up")
        self.ground.redis.go("up")
        self.do(self.world.wait_for_stores())
        self.do(self.world.forget_connections())
        self.is_cut = False

    # --------------------------------------------------------------------- workers

    @step(6)
    def worker_folds(self):
        # Its reader blocks for longer than a test can wait.
        if self.ground.redis.state != "hanging":
            self.try_to(self.world.fold())

    @step(12)
    def worker_delivers(self):
        self.try_to(self.world.deliver())

    @step(5)
    def spools_are_drained(self):
        self.try_to(self.world.drain())

    @step(3, report=nth)
    def spools_are_drained_while_somebody_reports(self, report):
        report = self._report(report)
        calls, _ = self.do(self._at_once(self.world.report(report), self.world.drain()))
        self._check_refusals(calls)

    @staticmethod
    async def _at_once(*happenings):
        return await asyncio.gather(*happenings)

    @step(4)
    def worker_sweeps(self):
        self.try_to(self.world.sweep())

    @step(3)
    def old_days_are_dropped(self):
        self.try_to(self.world.forget_old_days())

    @step(3, after_calls=st.booleans())
    def worker_dies(self, after_calls):
        self.try_to(self.world.die(after_calls=after_calls))

    @step(3)
    def worker_falls_asleep(self):
        self.try_to(self.world.fall_asleep())

    @step(4)
    def worker_wakes_up(self):
        self.try_to(self.world.wake_up())

    @step(3, is_late=st.booleans())
    def worker_oversleeps(self, is_late):
        """Another one has taken over, and perhaps delivered, when it goes on."""
        self.worker_falls_asleep()
        self.leases_run_out()
        if is_late:
            self._advance(SPANS["20 min"])
            self.worker_delivers()
        self.worker_wakes_up()

    @step(3)
    def leases_run_out(self):
        self._advance(SPANS["61 s"])
        self.try_to(self.world.sweep())

    @step(5, span=st.sampled_from(sorted(SPANS)))
    def time_passes(self, span):
        self._advance(SPANS[span])

    @step(1)
    def the_process_starts_anew(self):
        if self.world.is_well:
            self._bring_stores_back()
            self.do(self.world.restart())

    def _advance(self, span):
        self.world.clock.advance(seconds=span.total_seconds())

    # -------------------------------------------------------------------- partners

    @step(6, server=st.sampled_from(SERVERS), mood=st.sampled_from(MOODS))
    def partner_turns(self, server, mood):
        self.ground.servers[server].be(mood)

    # ------------------------------------------------------------------- operators

    @step(3, which=nth)
    def operator_replays_a_delivery(self, which):
        if ids := sorted(self.audit.deliveries):
            story = self.world.runtime.deliveries.replay([_newest(ids, which)])
            self.try_to(story)

    @step(2, which=nth)
    def operator_retries_a_delivery(self, which):
        if ids := sorted(self.audit.deliveries):
            story = self.world.runtime.deliveries.retry(_newest(ids, which))
            with suppress(RefusedChangeError):
                self.try_to(story)

    @step(3, which=nth)
    def operator_resumes_a_lane(self, which):
        if lanes := sorted(self.audit.paused_lanes):
            story = self.world.runtime.lanes.resume(_newest(lanes, which))
            self.try_to(story)

    @step(4, which=nth, status=st.sampled_from(("pending", "approved", "rejected")))
    def operator_sets_the_status(self, which, status):
        if there := self.audit.model.conversions:
            conversion = _newest(there, which)
            act = self._act(conversion=conversion, status=status)
            is_same = conversion.status == status
            self._act_out(act, is_same, set_conversion_status, Status(status))

    @step(3, which=nth, amount=st.sampled_from(("10", "12.345", "7000")))
    def operator_sets_the_amount(self, which, amount):
        if there := self.audit.model.conversions:
            conversion = _newest(there, which)
            act = self._act(conversion=conversion, amount=Decimal(amount))
            is_same = conversion.amount == Decimal(amount)
            self._act_out(act, is_same, set_conversion_amount, Decimal(amount))

    def _act_out(self, act, is_same, story, value):
        by = Operator("olga", act.name)
        try:
            done = self.try_to(story(self.world.runtime, act.conversion.id, value, by))
        except RefusedChangeError:
            hold(is_same, "an operator was refused:", act)
        else:
            hold(not (done and is_same), "changed to what it was:", act)

    @step(
        6,
        which=nth,
        waived=st.sampled_from((None, *sorted(WAIVABLE))),
        waives_its_reason=st.booleans(),
    )
    def operator_releases_a_postback(self, which, waived, waives_its_reason):
        if waiting := self.audit.quarantined:
            row = _newest(waiting, which)
            if waives_its_reason and row["reason"] in WAIVABLE:
                waived = row["reason"]
            act = self._act(waived=waived)
            pardon = Pardon(act.name, waived=Reason(waived) if waived else None)
            self.try_to(release_postback(self.world.runtime, row["id"], pardon))

    @step(6, edit=st.sampled_from((*EDITS, "as it was", "a higher payout")))
    def operator_edits_the_catalog(self, edit):
        if self.world.is_well:
            self._bring_stores_back()
            self._edit(EDITS[edit])

    def _edit(self, book):
        if book is not self.world.book:
            self.do(self.world.edit(book))

    def _act(self, **meant):
        act = Act(f"act-{len(self.audit.acts) + 1}", **meant)
        self.audit.acts[act.name] = act
        return act

    # --------------------------------------------------------------------- the end

    def end_well(self):
        """Everything is up again and drained; then every promise must hold."""
        self._bring_stores_back()
        self._edit(BASE)
        for server in self.ground.servers.values():
            server.be("200")
        self._repeat_what_was_refused()
        self.insist(self.world.drain)
        hold(not self.world.runtime.spools.waiting, "something stays in the spool")
        self.insist(self.world.wake_up)
        while self.insist(self.world.fold):
            pass
        for row in self.audit.check().lanes:
            if row["paused_at"]:
                self.do(self.world.runtime.lanes.resume(row["lane"]))
        for span in ("61 s", "25 h", "25 h"):
            if self.witness.column("select count(*) from deliveries")[0]:
                self._drain(SPANS[span])
        self.audit.check_end()

    def _repeat_what_was_refused(self):
        refused = [c.report for c in self.world.calls.values() if c.status == 503]
        for report in refused:
            self._check_refusals(self.do(self.world.report(report)))
            self.audit.check()

    def _drain(self, later):
        """Leases run out, waits are over, and what is due goes, one after the other."""
        self._advance(later)
        self.do(self.world.sweep())
        for _ in range(TRIES):
            if not self.witness.column(_DUE)[0]:
                return
            told = len(self.world.hits)
            self.do(self.world.deliver())
            if len(self.world.hits) == told:
                # A lane that failed is left alone for at most a quarter of an hour.
                self._advance(SPANS["20 min"])
                self.do(self.world.sweep())


_DUE = """
select count(*) from deliveries
where  held_reason is null and lease_token is null and due_at <= tracker_now()
"""


def _another(route):
    return "acme" if route == "globex" else "globex"


def _forged(report, how, where):
    if how == "flipped" and report.click:
        digit = "1" if report.click[where] == "0" else "0"
        flipped = report.click[:where] + digit + report.click[where + 1 :]
        return replace(report, click=flipped)
    if how == "garbage":
        return replace(report, click=f"garbage-{where}")
    if how == "no token":
        return replace(report, token=None)
    if how == "bad token":
        return replace(report, token="acme-toke")
    if how == "far":
        return replace(report, address="203.0.113.9")
    route = "nobody" if how == "stranger" else _another(report.route)
    token = BASE.advertisers.get(route, BASE.advertisers["acme"]).token
    return replace(report, route=route, token=token)


def _newest(there, which):
    return there[-1 - which % len(there)]
