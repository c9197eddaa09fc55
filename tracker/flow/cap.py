"""Caps are looked after: which are reached, and what was taken before they were set."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

import structlog

from tracker import metrics
from tracker.domain.cap import AtCap, Clicks, Measure, Meter, PlacedCap, Span
from tracker.domain.catalog import Catalog
from tracker.domain.errors import BusyError, StoreUnavailableError
from tracker.domain.meter import Reading, closed_by, is_reached, list_reached
from tracker.domain.money import to_minor_unit
from tracker.runtime import Runtime

log = structlog.get_logger()

LOOK_SECONDS = 0.5
"""So that what redirects go by is never a second old."""

COUNT_SECONDS = 0.5

SETTLED_SECONDS = 11.0
"""An edit is followed everywhere by then; see `store/meters.py`."""

AT_ONCE = 20
"""Meters that are counted in one transaction, which postbacks may have to wait for."""


@dataclass(frozen=True, slots=True)
class ListedCap:
    """
    A cap, and what has been taken of it; `cap` says it in words.

    No offer or no partner means all of them together, no currency that conversions
    are counted, and no time that it is for ever.
    """

    cap: str
    offer: str | None
    partner: str | None
    of: Measure
    goals: Sequence[str]
    per: Span
    limit: Decimal
    currency: str | None
    taken: Decimal
    left: Decimal
    is_reached: bool
    then: AtCap
    clicks: Clicks
    starts_at: datetime | None
    ends_at: datetime | None


class CapWatch:
    """Knows for a web process which caps are reached, and says so of each once."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._told: set[tuple[PlacedCap, Meter]] = set()

    async def look(self) -> None:
        """
        One small query, if anything is capped.

        While Postgres is away what was seen last stands; it knows until when.
        """
        catalog, now = self._runtime.catalog, datetime.now(UTC)
        reached: list[tuple[PlacedCap, Reading]] = []
        if catalog.has_caps:
            try:
                readings = await self._runtime.meters.list_current(
                    now, only_reached=True
                )
            except (StoreUnavailableError, BusyError):
                return
            reached = list_reached(catalog, readings, now)
        self._runtime.closed = closed_by(reached)
        metrics.CAPS_REACHED.set(len(reached))
        self._tell(reached, now)

    def _tell(
        self, reached: Iterable[tuple[PlacedCap, Reading]], now: datetime
    ) -> None:
        self._told = {one for one in self._told if one[1].covers(now)}
        for placed, reading in reached:
            if (placed, reading.meter) not in self._told:
                self._told.add((placed, reading.meter))
                log.warning(
                    "cap.reached",
                    cap=str(placed),
                    taken=f"{_plain(reading.taken, placed):f}",
                    until=reading.meter.ends_at.isoformat(),
                    then=placed.cap.then,
                    clicks=placed.cap.clicks,
                )


class CapCount:
    """Has caps counted when an edit has brought them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._catalog: Catalog | None = None
        self._count_again_at: float | None = None

    async def count(self) -> None:
        """At once after an edit, and once more when every process follows it."""
        catalog, now = self._runtime.catalog, asyncio.get_running_loop().time()
        if catalog is not self._catalog:
            await count_caps(self._runtime, catalog, datetime.now(UTC))
            self._catalog = catalog
            self._count_again_at = now + SETTLED_SECONDS
        elif self._count_again_at and now > self._count_again_at:
            await count_caps(self._runtime, catalog, datetime.now(UTC))
            self._count_again_at = None


async def count_caps(runtime: Runtime, catalog: Catalog, now: datetime) -> None:
    """What conversions have taken of every cap in the periods of this moment."""
    if not catalog.has_caps:
        return
    wanted: dict[Meter, list[PlacedCap]] = {}
    for cap in catalog.list_caps():
        for placed in await _of_each(runtime, cap, now):
            wanted.setdefault(placed.meter(now), []).append(placed)
    meters = iter(wanted)
    while some := list(islice(meters, AT_ONCE)):
        await runtime.meters.count({one: wanted[one] for one in some}, catalog)


async def _of_each(
    runtime: Runtime, cap: PlacedCap, now: datetime
) -> Sequence[PlacedCap]:
    """The cap itself, or that of each partner who has taken anything of it."""
    if not cap.is_for_each:
        return [cap]
    return _spread(cap, await runtime.meters.list_partners(cap.meter(now)))


async def list_caps(runtime: Runtime, now: datetime) -> list[ListedCap]:
    """Every cap with what has been taken of it by now, in the order of the file."""
    catalog = runtime.catalog
    readings = {one.meter: one for one in await runtime.meters.list_current(now)}
    takers: dict[str, set[str]] = {}
    for meter in readings:
        takers.setdefault(meter.offer, set()).add(meter.partner)
    listed = []
    for cap in catalog.list_caps():
        for placed in _spread(cap, takers.get(cap.offer, ())):
            meter = placed.meter(now)
            if meter in readings or not cap.is_for_each:
                reading = readings.get(meter, Reading(meter))
                listed.append(_listed(placed, reading, catalog))
    return listed


def _spread(cap: PlacedCap, partners: Iterable[str]) -> list[PlacedCap]:
    if not cap.is_for_each:
        return [cap]
    return [cap.but(partner=one) for one in sorted(partners) if one]


def _listed(placed: PlacedCap, reading: Reading, catalog: Catalog) -> ListedCap:
    cap, meter, taken = placed.cap, reading.meter, reading.taken
    is_for_ever = cap.per == "total"
    return ListedCap(
        cap=str(placed),
        offer=placed.offer or None,
        partner=placed.partner or None,
        of=cap.of,
        goals=sorted(cap.goals),
        per=cap.per,
        limit=cap.limit,
        currency=None if cap.of == "conversions" else placed.currency,
        taken=_plain(taken, placed),
        left=max(_plain(cap.limit - taken, placed), Decimal(0)),
        is_reached=is_reached(placed, reading, catalog),
        then=cap.then,
        clicks=cap.clicks,
        starts_at=None if is_for_ever else meter.starts_at,
        ends_at=None if is_for_ever else meter.ends_at,
    )


def _plain(number: Decimal, placed: PlacedCap) -> Decimal:
    """Conversions without decimals, and money with those of its currency."""
    if placed.cap.of == "conversions":
        return number.quantize(Decimal(1))
    return to_minor_unit(number, placed.currency)
