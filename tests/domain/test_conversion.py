from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.advertiser import Advertiser, Auth
from tracker.domain.catalog import Catalog
from tracker.domain.click_id import ClickClass, ClickIdMint, SigningKeys
from tracker.domain.conversion import HELD, Cause, Ledger
from tracker.domain.errors import QuarantinedError
from tracker.domain.identity import new_postback_id
from tracker.domain.judgement import Rules, judge
from tracker.domain.money import Rate
from tracker.domain.offer import Goal, Limits, Offer, Status
from tracker.domain.outcome import Reason, Verdict
from tracker.domain.partner import Partner
from tracker.domain.postback import Postback, TokenHasher

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEYS = SigningKeys(0, {0: b"0" * 32})
MINT = ClickIdMint(KEYS)

SHARE, SUM = Rate(Decimal(10), is_percent=True), Rate(Decimal("2.50"))


def a_goal(**changed):
    return replace(Goal("sale", payout=SHARE, revenue=SHARE), **changed)


def an_offer(goal, limits=None):
    return Offer(
        key="shoes",
        number=1,
        name="Shoes",
        advertiser="acme",
        url="https://shop.example/?cid={click_id}",
        window=timedelta(days=30),
        currency="USD",
        timezone="UTC",
        goals={goal.key: goal},
        default_goal=goal.key,
        limits=limits or Limits(),
    )


def the_rules(goal, limits=None, **advertiser):
    acme = Advertiser("acme", "Acme", Auth(none=True), **advertiser)
    catalog = Catalog(
        version=1,
        currency="USD",
        timezone="UTC",
        advertisers={"acme": acme},
        offers={"shoes": an_offer(goal, limits)},
        partners={"best": Partner("best", 1, "Best", all_offers=True)},
        rates={"EUR": Decimal("1.1")},
    )
    return Rules(catalog, MINT, TokenHasher(KEYS))


def a_click_id(at=NOW, click_class=ClickClass.VISIT):
    return MINT.mint(
        now=at, shard=0, click_class=click_class, partner_number=1, offer_number=1
    )


def a_postback(click_id, after=timedelta(minutes=1), **said):
    at = NOW + after
    pairs = tuple({"click_id": click_id, "amount": "10", **said}.items())
    return Postback(new_postback_id(at), at, "GET", "/postback", "", parameters=pairs)


def decide(ledger, rules, postback):
    """The verdict and reason of one postback."""
    try:
        outcome = ledger.decide(judge(postback, rules), rules)
    except QuarantinedError as error:
        return Verdict.QUARANTINED, error.reason
    return outcome.verdict, outcome.reason


def the_conversion(ledger):
    (one,) = [*ledger.created, *ledger.updated]
    return one


@given(st.lists(st.sampled_from(["pending", "approved", "rejected"]), min_size=1))
def test_whatever_comes_a_status_never_moves_backwards(statuses):
    """And each change is the one its conversion then shows."""
    rules, ledger, click_id = the_rules(a_goal()), Ledger({}, []), a_click_id()
    for number, status in enumerate(statuses):
        after = timedelta(minutes=number)
        decide(ledger, rules, a_postback(click_id, after, status=status))

    path = [change.status for change in ledger.changes]
    order = [Status.PENDING, Status.APPROVED, Status.REJECTED]
    assert path == sorted(set(path), key=order.index)
    assert the_conversion(ledger).status is path[-1]
    assert the_conversion(ledger).changes == len(path)


@given(
    st.lists(st.tuples(st.sampled_from(["t-1", "t-2"]), st.integers(1, 3)), min_size=1)
)
def test_added_amounts_are_each_counted_once(upsells):
    rules = the_rules(a_goal(on_repeat="add"))
    ledger, click_id = Ledger({}, []), a_click_id()
    for number, (transaction_id, amount) in enumerate(upsells):
        said = {"transaction_id": transaction_id, "amount": str(amount)}
        decide(ledger, rules, a_postback(click_id, timedelta(minutes=number), **said))

    money = the_conversion(ledger).money
    assert money.amount == sum(amount for _, amount in set(upsells))
    assert money.payout == SHARE.of(money.amount, "USD")


