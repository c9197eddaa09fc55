"""Caps: never beyond, given back on a rejection, in the period of the arrival."""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count

import psycopg
import pytest
from cast import CATALOG, TOKEN
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from parties import Clock
from reporting import accept_together

from tracker.catalog import check_text, draft_catalog, seal_draft
from tracker.domain.click_id import ClickClass
from tracker.domain.errors import RefusedChangeError
from tracker.domain.identity import new_postback_id
from tracker.domain.offer import Status
from tracker.domain.outcome import Reason, Verdict
from tracker.domain.postback import Postback
from tracker.flow.approval import approve_overdue
from tracker.flow.cap import (
    LOOK_SECONDS,
    CapCount,
    CapWatch,
    count_caps,
    list_caps,
)
from tracker.flow.catalog import follow_version, open_catalog
from tracker.flow.conversion import (
    Operator,
    set_conversion_amount,
    set_conversion_status,
)
from tracker.flow.drain import drain_spools
from tracker.flow.postback import accept_postback
from tracker.flow.quarantine import Pardon, release_postback
from tracker.runtime import open_runtime
from tracker.store.catalogs import Edit

ANN = Operator("ann")
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
DAY = timedelta(days=1)

OF_THE_OFFER = "    limits: {amount: 5000}\n"
OF_THE_PARTNER = "    name: Best Deals\n"


@pytest.fixture
def put_in_force(runtime, rows):
    """
    An edit of the catalog; unless said it was an hour ago, so that what is counted
    once is believed.
    """

    async def put_in_force(*replacements, is_settled=True):
        text = CATALOG
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        (former,) = await runtime.catalogs.list_in_force()
        checked = check_text(text, "partners.yaml", runtime.secrets)
        draft = draft_catalog(checked, former.snapshot)
        now = datetime.now(UTC)
        edit = Edit(
            text, draft.content_hash, now, draft.follows, draft.keys, draft.caps
        )
        await runtime.catalogs.insert(edit, partial(_sealed, draft))
        await follow_version(runtime)
        if is_settled:
            await rows(
                "update catalog_versions set in_force_at = in_force_at - interval '1h'"
                " returning version"
            )
            await rows(
                "update cap_epochs set begun_at = begun_at - interval '1h'"
                " where begun_at > now() - interval '1 minute' returning counts"
            )

    return put_in_force


def _sealed(draft, version, numbers):
    return seal_draft(draft, version=version, numbers=numbers)


@pytest.fixture
def cap(put_in_force):
    """Caps of the offer `shoes`, and of the partner `bestdeals`."""

    async def cap(*offer, partner=(), own=(), **more):
        caps = f"    caps: [{', '.join(offer)}]\n" if offer else ""
        replacements = [(OF_THE_OFFER, OF_THE_OFFER + caps)]
        if partner:
            caps = f"    caps: [{', '.join(partner)}]\n"
            replacements.append((OF_THE_PARTNER, OF_THE_PARTNER + caps))
        if own:
            caps = f"offers: {{shoes: {{caps: [{', '.join(own)}]}}, moved: }}"
            replacements.append(
                (
                    OF_THE_PARTNER + "    offers: all",
                    OF_THE_PARTNER + f"    {caps}",
                )
            )
        await put_in_force(*replacements, **more)

    return cap


@pytest.fixture
def written(runtime):
    """A postback for a click of its own."""

    def written(at=NOON, *, partner="bestdeals", offer="shoes", click_id=None, **said):
        click_id = click_id or runtime.mint.mint(
            now=at - timedelta(minutes=5),
            shard=0,
            click_class=ClickClass.VISIT,
            partner_number=runtime.catalog.partners[partner].number,
            offer_number=runtime.catalog.offers[offer].number,
        )
        return Postback(
            id=new_postback_id(at),
            received_at=at,
            method="GET",
            path="/postback",
            address="127.0.0.1",
            parameters=(("click_id", click_id), *said.items()),
            token_digest=runtime.hasher.digest(TOKEN),
        )

    return written


@pytest.fixture
def report(runtime, written):
    async def report(at=NOON, **said):
        (outcome,) = await accept_together(runtime, [written(at, **said)])
        return outcome

    return report


