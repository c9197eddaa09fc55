"""What reports read says what the raw tables say, whatever happened in between."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations, product

import pytest

from tracker.domain.click import Click
from tracker.domain.click_id import ClickClass, facts_of
from tracker.domain.errors import RefusedChangeError
from tracker.domain.offer import Status
from tracker.flow.clicklog import fold_entries
from tracker.flow.conversion import (
    Operator,
    set_conversion_amount,
    set_conversion_status,
)
from tracker.flow.enrichment import open_data
from tracker.flow.erasure import erase_click
from tracker.flow.maintenance import measure_backlog
from tracker.flow.rollup import close_days, fold_changes, rebuild
from tracker.metrics import CHANGES_UNFOLDED
from tracker.runtime import open_runtime
from tracker.store.clicklog import Entry
from tracker.store.clicks import encode_click

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
GERMAN, AMERICAN, AMAZON = "217.0.0.1", "8.8.8.8", "52.94.76.1"

TABLES = ("click_rollups", "conversion_rollups", "conversion_rollup_pairs")


@pytest.fixture
def click(runtime):
    """A click of some time ago, and the entry it would be in a stream or a spool."""

    def click(
        ago=timedelta(0),
        *,
        partner="bestdeals",
        offer="shoes",
        click_class=ClickClass.VISIT,
        address=GERMAN,
        user_agent=CHROME,
        at=None,
    ):
        click_id = runtime.mint.mint(
            now=(at or datetime.now(UTC)) - ago,
            shard=0,
            click_class=click_class,
            partner_number=runtime.catalog.partners[partner].number,
            offer_number=runtime.catalog.offers[offer].number,
        )
        made = Click(click_id, 1, address=address, user_agent=user_agent)
        return Entry(0, "0-1", click_id.encode(), encode_click(made))

    return click


@pytest.fixture
def fold(runtime):
    """Folds these, however they came; their ids."""

    async def fold(*entries):
        await open_data(runtime)
        await fold_entries(runtime, entries)
        return [entry.click_id.decode() for entry in entries]

    return fold


@pytest.fixture
def counted(rows):
    """Everything that reports would read, in order."""

    async def counted():
        quarters = {
            table: sorted(
                tuple(row.values()) for row in await rows(f"select * from {table}")
            )
            for table in TABLES
        }
        days = await rows(
            "select click_rollup_days.* from click_rollup_days, rollup_days "
            "where day < closed_before"
        )
        return {**quarters, "days": sorted(tuple(row.values()) for row in days)}

    return counted


@pytest.fixture
def is_exact(runtime, counted):
    """Whether a count of the raw tables gives the same, to the row and the cent."""

    async def is_exact():
        await close_days(runtime)
        kept = await counted()
        async for _ in rebuild(runtime):
            pass
        return kept == await counted()

    return is_exact


# ------------------------------------------------------------------------------ clicks


async def test_a_click_tells_what_its_address_and_its_agent_say(click, fold, rows):
    await fold(
        click(),
        click(user_agent=IPHONE, address=AMERICAN),
        click(user_agent=GOOGLEBOT),
        click(address=AMAZON),
        click(user_agent="", address=""),
        click(click_class=ClickClass.PREFETCH, user_agent=GOOGLEBOT),
    )

    found = await rows(
        "select country, device, os, browser, traffic from clicks order by id"
    )
    assert [tuple(row.values()) for row in found] == [
        ("DE", "desktop", "Windows", "Chrome", "visit"),
        ("US", "phone", "iOS", "Mobile Safari", "visit"),
        ("DE", "other", "", "Googlebot", "bot"),
        ("US", "desktop", "Windows", "Chrome", "datacenter"),
        ("", "", "", "", "visit"),
        ("DE", "other", "", "Googlebot", "prefetch"),
    ]


async def test_clicks_are_counted_once_in_their_quarter(click, fold, rows):
    at = datetime.now(UTC).replace(hour=12, minute=29, second=59)
    first, second = click(at=at), click(at=at + timedelta(seconds=1))
    await fold(first, click(at=at, click_class=ClickClass.TEST))
    await fold(first, second)
    await fold(second, first)

    found = await rows(
        "select starts_at, clicks, uniques from click_rollups order by 1"
    )
    quarter = at.replace(minute=15, second=0, microsecond=0)
    assert [tuple(row.values()) for row in found] == [
        (quarter, 1, 1),
        (quarter + timedelta(minutes=15), 1, 0),
    ]


async def test_who_comes_again_within_a_day_is_not_unique(click, fold, rows):
    hour = timedelta(hours=1)
    await fold(click(50 * hour))
    await fold(click(27 * hour), click(27 * hour), click(25 * hour))
    await fold(click(2 * hour), click(1.5 * hour), click(offer="game"))
    await fold(click(user_agent=IPHONE), click(user_agent=GOOGLEBOT))

    found = await rows("select is_unique from clicks order by clicked_at, id")
    assert [row["is_unique"] for row in found] == [
        *(True, False, False, True),
        *(False, False, True, True, False),
    ]


async def test_a_copy_in_the_same_batch_is_no_second_first(click, fold, rows):
    """A web process that got no answer writes the same entry again."""
    entry = click()
    await fold(entry, entry)

    assert await rows("select clicks, uniques from click_rollups") == [
        {"clicks": 1, "uniques": 1}
    ]


async def test_a_late_click_corrects_a_day_that_is_closed(
    click, fold, runtime, rows, is_exact
):
    early, late = click(timedelta(days=3)), click(timedelta(days=2), user_agent=IPHONE)
    await fold(early)
    await close_days(runtime)
    await fold(late)

    (days,) = await rows("select sum(clicks), count(*) from click_rollup_days")
    assert tuple(days.values()) == (2, 2)
    assert await is_exact()


async def test_days_follow_the_zone_of_the_catalog(
    click, fold, runtime, rows, is_exact
):
    evening = datetime.now(UTC).replace(hour=23) - timedelta(days=3)
    await fold(click(at=evening))
    await close_days(runtime)
    in_utc = await rows("select day from click_rollup_days")
    runtime.catalog = replace(runtime.catalog, timezone="Asia/Kathmandu")

    await close_days(runtime)

    in_nepal = await rows(
        "select max(day) - %s as later, max(zone) as zone from click_rollup_days, "
        "rollup_days where day < closed_before",
        in_utc[0]["day"],
    )
    assert in_nepal == [{"later": 1, "zone": "Asia/Kathmandu"}]
    assert await is_exact()


async def test_conversions_of_a_day_follow_the_zone_of_the_catalog(
    click, fold, advertiser, runtime, rows, is_exact
):
    evening = datetime.now(UTC).replace(hour=23) - timedelta(days=3)
    (click_id,) = await fold(click(at=evening))
    await advertiser.report(click_id)
    await fold_changes(runtime)
    days = "select distinct day from conversion_rollup_pairs where basis = 'click'"
    in_utc = await rows(days)
    runtime.catalog = replace(runtime.catalog, timezone="Asia/Kathmandu")

    await close_days(runtime)

    assert in_utc == [{"day": evening.date()}]
    assert await rows(days) == [{"day": evening.date() + timedelta(days=1)}]
    await pairs_agree(rows)
    assert await is_exact()


async def test_an_erased_click_keeps_its_counts_and_loses_its_agent(
    click, fold, runtime, advertiser, rows, is_exact
):
    folded, late = await fold(click()), click(timedelta(minutes=1))
    await advertiser.report(folded[0])
    await fold_changes(runtime)
    for one in (folded[0], late.click_id.decode()):
        await erase_click(runtime, one, "root")
    await fold(late)

    found = await rows("select country, device, os, browser, traffic from clicks")
    placed = await rows("select os, browser, country from conversion_clicks")
    assert {(row["os"] or "", row["browser"] or "") for row in found} == {("", "")}
    assert {row["country"] for row in found} == {"DE"}
    assert placed == [{"os": "", "browser": "", "country": "DE"}]
    assert await is_exact()


# ------------------------------------------------------------------------- conversions


@pytest.fixture
def conversions(rows):
    """What is counted at the time of the click: status, how many, proven, payout."""

    async def conversions(basis="click"):
        found = await rows(
            "select status, sum(conversions)::int as n, sum(proven)::int as proven, "
            "sum(payout) as payout from conversion_rollups where basis = %s "
            "group by status order by status",
            basis,
        )
        return [tuple(row.values()) for row in found]

    return conversions


async def test_a_conversion_moves_with_its_status(
    click, fold, advertiser, runtime, conversions
):
    (click_id,) = await fold(click(timedelta(hours=3)))
    answer = await advertiser.report(click_id)
    await fold_changes(runtime)
    before = await conversions()
    await set_conversion_status(
        runtime, answer.json()["conversion_id"], Status.REJECTED, Operator("root")
    )
    await fold_changes(runtime)

    assert before == [("approved", 1, 0, Decimal("2.5"))]
    for basis in ("click", "conversion"):
        assert await conversions(basis) == [("rejected", 1, 0, Decimal("2.5"))]


async def test_a_conversion_proves_a_click_that_was_no_visit_once(
    click, fold, advertiser, runtime, conversions
):
    """A second proves nothing more, until the first is rejected."""
    (bot,) = await fold(click(user_agent=GOOGLEBOT))
    first = (await advertiser.report(bot)).json()["conversion_id"]
    await fold_changes(runtime)
    await advertiser.report(bot, goal="trial", transaction_id="t")
    await fold_changes(runtime)
    assert await conversions() == [("approved", 2, 1, Decimal("3.5"))]

    rejected = (runtime, first, Status.REJECTED, Operator("root"))
    await set_conversion_status(*rejected)
    await fold_changes(runtime)

    assert await conversions() == [
        ("approved", 1, 1, Decimal(1)),
        ("rejected", 1, 0, Decimal("2.5")),
    ]


async def test_a_conversion_waits_for_its_click_and_not_for_ever(
    click, fold, advertiser, runtime, rows, conversions
):
    waits, lost = click(), click(click_class=ClickClass.HEAD)
    for entry in (waits, lost):
        await advertiser.report(entry.click_id.decode())
    await fold_changes(runtime)
    assert await conversions() == []

    await fold(waits)
    await fold_changes(runtime)
    assert await conversions() == [("approved", 1, 0, Decimal("2.5"))]

    await measure_backlog(runtime)
    assert CHANGES_UNFOLDED._value.get() == 1
    await rows_of(
        runtime, "update conversion_changes set written_at = now() - interval '11 min'"
    )
    await fold_changes(runtime)
    placed = await rows("select country, traffic from conversion_clicks order by 1")
    assert [tuple(row.values()) for row in placed] == [("", "head"), ("DE", "visit")]
    assert await conversions() == [("approved", 2, 1, Decimal(5))]


async def test_a_test_is_in_no_report(click, fold, advertiser, runtime, conversions):
    (click_id,) = await fold(click(click_class=ClickClass.TEST))
    await advertiser.report(click_id)
    await fold_changes(runtime)

    assert await conversions() == []
    assert (await runtime.rollups.count_waiting()).changes == 0


async def test_a_crash_in_the_middle_of_a_fold_counts_nothing_twice(
    click, fold, advertiser, runtime, conversions, monkeypatch
):
    (click_id,) = await fold(click())
    await advertiser.report(click_id)
    with monkeypatch.context() as crash:
        crash.setattr("tracker.store.rollups._FOLD", FOLD_AND_FAIL)
        with pytest.raises(Exception, match="division by zero"):
            await fold_changes(runtime)
    assert await conversions() == []

    await fold_changes(runtime)
    await fold_changes(runtime)

    assert await conversions() == [("approved", 1, 0, Decimal("2.5"))]


FOLD_AND_FAIL = """
with counted as (
  update conversion_changes set folded_at = now() returning 1
)
select 1 / 0 from counted
"""


# ------------------------------------------------------------------------- all of them


async def test_everything_is_counted_again_while_the_tracker_works(
    click, fold, advertiser, runtime, is_exact
):
    first = await fold(*[click(timedelta(hours=n)) for n in range(48)])

    async def work():
        for n, click_id in enumerate(first):
            await advertiser.report(click_id)
            await fold(click(timedelta(hours=n), user_agent=IPHONE))
            await fold_changes(runtime)
            await close_days(runtime)

    async def count_again():
        return [day async for day in rebuild(runtime)]

    _, days = await asyncio.gather(work(), count_again())

    assert len(days) > 3
    await fold_changes(runtime)
    assert await is_exact()


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_any_history_rollups_say_what_the_tables_say(
    seed, settings, runtime, click, advertiser, client, rows, is_exact
):
    """
    Clicks of four days in any order and twice, conversions of every kind, statuses,
    amounts, upsells, refunds, erasures, while several workers fold at once.
    """
    chance = random.Random(seed)
    clicks = [
        click(
            timedelta(minutes=chance.randrange(6_000)),
            partner=chance.choice(["bestdeals", "bestdeals", "quiet"]),
            offer=chance.choice(["shoes", "shoes", "search", "game"]),
            click_class=chance.choice([*ClickClass, *4 * [ClickClass.VISIT]]),
            address=chance.choice([GERMAN, AMERICAN, AMAZON, ""]),
            user_agent=chance.choice([CHROME, IPHONE, GOOGLEBOT, ""]),
        )
        for _ in range(120)
    ]
    history = History(runtime, advertiser, client, chance, rows)
    async with open_runtime(settings) as other:
        other.catalog = runtime.catalog
        for start in range(0, len(clicks), 20):
            some = chance.sample(clicks[: start + 20], 15)
            await history.go_on(some)
            await asyncio.gather(
                *(fold_entries(each, some) for each in (runtime, other)),
                *(fold_changes(each) for each in (runtime, other, runtime)),
                close_days(runtime),
            )
    await rows_of(
        runtime, "update conversion_changes set written_at = now() - interval '11 min'"
    )
    await fold_changes(runtime)

    assert len(await rows("select from conversions")) > 20
    assert (await runtime.rollups.count_waiting()).changes == 0
    await agrees_with_conversions(rows)
    await pairs_agree(rows)
    assert await is_exact()
    await views_agree(rows)


async def pairs_agree(rows):
    """Each two of four dimensions sum up the same conversions, day by day."""
    for pair in combinations(("partner", "offer", "country", "device"), 2):
        own = [f"{one}_number" if one in ("partner", "offer") else one for one in pair]
        keys = ", ".join(("basis", "day", *own, "goal", "currency", "traffic"))
        order = f"order by {keys}"
        pairs = await rows(
            f"select {keys}, {', '.join(SUMMED_BY_STATUS)} "
            f"from conversion_rollup_pairs where pair = %s {order}",
            " ".join(pair),
        )
        summed = ", ".join(
            f"{sum_} as {name}" for name, sum_ in SUMMED_BY_STATUS.items()
        )
        assert pairs == await rows(
            f"select {keys}, {summed} from (select *, (starts_at at time zone "
            "(select conversions_zone from rollup_days))::date as day "
            f"from conversion_rollups) as quarters group by {keys} {order}"
        )


SUMMED_BY_STATUS = {
    "pending": "coalesce(sum(conversions) filter (where status = 'pending'), 0)",
    "approved": "coalesce(sum(conversions) filter (where status = 'approved'), 0)",
    "rejected": "coalesce(sum(conversions) filter (where status = 'rejected'), 0)",
    "amount": "coalesce(sum(amount) filter (where status <> 'rejected'), 0)",
    "revenue": "coalesce(sum(revenue) filter (where status <> 'rejected'), 0)",
    "payout": "coalesce(sum(payout) filter (where status <> 'rejected'), 0)",
    "approved_revenue": "coalesce(sum(revenue) filter (where status = 'approved'), 0)",
    "approved_payout": "coalesce(sum(payout) filter (where status = 'approved'), 0)",
}


async def agrees_with_conversions(rows):
    """In both bases, with the table of conversions as it stands."""
    sums = (
        "{} as n, sum(payout) as payout, sum(revenue) as revenue, "
        "sum(coalesce(amount, 0)) as amount from {} group by status order by status"
    )
    raw = sums.format("count(*)", "conversions where click_class <> 4")
    said = await rows(f"select status, {raw}")
    for basis in ("click", "conversion"):
        of_basis = f"conversion_rollups where basis = '{basis}'"
        counted = sums.format("sum(conversions)::int", of_basis)
        assert await rows(f"select status, {counted}") == said


async def views_agree(rows):
    """To the cent and the click; all is in one currency."""
    await days_agree_with_conversions(rows)
    await days_agree_with_clicks(rows)
    raw = await rows(f"select {SUMMED} from conversions")
    assert await rows(f"select {SUMMED} from report_conversions") == raw
    assert await rows(f"select {SUMS} from report_clicks") == raw
    (deliveries,) = await rows("select count(*) from report_deliveries")
    assert [deliveries] == await rows("select count(*) from deliveries")


async def days_agree_with_conversions(rows):
    for basis, time in (("click", "clicked_at"), ("conversion", "converted_at")):
        assert await rows(
            f"select partner, day, {SUMS} from report_partner_days_utc "
            "where basis = %s and conversions + rejected > 0 "
            "group by partner, day order by partner, day",
            basis,
        ) == await rows(
            f"select partner, ({time} at time zone 'UTC')::date as day, {SUMMED} "
            "from conversions where click_class <> 4 group by 1, 2 order by 1, 2"
        )


async def days_agree_with_clicks(rows):
    """The catalog's days are those of UTC here; clicks have one time in both bases."""
    raw = await rows(
        "select partner, day, "
        "count(*) filter (where traffic = 'visit' or conversions > 0)::int as clicks, "
        "count(*) filter (where traffic in ('bot', 'datacenter') "
        "  and conversions = 0)::int as bots, "
        "count(*) filter (where is_unique)::int as uniques "
        "from report_clicks where traffic <> 'test' group by 1, 2 order by 1, 2"
    )
    views = ("report_partner_days", "report_partner_days_utc")
    for days, basis in product(views, ("click", "conversion")):
        found = await rows(
            "select partner, day, clicks::int, bots::int, uniques::int "
            f"from {days} where basis = %s order by partner, day",
            basis,
        )
        assert list(filter(_has_clicks, found)) == list(filter(_has_clicks, raw))