def test_what_is_settled_in_the_same_batch_is_seen_by_the_next():
    rules, ledger, click_id = the_rules(a_goal()), Ledger({}, []), a_click_id()
    verdicts = [
        decide(ledger, rules, a_postback(click_id, status=status))[0]
        for status in ("pending", "pending", "approved")
    ]
    assert verdicts == [Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.UPDATED]
    assert (len(ledger.created), len(ledger.updated)) == (1, 0)


def test_a_change_is_told_as_the_conversion_then_was():
    """The transaction was named later; in a batch that is a moment later."""
    rules, ledger = the_rules(a_goal(on_repeat="add")), Ledger({}, [])
    click_id = a_click_id()
    for said in ({}, {"transaction_id": "t-1"}):
        decide(ledger, rules, a_postback(click_id, **said))

    left = [ledger.get_after(change).transaction_id for change in ledger.changes]
    assert left == [None, "t-1"]


def test_a_postback_that_was_overtaken_undoes_nothing():
    """The rejection arrived later, though it is judged first."""
    rules = the_rules(a_goal(), reopen=True)
    ledger, click_id = Ledger({}, []), a_click_id()
    late, early = timedelta(minutes=9), timedelta(minutes=1)

    decide(ledger, rules, a_postback(click_id, early, status="pending"))
    decide(ledger, rules, a_postback(click_id, late, status="rejected"))
    overtaken = decide(
        ledger, rules, a_postback(click_id, timedelta(minutes=5), status="approved")
    )

    assert overtaken == (Verdict.DUPLICATE, Reason.STALE_STATUS)


def test_an_advertiser_may_be_trusted_to_reopen():
    rules = the_rules(a_goal(), reopen=True)
    ledger, click_id = Ledger({}, []), a_click_id()
    decide(ledger, rules, a_postback(click_id, status="rejected"))
    later = a_postback(click_id, timedelta(minutes=2), status="approved")
    assert decide(ledger, rules, later) == (Verdict.UPDATED, Reason.NONE)


def test_an_update_replaces_the_amount_and_a_fixed_sum_is_owed_once():
    rules = the_rules(a_goal(on_repeat="update", payout=SUM))
    ledger, click_id = Ledger({}, []), a_click_id()
    decide(ledger, rules, a_postback(click_id))
    decide(ledger, rules, a_postback(click_id, timedelta(minutes=2), amount="99"))

    money = the_conversion(ledger).money
    assert (money.amount, money.payout) == (Decimal(99), Decimal("2.50"))
    assert money.revenue == Decimal("9.90")


def test_once_per_postback_counts_every_one():
    rules = the_rules(a_goal(once_per="postback"))
    ledger, click_id = Ledger({}, []), a_click_id()
    said = [decide(ledger, rules, a_postback(click_id))[0] for _ in range(3)]
    assert said == [Verdict.ACCEPTED] * 3


def test_a_transaction_may_count_per_click():
    rules = the_rules(a_goal(once_per="transaction", scope="click"))
    ledger = Ledger({}, [])
    verdicts = [
        decide(ledger, rules, a_postback(a_click_id(), transaction_id="t-1"))[0]
        for _ in range(2)
    ]
    assert verdicts == [Verdict.ACCEPTED, Verdict.ACCEPTED]


@pytest.mark.parametrize(
    ("sent", "currency", "amount", "payout"),
    [
        ("10", "USD", "10", "1.00"),
        ("10.05", "USD", "10.05", "1.01"),
        ("10.04", "USD", "10.04", "1.00"),
        ("10.01", "EUR", "11.011", "1.10"),
        ("0", "USD", "0", "0.00"),
        ("999999999999.999999", "USD", "999999999999.999999", "100000000000.00"),
    ],
)
def test_money_is_rounded_half_up_and_once(sent, currency, amount, payout):
    rules, ledger = the_rules(a_goal()), Ledger({}, [])
    postback = a_postback(a_click_id(), amount=sent, currency=currency)
    decide(ledger, rules, postback)

    money = the_conversion(ledger).money
    assert (money.amount, money.payout) == (Decimal(amount), Decimal(payout))
    assert (money.sent_amount, money.sent_currency) == (Decimal(sent), currency)