@pytest.fixture
def taken(rows):
    """What every meter says, by its measure and the beginning of its period."""

    async def taken():
        found = await rows("select * from cap_meters order by starts_at, measure")
        return [(one["measure"], one["taken"]) for one in found]

    return taken


def said(*outcomes):
    return [one.reason or str(one.verdict) for one in outcomes]


async def test_64_senders_in_two_processes_end_at_exactly_100(
    runtime, settings, cap, written, rows
):
    """Each believes its answer, and each answer is true."""
    await cap("{per: day, limit: 100}")
    async with open_runtime(settings) as other:
        await open_catalog(other)

        async def send(number):
            mine = (runtime, other)[number % 2]
            sent = [written(transaction_id=f"{number}-{n}") for n in range(4)]
            return [await accept_postback(mine, one) for one in sent]

        answers = await asyncio.gather(*map(send, range(64)))

    found = Counter(one for each in answers for one in said(*each))
    assert found == {"accepted": 100, "capped": 156}
    assert await rows("select count(*) from conversions") == [{"count": 100}]
    assert await rows("select taken::int from cap_meters") == [{"taken": 100}]


@pytest.mark.parametrize(
    ("then", "outcome", "statuses"),
    [
        ("quarantine", "capped", ["approved"]),
        ("pending", "accepted", ["approved", "pending"]),
        ("accept", "accepted", ["approved", "approved"]),
    ],
)
async def test_what_becomes_of_a_conversion_beyond_a_cap(
    cap, report, rows, then, outcome, statuses
):
    await cap(f"{{per: day, limit: 1, then: {then}}}")

    assert said(await report(), await report()) == ["accepted", outcome]
    found = await rows("select status from conversions order by status")
    assert [one["status"] for one in found] == statuses


async def test_of_several_caps_the_strictest_decides(cap, report):
    await cap(
        "{per: day, limit: 1, then: accept}",
        "{per: day, limit: 2, then: pending}",
        "{per: month, limit: 3}",
    )
    outcomes = [await report() for _ in range(4)]
    assert said(*outcomes) == ["accepted", "accepted", "accepted", "capped"]


async def test_a_change_says_which_cap_it_is_beyond(cap, report, rows):
    await cap("{per: day, limit: 1, then: pending}")
    await report()
    await report()

    found = await rows("select note from conversion_changes order by note nulls first")
    assert [one["note"] for one in found] == [
        None,
        "held at pending, beyond the cap of 1 conversions per day for shoes",
    ]


async def test_what_a_cap_holds_at_pending_is_not_approved_by_time(
    runtime, put_in_force, report, rows, database_url
):
    """What was pending by itself is, though it was beyond a cap that accepts it."""
    install = "install: {payout: 1, revenue: 2, status: pending"
    pending = "caps: [{per: day, limit: 1, then: pending, goals: sale},"
    accept = "{per: day, limit: 1, then: accept, goals: install}]"
    patient = "sale: {payout: 8%, revenue: 12%, approve_after: 14d"
    await put_in_force(
        (OF_THE_OFFER, f"{OF_THE_OFFER}    {pending} {accept}\n"),
        (install, f"{install}, approve_after: 14d"),
        ("sale: {payout: 8%, revenue: 12%", patient),
    )
    for goal in ("sale", "sale", "install", "install"):
        await report(goal=goal, amount="10", transaction_id=new_postback_id(NOON))

    Clock(database_url).advance(days=15)

    assert await approve_overdue(runtime) == 2
    found = await rows("select goal, status from conversions order by goal, status")
    assert [tuple(one.values()) for one in found] == [
        ("install", "approved"),
        ("install", "approved"),
        ("sale", "approved"),
        ("sale", "pending"),
    ]


def minutes_later(count):
    return NOON + timedelta(minutes=count)


@pytest.fixture
def statuses(rows):
    async def statuses():
        found = await rows("select status from conversions order by converted_at")
        return [one["status"] for one in found]

    return statuses


