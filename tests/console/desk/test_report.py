"""A report says what the raw tables say, by whatever it is asked for."""

import asyncio
import csv
import io
import random
import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from urllib.parse import parse_qsl

import httpx
import pytest
from report_world import NOW, STATUSES, World

from tracker.console.report_files import write_csv
from tracker.domain.drilling import Drills, drill
from tracker.domain.report import DIMENSIONS, MEASURES
from tracker.domain.report_reading import MOST_FAULTS, read_query
from tracker.store.analysis import AnalysisStore
from tracker.store.postgres import ANALYSIS, make_pool

ZONES = (
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
)


@pytest.fixture
async def world(runtime):
    """With offers of two currencies, so that sums have to be made one."""
    offers = dict(runtime.catalog.offers)
    offers["abroad"] = replace(offers["abroad"], currency="EUR")
    rates = {"EUR": Decimal("1.10")}
    runtime.catalog = replace(runtime.catalog, offers=offers, rates=rates)
    world = World(runtime, seed=6)
    await world.make()
    await world.change()
    return world


def reading(runtime, text, partner=None):
    pairs = parse_qsl(text, keep_blank_values=True)
    return read_query(pairs, runtime.catalog, now=NOW, partner=partner)


def asked(runtime, text, partner=None):
    read = reading(runtime, text, partner)
    assert read.faults == ()
    return read.query


def random_query(chance):
    """A URL of a report that nobody thought of."""
    first = date(2026, 10, 19) + timedelta(days=chance.randrange(16))
    last = first + timedelta(days=chance.randrange(12))
    by = chance.sample(list(DIMENSIONS), chance.randrange(4))
    said = [
        f"from={first}&to={last}&zone={chance.choice(ZONES)}&by={','.join(by)}",
        f"basis={chance.choice(('click', 'conversion'))}",
        f"columns={','.join(MEASURES)}",
        f"sort={chance.choice(('', '-'))}{chance.choice([*by, *MEASURES])}",
    ]
    values = {
        "partner": ("bestdeals",), "offer": ("shoes", "abroad"), "goal": ("sale",),
        "status": STATUSES, "currency": ("EUR",), "country": ("DE", ""),
        "device": ("phone",), "traffic": ("visit", "bot"), "sub1": ("", "=1%2B1", "a"),
        "advertiser": ("acme",), "os": ("iOS", ""),
    }  # fmt: skip
    for name in chance.sample(list(values), chance.choice((0, 0, 1, 1, 2))):
        known = values[name]
        some = chance.sample(known, chance.randrange(1, len(known) + 1))
        said += [f"{name}={value}" for value in some]
    return "&".join(said)


def is_something(values):
    return any(values[name] for name in MEASURES if MEASURES[name].kind != "price")


async def test_reports_say_what_the_raw_tables_say(world, runtime):
    """Of whatever is asked for, in zones of whole, half and quarter hours."""
    chance = random.Random(6)
    for _ in range(120):
        text = random_query(chance)
        query = asked(runtime, text)

        report = await runtime.analysis.get(query, runtime.catalog)

        into = report.head.currency
        rates = {one: runtime.catalog.rate(one, into) for one in ("USD", "EUR")}
        expected = world.expected(query, rates)
        totals = expected.pop(None, dict.fromkeys(MEASURES, 0))
        wanted = {key: row for key, row in expected.items() if is_something(row)}
        told = {row.keys: dict(row.values) for row in report.rows}
        assert told == (wanted if query.by else {}), text
        for name in MEASURES:
            assert (report.head.totals.values[name] or 0) == (totals[name] or 0), text


MONTH = "from=2026-10-20&to=2026-11-05&zone=Europe/Paris"


async def test_page_csv_and_json_say_the_same(world, as_role):
    """The totals stand above all rows, and are the sum of what a file has."""
    async with as_role("viewer") as client:
        address = f"{MONTH}&by=partner,offer"
        document = (await client.get(f"/report.json?{address}")).json()
        table = (await client.get(f"/report.csv?{address}")).text
        page = (await client.get(f"/report?{address}")).text

    rows = list(csv.DictReader(io.StringIO(table)))
    totals = document["totals"]
    assert {row["currency"] for row in rows} == {document["currency"]} == {"USD"}
    assert sum(int(row["clicks"]) for row in rows) == totals["clicks"] > 0
    assert [row["payout"] for row in rows] == [r["payout"] for r in document["rows"]]
    assert f"{Decimal(totals['revenue']):,f}" in page
    assert all(f"{Decimal(row['payout']):,f}" in page for row in rows)


