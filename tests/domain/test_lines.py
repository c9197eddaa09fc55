"""What a line of a statement says, and by which columns."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tracker.domain.advertiser import Advertiser, Auth
from tracker.domain.catalog import Catalog
from tracker.domain.columns import find_columns, read_asked
from tracker.domain.errors import SheetError
from tracker.domain.lines import LineReader, Notation, read_amount
from tracker.domain.money import Numerals, Rate
from tracker.domain.offer import Goal, Offer

ACME = Advertiser(
    "acme",
    "Acme",
    Auth(none=True),
    names={"click_id": ("cid",), "amount": ("total",)},
    goals={"e2": "sale"},
    statuses={"1": "approved", "chargeback": "refunded"},
)


def a_catalog(advertiser=ACME):
    goal = Goal("sale", Rate(Decimal(1)), Rate(Decimal(2)))
    offer = Offer(
        "shoes", 1, "Shoes", "acme", "https://x/", timedelta(30), "USD", "UTC",
        {"sale": goal}, "sale",
    )  # fmt: skip
    return Catalog(1, "USD", "UTC", {"acme": advertiser}, {"shoes": offer}, {})


def columns_of(header, asked=None):
    return find_columns(header, a_catalog().vocabulary("acme"), asked or {})


def read(header, cells, *, advertiser=ACME, **written):
    notation = Notation(**{"zone": "UTC", **written})
    columns = columns_of(header.split(","))
    reader = LineReader(a_catalog(advertiser), advertiser, columns, notation)
    return reader.read(7, cells)


def test_a_line_is_understood_in_the_advertisers_words():
    line = read(
        "CID,transaction_id,goal,status,Total,currency,at",
        ["O" * 32, " order-1 ", "E2", "1", "12.50", "eur", "2026-11-01 10:00"],
    )

    assert (line.number, line.click_id, line.transaction_id) == (7, "0" * 32, "order-1")
    assert (line.goal, line.status, line.fault) == ("sale", "approved", "")
    assert (line.amount, line.currency) == (Decimal("12.50"), "EUR")
    assert line.at == "2026-11-01 10:00"


def test_a_meaning_that_is_switched_off_needs_no_name():
    acme = replace(ACME, names={**ACME.names, "status": ()})
    header = ["cid", "status", "total"]
    found = find_columns(header, a_catalog(acme).vocabulary("acme"), {})
    assert found.names == ("cid", "status", "total")


def test_a_word_that_nobody_mapped_stays_what_it_is():
    line = read("cid,goal,status", ["abc", "Purchase", "Locked"])

    assert (line.goal, line.other_goal, line.status) == (None, "Purchase", "locked")


def test_a_refund_is_less_than_nothing():
    line = read("cid,status,total", ["abc", "chargeback", "20"])

    assert (line.status, line.amount) == ("refunded", Decimal(-20))


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        (["", "1", ""], "missing_click_id: it names neither a click nor a transaction"),
        (["abc", "1O", ""], "bad_amount: '1O'"),
        (["abc", "1", "2026-13-01"], "bad_time: '2026-13-01'"),
        (["abc", "1", "soon"], "bad_time: 'soon'"),
    ],
)
def test_what_cannot_be_read_is_said(cells, fault):
    assert read("cid,total,at", cells).fault == fault


def test_what_is_wrong_with_a_line_leaves_the_rest_of_it():
    line = read("cid,total", ["abc", "1O"])

    assert (line.click_id, line.amount) == ("abc", None)


def test_a_part_of_a_value_is_found_as_in_a_postback():
    nested = replace(ACME, extract={"click_id": "^aff-(.*)$"})

    assert read("cid", ["aff-abc"], advertiser=nested).click_id == "abc"


@pytest.mark.parametrize(
    ("text", "mark", "amount"),
    [
        ("1,234.50", "point", "1234.50"),
        ("1.234,50 €", "comma", "1234.50"),
        ("$5.00", None, "5.00"),
        ("(20.00)", None, "-20.00"),
        ("-3", "comma", "-3"),
    ],
)
def test_sums_are_read_as_people_write_them(text, mark, amount):
    assert read_amount(text, Numerals(mark)) == Decimal(amount)


def test_a_sum_is_handed_on_without_what_is_there_for_the_eye():
    assert Notation("point").rewrite("$1,234.50") == "1234.50"
    assert Notation("comma").rewrite("1.234,50 €") == "1234,50"
    assert Notation("comma").rewrite("a few") == "a few"
    assert Notation().rewrite("$5") == "$5"


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("2026-12-31T10:00+01:00", None),
        ("31.12.2026 09:00", None),
        ("2026/12/31 09:00", None),
        ("1798707600", None),
        ("1798707600000", None),
        ("12/31/2026 9 AM", "%m/%d/%Y %I %p"),
    ],
)
def test_times_are_read_where_they_can_mean_only_one(text, dates):
    expected = datetime(2026, 12, 31, 9, tzinfo=UTC)

    assert Notation(zone="UTC", dates=dates).read_time(text) == expected


def test_a_local_time_is_one_of_its_zone():
    summer = Notation(zone="Europe/Paris").read_time("2026-07-01")

    assert summer == datetime(2026, 6, 30, 22, tzinfo=UTC)


def test_a_column_that_is_chosen_counts_and_its_namesakes_do_not():
    columns = columns_of(
        ["cid", "total", "net"], read_asked(["amount=NET,revenue=total"])
    )

    assert columns.found == {"click_id": "cid", "amount": "net", "revenue": "total"}
    assert columns.names == ("cid", "revenue", "total")


@pytest.mark.parametrize(
    ("header", "asked", "said"),
    [
        (["cid", "sum"], "amount=summ", "did you mean sum?"),
        (["cid", "sum"], "amonut=sum", "did you mean amount?"),
        (["cid", "sum"], "amount", "is not MEANING=COLUMN"),
        (["who", "sum"], "amount=sum", "no column is known to hold a click id"),
    ],
)
def test_a_column_that_is_not_there_is_refused_with_a_hint(header, asked, said):
    with pytest.raises(SheetError, match=said.replace("?", r"\?")):
        columns_of(header, read_asked([asked]))