async def test_what_a_cap_holds_its_advertiser_approves_once_there_is_room(
    runtime, cap, report, written, statuses
):
    await cap("{per: day, limit: 1, then: pending}")
    click_id = dict(written().parameters)["click_id"]
    first = await report()
    await report(minutes_later(1), click_id=click_id)
    approval = {"click_id": click_id, "status": "approved"}

    early = [await report(minutes_later(n), **approval) for n in (2, 3)]
    assert said(*early) == ["held_by_cap", "held_by_cap"]
    assert {one.http_status for one in early} == {200}
    assert await statuses() == ["approved", "pending"]

    await set_conversion_status(runtime, first.conversion_id, Status.REJECTED, ANN)
    assert said(await report(minutes_later(4), **approval)) == ["updated"]
    assert await statuses() == ["rejected", "approved"]


async def test_what_a_cap_holds_it_holds_within_one_batch_too(
    runtime, cap, written, statuses
):
    await cap("{per: day, limit: 1, then: pending}")
    held = written(minutes_later(1))
    approval = {"click_id": dict(held.parameters)["click_id"], "status": "approved"}
    batch = [written(), held, written(minutes_later(2), **approval)]

    outcomes = await accept_together(runtime, batch)

    assert said(*outcomes) == ["accepted", "accepted", "held_by_cap"]
    assert await statuses() == ["approved", "pending"]


async def test_what_a_cap_holds_is_added_to_and_still_held(cap, report, written, rows):
    await cap("{per: day, limit: 1, then: pending}")
    click_id = dict(written().parameters)["click_id"]
    order = {"click_id": click_id, "goal": "upsell", "status": "approved"}
    await report()
    for number, amount in enumerate(["100", "50"], 1):
        at, transaction = minutes_later(number), f"t-{number}"
        await report(at, **order, amount=amount, transaction_id=transaction)

    found = await rows("select status, amount::int from conversions where amount > 0")
    assert [tuple(one.values()) for one in found] == [("pending", 150)]


async def test_an_operator_s_word_ends_what_a_cap_holds(
    runtime, cap, report, written, statuses
):
    await cap("{per: day, limit: 1, then: pending}")
    click_id = dict(written().parameters)["click_id"]
    await report()
    held = await report(minutes_later(1), click_id=click_id)
    for status in (Status.APPROVED, Status.PENDING):
        await set_conversion_status(runtime, held.conversion_id, status, ANN)

    later = datetime.now(UTC) + DAY
    answer = await report(later, click_id=click_id, status="approved")
    assert said(answer) == ["updated"]
    assert await statuses() == ["approved", "approved"]


@pytest.mark.parametrize("status", ["pending", "approved"])
async def test_what_is_raised_beyond_a_cap_is_held_whatever_it_was(
    runtime, put_in_force, report, written, rows, database_url, status
):
    """All of it, until an operator agrees or it fits again; no time approves it."""
    caps = "caps: [{of: payout, per: total, limit: 10, then: pending}]"
    sale = "on_repeat: update, approve_after: 14d, once_per: transaction"
    await put_in_force(
        (OF_THE_OFFER, f"{OF_THE_OFFER}    {caps}\n"),
        ("12%, once_per: transaction", f"12%, {sale}"),
    )
    click_id = dict(written().parameters)["click_id"]
    order = {"click_id": click_id, "goal": "sale", "transaction_id": "t-1"}
    await report(**order, amount="100", status=status)
    amounts = ["4000", "3000", "50"]

    found = []
    for number, amount in enumerate(amounts):
        order |= {"amount": amount, "status": "approved"}
        await report(minutes_later(number + 1), **order)
        if amount == "3000":
            Clock(database_url).advance(days=15)
            assert await approve_overdue(runtime) == 0
        found += await rows("select status, payout::int from conversions")

    assert [tuple(one.values()) for one in found] == [
        ("pending", 320),
        ("pending", 240),
        ("approved", 4),
    ]


async def test_a_rejection_gives_back_and_an_approval_takes_again(
    runtime, cap, report, taken
):
    await cap("{per: day, limit: 1}")
    first = await report()
    assert said(await report()) == ["capped"]

    await set_conversion_status(runtime, first.conversion_id, Status.REJECTED, ANN)
    assert await taken() == [("conversions", 0)]
    second = await report()
    assert said(second) == ["accepted"]

    # An operator knows what he does.
    await set_conversion_status(runtime, first.conversion_id, Status.APPROVED, ANN)
    assert await taken() == [("conversions", 2)]


