"""What comes back is taken off, and what nobody reported is not believed."""

from itertools import product

import pytest
from account import Account
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.offer import Status

TERMS = [
    dict(zip(("once_per", "on_repeat", "scope"), terms, strict=True))
    for terms in product(
        ("click", "transaction", "postback"),
        ("status", "update", "add"),
        ("advertiser", "click"),
    )
]


def test_a_part_that_comes_back_is_taken_off():
    account = Account()
    account.hears(amount="100")

    assert account.hears(status="refunded", amount="30") == "updated"
    assert account.owed == ("approved", 70, 7, 14)
    assert account.ledger.changes[-1].kind == "amount"


def test_a_negative_amount_is_a_refund():
    account = Account()
    account.hears(amount="100")

    assert account.hears(amount="-30.50") == "updated"
    assert account.owed == ("approved", 69.5, 6.95, 13.9)


@pytest.mark.parametrize("amount", [None, "0", "100", "250"])
def test_all_of_it_or_no_amount_rejects(amount):
    """What it was worth stays to be seen."""
    account = Account()
    account.hears(amount="100")

    assert account.hears(status="refunded", amount=amount) == "updated"
    assert account.owed == ("rejected", 100, 10, 20)
    assert account.ledger.changes[-1].kind == "status"


def test_parts_add_up_to_all_of_it():
    account = Account()
    account.hears(amount="100")
    said = [account.hears(amount=one) for one in ("-60", "-30", "-10")]

    assert said == ["updated"] * 3
    assert account.owed == ("rejected", 10, 1, 2)


def test_an_equal_refund_is_repeated_and_another_transaction_s_is_not():
    account = Account()
    account.hears(amount="100", transaction_id="t-1")
    refund = {"status": "refunded", "amount": "10"}
    said = [
        account.hears(**refund, transaction_id=one) for one in ("r-1", "r-1", "r-2")
    ]

    assert said == ["updated", "repeated", "updated"]
    assert account.owed[1] == 80
    assert account.conversion.transaction_id == "t-1"


def test_the_sign_and_the_word_say_the_same():
    account = Account()
    account.hears(amount="100")
    said = [account.hears(amount="-10"), account.hears(status="refunded", amount="10")]
    assert said == ["updated", "repeated"]


def test_a_refund_teaches_a_conversion_no_transaction():
    account = Account()
    account.hears(amount="100")
    account.hears(amount="-10", transaction_id="r-1")

    assert account.conversion.transaction_id is None
    assert not any("r-1" in key for _, key in account.ledger.claimed)


def test_a_refund_is_found_by_its_transaction_alone():
    account = Account(once_per="transaction")
    account.hears(amount="100", transaction_id="t-1")

    said = account.hears(click_id=None, amount="-10", transaction_id="t-1")
    assert (said, account.owed[1]) == ("updated", 90)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"amount": "-5"}, "bad_amount"),
        ({"status": "refunded", "amount": "5"}, "unknown_conversion"),
        ({"status": "refunded"}, "unknown_conversion"),
    ],
)
def test_what_nobody_reported_cannot_come_back(said, reason):
    account = Account()
    assert account.hears(**said) == reason
    assert not account.ledger.changes


def test_what_is_rejected_has_nothing_left_to_come_back():
    account = Account()
    account.hears(amount="100", status="rejected")
    said = [account.hears(amount="-10"), account.hears(status="refunded")]
    assert said == ["stale_status", "stale_status"]


def test_a_whole_refund_that_was_overtaken_undoes_nothing_and_a_part_counts():
    account = Account(status=Status.PENDING)
    account.hears(amount="100", minutes=1)
    account.hears(amount="100", status="approved", minutes=5)

    assert account.hears(status="refunded", minutes=3) == "stale_status"
    assert account.hears(amount="-10", minutes=3) == "updated"
    assert account.owed[:2] == ("approved", 90)


def test_an_approval_after_a_refund_takes_nothing_back():
    account = Account(status=Status.PENDING, on_repeat="status")
    account.hears(amount="100")
    account.hears(amount="-40")

    assert account.hears(status="approved", amount="100") == "updated"
    assert account.owed == ("approved", 60, 6, 12)


