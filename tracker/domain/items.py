"""
Several items in one call, whose sum is the amount.

    {amount: "AMT#", quantity: "QTY#"}   AMT1=10&QTY1=2&AMT2=5
    {amount: items.price}                {"items": [{"price": 10}, {"price": 5}]}
    {list: parts}                        parts=GROUP:12.50|GROUP2:3.00
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from tracker.domain.money import Numerals
from tracker.domain.unfilled import is_macro
from tracker.domain.value import Value

COUNTED = "#"
"""In the name of a parameter: the number of the item."""

MAX_ITEMS = 500

_QUANTITY = re.compile(r"\d{1,6}(\.0{1,6})?", re.ASCII)

_LISTED = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Items:
    """
    Where items stand: in parameters of their own, or all in one, `listed`.

    In one that lists them `between` stands between two of them, and `within` between
    the fields of one; `amount_at` and `quantity_at` count these from 1, and without
    `amount_at` the last one is the amount. Names are in lower case.
    """

    amount: str | None = None
    quantity: str | None = None
    listed: str | None = None
    between: str = "|"
    within: str = ":"
    amount_at: int | None = None
    quantity_at: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters it speaks of."""
        return tuple(filter(None, (self.amount, self.quantity, self.listed)))


class Item(Value, frozen=True):
    """One item as it was sent, and the parameter that named its amount."""

    name: str
    amount: str
    quantity: str = "1"

    @property
    def is_unfilled(self) -> bool:
        """Whether a macro of the sender's was left as text."""
        return is_macro(self.amount) or is_macro(self.quantity)


def read_items(rule: Items, parameters: Iterable[tuple[str, str]]) -> tuple[Item, ...]:
    """
    The items of a call, in the order of their numbers, or as they came.

    Raises ValueError where they do not fit each other: then no sum is sure.
    """
    pairs = [(name, value.strip()) for name, value in parameters]
    items = _listed(rule, pairs) if rule.listed else _numbered(rule, pairs)
    if len(items) > MAX_ITEMS:
        raise ValueError(f"more than {MAX_ITEMS} items")
    return items


def total_of(items: Sequence[Item], numerals: Numerals) -> Decimal | None:
    """What they cost together, if any; raises ValueError for what is no number."""
    if not items:
        return None
    total = Decimal(0)
    for item in items:
        if not _QUANTITY.fullmatch(item.quantity):
            raise ValueError(f"{item.quantity[:40]!r} is not a quantity")
        total += numerals.parse(item.amount) * int(item.quantity.partition(".")[0])
    return total


def _numbered(rule: Items, pairs: list[tuple[str, str]]) -> tuple[Item, ...]:
    amounts = _column(rule.amount or "", pairs)
    quantities = _column(rule.quantity or "", pairs)
    is_counted = COUNTED in (rule.amount or "")
    if quantities and not is_counted and len(quantities) != len(amounts):
        raise ValueError("not as many quantities as amounts")
    said = {number for number, (_, text) in quantities.items() if text}
    if is_counted and said - {number for number, (_, text) in amounts.items() if text}:
        raise ValueError("a quantity of nothing")
    return tuple(
        Item(name, amount, quantities.get(number, ("", ""))[1] or "1")
        for number, (name, amount) in sorted(amounts.items())
        if amount
    )


def _column(name: str, pairs: list[tuple[str, str]]) -> dict[int, tuple[str, str]]:
    """What each item says under this name, by its number, or as they came."""
    found: dict[int, tuple[str, str]] = {}
    pattern = _pattern(name)
    for sent, value in pairs:
        match = pattern.fullmatch(sent.lower()) if name else None
        if match is None:
            continue
        number = int(match[1]) if COUNTED in name else len(found)
        if found.setdefault(number, (sent, value))[1] != value:
            raise ValueError("an item that was sent twice")
    return found


@lru_cache(maxsize=1024)
def _pattern(name: str) -> re.Pattern[str]:
    before, counted, after = name.partition(COUNTED)
    number = r"(\d{1,4})" if counted else ""
    return re.compile(f"{re.escape(before)}{number}{re.escape(after)}", re.ASCII)


def _listed(rule: Items, pairs: list[tuple[str, str]]) -> tuple[Item, ...]:
    return tuple(
        _item(rule, name, part.split(rule.within))
        for name, value in pairs
        if name.lower() == rule.listed
        for part in value.split(rule.between)
        if part.strip()
    )


def _item(rule: Items, name: str, fields: list[str]) -> Item:
    if max(rule.amount_at or 1, rule.quantity_at or 1) > len(fields):
        raise ValueError("an item without its amount or quantity")
    amount = fields[(rule.amount_at or 0) - 1].strip()
    quantity = fields[rule.quantity_at - 1].strip() if rule.quantity_at else "1"
    return Item(name, amount, quantity or "1")