async def test_a_rejection_by_the_advertiser_gives_back_to_its_own_day(
    cap, report, written, taken
):
    await cap("{per: day, limit: 1}")
    lead = dict(written().parameters)["click_id"]
    await report(NOON - DAY, click_id=lead)
    await report()

    await report(NOON + timedelta(minutes=1), click_id=lead, status="rejected")

    assert await taken() == [("conversions", 0), ("conversions", 1)]
    late = await report(NOON - DAY, transaction_id="late")
    assert said(late, await report()) == ["accepted", "capped"]


async def test_a_payout_cap_is_never_exceeded_by_a_part(runtime, cap, report, taken):
    """What does not fit is not counted, and what fits after it still is."""
    await cap("{of: payout, goals: [sale], per: day, limit: 10}")
    amounts = ["100", "30", "20", "10"]
    outcomes = [
        await report(goal="sale", transaction_id=one, amount=one) for one in amounts
    ]

    assert said(*outcomes) == ["accepted", "capped", "accepted", "capped"]
    assert await taken() == [("payout", Decimal("9.6"))]

    await set_conversion_amount(runtime, outcomes[0].conversion_id, Decimal(50), ANN)
    assert await taken() == [("payout", Decimal("5.6"))]


async def test_what_raises_a_payout_beyond_a_cap_is_kept_from_it(cap, report, written):
    await cap("{of: payout, goals: [upsell], per: day, limit: 10}")
    click_id = dict(written().parameters)["click_id"]
    order = {"click_id": click_id, "goal": "upsell", "amount": "60"}

    first = await report(**order, transaction_id="t-1")
    second = await report(**order, transaction_id="t-2")

    assert said(first, second) == ["accepted", "capped"]


async def test_a_partner_s_cap_counts_all_its_offers_in_the_catalog_s_currency(
    put_in_force, report, taken
):
    await put_in_force(
        ("    name: Moved\n", "    name: Moved\n    currency: EUR\n"),
        (
            OF_THE_PARTNER,
            OF_THE_PARTNER + "    caps: [{of: payout, per: day, limit: 4}]\n",
        ),
    )

    outcomes = [await report(), await report(offer="moved"), await report()]
    elsewhere = await report(partner="quiet")

    assert said(*outcomes, elsewhere) == ["accepted", "accepted", "capped", "accepted"]
    assert await taken() == [("payout", Decimal("3.6"))]


async def test_each_partner_has_as_much_for_itself(cap, report):
    await cap("{per: day, limit: 1, each: partner}")

    outcomes = [await report(partner=one) for one in ("bestdeals", "quiet") * 2]

    assert said(*outcomes) == ["accepted", "accepted", "capped", "capped"]


async def test_a_partner_s_own_cap_for_an_offer_is_nobody_else_s(cap, report):
    await cap(own=["{per: day, limit: 1}"])

    outcomes = [await report(partner=one) for one in ("bestdeals", "quiet") * 2]

    assert said(*outcomes) == ["accepted", "accepted", "capped", "accepted"]


async def test_a_goal_s_cap_leaves_the_others_alone(cap, report):
    await cap("{per: total, limit: 1, goals: install}")

    outcomes = [await report(goal=one) for one in ("install", "lead") * 2]

    assert said(*outcomes) == ["accepted", "accepted", "capped", "accepted"]


@pytest.mark.parametrize(
    ("edited", "outcome"), [("limit: 3", "accepted"), ("limit: 2", "capped")]
)
async def test_a_cap_that_is_new_counts_what_was_before_it(
    cap, report, edited, outcome
):
    """So that a limit can be edited in the middle of a day."""
    await report()
    await report()
    await cap(f"{{per: day, {edited}}}")

    assert said(await report()) == [outcome]


@pytest.mark.parametrize(
    ("edited", "cost"),
    [("{per: day, limit: 7}", 2), ("{per: day, limit: 2, goals: lead}", 3)],
)
async def test_only_an_edit_of_what_a_cap_counts_has_it_counted_again(
    runtime, cap, report, written, statements, edited, cost
):
    """Even at once: every process has kept what a higher limit is held to."""
    await cap("{per: day, limit: 2}")
    await report()

    await cap(edited, is_settled=False)
    statements.clear()
    await accept_together(runtime, [written()])

    assert len(statements) == cost


