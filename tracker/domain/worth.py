"""What is said of money, and what an action is worth by it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from tracker.domain.money import from_minor_unit
from tracker.domain.value import Value

Sum = Literal["amount", "revenue", "payout"]
SUMS: tuple[Sum, ...] = ("amount", "revenue", "payout")


class Sent(Value, frozen=True):
    """
    What was said of money, in a currency that is the offer's unless said.

    `is_minor`: in its smallest unit, in cents.
    """

    amount: Decimal | None = None
    revenue: Decimal | None = None
    payout: Decimal | None = None
    currency: str | None = None
    is_minor: bool = False

    @property
    def is_negative(self) -> bool:
        """Whether it takes something off."""
        return any(one < 0 for one in self._sums())

    @property
    def is_contradictory(self) -> bool:
        """Whether it takes off and adds at once."""
        return self.is_negative and any(one > 0 for one in self._sums())

    def absolute(self) -> "Sent":
        """The same without signs."""
        return self._mapped(abs) if self.is_negative else self

    def in_units_of(self, currency: str) -> "Sent":
        """The same in units of the currency it was sent in, or else of this one."""
        if not self.is_minor:
            return self
        sent_in = self.currency or currency
        scaled = self._mapped(lambda value: from_minor_unit(value, sent_in))
        return scaled.but(is_minor=False)

    def _sums(self) -> list[Decimal]:
        said = (self.amount, self.revenue, self.payout)
        return [one for one in said if one is not None]

    def _mapped(self, change: Callable[[Decimal], Decimal]) -> "Sent":
        said = {name: getattr(self, name) for name in SUMS}
        return self.but(
            **{name: change(one) for name, one in said.items() if one is not None}
        )
