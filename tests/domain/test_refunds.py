"""What comes back is taken off, and what nobody reported is not believed."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from account import Account
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.advertiser import REFUNDED, Variant
from tracker.domain.money import Numerals
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


@pytest.mark.parametrize("rate", ["1.0837", "0.9234567", "0.333333333"])
@pytest.mark.parametrize(
    "said",
    [
        {"amount": "10.01", "currency": "EUR"},
        {"revenue": "19.99", "currency": "EUR"},
        {"amount": "19.99", "revenue": "9.996"},
        {"revenue": "9.996"},
    ],
)
def test_all_of_it_is_all_of_it_however_it_was_rounded(rate, said):
    account = Account("2.50", "4")
    account.exchanges(EUR=rate)
    account.hears(**said)

    assert account.hears(**said, status="refunded") == "updated"
    assert account.owed[0] == "rejected"


@pytest.mark.parametrize("parts", [["5", "5.01"], ["3.34", "3.33", "3.34"]])
def test_parts_in_another_currency_leave_no_millionths(parts):
    account = Account("2.50", "4")
    account.exchanges(EUR="0.9234567")
    account.hears(amount="10.01", currency="EUR")
    for number, part in enumerate(parts):
        refund = {"amount": f"-{part}", "currency": "EUR"}
        account.hears(**refund, transaction_id=f"r-{number}")

    assert account.owed[0] == "rejected"


def test_next_to_nothing_that_comes_back_takes_nothing():
    account = Account("2.50", "4")
    account.hears(revenue="10")

    account.hears(revenue="-0.001")
    assert account.owed == ("approved", None, 2.5, 10)


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


def test_each_refund_counts_once_whatever_it_says_the_second_time():
    account = Account()
    account.hears(amount="100")
    refund = {"status": "refunded", "amount": "10"}
    said = [account.hears(**refund, refund_id=one) for one in ("r-1", "r-2", "r-1")]
    said += [account.hears(status="refunded", amount="11", refund_id="r-2")]

    assert said == ["updated", "updated", "repeated", "repeated"]
    assert account.owed == ("approved", 80, 8, 16)


def test_the_id_of_a_refund_must_be_sound():
    account = Account()
    account.hears(amount="100")
    said = account.hears(amount="-1", refund_id="r" * 256)
    assert (said, account.owed[1]) == ("bad_transaction_id", 100)
    assert account.hears(amount="100", refund_id="r" * 256) == "repeated"


def test_what_is_left_can_be_the_same_twice_where_amounts_add_up():
    account = Account(on_repeat="add", advertiser={"refunds": "remaining"})
    refund = {"status": "refunded", "amount": "50"}
    account.hears(amount="100", transaction_id="t-1")
    account.hears(**refund, refund_id="r-1")
    account.hears(amount="50", transaction_id="t-2")
    said = [account.hears(**refund, refund_id=one) for one in ("r-1", "r-2")]

    assert said == ["repeated", "updated"]
    assert account.owed[1] == 50


@pytest.mark.parametrize(
    ("refunds", "amounts"),
    [
        ("each", ("30", "20", "49.99", "0.01")),
        ("total", ("30", "50", "99.99", "100")),
        ("remaining", ("70", "50", "0.01", "0")),
    ],
)
def test_what_the_amount_of_a_refund_is(refunds, amounts):
    account = Account(advertiser={"refunds": refunds})
    account.hears(amount="100")
    found = []
    for amount in amounts:
        assert account.hears(status="refunded", amount=amount) == "updated"
        found.append(account.owed)

    assert [one[1] for one in found] == [70, 50, 0.01, 0.01]
    assert found[1] == ("approved", 50, 5, 10)
    assert found[3][0] == "rejected"


@pytest.mark.parametrize(
    ("refunds", "later", "earlier"),
    [("total", "50", ("30", "0", "-30")), ("remaining", "50", ("70", "100", "120"))],
)
def test_a_refund_without_news_is_repeated(refunds, later, earlier):
    account = Account(advertiser={"refunds": refunds})
    account.hears(amount="100")
    account.hears(status="refunded", amount=later, refund_id="r-2")
    said = [account.hears(status="refunded", amount=one) for one in earlier]

    assert said == ["repeated"] * 3
    assert account.owed == ("approved", 50, 5, 10)


def test_totals_go_on_where_amounts_add_up():
    account = Account(on_repeat="add", advertiser={"refunds": "total"})
    account.hears(amount="100", transaction_id="t-1")
    account.hears(status="refunded", amount="30")
    account.hears(amount="50", transaction_id="t-2")

    assert account.hears(status="refunded", amount="45") == "updated"
    assert account.owed[1] == 105


def test_an_amount_that_is_stated_anew_begins_a_new_count():
    account = Account(on_repeat="update", advertiser={"refunds": "total"})
    account.hears(amount="100")
    account.hears(status="refunded", amount="30")
    account.hears(amount="80")

    assert account.hears(status="refunded", amount="10") == "updated"
    assert account.owed[1] == 70


def test_totals_are_reckoned_at_the_rate_of_the_sale():
    """At 2 dollars 100 euros are 200; at 3 the same 60 are not 180 of them."""
    account = Account(advertiser={"refunds": "total"})
    account.hears(amount="100", currency="EUR")
    account.hears(status="refunded", amount="50", currency="EUR")
    catalog = replace(account.rules.catalog, rates={"EUR": Decimal(3)})
    account.rules = account.rules.but(catalog=catalog)

    account.hears(status="refunded", amount="60", currency="EUR")
    assert account.owed[1] == 80


@pytest.mark.parametrize("refunds", ["total", "remaining"])
def test_what_is_no_amount_has_no_total(refunds):
    account = Account(advertiser={"refunds": refunds})
    account.hears(amount="100", revenue="10")
    assert account.hears(status="refunded", revenue="3") == "bad_amount"
    assert account.hears(status="refunded") == "updated"
    assert account.owed[0] == "rejected"


def test_what_is_left_is_not_negative():
    account = Account(advertiser={"refunds": "remaining"})
    account.hears(amount="100")
    assert account.hears(amount="-30") == "bad_amount"
    assert account.owed[1] == 100


def varied(account, **changed):
    """An advertiser whose refunds are spelled as these say."""
    acme = replace(account.rules.catalog.advertisers["acme"], **changed.pop("own"))
    variant = Variant(changed.pop("when"), replace(acme, **changed))
    catalog = replace(
        account.rules.catalog,
        advertisers={"acme": replace(acme, variants=(variant,))},
    )
    account.rules = account.rules.but(catalog=catalog)


def test_stripe_tells_the_total_in_cents():
    """
    `charge.refunded` has all that was refunded of the charge, `amount_refunded`.

    Source: https://docs.stripe.com/api/charges/object
    """
    account, charge = Account(), "data.object."
    varied(
        account,
        own={
            "names": {
                "click_id": (f"{charge}metadata.click_id",),
                "transaction_id": (f"{charge}payment_intent",),
                "amount": (f"{charge}amount",),
            },
            "numerals": Numerals(is_minor=True),
        },
        when={"type": ("charge.refunded",)},
        names={
            "click_id": (f"{charge}metadata.click_id",),
            "transaction_id": (f"{charge}payment_intent",),
            "amount": (f"{charge}amount_refunded",),
        },
        refunds="total",
        defaults={"status": REFUNDED},
    )

    def hears(event, refunded):
        return account.hears(
            route="acme",
            **{
                "type": event,
                f"{charge}metadata.click_id": account.click_id,
                f"{charge}payment_intent": "pi_1",
                f"{charge}amount": "10000",
                f"{charge}amount_refunded": refunded,
            },
        )

    assert hears("charge.succeeded", "0") == "accepted"
    totals = ("3000", "5000", "5000", "3000", "10000")
    said = [hears("charge.refunded", one) for one in totals]
    assert said == ["updated", "updated", "repeated", "repeated", "updated"]
    assert account.owed == ("rejected", 50, 5, 10)


def test_shopify_tells_each_refund_by_its_id():
    """
    `refunds/create` has the refund's own transactions, and names its order.

    Source: https://shopify.dev/docs/api/admin-rest/latest/resources/refund
    """
    account = Account(once_per="transaction")
    varied(
        account,
        own={"names": {"transaction_id": ("id",), "amount": ("total_price",)}},
        when={"header:x-shopify-topic": ("refunds/create",)},
        names={
            "transaction_id": ("order_id",),
            "refund_id": ("id",),
            "amount": ("transactions.amount",),
        },
        defaults={"status": REFUNDED},
    )
    account.hears(route="acme", id="450789469", total_price="199.00")

    def hears(refund, amount):
        said = {"header:X-Shopify-Topic": "refunds/create", "order_id": "450789469"}
        said |= {"id": refund, "transactions.amount": amount}
        return account.hears(route="acme", click_id=None, **said)

    said = [hears("509562969", "41.94"), hears("509562970", "41.94")]
    said += [hears("509562969", "41.94")]
    assert said == ["updated", "updated", "repeated"]
    assert account.owed[:2] == ("approved", 115.12)


@given(st.lists(st.integers(1, 9999), max_size=8), st.sampled_from(["each", "total"]))
def test_totals_and_parts_come_to_the_same(parts, refunds):
    """To the cent."""
    account, total = Account(advertiser={"refunds": refunds}), 0
    account.hears(amount="100")
    for number, part in enumerate(parts):
        total += part
        said = Decimal(total if refunds == "total" else part) / 100
        account.hears(status="refunded", amount=str(said), refund_id=f"r-{number}")

    money = account.conversion.money
    assert (account.conversion.status == "rejected") is (total >= 10000)
    if total < 10000:
        assert (money.amount, money.refunded) == (100 - said_of(total), said_of(total))


def said_of(cents):
    return Decimal(cents) / 100
