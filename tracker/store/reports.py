"""
What people and pages read: lists, and everything that belongs to one story.

Rows come as they stand, flat, with money in what its currency can pay. Nothing
here locks or writes.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from psycopg.rows import dict_row

from tracker.domain.click_id import ClickClass
from tracker.domain.errors import NotFoundError
from tracker.domain.identity import postback_day
from tracker.domain.money import to_minor_unit
from tracker.store.migrations import read_report
from tracker.store.postgres import Pool, transaction

FIRST_DAY = date(2024, 1, 1)
"""Nothing of ours is older: the ids of clicks begin to count here."""

_GET_CONVERSION = "select * from conversions where id = %(id)s"

_LIST_CONVERSIONS_OF = """
select   *
from     conversions
where    click_id = %(click_id)s
order by converted_at, id
"""

_LIST_VALUES = """
select macro_values
from   deliveries
where  id = %(id)s
union all
select macro_values
from   delivery_archive
where  day >= %(day)s and id = %(id)s
limit  1
"""

_LIST_SEEN = """
select coalesce(country, '') as country, coalesce(device, '') as device,
       coalesce(os, '') as os, coalesce(browser, '') as browser,
       coalesce(traffic, '') as traffic, coalesce(is_unique, false) as is_unique
from   clicks
where  day = %(day)s and id = %(id)s
"""

_LIST_CHANGED = """
select conversion_id
from   conversion_changes
join   conversions on conversions.id = conversion_id
where  conversion_changes.id = %(id)s
and    (%(partner)s::text is null or partner = %(partner)s)
"""

_LIST_KEYS = """
select kind, key
from   catalog_numbers
where  (kind, number) in (('partner', %(partner)s), ('offer', %(offer)s))
"""

_CURRENCIES = {
    "amount": "currency",
    "payout": "currency",
    "revenue": "currency",
    "sent_amount": "sent_currency",
}
"""The column with the currency of each sum."""

Row = TypeVar("Row", "ListedConversion", "ListedPostback", "ListedChange",
              "ListedDelivery", "ListedErasure", "PastAttempt")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConversionFilter:
    """Which conversions are listed; None leaves a column open."""

    status: str | None = None
    partner: str | None = None
    offer: str | None = None
    advertiser: str | None = None
    since: datetime | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class PostbackFilter:
    """Which postbacks are listed; `quarantined` is the outcome of quarantine."""

    outcome: str | None = None
    reason: str | None = None
    advertiser: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries are listed, by the words of `ListedDelivery`."""

    state: str | None = None
    partner: str | None = None
    reason: str | None = None
    since: datetime | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class ListedConversion:
    """A conversion as it stands; without its revenue for who may not see that."""

    id: str
    status: str
    advertiser: str
    offer: str
    partner: str
    goal: str
    click_id: str
    transaction_id: str | None
    currency: str
    amount: Decimal | None
    payout: Decimal
    revenue: Decimal | None
    sent_amount: Decimal | None
    sent_currency: str | None
    rate: Decimal
    click_class: str
    clicked_at: datetime
    converted_at: datetime
    changed_at: datetime
    changes: int
    catalog_version: int


@dataclass(frozen=True, slots=True)
class ListedPostback:
    """
    A postback as it came, and what was decided.

    `parameters` are pairs in the order they came, secrets masked; `proof` is what its
    signatures proved, as `tracker.domain.signature.Proof` has it. `quarantined_for`
    stays when it is released; outcome and reason are then those of the release.
    """

    id: str
    received_at: datetime
    method: str
    path: str
    parameters: tuple[tuple[str, str], ...]
    route: str | None
    address: str | None
    fault: str
    proof: Mapping[str, Any] | None
    advertiser: str | None
    click_id: str | None
    transaction_id: str | None
    outcome: str
    reason: str
    conversion_id: str | None
    catalog_version: int
    quarantined_for: str | None
    waived: str | None
    released_by: str | None
    released_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListedChange:
    """One thing that happened to a conversion, by a postback, an operator or a rule."""

    id: str
    conversion_id: str
    number: int
    kind: str
    old_status: str | None
    status: str
    currency: str
    amount: Decimal | None
    payout: Decimal
    revenue: Decimal | None
    postback_id: str | None
    operator: str | None
    note: str | None
    rule: str | None
    catalog_version: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class SeenVisitor:
    """What a visitor was taken for when its click was folded; "" is not known."""

    country: str
    device: str
    os: str
    browser: str
    traffic: str
    is_unique: bool


