"""What is said of money, and what an action is worth by it."""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from tracker.domain.errors import QuarantinedError
from tracker.domain.money import Rate, from_minor_unit, to_minor_unit
from tracker.domain.outcome import Reason
from tracker.domain.value import Value

Sum = Literal["amount", "revenue", "payout"]
SUMS: tuple[Sum, ...] = ("amount", "revenue", "payout")

Refunds = Literal["each", "total", "remaining"]
"""
What the amount of a refund is: what comes back by it, what came back until then by all
of them, or what is left.
"""

_TOO_MUCH = Decimal(10**12)
_SIX_DECIMALS = Decimal("0.000001")


class Money(Value, frozen=True):
    """
    What an action is worth, in the offer's currency.

    `amount` is what the customer paid, None if nobody said; `sent_amount` is the
    same as the advertiser sent it, `rate` what one unit of its currency is worth.
    `refunded` is what was taken off the amount since it was stated.
    """

    currency: str
    payout: Decimal
    revenue: Decimal
    amount: Decimal | None = None
    sent_amount: Decimal | None = None
    sent_currency: str | None = None
    rate: Decimal = Decimal(1)
    refunded: Decimal = Decimal(0)


_NOTHING = Money("", Decimal(0), Decimal(0))


class Sent(Value, frozen=True, gc=False):
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
    def is_silent(self) -> bool:
        """Whether nothing was said of money."""
        return not self._sums()

    @property
    def is_negative(self) -> bool:
        """Whether it takes something off."""
        amount, revenue, payout = self.amount, self.revenue, self.payout
        return (
            (amount is not None and amount < 0)
            or (revenue is not None and revenue < 0)
            or (payout is not None and payout < 0)
        )

    @property
    def is_contradictory(self) -> bool:
        """Whether it takes off and adds at once."""
        sums = self._sums()
        return min(sums) < 0 < max(sums)

    def absolute(self) -> "Sent":
        """The same without signs."""
        return self._mapped(abs)

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


class Stated(Value, frozen=True):
    """
    What was sent for a conversion, and the terms that say what follows from it.

    `rate` is what one unit of the currency it was sent in is worth in `currency`, the
    conversion's own.
    """

    sent: Sent
    currency: str
    rate: Decimal
    payout: Rate
    revenue: Rate

    @property
    def moves_worth(self) -> bool:
        """Whether it says what the payout goes by, which mostly is the amount."""
        is_by_amount = self.payout.basis == "amount"
        return self.sent.amount is not None or not is_by_amount

    def own(self, meaning: Sum) -> Decimal | None:
        """One of the sums, in the conversion's currency; None if it was not sent."""
        value: Decimal | None = getattr(self.sent, meaning)
        return None if value is None else value * self.rate

    def rounded(self, meaning: Sum) -> Decimal | None:
        """The same, in what the currency can pay."""
        value = self.own(meaning)
        return None if value is None else to_minor_unit(value, self.currency)

    def stored(self, meaning: Sum) -> Decimal | None:
        """The same, as exact as it is kept: an amount more so than what is owed."""
        if meaning != "amount":
            return self.rounded(meaning)
        amount = self.own(meaning)
        return None if amount is None else _rounded(amount)


def worth_of(
    stated: Stated, before: Money | None = None, *, is_added: bool = False
) -> Money:
    """
    What an action is worth, rounded once; what is sent `is_added` to what was before.

    Of what is not sent now what was sent before still holds, until the amount is
    another one: then the terms say what follows from it. Raises QuarantinedError
    where a share is owed of what nobody sent, or a sum is more than a column holds.
    """
    base = before if is_added and before else _NOTHING
    amount = _sum(stated.own("amount"), base.amount)
    if amount is None and before:
        amount = before.amount
    try:
        revenue = _revenue(stated, amount, before, base)
        payout = _payout(stated, amount, revenue, before, base)
    except ValueError:
        raise QuarantinedError(Reason.MISSING_AMOUNT) from None
    _refuse_excessive(amount, revenue, payout)
    money = (before or _NOTHING.but(currency=stated.currency, rate=stated.rate)).but(
        payout=payout,
        revenue=revenue,
        amount=None if amount is None else _rounded(amount),
    )
    if stated.sent.amount is None:
        return money
    return _as_sent(money.but(refunded=base.refunded), stated)


def _as_sent(money: Money, stated: Stated) -> Money:
    sent = stated.sent
    return money.but(
        sent_amount=sent.amount, sent_currency=sent.currency, rate=stated.rate
    )


def _revenue(
    stated: Stated, amount: Decimal | None, before: Money | None, base: Money
) -> Decimal:
    """As it is stated, on top of what was stated before; else by the terms."""
    said = _sum(stated.rounded("revenue"), base.revenue)
    if said is not None:
        return said
    if before and _is_same(amount, before):
        return before.revenue
    return stated.revenue.of(amount, stated.currency)