async def test_rows_by_currency_are_exact_in_their_own(world, runtime):
    query = asked(runtime, f"{MONTH}&by=currency&sort=-revenue")

    report = await runtime.analysis.get(query, runtime.catalog)

    kept = defaultdict(Decimal)
    for row in world.conversions:
        if row["status"] != "rejected" and row["clicked_at"] < datetime(
            2026, 11, 5, 23, tzinfo=UTC
        ):
            kept[row["currency"]] += row["revenue"]
    told = {row.keys[0]: row.values["revenue"] for row in report.rows}
    assert {key: told[key] for key in ("USD", "EUR")} == kept
    assert report.head.is_converted


async def test_a_partner_sees_what_it_earns_and_not_what_we_earn(world, as_role):
    """Neither in a column, nor by an order, nor by a filter, nor of somebody else."""
    private = ("revenue", "profit", "margin", "rpc", "amount", "advertiser")
    async with as_role("partner", "quiet") as client:
        own = (await client.get(f"/report.json?{MONTH}&by=offer")).json()
        table = (await client.get(f"/report.csv?{MONTH}&by=offer")).text
        page = (await client.get(f"/report?{MONTH}&by=offer")).text
        refused = [
            await client.get(f"/report.{kind}?{MONTH}&by=offer&{asked}")
            for kind in ("json", "csv")
            for asked in (
                "columns=revenue", "sort=-profit", "partner=bestdeals", "by=partner",
                "advertiser=acme", "sort=advertiser",
            )
        ]  # fmt: skip
    async with as_role("viewer") as client:
        address = f"/report.json?{MONTH}&by=offer&partner=quiet"
        staff = (await client.get(address)).json()

    assert own["totals"] == {
        name: value for name, value in staff["totals"].items() if name in own["totals"]
    }
    assert own["totals"]["clicks"] > 0
    assert not any(name in own["totals"] or name in table for name in private)
    assert not any(f">{MEASURES[n].label}<" in page for n in private if n in MEASURES)
    assert "bestdeals" not in page
    assert {answer.status_code for answer in refused} == {400}


async def test_a_row_leads_to_itself_in_more_detail(world, runtime, as_role):
    async with as_role("viewer") as client:
        page = (await client.get(f"/report?{MONTH}&by=week,partner")).text
        address = f"{MONTH}&by=week,partner"
        (row, *_) = (await client.get(f"/report.json?{address}")).json()["rows"]
        drilled = next(
            unescape(one)
            for one in re.findall(r'href="(/report\?[^"]*partner=[^"]*)"', page)
        )
        inner = (await client.get(drilled.replace("/report?", "/report.json?"))).json()

    assert inner["by"] == ["offer"]
    assert inner["totals"]["clicks"] == row["clicks"]
    assert inner["totals"]["payout"] == row["payout"]


async def test_days_are_compared_with_those_before(world, runtime):
    """The first with the first, where clocks were changed between them."""
    text = "from=2026-10-25&to=2026-10-27&zone=Europe/Paris&by=day&compare=previous"
    before = "from=2026-10-22&to=2026-10-24&zone=Europe/Paris&by=day"

    report = await runtime.analysis.get(asked(runtime, text), runtime.catalog)
    earlier = await runtime.analysis.get(asked(runtime, before), runtime.catalog)

    assert [row.before for row in report.rows] == [row.values for row in earlier.rows]
    assert report.head.totals.before == earlier.head.totals.values


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        (
            "from=2026-01-01&to=2026-03-31&by=month&compare=month",
            ("2025-12-01", "2026-01-01", "2026-02-01", "2026-03-01"),
        ),
        (
            "from=2028-02-01&to=2028-03-31&by=month&compare=year",
            ("2027-02-01", "2027-03-01", "2027-04-01"),
        ),
        (
            "from=2026-11-01&to=2026-11-30&by=month&compare=month",
            ("2026-10-01", "2026-11-01"),
        ),
        (
            "from=2026-02-01&to=2026-02-28&by=week&compare=month",
            (
                "2026-01-01",
                "2026-01-02",
                "2026-01-09",
                "2026-01-16",
                "2026-01-23",
                "2026-02-01",
            ),
        ),
    ],
)
async def test_months_are_held_against_months(runtime, text, begun):
    """Whatever days they have, and the last week against all that is left."""
    query = asked(runtime, f"{text}&zone=UTC")

    (unit,) = query.by
    assert tuple(map(str, query.earlier_first_days(unit))) == begun
    assert tuple(f"{at:%Y-%m-%d}" for at in query.earlier_starts(unit)) == begun