def test_the_window_ends_to_the_moment():
    rules = the_rules(a_goal())
    click_id = a_click_id()
    within = a_postback(click_id, timedelta(days=30))
    beyond = a_postback(click_id, timedelta(days=30, milliseconds=1))

    assert decide(Ledger({}, []), rules, beyond)[1] is Reason.OUTSIDE_WINDOW
    assert decide(Ledger({}, []), rules, within)[0] is Verdict.ACCEPTED


def test_the_window_does_not_apply_to_a_change():
    rules, ledger, click_id = the_rules(a_goal()), Ledger({}, []), a_click_id()
    decide(ledger, rules, a_postback(click_id, status="pending"))
    late = a_postback(click_id, timedelta(days=90), status="approved")
    assert decide(ledger, rules, late)[0] is Verdict.UPDATED


def test_revenues_that_are_stated_add_up_too():
    rules = the_rules(a_goal(on_repeat="add"))
    ledger, click_id = Ledger({}, []), a_click_id()
    for number, (amount, revenue) in enumerate([("50", "10"), ("30", "6")]):
        said = {"amount": amount, "revenue": revenue, "transaction_id": str(number)}
        decide(ledger, rules, a_postback(click_id, timedelta(minutes=number), **said))

    money = the_conversion(ledger).money
    assert (money.amount, money.revenue) == (Decimal(80), Decimal(16))


def test_an_amount_that_was_overtaken_undoes_nothing():
    rules = the_rules(a_goal(on_repeat="update"))
    ledger, click_id = Ledger({}, []), a_click_id()
    decide(ledger, rules, a_postback(click_id, timedelta(minutes=5), amount="20"))
    overtaken = a_postback(click_id, timedelta(minutes=1), amount="10")

    assert decide(ledger, rules, overtaken) == (Verdict.DUPLICATE, Reason.STALE_STATUS)
    assert the_conversion(ledger).money.amount == Decimal(20)


@pytest.mark.parametrize(
    ("limits", "after", "said", "reason"),
    [
        (Limits(amount=Decimal(10)), 60, {"amount": "10"}, ""),
        (Limits(amount=Decimal(10)), 60, {"amount": "10.01"}, "over_limit"),
        (Limits(amount=Decimal(10)), 60, {"amount": "9.50", "currency": "EUR"},
         "over_limit"),
        (Limits(payout=Decimal(1)), 60, {"amount": "10"}, ""),
        (Limits(payout=Decimal(1)), 60, {"amount": "10.10"}, "over_limit"),
        (Limits(min_click_age=timedelta(seconds=5)), 5, {}, ""),
        (Limits(min_click_age=timedelta(seconds=5)), 4.9, {}, "too_early"),
        (Limits(min_click_age=timedelta(seconds=5)), -1, {}, "too_early"),
        (Limits(), -1, {}, ""),
    ],
)  # fmt: skip
def test_a_limit_holds_to_the_cent_and_to_the_second(limits, after, said, reason):
    """Amounts count in the offer's currency; without a limit nothing is refused."""
    rules = the_rules(a_goal(), limits)
    postback = a_postback(a_click_id(), timedelta(seconds=after), **said)
    assert decide(Ledger({}, []), rules, postback)[1] == reason


def test_a_limit_holds_for_what_a_conversion_becomes_and_can_be_waived():
    rules = the_rules(a_goal(on_repeat="add"), Limits(payout=Decimal(2)))
    ledger, click_id = Ledger({}, []), a_click_id()
    first, second = (
        a_postback(click_id, transaction_id=one, amount="15") for one in ("a", "b")
    )

    assert decide(ledger, rules, first) == (Verdict.ACCEPTED, "")
    assert decide(ledger, rules, second) == (Verdict.QUARANTINED, "over_limit")
    waived = rules.but(waived=Reason.OVER_LIMIT)
    assert decide(ledger, waived, second) == (Verdict.UPDATED, "")


@pytest.mark.parametrize("amount", ["1000", "10"], ids=["quarantined", "believed"])
def test_what_is_quarantined_teaches_a_conversion_nothing(amount):
    """Neither its transaction, nor that the transaction is taken."""
    rules = the_rules(a_goal(on_repeat="add"), Limits(amount=Decimal(100)))
    ledger, click_id = Ledger({}, []), a_click_id()
    decide(ledger, rules, a_postback(click_id))
    decide(ledger, rules, a_postback(click_id, transaction_id="t-1", amount=amount))

    is_believed = amount == "10"
    assert the_conversion(ledger).transaction_id == ("t-1" if is_believed else None)
    assert (("acme", "transaction:sale:t-1") in ledger.claimed) is is_believed