@dataclass(frozen=True, slots=True)
class ListedErasure:
    """Who had all erased that a click told, and when."""

    erased_by: str
    erased_at: datetime


@dataclass(frozen=True, slots=True)
class ListedDelivery:
    """
    One round of a delivery: `owed`, `held`, `delivered` or `dead`.

    `reason` says why it is held or dead, `due_at` when an owed one is tried next.
    """

    id: str
    change_id: str
    conversion_id: str
    partner: str
    postback: str
    lane: str
    number: int
    round: int
    state: str
    reason: str
    attempts: int
    created_at: datetime
    due_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """One try at a delivery: `delivered`, `failed`, `unknown` or `orphan`."""

    delivery_id: str
    round: int
    number: int
    outcome: str
    started_at: datetime
    duration_ms: int
    method: str
    url: str
    http_status: int | None
    answer: str
    error: str


class ReportStore:
    """Reads for people; every method is one statement."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_conversions(
        self, wanted: ConversionFilter
    ) -> list[ListedConversion]:
        """Conversions, the newest first."""
        rows = await self._fetch(_report("list_conversions"), **asdict(wanted))
        return read_rows(ListedConversion, rows)

    async def list_postbacks(self, wanted: PostbackFilter) -> list[ListedPostback]:
        """Postbacks, the newest first."""
        rows = await self._fetch(_report("list_postbacks"), **asdict(wanted))
        return read_rows(ListedPostback, rows)

    async def list_deliveries(self, wanted: DeliveryFilter) -> list[ListedDelivery]:
        """Deliveries, owed and finished, the newest first."""
        rows = await self._fetch(_report("list_deliveries"), **asdict(wanted))
        return read_rows(ListedDelivery, rows)

    async def get_conversion(self, conversion_id: str) -> ListedConversion:
        """The conversion of that id; raises NotFoundError."""
        rows = await self._fetch(_GET_CONVERSION, id=conversion_id)
        return _only(ListedConversion, rows, f"no conversion {conversion_id}")

    async def get_postback(self, postback_id: str) -> ListedPostback:
        """The postback of that id; raises NotFoundError."""
        rows = await self._fetch(
            _report("list_postbacks_of"),
            first_day=_day_of(postback_id),
            postback_ids=[postback_id],
            click_id=None,
            conversion_ids=[],
        )
        return _only(ListedPostback, rows, f"no postback {postback_id}")

    async def get_delivery(self, delivery_id: str) -> ListedDelivery:
        """The latest round of the delivery of that id; raises NotFoundError."""
        return (await self.list_rounds(delivery_id))[-1]

    async def list_rounds(self, delivery_id: str) -> list[ListedDelivery]:
        """Every round of the delivery of that id; raises NotFoundError."""
        rows = await self._fetch(
            _report("list_deliveries_of"),
            delivery_ids=[delivery_id],
            conversion_ids=[],
            first_day=FIRST_DAY,
        )
        if not rows:
            raise NotFoundError(f"no delivery {delivery_id}")
        return read_rows(ListedDelivery, rows)

    async def list_conversions_of(self, click_id: str) -> list[ListedConversion]:
        """The conversions of a click, the oldest first."""
        rows = await self._fetch(_LIST_CONVERSIONS_OF, click_id=click_id)
        return read_rows(ListedConversion, rows)

    async def list_postbacks_of(
        self,
        click_id: str | None,
        conversion_ids: Collection[str],
        *,
        first_day: date = FIRST_DAY,
    ) -> list[ListedPostback]:
        """
        Postbacks that named the click or concerned the conversions, in order.

        None of them came before `first_day`.
        """
        rows = await self._fetch(
            _report("list_postbacks_of"),
            first_day=first_day,
            postback_ids=[],
            click_id=click_id,
            conversion_ids=list(conversion_ids),
        )
        return read_rows(ListedPostback, rows)

    async def list_changes_of(
        self, conversion_ids: Collection[str]
    ) -> list[ListedChange]:
        """Everything that ever happened to these conversions, each in order."""
        rows = await self._fetch(
            _report("list_changes_of"), conversion_ids=list(conversion_ids)
        )
        return read_rows(ListedChange, rows)

    async def get_values(self, delivery: ListedDelivery) -> Mapping[str, str]:
        """What its macros stand for; raises NotFoundError once its day was dropped."""
        rows = await self._fetch(
            _LIST_VALUES, id=delivery.id, day=delivery.created_at.date()
        )
        if not rows:
            raise NotFoundError(f"no delivery {delivery.id}")
        values: Mapping[str, str] = rows[0]["macro_values"]
        return values

    async def list_seen(self, day: date, click_id: str) -> list[SeenVisitor]:
        """What the visitor of a click was taken for; nothing before it is folded."""
        rows = await self._fetch(_LIST_SEEN, day=day, id=click_id)
        return [SeenVisitor(**row) for row in rows]

    async def list_changed(self, change: str, partner: str | None) -> list[str]:
        """The conversion that a change was of, where it is that partner's."""
        rows = await self._fetch(_LIST_CHANGED, id=change, partner=partner)
        return [row["conversion_id"] for row in rows]

    async def list_erasures_of(self, click_id: str) -> list[ListedErasure]:
        """Every time that this click was erased."""
        rows = await self._fetch(_report("list_erasures_of"), click_id=click_id)
        return read_rows(ListedErasure, rows)

    async def list_deliveries_of(
        self, conversion_ids: Collection[str], *, first_day: date = FIRST_DAY
    ) -> list[ListedDelivery]:
        """What is or was owed for these conversions, every round of it, in order."""
        rows = await self._fetch(
            _report("list_deliveries_of"),
            delivery_ids=[],
            conversion_ids=list(conversion_ids),
            first_day=first_day,
        )
        return read_rows(ListedDelivery, rows)

    async def list_attempts_of(
        self, delivery_ids: Iterable[str], *, first_day: date = FIRST_DAY
    ) -> list[PastAttempt]:
        """Every try at these deliveries, in order."""
        rows = await self._fetch(
            _report("list_attempts_of"),
            delivery_ids=sorted(set(delivery_ids)),
            first_day=first_day,
        )
        return read_rows(PastAttempt, rows)

    async def list_keys(self, partner_number: int, offer_number: int) -> dict[str, str]:
        """The keys behind the numbers of a click id, as `partner` and `offer`."""
        rows = await self._fetch(_LIST_KEYS, partner=partner_number, offer=offer_number)
        return {row["kind"]: row["key"] for row in rows}

    async def _fetch(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        async with transaction(self._pool) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(query, parameters)
            return await cursor.fetchall()


_report = cache(read_report)


def _day_of(postback_id: str) -> date:
    try:
        return postback_day(postback_id)
    except ValueError as error:
        raise NotFoundError(str(error)) from error


def _only(kind: type[Row], rows: list[dict[str, Any]], missing: str) -> Row:
    if not rows:
        raise NotFoundError(missing)
    return _read(kind, rows[0])


def read_rows(kind: type[Row], rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows as they are listed, sums as they are paid."""
    return [_read(kind, row) for row in rows]


def _read(kind: type[Row], row: Mapping[str, Any]) -> Row:
    """Columns that the kind does not have are left behind."""
    tidy = {name: _tidy(name, value, row) for name, value in row.items()}
    return kind(**{one.name: tidy[one.name] for one in fields(kind)})


def _tidy(name: str, value: Any, row: Mapping[str, Any]) -> Any:
    """Values as people write them: columns have codes, and more decimals than paid."""
    match value:
        case Decimal() if name in _CURRENCIES:
            return _sum(value, row[_CURRENCIES[name]] or row["currency"])
        case Decimal():
            return _shortest(value)
        case int() if name == "click_class":
            return ClickClass(value).word
        case datetime():
            return value.astimezone(UTC)
        case list():
            return tuple(tuple(pair) for pair in value)
        case _:
            return value


def _sum(value: Decimal, currency: str) -> Decimal:
    """An amount may be finer than the minor unit; then nothing of it is hidden."""
    rounded = to_minor_unit(value, currency)
    return rounded if rounded == value else _shortest(value)


def _shortest(value: Decimal) -> Decimal:
    return Decimal(f"{value.normalize():f}")