async def test_rows_by_month_are_compared_with_what_the_totals_are(world, runtime):
    """October has a day more than November."""
    text = "from=2026-11-01&to=2026-11-30&zone=UTC&by=month&compare=month"
    query = asked(runtime, f"{text}&columns=clicks")
    report = await runtime.analysis.get(query, runtime.catalog)

    assert report.head.totals.before["clicks"] > 0
    assert [row.before for row in report.rows] == [report.head.totals.before]


async def test_of_days_that_were_dropped_no_click_is_proven(world, runtime, as_role):
    """Conversions outlive their clicks, and take nothing from bots that are gone."""
    async with runtime.pool.connection() as connection:
        for n in range(20, 28):
            await connection.execute(f"drop table clicks_202610{n}")
    text = "from=2026-10-20&to=2026-10-27&zone=UTC&by=os"
    async with as_role("admin") as client:
        told = (
            await client.get(f"/report.json?{text}&columns=clicks,bots,other")
        ).json()
        shown = await client.get(f"/report?{text}")

    assert told["totals"] == {"clicks": 0, "bots": 0, "other": 0}
    assert told["clicks_from"] == "2026-10-28"
    assert "Clicks are kept from 2026-10-28" in shown.text


async def test_what_a_stranger_wrote_is_no_formula(world, as_role):
    async with as_role("viewer") as client:
        table = (await client.get(f"/report.csv?{MONTH}&by=sub1")).text
        page = (await client.get(f"/report?{MONTH}&by=sub1")).text

    assert "\n'=1+1," in table
    assert "=1+1</span>" in page
    assert "(empty)" in page


async def test_what_takes_too_long_ends_and_says_what_to_narrow(
    world, runtime, console, settings, as_role
):
    hurried = {**ANALYSIS, "options": "-c statement_timeout=1ms"}
    pool = make_pool(settings.database_conninfo, size=1, session=hurried)
    await pool.open()
    console.state.runtime.analysis = AnalysisStore(pool)
    async with as_role("viewer") as client:
        page = await client.get(f"/report?{MONTH}&by=sub1,sub2,os")
        table = await client.get(f"/report.csv?{MONTH}&by=sub1,sub2,os")
    await pool.close()

    assert page.status_code == table.status_code == 503
    assert "Ask for fewer days" in page.text
    assert "fewer days" in table.json()["detail"]


async def test_a_filter_that_is_added_stands_in_the_address(console, as_role):
    async with as_role("viewer") as client:
        sent = await client.get(f"/report?{MONTH}&by=offer&by=&by=&add=sub1&value=")
        page = (await client.get(sent.headers["location"])).text

    assert sent.status_code == 303
    assert sent.headers["location"].endswith("&sub1=")
    assert "(empty)" in page


WRONG = {
    "by=partnr": "did you mean 'partner'?",
    "partner=bestdeal": "did you mean 'bestdeals'?",
    "zone=europe/pari": "did you mean 'Europe/Paris'?",
    "from=2026-02-30": "is no day",
    "from=2026-11-02&to=2026-11-01": "is before",
    "from=2021-01-01&to=2026-11-01": "at most 1830 days",
    "by=hour&from=2026-01-01&to=2026-11-01": "at most 31 days",
    "by=day,offer,goal,country": "at most 3 dimensions",
    "sort=-revenu": "did you mean 'revenue'?",
    "utm_source=x": "there is no such parameter",
    "sub1=%00": "cannot be the value",
    "country=Germany": "write two letters",
    "basis=click&basis=conversion": "more than once",
    "period=lastmonth": "did you mean 'last-month'?",
}


async def test_what_cannot_be_asked_is_said(console, as_role):
    async with as_role("viewer") as client:
        for text, said in WRONG.items():
            page = await client.get(f"/report?{text}")
            table = await client.get(f"/report.csv?{text}")

            assert (page.status_code, table.status_code) == (400, 400), text
            assert said in unescape(page.text), text
            assert said in table.json()["detail"], text


