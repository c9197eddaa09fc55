"""What was taken of caps, and what a conversion would take of them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from hashlib import blake2b

from tracker.domain.cap import Meter, Period, PlacedCap
from tracker.domain.catalog import Catalog
from tracker.domain.errors import NotFoundError
from tracker.domain.money import Rate, to_minor_unit
from tracker.domain.value import Value

_SIX_DECIMALS = Decimal("0.000001")
_TWELVE_DECIMALS = Decimal("0.000000000001")
_NOTHING = Decimal(0)
_ONE = Decimal(1)

Closed = Mapping[tuple[str, str], Period]
"""Whose links take no visitors for a cap (see `Meter.place`), and in which period."""


class Action(Value, frozen=True):
    """What caps ask of a conversion before they ask what it is worth."""

    offer: str
    partner: str
    goal: str
    arrived_at: datetime


class Share(Value, frozen=True):
    """What a conversion takes, while it is neither rejected nor a test."""

    action: Action
    currency: str
    payout: Decimal
    revenue: Decimal


class Reading(Value, frozen=True):
    """What is taken of a meter, and how much of it reaches the first of its caps."""

    meter: Meter
    taken: Decimal = _NOTHING
    enough: Decimal | None = None


class Meters:
    """
    The meters that a batch concerns, while it is decided.

    `taken` holds every one of them; `moved` is afterwards what is to be added.
    """

    def __init__(self, catalog: Catalog, taken: Mapping[Meter, Decimal]) -> None:
        self._catalog = catalog
        self._taken = dict(taken)
        self.moved: dict[Meter, Decimal] = {}

    def resume(self, earlier: "Meters") -> None:
        """Counts what an earlier batch moved that was never written."""
        for meter, step in earlier.moved.items():
            self._taken[meter] = self._taken.get(meter, _NOTHING) + step
            self.moved[meter] = self.moved.get(meter, _NOTHING) + step

    def exceeded(
        self, before: Share | None, after: Share | None, *, is_held: bool = False
    ) -> PlacedCap | None:
        """
        The strictest cap that has no room for what is taken in addition, if any.

        Of what `is_held` at pending, caps that hold are asked whether they have room
        for it by now.
        """
        beyond = [
            placed
            for placed, meter, step in self._steps(before, after)
            if (step > 0 or (is_held and placed.cap.then == "pending"))
            and self._taken[meter] + step > placed.cap.limit
        ]
        return max(beyond, key=lambda one: one.cap.strictness, default=None)

    def count(self, before: Share | None, after: Share | None) -> None:
        """A conversion has moved: what it took is given back, what it takes taken."""
        steps = {meter: step for _, meter, step in self._steps(before, after) if step}
        for meter, step in steps.items():
            self._taken[meter] += step
            self.moved[meter] = self.moved.get(meter, _NOTHING) + step

    def _steps(
        self, before: Share | None, after: Share | None
    ) -> Iterator[tuple[PlacedCap, Meter, Decimal]]:
        share = after or before
        if share is None:
            return
        for placed, meter in meters_of(self._catalog, share.action):
            step = _worth(after, placed, self._catalog)
            yield placed, meter, step - _worth(before, placed, self._catalog)


def meters_of(catalog: Catalog, action: Action) -> Iterator[tuple[PlacedCap, Meter]]:
    """The caps that an action counts for, each with what it is held against."""
    for placed in catalog.caps_of(action.offer, action.partner):
        if placed.cap.counts(action.goal):
            yield placed, placed.meter(action.arrived_at)


def enough(caps: Iterable[PlacedCap], catalog: Catalog) -> Decimal:
    """
    How much reaches the first of these caps, all of one meter.

    That is its limit, or less where the rest would pay for nothing more.
    """
    return min(_enough(placed, catalog) for placed in caps)


def list_reached(
    catalog: Catalog, readings: Iterable[Reading], now: datetime
) -> list[tuple[PlacedCap, Reading]]:
    """
    Every cap that is reached now.

    A reading counts for the caps that this catalog has, in the period of this moment.
    """
    return [
        (placed, reading)
        for reading in readings
        for placed in catalog.caps_at(*reading.meter.place)
        if placed.meter(now) == reading.meter and is_reached(placed, reading, catalog)
    ]


def is_reached(placed: PlacedCap, reading: Reading, catalog: Catalog) -> bool:
    """Whether there is no room for another conversion."""
    return reading.taken >= _enough(placed, catalog)


def closed_by(reached: Iterable[tuple[PlacedCap, Reading]]) -> Closed:
    """The links that these caps close, each for the longest of their periods."""
    closed: dict[tuple[str, str], Period] = {}
    for placed, reading in reached:
        meter = reading.meter
        period = meter.starts_at, meter.ends_at
        known = closed.get(meter.place, period)
        if placed.cap.clicks == "fallback":
            closed[meter.place] = max(period, known, key=lambda one: one[1])
    return closed


def is_closed(closed: Closed, offer: str, partner: str, now: datetime) -> bool:
    """Whether a link takes no visitors now: an old period never closes the next one."""
    for place in ((offer, ""), ("", partner), (offer, partner)):
        period = closed.get(place)
        if period and period[0] <= now < period[1]:
            return True
    return False


def what_counts(placed: PlacedCap, catalog: Catalog) -> str:
    """
    A hash of all that decides what is taken of a cap; caps of one meter may differ.

    Limits are none of it, nor are rates where an offer has one currency.
    """
    cap, is_money = placed.cap, placed.cap.of != "conversions"
    parts = (
        placed.offer,
        "" if cap.each_partner else placed.partner,
        cap.each_partner,
        cap.of,
        sorted(cap.goals),
        cap.per,
        placed.timezone,
        placed.currency if is_money else "",
        sorted(rates_into(catalog, placed.currency).items())
        if is_money and not placed.offer
        else (),
    )
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def rates_into(catalog: Catalog, currency: str) -> dict[str, Decimal]:
    """
    What one unit of each currency counts in a cap of this one.

    One that the catalog cannot exchange is missing: it counts nothing.
    """
    known = {currency, catalog.currency, *catalog.rates}
    rates = {one: _rate(catalog, one, currency) for one in known}
    return {one: rate for one, rate in rates.items() if rate}


def _worth(share: Share | None, placed: PlacedCap, catalog: Catalog) -> Decimal:
    """What a share takes of a cap, in the cap's currency."""
    if share is None:
        return _NOTHING
    if placed.cap.of == "conversions":
        return _ONE
    earned = share.payout if placed.cap.of == "payout" else share.revenue
    worth = earned * _rate(catalog, share.currency, placed.currency)
    return worth.quantize(_SIX_DECIMALS, rounding=ROUND_HALF_UP)


