"""A row of a file means the same, whether it is imported or compared."""

from datetime import timedelta
from decimal import Decimal

import pytest
from account import KEYS, NOW, Account

from tracker.domain.columns import find_columns
from tracker.domain.filed import RowReader
from tracker.domain.items import Items
from tracker.domain.judgement import judge
from tracker.domain.lines import LineReader, Notation
from tracker.domain.money import Numerals
from tracker.domain.postback import TokenHasher


def imported_and_compared(header, cells, advertiser, notation):
    """The amount that a conversion gets by the row, and the one a statement says."""
    account = Account(advertiser=advertiser)
    catalog = account.rules.catalog
    acme, cells = catalog.advertiser("acme"), [account.click_id, *cells]
    columns = find_columns(["click_id", *header], catalog.vocabulary("acme"), {})
    rows = RowReader(
        catalog=catalog,
        advertiser=acme,
        hasher=TokenHasher(KEYS),
        columns=columns,
        notation=notation,
        operator="anna",
        name="november.csv",
    )
    postback = rows.read(2, cells, 1, NOW + timedelta(minutes=1)).postback
    account.ledger.decide(judge(postback, account.rules), account.rules)
    line = LineReader(catalog, acme, columns, notation).read(2, cells)
    return account.conversion.money.amount, line.amount


@pytest.mark.parametrize(
    ("numerals", "mark", "text", "amount"),
    [
        (Numerals(is_minor=True), "point", "$1,012.50", "1012.50"),
        (Numerals(places=6), "point", "12.50", "12.50"),
        (Numerals("comma", places=2), "point", "12.50", "12.50"),
        (Numerals(), "comma", "1.012,50 €", "1012.50"),
        (Numerals(is_minor=True), None, "1250", "12.50"),
        (Numerals("comma"), None, "12,50", "12.50"),
    ],
)
def test_the_files_notation_replaces_the_advertisers_as_a_whole(
    numerals, mark, text, amount
):
    sums = imported_and_compared(
        ["amount"], [text], {"numerals": numerals}, Notation(mark)
    )

    assert sums == (Decimal(amount), Decimal(amount))


@pytest.mark.parametrize(
    ("notation", "cells"),
    [(Notation(), ["1000", "2", "500"]), (Notation("comma"), ["10,00", "2", "5"])],
)
def test_items_in_columns_are_the_amount(notation, cells):
    advertiser = {"items": Items("amt#", "qty#"), "numerals": Numerals(is_minor=True)}

    sums = imported_and_compared(["AMT1", "QTY1", "AMT2"], cells, advertiser, notation)

    assert sums == (Decimal(25), Decimal(25))