def _has_clicks(row):
    return row["clicks"] or row["bots"] or row["uniques"]


SUMMED = """
count(*) filter (where status <> 'rejected') as conversions,
count(*) filter (where status = 'rejected') as rejected,
coalesce(sum(amount) filter (where status <> 'rejected'), 0) as amount,
coalesce(sum(revenue) filter (where status <> 'rejected'), 0) as revenue,
coalesce(sum(payout) filter (where status <> 'rejected'), 0) as payout,
coalesce(sum(revenue - payout) filter (where status <> 'rejected'), 0) as profit
"""

SUMS = """
sum(conversions)::int as conversions, sum(rejected)::int as rejected,
sum(amount) as amount, sum(revenue) as revenue, sum(payout) as payout,
sum(profit) as profit
"""


async def test_a_delivery_is_viewed_with_its_last_attempt(
    click, fold, advertiser, run_worker_once, rows
):
    (click_id,) = await fold(click())
    await advertiser.report(click_id)
    owed = "select state, attempts, http_status, offer, told from report_deliveries"
    before = await rows(owed)
    await run_worker_once()

    assert [tuple(row.values()) for row in before] == [
        ("owed", 0, None, "shoes", "bestdeals")
    ]
    assert [tuple(row.values()) for row in await rows(owed)] == [
        ("delivered", 1, 200, "shoes", "bestdeals")
    ]


