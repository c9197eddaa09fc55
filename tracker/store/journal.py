"""The logs that people read page by page: what was kept, and nothing is changed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from tracker.domain.click import SUBS
from tracker.domain.click_id import ClickClass
from tracker.domain.outcome import Verdict
from tracker.store.migrations import read_report
from tracker.store.paging import (
    ByCreation,
    ById,
    Log,
    Page,
    Place,
    Search,
    Source,
    fetch,
    fetch_page,
)
from tracker.store.postgres import Pool, transaction
from tracker.store.reports import (
    ListedConversion,
    ListedDelivery,
    ListedPostback,
    read_rows,
)

FIRST = Place()

LOOKED_UP = 2_000
"""Conversions that are read for one page, where each has its click looked up."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class ClickWanted:
    """Which clicks; None leaves a column open, `label` is a name and its value."""

    partner: str | None = None
    offers: Collection[str] | None = None
    click_class: ClickClass | None = None
    reason: str | None = None
    country: str | None = None
    device: str | None = None
    traffic: str | None = None
    label: tuple[str, str] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PostbackWanted:
    """Which postbacks; an outcome `quarantined` is what is there still."""

    outcome: str | None = None
    reason: str | None = None
    advertiser: str | None = None
    transaction_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConversionWanted:
    """Which conversions; `label` is one of their clicks, by name and value."""

    status: str | None = None
    partner: str | None = None
    offer: str | None = None
    advertiser: str | None = None
    goal: str | None = None
    transaction_id: str | None = None
    label: tuple[str, str] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryWanted:
    """Which deliveries, by the words of `ListedDelivery`."""

    state: str | None = None
    partner: str | None = None
    postback: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


Wanted = ClickWanted | PostbackWanted | ConversionWanted | DeliveryWanted


@dataclass(frozen=True, slots=True)
class ListedClick:
    """A click as it was folded; `labels` are those that it has."""

    id: str
    clicked_at: datetime
    click_class: str
    partner: str
    offer: str
    reason: str
    labels: Mapping[str, str]
    country: str
    device: str
    os: str
    browser: str
    traffic: str
    address: str
    user_agent: str
    referrer: str
    route: str


@dataclass(frozen=True, slots=True)
class OwnClick:
    """As much of a click as its partner may see."""

    id: str
    clicked_at: datetime
    click_class: str
    offer: str
    reason: str
    labels: Mapping[str, str]
    country: str
    device: str
    os: str
    browser: str
    traffic: str
    referrer: str


