"""
Caps: how much may be had of an offer, or of a partner, in an hour, a day, a month.

A cap is the rule as it is written. A meter is what it is held against: whose, what,
and in which period. Several caps may share one, such as a soft and a hard one.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from tracker.domain.value import Value

Measure = Literal["conversions", "payout", "revenue"]

Span = Literal["hour", "day", "month", "total"]

AtCap = Literal["accept", "pending", "quarantine"]

Clicks = Literal["fallback", "redirect"]

STRICTNESS: dict[AtCap, int] = {"accept": 0, "pending": 1, "quarantine": 2}
"""Of several caps that are reached the strictest decides."""

ALWAYS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)

Period = tuple[datetime, datetime]
"""From its first moment to the first one after it."""


@dataclass(frozen=True, slots=True)
class Cap:
    """
    At most `limit` of something in each span of time.

    No goals mean all of them. `then` is what becomes of conversions beyond it,
    `clicks` what becomes of visitors while it is reached. With `each_partner` every
    partner has as much for itself.
    """

    of: Measure
    per: Span
    limit: Decimal
    goals: frozenset[str] = frozenset()
    then: AtCap = "quarantine"
    clicks: Clicks = "fallback"
    each_partner: bool = False

    def counts(self, goal: str) -> bool:
        """Whether conversions of the goal take of it."""
        return not self.goals or goal in self.goals

    @property
    def strictness(self) -> int:
        """How much it asks for where it is reached."""
        return STRICTNESS[self.then]


class Meter(Value, frozen=True):
    """
    What is counted together: of an offer, of a partner, of both, in one period.

    `offer` and `partner` are "" for all of them, and so are `goals`, else in order
    with a blank between them.
    """

    offer: str
    partner: str
    measure: Measure
    goals: str
    per: Span
    starts_at: datetime
    ends_at: datetime

    @property
    def place(self) -> tuple[str, str]:
        """Whose it is."""
        return self.offer, self.partner

    def __str__(self) -> str:
        goals = f" ({', '.join(self.goals.split())})" if self.goals else ""
        span = "in all" if self.per == "total" else f"per {self.per}"
        whose = " and ".join(filter(None, self.place))
        return f"{self.measure}{goals} {span} for {whose}"

    def covers(self, moment: datetime) -> bool:
        """Whether the moment is in its period."""
        return self.starts_at <= moment < self.ends_at


class PlacedCap(Value, frozen=True):
    """
    A cap where it stands: whose it is, and its time zone and currency.

    `offer` and `partner` are "" for all of them.
    """

    cap: Cap
    offer: str
    partner: str
    timezone: str
    currency: str

    @property
    def is_for_each(self) -> bool:
        """Whether it stands for that of each partner, and for nobody's own."""
        return self.cap.each_partner and not self.partner

    def meter(self, moment: datetime) -> Meter:
        """What it is held against at that moment."""
        cap = self.cap
        starts_at, ends_at = period_of(cap.per, self.timezone, moment)
        return Meter(
            offer=self.offer,
            partner=self.partner,
            measure=cap.of,
            goals=" ".join(sorted(cap.goals)),
            per=cap.per,
            starts_at=starts_at,
            ends_at=ends_at,
        )

    def __str__(self) -> str:
        unit = "" if self.cap.of == "conversions" else f" {self.currency}"
        return f"{self.cap.limit:f}{unit} {self.meter(ALWAYS[0])}"


def period_of(per: Span, timezone: str, moment: datetime) -> Period:
    """
    The hour, day or month of the time zone that a moment is in; both ends in UTC.

    A day has as many hours as the clocks give it: 23 or 25 when they change. Hours
    are counted from its beginning.
    """
    if per == "total":
        return ALWAYS
    zone = ZoneInfo(timezone)
    local = moment.astimezone(zone)
    if per == "month":
        first = local.date().replace(day=1)
        following = (first + 31 * _DAY).replace(day=1)
        return _midnight(first, zone), _midnight(following, zone)
    start = _midnight(local.date(), zone)
    end = _midnight(local.date() + _DAY, zone)
    if per == "day":
        return start, end
    start += (moment.astimezone(UTC) - start) // _HOUR * _HOUR
    return start, min(start + _HOUR, end)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day, also where clocks skip midnight."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