async def test_a_cap_that_was_away_for_a_while_counts_what_it_missed(
    cap, put_in_force, report
):
    await cap("{per: day, limit: 2}")
    await report()
    await put_in_force()
    await report()
    await cap("{per: day, limit: 2}", is_settled=False)

    assert said(await report()) == ["capped"]


async def test_until_an_edit_is_followed_everywhere_nothing_is_believed(
    runtime, settings, cap, report, written
):
    """Another process may still write by the catalog without the cap."""
    async with open_runtime(settings) as late:
        await open_catalog(late)
        await cap("{per: day, limit: 2}", is_settled=False)
        await report()
        await accept_together(late, [written()])

        assert said(await report()) == ["capped"]


async def test_a_day_begins_where_the_offer_is(put_in_force, report, taken):
    """In Tokyo it is tomorrow when it is 15:00 UTC."""
    caps = "    timezone: Asia/Tokyo\n    caps: [{per: day, limit: 1}]\n"
    await put_in_force((OF_THE_OFFER, OF_THE_OFFER + caps))
    hours = [14, 15, 15]

    outcomes = [await report(NOON.replace(hour=hour)) for hour in hours]

    assert said(*outcomes) == ["accepted", "accepted", "capped"]


async def test_what_waited_on_disk_counts_for_the_day_it_arrived(
    runtime, cap, written, report, taken
):
    await cap("{per: day, limit: 1}")
    runtime.postgres_outage.is_on = True
    yesterday = [written(NOON - DAY, transaction_id=one) for one in "ab"]
    answers = [await accept_postback(runtime, one) for one in yesterday]
    runtime.postgres_outage.is_on = False
    assert said(*answers) == ["spooled", "spooled"]

    await drain_spools(runtime)

    assert said(await report()) == ["accepted"]
    assert await taken() == [("conversions", 1), ("conversions", 1)]


async def test_a_release_takes_its_unit_or_waits_for_one(runtime, cap, report, taken):
    await cap("{per: day, limit: 1}")
    first = await report()
    second, third = await report(), await report()

    still = await release_postback(runtime, second.postback_id, Pardon("ann"))
    await set_conversion_status(runtime, first.conversion_id, Status.REJECTED, ANN)
    freed = await release_postback(runtime, second.postback_id, Pardon("ann"))
    waived = await release_postback(
        runtime, third.postback_id, Pardon("ann", waived=Reason.CAPPED)
    )

    assert said(still, freed, waived) == ["capped", "accepted", "accepted"]
    assert await taken() == [("conversions", 2)]


async def test_a_test_takes_nothing(runtime, cap, report, taken):
    await cap("{per: day, limit: 1}")
    click_id = runtime.mint.mint(
        now=NOON,
        shard=0,
        click_class=ClickClass.TEST,
        partner_number=runtime.catalog.partners["bestdeals"].number,
        offer_number=runtime.catalog.offers["shoes"].number,
    )

    assert said(await report(click_id=click_id)) == ["accepted"]
    assert await taken() == [("conversions", 0)]


async def test_whoever_meets_at_the_same_caps_waits_for_nobody_in_a_circle(
    runtime, settings, cap, written, rows
):
    """Batches in opposite orders, an operator, releases and whoever counts new caps."""
    each = "{per: day, limit: 30, each: partner, then: accept}"
    caps = ["{per: hour, limit: 15}", "{of: payout, per: month, limit: 70}", each]
    await cap(*caps, partner=["{of: revenue, per: day, limit: 150}"])
    known = [written(NOON - timedelta(hours=n % 9)) for n in range(20)]
    believed = await accept_together(runtime, known)

    async def report(mine, order):
        for first in range(0, 60, 20):
            hours = [timedelta(hours=n) for n in range(first % 7, 20)][::order]
            partners = ["bestdeals", "quiet"][::order] * 10
            pairs = zip(hours, partners, strict=False)
            batch = [written(NOON - hour, partner=one) for hour, one in pairs]
            kept = await accept_together(mine, batch)
            for one in [it for it in kept if it.reason is Reason.CAPPED][:4]:
                await release_postback(mine, one.postback_id, Pardon("ann"))

    async def waver():
        for one in believed[::-1]:
            if one.conversion_id:
                for status in (Status.REJECTED, Status.APPROVED):
                    await set_conversion_status(runtime, one.conversion_id, status, ANN)

    async with open_runtime(settings) as other:
        await open_catalog(other)
        counting = [count_caps(other, other.catalog, NOON) for _ in range(10)]
        reports = [report(runtime, 1), report(other, -1)]
        await asyncio.gather(*reports, waver(), *counting)

    conversions = await rows("select * from conversions")
    for meter in await rows("select * from cap_meters"):
        assert meter["taken"] == recounted(meter, conversions)
    assert await rows(
        "select deadlocks from pg_stat_database where datname = current_database()"
    ) == [{"deadlocks": 0}]