@pytest.mark.parametrize(
    ("payout", "revenue", "reported", "refund", "owed"),
    [
        ("2.50", "4", {"amount": "100"}, {"amount": "-40"}, (60, 2.5, 4)),
        ("80% of revenue", "20%", {"amount": "100"}, {"amount": "-40"}, (60, 9.6, 12)),
        ("sent", "20%", {"amount": "100", "payout": "9"}, {"amount": "-50"},
         (50, 4.5, 10)),
        ("sent", "4", {"payout": "9"}, {"payout": "-3"}, (None, 6, 4)),
        ("50% of revenue", "4", {"revenue": "10"}, {"revenue": "-4"}, (None, 3, 6)),
        ("10%", "20%", {"amount": "100", "revenue": "30"}, {"amount": "-50"},
         (50, 5, 15)),
        ("10%", "20%", {"amount": "100", "revenue": "30"},
         {"amount": "-50", "revenue": "-20"}, (50, 5, 10)),
        ("10%", "20%", {"amount": "100"}, {"amount": "-10", "currency": "EUR"},
         (80, 8, 16)),
    ],
)  # fmt: skip
def test_what_depends_on_it_shrinks_with_it(payout, revenue, reported, refund, owed):
    account = Account(payout, revenue)
    account.hears(**reported)

    assert account.hears(**refund) == "updated"
    assert account.owed == ("approved", *owed)


@pytest.mark.parametrize("refund", [{"amount": "-4"}, {"payout": "-1"}])
def test_what_was_never_sent_cannot_come_back_in_part(refund):
    account = Account("2.50", "4")
    account.hears()
    expected = "bad_amount" if "amount" in refund else "repeated"
    assert account.hears(**refund) == expected
    assert account.owed == ("approved", None, 2.5, 4)


@pytest.mark.parametrize("terms", TERMS, ids=lambda terms: " ".join(terms.values()))
def test_a_refund_holds_whatever_may_be_repeated(terms):
    """Only what counts each postback has nothing that it could be taken off."""
    account = Account(**terms)
    account.hears(amount="100", transaction_id="t-1")
    refund = {"amount": "-30", "transaction_id": "t-1"}
    said = [account.hears(**refund), account.hears(**refund)]

    if terms["once_per"] == "postback":
        assert (said, account.owed[1]) == (["bad_amount"] * 2, 100)
    else:
        assert (said, account.owed[1]) == (["updated", "repeated"], 70)


@pytest.mark.parametrize("terms", TERMS, ids=lambda terms: " ".join(terms.values()))
def test_a_repeat_is_what_the_goal_says(terms):
    """Once per click the second transaction is another one, unless amounts add up."""
    account, amounts = Account(**terms), {"status": 10, "update": 7, "add": 17}
    account.hears(amount="10", transaction_id="t-1")
    again = account.hears(amount="7", transaction_id="t-1")
    other = account.hears(amount="5", transaction_id="t-2")
    made = [change for change in account.ledger.changes if change.kind == "created"]

    if terms["once_per"] == "postback":
        assert (again, other, len(made)) == ("accepted", "accepted", 3)
        return
    first = account.ledger.get(made[0].conversion_id).money.amount
    changed = "repeated" if terms["on_repeat"] == "status" else "updated"
    assert again == changed
    if terms["once_per"] == "transaction":
        assert (other, first) == ("accepted", amounts[terms["on_repeat"]])
    elif terms["on_repeat"] == "add":
        assert (other, first) == ("updated", 22)
    else:
        assert other == "other_transaction"


@pytest.mark.parametrize("terms", TERMS, ids=lambda terms: " ".join(terms.values()))
def test_another_click_with_the_same_transaction_is_as_the_scope_says(terms):
    account = Account(**terms)
    account.hears(amount="10", transaction_id="t-1")
    other = account.hears(
        click_id=account.another_click(), amount="10", transaction_id="t-1"
    )

    once_per, scope = terms["once_per"], terms["scope"]
    is_free = once_per == "postback" or (once_per, scope) == ("transaction", "click")
    assert other == ("accepted" if is_free else "transaction_conflict")


@given(st.lists(st.integers(1, 40), max_size=8))
def test_no_more_comes_back_than_there_was(parts):
    account = Account()
    account.hears(amount="100")
    for number, part in enumerate(parts):
        account.hears(amount=f"-{part}", transaction_id=f"r-{number}")

    status, amount, payout, revenue = account.owed
    assert (payout, revenue) == (amount / 10, amount / 5)
    assert (status == "rejected") is (sum(parts) >= 100)
    assert amount > 0