class History:
    """An advertiser that reports anything, and an operator that changes it."""

    def __init__(self, runtime, advertiser, client, chance, rows):
        self._runtime = runtime
        self._advertiser = advertiser
        self._client = client
        self._chance = chance
        self._rows = rows

    async def go_on(self, entries):
        for entry in entries:
            await self._report(entry.click_id.decode())
        for row in await self._rows("select id, status from conversions order by id"):
            if self._chance.random() < 0.2:
                await self._change(row["id"])
        if self._chance.random() < 0.5:
            await erase_click(self._runtime, entries[0].click_id.decode(), "root")

    async def _report(self, click_id):
        chance = self._chance
        offer = facts_of(click_id).offer_number
        amount = f"{chance.randrange(1, 9999) / 100:.2f}"
        if offer == self._runtime.catalog.offers["search"].number:
            status = chance.choice(["sold", "sold", "returned"])
            said = {"ref": click_id, "parts": "a:10,50", "commission": amount}
            url = f"/postback/hooli/s3cret-token/{status}"
            await self._client.get(url, params=said)
            return
        goals = ["lead", "sale", "upsell", "install", "trial", "refill"]
        await self._advertiser.report(
            click_id,
            goal=chance.choice(goals),
            amount=amount,
            status=chance.choice(["approved", "pending", "rejected"]),
            transaction_id=chance.choice(["t1", "t2", click_id]),
        )

    async def _change(self, conversion_id):
        by = Operator("root")
        try:
            if self._chance.random() < 0.3:
                amount = Decimal(self._chance.randrange(1, 9999)) / 100
                await set_conversion_amount(self._runtime, conversion_id, amount, by)
            else:
                status = self._chance.choice([*Status])
                await set_conversion_status(self._runtime, conversion_id, status, by)
        except RefusedChangeError:
            return


async def rows_of(runtime, *statements):
    async with runtime.pool.connection() as connection:
        for statement in statements:
            await connection.execute(statement)