async def test_a_meter_that_was_dropped_is_counted_again(cap, report, rows):
    """Conversions are kept for ever, so that nothing of it is lost."""
    await cap("{per: day, limit: 2}")
    await report()
    await report()
    await rows("delete from cap_meters returning 1")

    assert said(await report()) == ["capped"]


@pytest.fixture
def statements(monkeypatch):
    """What Postgres is told of meters, besides being asked which are reached."""
    said = []
    execute = psycopg.AsyncCursor.execute

    async def counting(self, query, *args, **kwargs):
        if "cap_meters" in query and not query.strip().startswith("select"):
            said.append(query)
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counting)
    return said


async def test_caps_cost_two_statements_a_batch_and_others_nothing(
    runtime, cap, written, statements
):
    """However large the batch is; a third one counts what was never counted."""

    async def cost(size, **said):
        batch = [written(**said) for _ in range(size)]
        statements.clear()
        await accept_together(runtime, batch)
        return len(statements)

    before = await cost(50)
    await cap("{per: day, limit: 60}", "{per: month, limit: 80}")
    first = await cost(1)
    capped = [await cost(size) for size in (1, 50)]
    others = await cost(50, offer="moved")

    assert (first, capped) == (3, [2, 2])
    assert before == others == 0


# ---------------------------------------------------------------------------- clicks


async def test_visitors_go_elsewhere_while_a_cap_is_reached(
    runtime, cap, client, report, rows, run_worker_once
):
    """The click is kept with its reason, and is none that a person made."""
    await cap("{per: day, limit: 1}")
    watch = CapWatch(runtime)
    await watch.look()
    assert (await client.get("/c/bestdeals/shoes")).status_code == 302

    await report(datetime.now(UTC))
    await watch.look()
    refused = await client.get("/c/bestdeals/shoes")
    await run_worker_once()

    assert refused.status_code == 410
    found = await rows("select class, reason from clicks order by id")
    assert found[-1] == {"class": 3, "reason": "capped"}
    assert (await client.get("/c/bestdeals/game")).status_code == 302


async def test_a_web_process_sees_a_reached_cap_within_a_second(cap, client, report):
    await cap("{per: day, limit: 1}")
    await report(datetime.now(UTC))

    assert LOOK_SECONDS < 1
    async with asyncio.timeout(3):
        while (  # noqa: ASYNC110 - nothing rings when a link is closed
            await client.get("/c/bestdeals/shoes")
        ).status_code == 302:
            await asyncio.sleep(0.02)


async def test_clicks_may_be_let_through_all_the_same(runtime, cap, client, report):
    """And another cap of the offer is not reached by what that one counts."""
    let_through = "{per: day, limit: 2, then: accept, clicks: redirect}"
    await cap(let_through, "{of: payout, goals: upsell, per: day, limit: 1}")
    for _ in range(2):
        await report(datetime.now(UTC))
    await CapWatch(runtime).look()
    assert (await client.get("/c/bestdeals/shoes")).status_code == 302


async def test_a_link_closes_for_the_partner_whose_cap_it_is(
    runtime, cap, client, report
):
    await cap("{per: day, limit: 1, each: partner}")
    await report(datetime.now(UTC))
    await CapWatch(runtime).look()

    links = ["bestdeals/shoes", "quiet/shoes", "bestdeals/moved"]
    answers = [await client.get(f"/c/{one}") for one in links]
    assert [one.status_code for one in answers] == [410, 302, 302]


async def test_what_is_left_but_pays_for_nothing_closes_a_link_too(
    runtime, cap, client, report
):
    """A lead earns 2.50, so of 4.00 the second 1.50 is nobody's."""
    await cap("{of: payout, goals: lead, per: day, limit: 4}")
    await report(datetime.now(UTC))
    await CapWatch(runtime).look()
    assert (await client.get("/c/bestdeals/shoes")).status_code == 410


