"""What an action earns, by each kind of terms and of repeat."""

import pytest
from account import Account

from tracker.domain.money import Numerals
from tracker.domain.offer import Status


@pytest.mark.parametrize(
    ("payout", "said", "owed"),
    [
        ("80% of revenue", {"amount": "50"}, (50, 8, 10)),
        ("80% of revenue", {"amount": "50", "revenue": "20"}, (50, 16, 20)),
        ("sent", {"amount": "50", "payout": "7.005"}, (50, 7.01, 10)),
        ("sent", {"amount": "50", "payout": "3", "currency": "EUR"}, (100, 6, 20)),
        ("sent", {"amount": "50", "payout": "0"}, (50, 0, 10)),
        ("10%", {"amount": "50", "payout": "40"}, (50, 5, 10)),
    ],
)
def test_a_payout_is_what_the_terms_say(payout, said, owed):
    account = Account(payout)
    assert account.hears(**said) == "accepted"
    assert account.owed == ("approved", *owed)


def test_a_payout_that_must_be_sent_is_missed():
    assert Account("sent").hears(amount="50") == "missing_amount"


@pytest.mark.parametrize("payout", ["abc", "NaN", "1" * 13])
def test_a_payout_that_is_no_number_is_refused_where_it_counts(payout):
    assert Account("sent").hears(amount="5", payout=payout) == "bad_amount"
    assert Account("10%").hears(amount="5", payout=payout) == "accepted"


@pytest.mark.parametrize(
    ("on_repeat", "said", "owed"),
    [
        ("update", {"amount": "80"}, (80, 9, 16)),
        ("update", {"payout": "4"}, (50, 4, 10)),
        ("update", {"revenue": "30"}, (50, 9, 30)),
        ("add", {"amount": "5", "payout": "1"}, (55, 10, 11)),
        ("add", {"payout": "1"}, (50, 10, 10)),
        ("status", {"payout": "1", "amount": "70"}, (50, 9, 10)),
    ],
)
def test_what_is_not_repeated_still_holds(on_repeat, said, owed):
    account = Account("sent", on_repeat=on_repeat)
    account.hears(amount="50", payout="9")
    account.hears(**said)
    assert account.owed == ("approved", *owed)


@pytest.mark.parametrize(
    ("payout", "said", "owed"),
    [
        ("10%", {"amount": "50", "status": "approved"}, (50, 5, 3)),
        ("50% of revenue", {"amount": "50", "status": "approved"}, (50, 1.5, 3)),
        ("50% of revenue", {"amount": "80"}, (80, 8, 16)),
        ("50% of revenue", {"amount": "50", "revenue": "4"}, (50, 2, 4)),
    ],
)
def test_a_stated_revenue_holds_until_the_amount_is_another(payout, said, owed):
    account = Account(payout, on_repeat="update", status=Status.PENDING)
    account.hears(amount="50", revenue="3")
    account.hears(**said)
    assert account.owed[1:] == owed


@pytest.mark.parametrize(
    ("payout", "owed"), [("50% of revenue", (None, 6, 12)), ("3", (None, 3, 8))]
)
def test_a_revenue_alone_moves_a_payout_that_goes_by_it(payout, owed):
    account = Account(payout, "4", on_repeat="update")
    account.hears(revenue="8")
    account.hears(revenue="12")
    assert account.owed == ("approved", *owed)


def test_cents_are_those_of_the_currency_of_the_conversion():
    """Though a transaction alone names it, and no offer is known before."""
    account = Account(
        once_per="transaction",
        on_repeat="update",
        advertiser={"numerals": Numerals(is_minor=True)},
    )
    account.hears(transaction_id="t-1", amount="1250")
    account.hears(transaction_id="t-1", amount="1999", click_id=None)
    assert account.owed[1] == 19.99