def _payout(
    stated: Stated,
    amount: Decimal | None,
    revenue: Decimal,
    before: Money | None,
    base: Money,
) -> Decimal:
    """By the terms; where these say so as it is stated, which nobody need repeat."""
    if stated.payout.is_sent:
        said = _sum(stated.rounded("payout"), base.payout)
        known = before.payout if said is None and before else said
        return stated.payout.of(known, stated.currency)
    if before and _is_same(amount, before) and revenue == before.revenue:
        return before.payout
    basis = revenue if stated.payout.basis == "revenue" else amount
    return stated.payout.of(basis, stated.currency)


def _is_same(amount: Decimal | None, before: Money) -> bool:
    return (None if amount is None else _rounded(amount)) == before.amount


def _sum(said: Decimal | None, before: Decimal | None) -> Decimal | None:
    return None if said is None else said + (before or 0)


def taken_now(before: Money, stated: Stated, refunds: Refunds) -> Stated | None:
    """
    What is stated of a refund as what comes back by it alone; None if that is nothing.

    Where it is told by a total, or by what is left, only the amount is looked at, at
    the rate of the sale. Raises QuarantinedError where there is none.
    """
    if refunds == "each" or stated.sent.is_silent:
        return stated
    is_as_sold = stated.sent.currency == before.sent_currency
    said = stated.but(rate=before.rate if is_as_sold else stated.rate).own("amount")
    if said is None or before.amount is None:
        raise QuarantinedError(Reason.BAD_AMOUNT)
    by_all = said if refunds == "total" else before.amount + before.refunded - said
    taken = _rounded(by_all) - before.refunded
    return stated.but(sent=Sent(taken), rate=Decimal(1)) if taken > 0 else None


def left_of(before: Money, stated: Stated) -> Money | None:
    """
    What is left when what is stated comes back; None if that is nothing.

    What was not stated shrinks with what it is a share of; a fixed sum is owed as long
    as anything is left. Raises QuarantinedError where something comes back that nobody
    ever sent.
    """
    taken = _taken(before, stated)
    main = next(iter(taken), None)
    if main is None or not _pays(getattr(before, main) - taken[main], stated.currency):
        return None
    after = before
    if before.amount is not None:
        amount = _rounded(before.amount - taken.get("amount", 0))
        refunded = before.refunded + before.amount - amount
        after = before.but(amount=amount, refunded=refunded)
    after = after.but(revenue=_revenue_left(before, after, stated, taken))
    return after.but(payout=_payout_left(before, after, stated, taken))


def _taken(before: Money, stated: Stated) -> dict[Sum, Decimal]:
    """
    What comes back, of more than nothing; what says most of it first.

    It is rounded as what stands was, so that all of it is all of it.
    """
    said = {one: stated.stored(one) for one in SUMS if stated.own(one)}
    taken = {meaning: value for meaning, value in said.items() if value is not None}
    is_payout_alone = [*taken] == ["payout"] and not stated.payout.is_sent
    if is_payout_alone or ("amount" in taken and before.amount is None):
        raise QuarantinedError(Reason.BAD_AMOUNT)
    return taken


def _revenue_left(
    before: Money, after: Money, stated: Stated, taken: Mapping[Sum, Decimal]
) -> Decimal:
    if "revenue" in taken:
        return max(before.revenue - taken["revenue"], Decimal(0))
    return _shrunk(
        stated.revenue, before.revenue, before.amount, after.amount, stated.currency
    )


def _payout_left(
    before: Money, after: Money, stated: Stated, taken: Mapping[Sum, Decimal]
) -> Decimal:
    rate, own = stated.payout, stated.currency
    if rate.is_fixed:
        return before.payout
    if rate.is_sent and "payout" in taken:
        return max(before.payout - taken["payout"], Decimal(0))
    if rate.basis == "revenue" or "amount" not in taken:
        return _shrunk(rate, before.payout, before.revenue, after.revenue, own)
    return _shrunk(rate, before.payout, before.amount, after.amount, own)


def _pays(left: Decimal, currency: str) -> bool:
    """Whether it is at least the smallest sum there is, half of that included."""
    return to_minor_unit(left, currency) > 0


def _shrunk(
    rate: Rate,
    owed: Decimal,
    before: Decimal | None,
    after: Decimal | None,
    currency: str,
) -> Decimal:
    """
    What is owed of less than before.

    By the terms if it was by these; what was stated, or by other terms, in proportion.
    """
    if not before or after is None or before == after:
        return owed
    is_by_terms = not rate.is_sent and rate.of(before, currency) == owed
    if is_by_terms:
        return rate.of(after, currency)
    return to_minor_unit(owed * after / before, currency)


def _refuse_excessive(*sums: Decimal | None) -> None:
    """More than a column holds, after conversion at the catalog's rate."""
    if any(one is not None and one >= _TOO_MUCH for one in sums):
        raise QuarantinedError(Reason.BAD_AMOUNT)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_SIX_DECIMALS, rounding=ROUND_HALF_UP)