async def test_an_address_says_all_of_a_report(runtime):
    chance = random.Random(7)
    for _ in range(200):
        text = random_query(chance)
        query = asked(runtime, f"{text}&compare={chance.choice(('month', 'year'))}")
        again = asked(runtime, query.url().removeprefix("/report?"))
        assert again == query


async def test_every_row_leads_where_it_would_alone(runtime):
    """Many addresses are made at once, and say what each says by itself."""
    query = asked(runtime, f"{MONTH}&by=week,offer,sub1&country=DE&offer=hats")
    drills = Drills(query)
    for keys in (("2026-10-19", "hats", "a&b"), ("2026-11-02", "shoes", "")):
        own = asked(runtime, drills.url(keys).removeprefix("/report?"))
        assert own == drill(query, keys)
    assert drills.url(("2026-11-02", None, "")) == ""


async def test_a_reader_that_goes_away_holds_no_connection(world, runtime, settings):
    pool = make_pool(settings.database_conninfo, size=1, session=ANALYSIS)
    await pool.open()
    analysis = AnalysisStore(pool)
    query = asked(runtime, f"{MONTH}&by=hour")

    lines = write_csv(analysis.stream(query, runtime.catalog), query)
    first = await anext(lines)
    await lines.aclose()
    report = await analysis.get(query, runtime.catalog)
    await pool.close()

    assert first.startswith("hour,clicks,")
    assert report.head.count > 100


async def test_a_partner_learns_of_no_offer_but_its_own(console, as_role, runtime):
    offers, senders = runtime.catalog.offers, runtime.catalog.partners
    partner, others = next(
        (key, others)
        for key, sender in senders.items()
        if (others := [one for one in offers if not sender.may_promote(one)])
    )
    async with as_role("partner", partner) as client:
        page = (await client.get("/report")).text
        asked = await client.get(f"/report?offer={others[0]}")
        unknown = await client.get("/report?offer=nobody-has-this")

    assert not [one for one in others if f'"{one}"' in page]
    assert asked.status_code == unknown.status_code == 200
    assert "did you mean" not in unknown.text


async def test_of_many_mistakes_the_first_are_told(console, as_role):
    wrong = "&".join(f"offer=nothing-{number}" for number in range(90))
    async with as_role("viewer") as client:
        page = await client.get(f"/report?{wrong}")

    assert page.status_code == 400
    assert page.text.count("there is no offer") == MOST_FAULTS


class SlowReader:
    """A browser that takes the beginning of a file, and the rest when it is told."""

    def __init__(self, console, headers):
        self._console = console
        self._transport = httpx.ASGITransport(self._held)
        self._headers = headers
        self.begun, self.goes_on = asyncio.Event(), asyncio.Event()

    async def get(self, path):
        async with httpx.AsyncClient(transport=self._transport) as client:
            return await client.get(f"http://c{path}", headers=self._headers)

    async def _held(self, scope, receive, send):
        async def held(message):
            await send(message)
            if message["type"] == "http.response.body":
                self.begun.set()
                await self.goes_on.wait()

        await self._console(scope, receive, held)


async def test_a_file_is_whole_before_it_is_sent(world, console, as_role, settings):
    """However slowly it is read, that keeps no connection from anybody."""
    pool = make_pool(settings.database_conninfo, size=1, session=ANALYSIS)
    await pool.open()
    console.state.runtime.analysis = AnalysisStore(pool)
    async with as_role("viewer") as client:
        reader = SlowReader(console, client.headers)
        reading = asyncio.create_task(reader.get(f"/report.csv?{MONTH}&by=hour,os"))
        async with asyncio.timeout(10):
            await reader.begun.wait()
            beside = await client.get(f"/report?{MONTH}")
        reader.goes_on.set()
        file = await reading
    await pool.close()

    assert beside.status_code == 200
    assert len(file.text.splitlines()) > 100


async def test_a_loss_is_a_number_in_a_file(world, console, as_role):
    async with as_role("viewer") as client:
        url = f"/report.csv?{MONTH}&by=day,offer&columns=revenue,payout,profit"
        rows = list(csv.DictReader((await client.get(url)).text.splitlines()))

    losses = [Decimal(row["profit"]) for row in rows if row["profit"].startswith("-")]
    assert losses
    for row in rows:
        earned = Decimal(row["revenue"]) - Decimal(row["payout"])
        assert Decimal(row["profit"]) == earned