async def test_the_day_before_never_closes_a_link(runtime, cap, client, report):
    await cap("{per: day, limit: 1}")
    await report(datetime.now(UTC) - DAY)
    await CapWatch(runtime).look()
    assert (await client.get("/c/bestdeals/shoes")).status_code == 302


async def test_without_a_store_the_last_state_stands_until_its_period_ends(
    runtime, cap, report
):
    await cap("{per: day, limit: 1}")
    await report(datetime.now(UTC))
    watch = CapWatch(runtime)
    await watch.look()
    ((place, period),) = runtime.closed.items()

    await runtime.pool.close()
    await watch.look()

    assert runtime.closed == {place: period}
    assert place == ("shoes", "")
    assert period[0] <= datetime.now(UTC) < period[1] <= period[0] + DAY


async def test_an_edit_counts_at_once_for_visitors_too(runtime, cap, client, report):
    for _ in range(2):
        await report(datetime.now(UTC))
    watch = CapWatch(runtime)

    for limit, status in [(2, 410), (3, 302), (1, 410)]:
        each = "{per: day, limit: 9, each: partner}"
        await cap(f"{{per: day, limit: {limit}}}", each)
        await count_caps(runtime, runtime.catalog, datetime.now(UTC))
        await watch.look()
        answer = await client.get("/c/bestdeals/shoes")
        assert answer.status_code == status
    listed = await list_caps(runtime, datetime.now(UTC))
    assert [(one.partner, one.taken, one.limit, one.left) for one in listed] == [
        (None, 2, 1, 0),
        ("bestdeals", 2, 9, 7),
    ]


async def test_a_worker_counts_what_an_edit_brings_and_once_more(
    runtime, cap, report, rows
):
    """The second time every process follows the edit; then nobody asks any more."""
    await report(datetime.now(UTC))
    await cap("{per: day, limit: 2}")
    worker = CapCount(runtime)

    async def counted():
        await worker.count()
        return len(await rows("delete from cap_meters returning 1"))

    at_once, waiting = await counted(), await counted()
    worker._count_again_at = asyncio.get_running_loop().time() - 1

    assert (at_once, waiting) == (1, 0)
    assert [await counted(), await counted()] == [1, 0]


async def test_a_reached_cap_is_told_once(runtime, cap, report, capsys):
    await cap("{per: day, limit: 10}")
    for _ in range(10):
        await report(datetime.now(UTC))
    # The process has a watch of its own, which has told it by then.
    async with asyncio.timeout(3):
        while not runtime.closed:  # noqa: ASYNC110 - nothing rings when it has
            await asyncio.sleep(0.02)
    watch = CapWatch(runtime)
    capsys.readouterr()

    await watch.look()
    await watch.look()

    (said,) = [
        line for line in capsys.readouterr().out.splitlines() if "cap.reached" in line
    ]
    assert "10 conversions per day for shoes" in said
    assert "taken=10 " in said


# ------------------------------------------------------------------------- histories

CAPS = [
    "{per: hour, limit: 4}",
    "{per: day, limit: 6, each: partner, goals: [lead, sale]}",
    "{of: payout, per: day, limit: 40}",
    "{of: revenue, per: month, limit: 90, then: pending, goals: upsell}",
]

OF_A_PARTNER = ["{of: payout, per: total, limit: 60}"]

NEW = st.fixed_dictionaries({
    "what": st.just("report"),
    "partner": st.sampled_from(["bestdeals", "quiet"]),
    "goal": st.sampled_from(["lead", "sale", "upsell", "install", "refill"]),
    "status": st.sampled_from(["", "", "pending", "rejected"]),
    "amount": st.sampled_from(["10", "33.335", "200"]),
    "currency": st.sampled_from(["", "EUR"]),
    "hours": st.integers(0, 30),
})  # fmt: skip

AGAIN = st.fixed_dictionaries({
    "what": st.sampled_from(["again", "again", "reject", "approve", "adjust"]),
    "which": st.integers(0, 5),
    "status": st.sampled_from(["", "approved", "rejected"]),
    "amount": st.sampled_from(["5", "70"]),
})  # fmt: skip

