"""Sums, shares and currencies, as partners.yaml has them."""

import re
from dataclasses import replace
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from tracker.catalog.scalars import from_text, parse_flag, schema
from tracker.domain.money import Rate

CURRENCY = re.compile(r"[A-Z]{3}")
_MAX_PERCENT = 1000
_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)
_PLACES = re.compile(r"[1-9]", re.ASCII)


def parse_decimal(text: str) -> Decimal:
    """`2.50`: at most twelve digits, and six after the point."""
    if text.startswith("-"):
        raise ValueError("must not be negative")
    if not _DECIMAL.fullmatch(text):
        raise ValueError("must be a number such as 2.50, without separators")
    return Decimal(text)


def parse_ceiling(text: str) -> Decimal:
    """The limit of a cap: a decimal above zero."""
    ceiling = parse_decimal(text)
    if not ceiling:
        raise ValueError("must be more than zero; 'paused: true' takes nobody at all")
    return ceiling


def parse_worth(text: str) -> Decimal:
    """What a unit of a currency is worth: a decimal above zero."""
    worth = parse_decimal(text)
    if not worth:
        raise ValueError("must be more than zero")
    return worth


def parse_rate(text: str) -> Rate:
    """`2.50` is a sum in the offer's currency, `8%` a share of the amount."""
    if not text.endswith("%"):
        return Rate(parse_decimal(text))
    number = text[:-1].rstrip()
    if not _DECIMAL.fullmatch(number.removeprefix("-")):
        raise ValueError("must be a number such as 2.50, or a share such as 8%")
    share = parse_decimal(number)
    if share > _MAX_PERCENT:
        raise ValueError(f"must be at most {_MAX_PERCENT}%")
    return Rate(share, is_percent=True)


def parse_payout(text: str) -> Rate:
    """Like a rate; or `80% of revenue`, or `sent`, as the advertiser states it."""
    if text.strip().lower() == "sent":
        return Rate(Decimal(0), basis="sent")
    share, of, base = text.partition(" of ")
    if not of:
        return parse_rate(text)
    if base.strip() != "revenue" or not share.rstrip().endswith("%"):
        raise ValueError("must be such as 2.50, 8%, 80% of revenue, or sent")
    return replace(parse_rate(share.rstrip()), basis="revenue")


def parse_minor(text: str) -> bool | int:
    """Whether amounts are in cents; or how many digits of them are the fraction."""
    if text == "micros":
        return 6
    if _PLACES.fullmatch(text):
        return int(text)
    try:
        return parse_flag(text)
    except ValueError as error:
        raise ValueError(f"{error}, micros, or how many digits: 1 to 9") from None


def check_currency(text: str) -> str:
    """Three capital letters; whether there is such a currency is asked elsewhere."""
    if not CURRENCY.fullmatch(text):
        raise ValueError("must be three capital letters such as USD")
    return text


Amount = Annotated[Decimal, from_text(parse_decimal), schema("number", "2.50")]
Worth = Annotated[Decimal, from_text(parse_worth), schema("number", "1.08")]
Ceiling = Annotated[Decimal, from_text(parse_ceiling), schema("number", "100")]
Earning = Annotated[Rate, from_text(parse_rate), schema("number", "8%")]
Payout = Annotated[Rate, from_text(parse_payout), schema("number", "80% of revenue")]
Minor = Annotated[
    bool | int,
    from_text(parse_minor),
    WithJsonSchema({"type": ["boolean", "integer", "string"], "examples": ["true"]}),
]
Currency = Annotated[str, AfterValidator(check_currency)]
