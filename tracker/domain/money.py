"""Money: decimals, rounded once, half up, to the currency's minor unit."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

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


Basis = Literal["amount", "revenue", "sent"]


@dataclass(frozen=True, slots=True)
class Rate:
    """
    What an action earns: a sum in the offer's currency, or a share in %.

    A share is one of `basis`: of what the customer paid, or of our revenue. With the
    basis `sent` it is what the advertiser states, and the value means nothing.
    """

    value: Decimal
    is_percent: bool = False
    basis: Basis = "amount"

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same whatever was paid."""
        return not self.is_percent and not self.is_sent

    @property
    def is_of_amount(self) -> bool:
        """Whether it is a share of what the customer paid."""
        return self.is_percent and self.basis == "amount"

    @property
    def is_sent(self) -> bool:
        """Whether the advertiser states it."""
        return self.basis == "sent"

    def of(self, amount: Decimal | None, currency: str) -> Decimal:
        """The sum owed for `amount`, which a share needs; rounded once."""
        if self.is_fixed:
            return to_minor_unit(self.value, currency)
        if amount is None:
            raise ValueError("a share needs an amount")
        share = amount if self.is_sent else amount * self.value / 100
        return to_minor_unit(share, currency)


def to_minor_unit(value: Decimal, currency: str) -> Decimal:
    """Rounded half up to what the currency (ISO 4217 code) can pay."""
    exponent = _EXPONENTS[_MINOR_UNITS.get(currency, 2)]
    return value.quantize(exponent, rounding=ROUND_HALF_UP)


def from_minor_unit(value: Decimal, currency: str) -> Decimal:
    """In units of the currency: 1250 cents are 12.50, 1250 JPY are 1250."""
    return value.scaleb(-_MINOR_UNITS.get(currency, 2))


def parse_amount(text: str) -> Decimal:
    """
    An amount as operators write it: digits, and a point before up to six more.

    No sign but `+`, no thousands separator, no exponent, at most twelve digits
    before the point; anything else raises ValueError.
    """
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not an amount")
    return Decimal(text)


Mark = Literal["point", "comma"]


@dataclass(frozen=True, slots=True)
class Numerals:
    """
    How an advertiser writes amounts.

    `decimal` is what stands before the fraction; None is a point, and nothing else
    between digits. `is_minor`: in cents, or what the currency has for them; otherwise
    the last `places` digits are the fraction, six of them in millionths.
    """

    decimal: Mark | None = None
    is_minor: bool = False
    places: int = 0

    def parse(self, text: str) -> Decimal:
        """
        An amount with its sign, in the unit it is sent in, to six decimals.

        Where the mark is known, digits may stand in groups of three if that leaves no
        doubt: with a comma as the mark `1.234,56` is one, but not `1.234`. That is a
        ValueError, as is an exponent, and more than twelve digits before the mark.
        """
        value = self._read(text)
        return _rounded(value.scaleb(-self.places) if self.places else value)

    def _read(self, text: str) -> Decimal:
        if self.decimal != "comma" and _PLAIN.fullmatch(text):
            return Decimal(text)
        found = self.decimal and _GROUPED[self.decimal].fullmatch(text)
        if not found:
            raise ValueError(f"{text[:40]!r} is not an amount")
        sign = "-" if found["sign"] in {"-", MINUS} else ""
        whole = re.sub(r"\D", "", found["whole"] or "0")
        if len(whole) > MAX_DIGITS:
            raise ValueError(f"{text[:40]!r} is too much")
        return Decimal(f"{sign}{whole}.{found['fraction'] or ''}")


def _grouped(mark: str, other: str) -> re.Pattern[str]:
    """With a mark before the fraction; the other one only where both leave no doubt."""
    by_space = r"\d{1,3}(?:[ \u00a0\u202f'\u2019]\d{3})+"
    by_other = (
        rf"\d{{1,3}}(?:{other}\d{{3}})+(?={mark})|\d{{1,3}}(?:{other}\d{{3}}){{2,}}"
    )
    return re.compile(
        rf"(?P<sign>[+-]|{MINUS})?(?P<whole>\d+|{by_space}|{by_other}|(?={mark}))"
        rf"(?:{mark}(?P<fraction>\d{{1,{MAX_DECIMALS}}}))?",
        re.ASCII,
    )


def _rounded(value: Decimal) -> Decimal:
    """Floats that were added up have more decimals than anybody meant."""
    exponent = value.as_tuple().exponent
    is_long = isinstance(exponent, int) and exponent < -_KEPT
    return value.quantize(_LAST, rounding=ROUND_HALF_UP) if is_long else value


MAX_DIGITS = 12
MAX_DECIMALS = 18
_KEPT = 6
_LAST = Decimal(1).scaleb(-_KEPT)
MINUS = "\N{MINUS SIGN}"
_PLAIN = re.compile(
    rf"[+-]?(\d{{1,{MAX_DIGITS}}}(\.\d{{1,{MAX_DECIMALS}}})?|\.\d{{1,{MAX_DECIMALS}}})",
    re.ASCII,
)
_GROUPED: dict[Mark, re.Pattern[str]] = {
    "point": _grouped(r"\.", ","),
    "comma": _grouped(",", r"\."),
}
