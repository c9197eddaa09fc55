"""The cast: what is owed, to whom, and partners as real HTTP servers."""

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import psycopg
from aiohttp import web

from tracker.domain.catalog import Catalog
from tracker.domain.click import Click
from tracker.domain.click_id import ClickClass
from tracker.domain.conversion import Cause, Change, Conversion
from tracker.domain.delivery import owed_deliveries
from tracker.domain.macro_values import Occasion
from tracker.domain.money import Rate
from tracker.domain.offer import Goal, Offer, Status
from tracker.domain.outbound import PartnerPostback
from tracker.domain.partner import Partner
from tracker.domain.worth import Money

NOW = datetime(2026, 11, 22, 11, 0, 0, 123456, tzinfo=UTC)
CLICK_ID = "1jq0000000000000000000000000000a"


def a_conversion(**changed):
    conversion = Conversion(
        id="cv_1",
        advertiser="acme",
        offer="acme-shoes",
        partner="bestdeals",
        goal="sale",
        click_id=CLICK_ID,
        click_class=ClickClass.VISIT,
        clicked_at=NOW - timedelta(hours=1),
        transaction_id="order-1",
        status=Status.APPROVED,
        money=Money("USD", Decimal("2.5"), Decimal(4)),
        converted_at=NOW,
        changed_at=NOW,
        changes=1,
        catalog_version=1,
    )
    return conversion.but(**changed)


def a_change(number=1, **changed):
    change = Change(
        id=f"ch_{number}",
        conversion_id="cv_1",
        number=number,
        kind="created",
        old_status=None,
        status=Status.APPROVED,
        money=Money("USD", Decimal("2.5"), Decimal(4)),
        cause=Cause(NOW, 1, postback_id="pb_1"),
    )
    return change.but(**changed)


def a_click(**changed):
    return Click(CLICK_ID, 1, subs=("one", *("",) * 9)).but(**changed)


def a_postback(url="https://track.example/pb?cid={click_id}", **changed):
    return replace(PartnerPostback("sales", url), **changed)


def a_partner(*postbacks, **changed):
    partner = Partner("bestdeals", 1, "Best Deals")
    return replace(partner, postbacks=postbacks or (a_postback(),), **changed)


def an_offer(**changed):
    offer = Offer(
        key="acme-shoes",
        number=1,
        name="Acme Shoes",
        advertiser="acme",
        url="https://shop.example/?c={click_id}",
        window=timedelta(days=30),
        currency="USD",
        timezone="UTC",
        goals={"sale": Goal("sale", Rate(Decimal("2.5")), Rate(Decimal(4)))},
    )
    return replace(offer, **changed)


def a_catalog(*postbacks, secrets=None, **changed):
    partner = a_partner(*postbacks, **changed)
    return Catalog(
        version=1,
        currency="USD",
        timezone="UTC",
        advertisers={},
        offers={},
        partners={partner.key: partner},
        secrets=secrets or {},
    )


def a_delivery(number=1, *, conversion="cv_1", catalog=None, **changed):
    """One that is owed at once; another conversion, or number, makes another one."""
    catalog = catalog or a_catalog()
    change = a_change(number, id=f"ch_{conversion}_{number}", conversion_id=conversion)
    made = a_conversion(id=conversion)
    (delivery,) = owed_deliveries(Occasion(change, made, a_click(), catalog))
    return delivery.but(**changed)


@dataclass(frozen=True)
class Hit:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self):
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)


class PartnerInbox:
    """
    A partner's server: keeps what it is told, and answers as it was asked to.

    `answers` are used up one by one, then it answers 200.
    """

    def __init__(self):
        self.hits = []
        self.answers = deque()
        self.let_go = asyncio.Event()
        self._told = asyncio.Condition()
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        self.port = 0

    async def start(self):
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self):
        self.let_go.set()
        await self._runner.cleanup()

    def url(self, rest="/pb?cid={click_id}"):
        return f"http://127.0.0.1:{self.port}{rest}"

    async def wait_for_hits(self, number):
        async with asyncio.timeout(10), self._told:
            await self._told.wait_for(lambda: len(self.hits) >= number)

    async def _answer(self, request):
        body = await request.read()
        hit = Hit(request.method, request.raw_path, dict(request.headers), body)
        async with self._told:
            self.hits.append(hit)
            self._told.notify_all()
        answer = self.answers.popleft() if self.answers else 200
        if isinstance(answer, int):
            return web.Response(status=answer, text="OK")
        if isinstance(answer, web.Response):
            return answer
        return await answer(self, request)


async def hang(inbox, request):
    """Says nothing until it is let go."""
    await inbox.let_go.wait()
    return web.Response()


async def never_end(inbox, request):
    """A body without an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)


async def break_off(inbox, request):
    """A status, half a body, and a closed connection."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"half")
    request.transport.close()
    return response


async def hang_up(inbox, request):
    """A closed connection, and no answer."""
    request.transport.close()
    return web.Response()


class Clock:
    """Moves the time of one database: leases, schedules and ages, nothing else."""

    def __init__(self, database_url):
        self._url = database_url
        self._offset = timedelta()

    def advance(self, **by):
        self._offset += timedelta(**by)
        seconds = self._offset.total_seconds()
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(
                "create or replace function tracker_now() returns timestamptz "
                "language sql volatile as $$ select clock_timestamp() + "
                f"interval '{seconds} seconds' $$"
            )
            for table in ("delivery_attempts", "delivery_archive"):
                connection.execute(
                    "select tracker_make_partitions(%s, tracker_now()::date - 1, "
                    "tracker_now()::date + 1)",
                    [table],
                )


class Ledger:
    """Looks into one database from outside, as an operator with psql would."""

    def __init__(self, database_url):
        self._url = database_url

    def column(self, query, *parameters):
        with psycopg.connect(self._url, autocommit=True) as connection:
            return [row[0] for row in connection.execute(query, parameters)]

    def execute(self, statement, *parameters):
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement, parameters)

    @property
    def outcomes(self):
        """Of all attempts, in order."""
        return self.column("select outcome from delivery_attempts order by started_at")

    @property
    def archived(self):
        """Outcome and reason of what is finished, in order."""
        return self.column(
            "select trim(outcome || ' ' || reason) from delivery_archive "
            "order by finished_at, number"
        )