@dataclass(frozen=True, slots=True)
class OwnConversion:
    """As much of a conversion as its partner may see."""

    id: str
    status: str
    offer: str
    goal: str
    click_id: str
    transaction_id: str | None
    currency: str
    payout: Decimal
    clicked_at: datetime
    converted_at: datetime
    changed_at: datetime
    changes: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many postbacks are in quarantine for a reason, and the last of them."""

    reason: str
    postbacks: int
    last_at: datetime


_LIST_NUMBERS = """
select kind, number
from   catalog_numbers
where  (kind = 'partner' and key = %(partner)s)
or     (kind = 'offer' and key = any(%(offers)s::text[]))
"""

_SUBS = {name: f"{name} = %({name})s" for name in SUBS}

_CLICKS = Log(
    [
        Source(
            columns="""
                id, clicked_at, class as click_class,
                coalesce((select key from catalog_numbers
                          where kind = 'partner' and number = partner_number),
                         'number ' || partner_number) as partner,
                coalesce((select key from catalog_numbers
                          where kind = 'offer' and number = offer_number),
                         'number ' || offer_number) as offer,
                coalesce(reason, '') as reason,
                sub1, sub2, sub3, sub4, sub5, sub6, sub7, sub8, sub9, sub10,
                coalesce(country, '') as country, coalesce(device, '') as device,
                coalesce(os, '') as os, coalesce(browser, '') as browser,
                coalesce(traffic, '') as traffic,
                coalesce(host(address), '') as address,
                coalesce(user_agent, '') as user_agent,
                coalesce(referrer, '') as referrer, coalesce(route, '') as route""",
            table="clicks",
            conditions={
                "partner": "partner_number = %(partner)s",
                "offers": "offer_number = any(%(offers)s)",
                "click_class": "class = %(click_class)s",
                "reason": "reason = %(reason)s",
                "country": "country = %(country)s",
                "device": "device = %(device)s",
                "traffic": "traffic = %(traffic)s",
                **_SUBS,
            },
            served=frozenset({"partner", "sub1"}),
            day="is",
        )
    ],
    ById(),
)

_POSTBACK_COLUMNS = """
    id, received_at, method, path, parameters, route, host(address) as address,
    fault, proof, advertiser, click_id, transaction_id, outcome, reason,
    conversion_id, catalog_version, quarantined_for, waived, released_by, released_at"""

_POSTBACK_CONDITIONS = {
    name: f"{name} = %({name})s"
    for name in ("outcome", "reason", "advertiser", "transaction_id")
}

_POSTBACKS = Log(
    [Source(_POSTBACK_COLUMNS, "postbacks", _POSTBACK_CONDITIONS, day="is")],
    ById("pb_"),
)

_QUARANTINE = Log(
    [
        Source(
            _POSTBACK_COLUMNS,
            "postbacks",
            _POSTBACK_CONDITIONS,
            served=frozenset({"outcome", "reason"}),
            day="is",
            always=("outcome = 'quarantined'",),
        )
    ],
    ById("pb_"),
)

_CLICK_OF_CONVERSION = """exists (
    select from clicks
    where  clicks.day = (conversions.clicked_at at time zone 'UTC')::date
    and    clicks.id = conversions.click_id
    and    clicks.{name} = %({name})s
    offset 0)"""

_CONVERSION = Source(
    columns="*",
    table="conversions",
    conditions={
        **{
            name: f"{name} = %({name})s"
            for name in (
                "status", "partner", "offer", "advertiser", "goal", "transaction_id"
            )
        },
        **{name: _CLICK_OF_CONVERSION.format(name=name) for name in SUBS},
    },
    served=frozenset({"partner", "transaction_id"}),
)  # fmt: skip

_CONVERSIONS = Log([_CONVERSION], ById("cv_"))
_CONVERSIONS_BY_LABEL = Log([_CONVERSION], ById("cv_"), LOOKED_UP)

_DELIVERY_CONDITIONS = {
    "partner": "partner = %(partner)s",
    "postback": "postback = %(postback)s",
}

_DELIVERIES = Log(
    [
        Source(
            columns="""
                id, change_id, conversion_id, partner, postback, lane, number, round,
                case when held_reason is null then 'owed' else 'held' end as state,
                coalesce(held_reason, '') as reason, attempts, created_at,
                case when held_reason is null then due_at end as due_at,
                null::timestamptz as finished_at""",
            table="deliveries",
            conditions={
                **_DELIVERY_CONDITIONS,
                "state": "case when held_reason is null then 'owed' else 'held' end"
                " = %(state)s",
                "reason": "held_reason = %(reason)s",
            },
            served=frozenset({"partner"}),
        ),
        Source(
            columns="""
                id, change_id, conversion_id, partner, postback, lane, number, round,
                outcome as state, reason, attempts, created_at,
                null::timestamptz as due_at, finished_at""",
            table="delivery_archive",
            conditions={
                **_DELIVERY_CONDITIONS,
                "state": "outcome = %(state)s",
                "reason": "reason = %(reason)s",
            },
            served=frozenset({"partner"}),
            day="from",
        ),
    ],
    ByCreation(),
)


class Journal:
    """The logs of one database, for people; nothing here locks or writes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_clicks(
        self, wanted: ClickWanted, place: Place = FIRST
    ) -> Page[ListedClick]:
        """Clicks of all partners, or of the one that is wanted."""
        page = await self._list_clicks(wanted, place)
        return page.of([_click(row, ListedClick) for row in page.rows])

    async def list_own_clicks(
        self, partner: str, wanted: ClickWanted, place: Place = FIRST
    ) -> Page[OwnClick]:
        """Those of one partner, whatever partner is wanted, and what it may see."""
        page = await self._list_clicks(replace(wanted, partner=partner), place)
        return page.of([_click(row, OwnClick) for row in page.rows])

    async def list_postbacks(
        self, wanted: PostbackWanted, place: Place = FIRST
    ) -> Page[ListedPostback]:
        """Postbacks, believed or not."""
        is_quarantine = wanted.outcome == Verdict.QUARANTINED
        log = _QUARANTINE if is_quarantine else _POSTBACKS
        page = await self._page(log, _filters(wanted), wanted, place)
        return page.of(read_rows(ListedPostback, page.rows))

    async def list_conversions(
        self, wanted: ConversionWanted, place: Place = FIRST
    ) -> Page[ListedConversion]:
        """Conversions as they stand, the one that came last first."""
        page = await self._list_conversions(wanted, place)
        return page.of(read_rows(ListedConversion, page.rows))

    async def list_own_conversions(
        self, partner: str, wanted: ConversionWanted, place: Place = FIRST
    ) -> Page[OwnConversion]:
        """Those of one partner, whatever partner is wanted, and what it may see."""
        own = replace(wanted, partner=partner, advertiser=None)
        page = await self._list_conversions(own, place)
        return page.of(
            [own_conversion(one) for one in read_rows(ListedConversion, page.rows)]
        )

    async def list_deliveries(
        self, wanted: DeliveryWanted, place: Place = FIRST
    ) -> Page[ListedDelivery]:
        """Every round of what is owed or finished, what was owed last first."""
        page = await self._page(_DELIVERIES, _filters(wanted), wanted, place)
        return page.of(read_rows(ListedDelivery, page.rows))

    async def list_own_deliveries(
        self, partner: str, wanted: DeliveryWanted, place: Place = FIRST
    ) -> Page[ListedDelivery]:
        """What is told to that partner, and to nobody else."""
        return await self.list_deliveries(replace(wanted, partner=partner), place)

    async def count_quarantined(
        self, since: datetime, until: datetime
    ) -> list[Refusals]:
        """What came into quarantine and is there still, the most frequent first."""
        key = _QUARANTINE.key
        given = {
            "since": key.first_at(since),
            "until": key.first_at(until),
            "since_day": since.date(),
            "until_day": until.date(),
        }
        async with transaction(self._pool) as connection:
            rows = await fetch(
                connection, _report("count_quarantined_by_reason"), given
            )
        return [
            Refusals(row["reason"], row["postbacks"], key.moment(row["last"]))
            for row in rows
        ]

    async def _list_clicks(
        self, wanted: ClickWanted, place: Place
    ) -> Page[Mapping[str, Any]]:
        filters = _filters(wanted)
        numbers = await self._numbers(wanted)
        if numbers is None:
            return Page()
        return await self._page(_CLICKS, filters | numbers, wanted, place)

    async def _list_conversions(
        self, wanted: ConversionWanted, place: Place
    ) -> Page[Mapping[str, Any]]:
        log = _CONVERSIONS_BY_LABEL if wanted.label else _CONVERSIONS
        return await self._page(log, _filters(wanted), wanted, place)

    async def _numbers(self, wanted: ClickWanted) -> dict[str, Any] | None:
        """The numbers behind the keys; None where one that is wanted has none."""
        offers = None if wanted.offers is None else list(wanted.offers)
        asked = {"partner": wanted.partner, "offers": offers}
        async with transaction(self._pool) as connection:
            cursor = await connection.execute(_LIST_NUMBERS, asked)
            found = await cursor.fetchall()
        partners = [number for kind, number in found if kind == "partner"]
        numbers = [number for kind, number in found if kind == "offer"]
        if (wanted.partner and not partners) or (offers is not None and not numbers):
            return None
        return ({"partner": partners[0]} if partners else {}) | (
            {"offers": numbers} if numbers else {}
        )

    async def _page(
        self, log: Log, filters: Mapping[str, Any], wanted: Wanted, place: Place
    ) -> Page[Mapping[str, Any]]:
        search = Search(log, filters, place, wanted.since, wanted.until)
        return await fetch_page(self._pool, search)


def own_click(one: ListedClick) -> OwnClick:
    """As much of it as its partner may see."""
    return OwnClick(**{each.name: getattr(one, each.name) for each in fields(OwnClick)})


def own_conversion(one: ListedConversion) -> OwnConversion:
    """Likewise."""
    return OwnConversion(
        **{each.name: getattr(one, each.name) for each in fields(OwnConversion)}
    )


_report = cache(read_report)


def _filters(wanted: Wanted) -> dict[str, Any]:
    """What is wanted by column, without what is left open, and without times."""
    values = {one.name: getattr(wanted, one.name) for one in fields(wanted)}
    label = values.pop("label", None)
    named = {label[0]: label[1]} if label else {}
    return named | {
        name: value
        for name, value in values.items()
        if value is not None and name not in {"since", "until"}
    }


def _click(row: Mapping[str, Any], kind: type[Row]) -> Row:
    known = {
        **row,
        "click_class": ClickClass(row["click_class"]).word,
        "labels": {name: row[name] for name in SUBS if row[name]},
    }
    return kind(**{one.name: known[one.name] for one in fields(kind)})  # type: ignore[arg-type]