RELEASE = st.fixed_dictionaries({
    "what": st.just("release"),
    "which": st.integers(0, 2),
    "waived": st.sampled_from([None, Reason.CAPPED]),
})  # fmt: skip

WRITTEN = (
    "postbacks", "conversion_changes", "conversion_keys", "conversions", "cap_meters",
)  # fmt: skip

HISTORY = st.lists(st.lists(NEW | AGAIN | RELEASE, min_size=1, max_size=6), max_size=5)


class Market:
    """An advertiser and operators who do what a history says."""

    def __init__(self, runtime, written):
        self._runtime = runtime
        self._written = written
        self._known = []
        self._numbers = count()
        self._believed = []
        self._kept = []

    async def live(self, batch):
        """What reports in one batch comes first, in order."""
        sent = [self._postback(one) for one in batch if one["what"] in self._SAID]
        outcomes = await accept_together(self._runtime, [one for one in sent if one])
        for one in outcomes:
            if one.verdict is Verdict.ACCEPTED:
                self._believed.append(one.conversion_id)
            elif one.reason is Reason.CAPPED:
                self._kept.append(one.postback_id)
        for one in batch:
            if one["what"] not in self._SAID:
                await self._operate(one)

    _SAID = ("report", "again")

    def _postback(self, one):
        number = next(self._numbers)
        if one["what"] == "report":
            order = {name: one[name] for name in ("goal", "amount", "currency")}
            order |= {"status": one["status"], "transaction_id": str(number)}
            at = NOON - DAY + timedelta(hours=one["hours"])
            made = self._written(at, partner=one["partner"], **order)
            self._known.append((at, dict(made.parameters)))
            return made
        if not self._known:
            return None
        at, before = self._known[one["which"] % len(self._known)]
        later = at + timedelta(days=3, minutes=number)
        changed = {"status": one["status"], "amount": one["amount"]}
        return self._written(later, **{**before, **changed})

    async def _operate(self, one):
        ids = self._kept if one["what"] == "release" else self._believed
        if not ids:
            return
        id_ = ids[one["which"] % len(ids)]
        with suppress(RefusedChangeError):
            await getattr(self, f"_{one['what']}")(id_, one)

    async def _release(self, id_, one):
        self._kept.remove(id_)
        pardon = Pardon("ann", waived=one["waived"])
        outcome = await release_postback(self._runtime, id_, pardon)
        if outcome.verdict is Verdict.ACCEPTED:
            self._believed.append(outcome.conversion_id)

    async def _reject(self, id_, _):
        await set_conversion_status(self._runtime, id_, Status.REJECTED, ANN)

    async def _approve(self, id_, _):
        await set_conversion_status(self._runtime, id_, Status.APPROVED, ANN)

    async def _adjust(self, id_, one):
        amount = Decimal(one["amount"])
        await set_conversion_amount(self._runtime, id_, amount, ANN)


def recounted(meter, conversions):
    """What a meter would say if it were counted now."""
    counted = [
        one
        for one in conversions
        if meter["offer"] in {"", one["offer"]}
        and meter["partner"] in {"", one["partner"]}
        and meter["starts_at"] <= one["converted_at"] < meter["ends_at"]
        and one["status"] != "rejected"
        and (not meter["goals"] or one["goal"] in meter["goals"].split())
    ]
    if meter["measure"] == "conversions":
        return len(counted)
    return sum(one[meter["measure"]] for one in counted)


# The same stores serve all examples; each begins with nothing in them.
@settings(
    max_examples=60,
    deadline=None,
    phases=set(Phase) - {Phase.explain},
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=HISTORY)
async def test_after_any_history_meters_say_what_conversions_say(
    runtime, written, cap, rows, history
):
    if not runtime.catalog.has_caps:
        await cap(*CAPS, partner=OF_A_PARTNER)
    for table in WRITTEN:
        await rows(f"delete from {table} returning 1")
    market = Market(runtime, written)

    for batch in history:
        await market.live(batch)

    conversions = await rows("select * from conversions")
    meters = await rows("select * from cap_meters")
    assert {one["counted_at"] for one in meters} != {None} or not meters
    assert [one["taken"] for one in meters] == [
        recounted(one, conversions) for one in meters
    ]