IN_REVIEW = (Verdict.DUPLICATE, Reason.IN_REVIEW)
UPDATED = (Verdict.UPDATED, Reason.NONE)
STALE = (Verdict.DUPLICATE, Reason.STALE_STATUS)


def reviewed(*told, by=None, **goal):
    """What is decided under review."""
    return told_of(*told, by=by, review=True, **goal)


def told_of(*told, by=None, **goal):
    """What is decided of statuses and amounts that come one after the other."""
    rules = the_rules(a_goal(**goal), **(by or {}))
    ledger, click_id = Ledger({}, []), a_click_id()
    decided = [
        decide(ledger, rules, a_postback(click_id, timedelta(minutes=n), **said))
        for n, said in enumerate(told)
    ]
    return ledger, decided[1:]


def test_a_goal_under_review_holds_what_would_be_approved():
    """Whether its advertiser says so, or nothing, or the goal itself."""
    for said in ({"status": "approved"}, {}, {"status": "pending"}):
        ledger, _ = reviewed(said)
        assert the_conversion(ledger).status is Status.PENDING

    assert ledger.changes[0].cause.note is None
    assert reviewed({})[0].changes[0].cause.note == HELD


def test_an_approval_under_review_changes_nothing_and_says_so():
    ledger, decided = reviewed({"status": "pending"}, *[{"status": "approved"}] * 2)

    assert decided == [IN_REVIEW, IN_REVIEW]
    assert len(ledger.changes) == 1


def test_under_review_a_rejection_rejects_and_is_final():
    ledger, decided = reviewed({}, {"status": "rejected"}, {"status": "approved"})

    assert decided == [UPDATED, STALE]
    assert the_conversion(ledger).status is Status.REJECTED


def test_what_is_reopened_under_review_is_pending():
    told = [{}, {"status": "rejected"}, {"status": "approved"}]
    ledger, decided = reviewed(*told, by={"reopen": True})

    assert decided == [UPDATED, UPDATED]
    assert the_conversion(ledger).status is Status.PENDING


@pytest.mark.parametrize(
    ("on_repeat", "outcome", "amount"),
    [("status", IN_REVIEW, 10), ("update", UPDATED, 12), ("add", IN_REVIEW, 10)],
)
def test_an_approval_under_review_is_taken_at_its_amount(on_repeat, outcome, amount):
    """As any approval: it may correct the amount, and adds nothing to it."""
    told = [{"status": "pending"}, {"status": "approved", "amount": "12"}]
    ledger, decided = reviewed(*told, on_repeat=on_repeat)

    assert decided == [outcome]
    assert the_conversion(ledger).money.amount == amount
    assert the_conversion(ledger).status is Status.PENDING


@pytest.mark.parametrize("review", [True, False])
def test_an_upsell_is_added_whatever_status_it_names(review):
    """With a transaction of its own it confirms nothing."""
    told = [
        {"status": "pending", "amount": "10", "transaction_id": "t-1"},
        {"status": "approved", "amount": "5", "transaction_id": "t-2"},
    ]
    ledger, decided = told_of(*told, review=review, on_repeat="add")

    conversion = the_conversion(ledger)
    assert decided == [UPDATED]
    assert conversion.money.amount == 15
    assert conversion.status is (Status.PENDING if review else Status.APPROVED)


def test_an_upsell_that_is_rejected_adds_nothing():
    told = [{"transaction_id": "t-1"}, {"status": "rejected", "transaction_id": "t-2"}]
    ledger, _ = told_of(*told, on_repeat="add")
    assert the_conversion(ledger).money.amount == 10


def test_a_rule_does_not_overtake_what_is_under_way():
    ledger, _ = reviewed({})
    (conversion,) = ledger.list_all()
    later = conversion.changed_at + timedelta(days=14)

    cause = Cause(later, catalog_version=1, rule="approve_after")
    change = ledger.set_status(conversion.id, Status.APPROVED, cause)
    assert change.changed_at == later
    assert ledger.get(conversion.id).changed_at == conversion.changed_at