def _rate(catalog: Catalog, currency: str, into: str) -> Decimal:
    try:
        return catalog.rate(currency, into).quantize(_TWELVE_DECIMALS)
    except NotFoundError:
        return _NOTHING


def _enough(placed: PlacedCap, catalog: Catalog) -> Decimal:
    limit, least = placed.cap.limit, _least(placed, catalog)
    return limit - least + _SIX_DECIMALS if least else limit


def _least(placed: PlacedCap, catalog: Catalog) -> Decimal:
    """
    The least that another conversion takes; 0 if it may be anything.

    Only of payouts that are fixed sums is it known: advertisers state revenues.
    """
    if placed.cap.of != "payout" or not placed.offer:
        return _NOTHING
    offer = catalog.offers[placed.offer]
    sums = [
        _fixed(terms.payout or goal.payout, placed.currency)
        for goal in offer.goals.values()
        if placed.cap.counts(goal.key) and not goal.is_retired
        for terms in catalog.list_terms(placed.partner, offer, goal)
    ]
    return min(sums, default=_NOTHING)


def _fixed(rate: Rate, currency: str) -> Decimal:
    """The sum that is earned whatever is sent; 0 where it depends on that."""
    return to_minor_unit(rate.value, currency) if rate.is_fixed else _NOTHING
