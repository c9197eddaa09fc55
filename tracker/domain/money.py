"""Money: decimals, rounded once, half up, to the currency's minor unit."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

# ISO 4217 gives a minor unit of two decimals unless listed here.
_WITHOUT_DECIMALS = (
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
)
_WITH_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_MINOR_UNITS = {
    **dict.fromkeys(_WITHOUT_DECIMALS.split(" "), 0),
    **dict.fromkeys(_WITH_THREE_DECIMALS.split(" "), 3),
}

_EXPONENTS = {decimals: Decimal(1).scaleb(-decimals) for decimals in (0, 2, 3)}
_AMOUNT = re.compile(r"\+?\d{1,12}(\.\d{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """What an action earns: a fixed sum in the offer's currency, or a share in %."""

    value: Decimal
    is_percent: bool = False

    def of(self, amount: Decimal | None, currency: str) -> Decimal:
        """The sum owed for `amount`, which a share needs; rounded once."""
        if not self.is_percent:
            return to_minor_unit(self.value, currency)
        if amount is None:
            raise ValueError("a share needs an amount")
        return to_minor_unit(amount * self.value / 100, currency)


def to_minor_unit(value: Decimal, currency: str) -> Decimal:
    """Rounded half up to what the currency (ISO 4217 code) can pay."""
    exponent = _EXPONENTS[_MINOR_UNITS.get(currency, 2)]
    return value.quantize(exponent, rounding=ROUND_HALF_UP)


def parse_amount(text: str) -> Decimal:
    """
    An amount as advertisers send it: digits, and a point before up to six more.

    No sign but `+`, no thousands separator, no exponent, at most twelve digits
    before the point; anything else raises ValueError.
    """
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not an amount")
    return Decimal(text)
