from dataclasses import replace
from decimal import Decimal

import pytest
from checker import (
    NOTHING_ODD,
    Answer,
    Booked,
    Books,
    Evidence,
    Hit,
    Owed,
    Redirect,
    Sale,
    Tally,
    check,
)

KINDS = ("lost", "doubled", "undelivered", "unexpected", "false_2xx", "extra")

SALE = Sale("order-1", "click-1", "partner-1", Decimal("50.00"))
ACCEPTED = Answer("order-1", 200, "accepted", "pb_1", "cv_1")
BOOKED = Booked("cv_1", "order-1", "click-1", "partner-1", Decimal("4.00"))

SEEN = Evidence(
    redirects=[Redirect(1, "partner-1", 302, "click-1", 0.0, 0.01)],
    sales={"order-1": SALE},
    answers=[ACCEPTED],
    hits=[Hit("dl_1", "order-1")],
)
KEPT = Books(
    clicks=frozenset({"click-1"}),
    postbacks=frozenset({"pb_1"}),
    conversions=[BOOKED],
    deliveries=[Owed("dl_1", "cv_1", "delivered")],
)


def found(seen=SEEN, kept=KEPT, allowed=NOTHING_ODD):
    """How many cases of each kind there are, where there are any."""
    tally = check(seen, kept, allowed)
    counts = {kind: len(getattr(tally, kind)) for kind in KINDS}
    return {kind: number for kind, number in counts.items() if number}


def test_it_finds_nothing_where_both_agree():
    assert found() == {}


def test_a_click_that_is_nowhere_is_lost():
    assert found(kept=replace(KEPT, clicks=frozenset())) == {"lost": 1}


def test_a_click_that_was_counted_lost_is_not_lost_unseen():
    kept = replace(KEPT, clicks=frozenset(), counted_lost=frozenset({"click-1"}))
    assert found(kept=kept) == {}
    assert check(SEEN, kept, NOTHING_ODD).counted_lost == 1


def test_an_acknowledged_sale_without_a_conversion_is_lost():
    kept = replace(KEPT, conversions=[], deliveries=[])
    assert found(replace(SEEN, hits=[]), kept) == {"lost": 1}


def test_two_conversions_of_one_sale_are_doubled():
    again = replace(BOOKED, id="cv_2")
    kept = replace(
        KEPT,
        conversions=[BOOKED, again],
        deliveries=[*KEPT.deliveries, Owed("dl_2", "cv_2", "delivered")],
    )
    seen = replace(SEEN, hits=[*SEEN.hits, Hit("dl_2", "order-1")])
    # The conversion, and the partner that was told of it as of another one.
    assert found(seen, kept) == {"doubled": 2}


@pytest.mark.parametrize("changed", [{"payout": Decimal("8.00")}, {"created": 2}])
def test_a_sale_that_is_paid_twice_is_doubled(changed):
    kept = replace(KEPT, conversions=[replace(BOOKED, **changed)])
    assert found(kept=kept) == {"doubled": 1}


def test_a_partner_that_was_not_told_is_undelivered():
    assert found(replace(SEEN, hits=[])) == {"undelivered": 1}


def test_a_conversion_that_owes_nobody_is_undelivered():
    kept = replace(KEPT, deliveries=[])
    assert found(replace(SEEN, hits=[]), kept) == {"undelivered": 1}


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        ({"click-1"}, {}),
        (set(), {"lost": 1, "undelivered": 1}),
    ],
)
def test_details_of_a_click_that_was_counted_lost_excuse(lost, expected):
    kept = replace(
        KEPT,
        clicks=frozenset(),
        counted_lost=frozenset(lost),
        deliveries=[Owed("dl_1", "cv_1", "click_details")],
    )
    assert found(replace(SEEN, hits=[]), kept) == expected


@pytest.mark.parametrize("status", [0, 404, 500, 503])
def test_an_answer_that_the_attack_does_not_allow_is_unexpected(status):
    seen = replace(SEEN, answers=[Answer("order-1", status), ACCEPTED])
    assert found(seen) == {"unexpected": 1}
    assert found(seen, allowed=NOTHING_ODD.also(status)) == {}


def test_a_visitor_who_sees_an_error_is_unexpected():
    seen = replace(
        SEEN, redirects=[*SEEN.redirects, Redirect(2, "partner-1", 500, "", 0.0, 0.0)]
    )
    assert found(seen) == {"unexpected": 1}


def test_a_sale_that_nobody_ever_acknowledged_is_unexpected():
    seen = replace(SEEN, answers=[], hits=[])
    assert found(seen, replace(KEPT, conversions=[])) == {"unexpected": 1}


@pytest.mark.parametrize(
    "changed",
    [
        {"verdict": "accepted"},
        {"verdict": "duplicate", "conversion": "cv_2"},
    ],
)
def test_answers_that_contradict_each_other_are_unexpected(changed):
    seen = replace(SEEN, answers=[ACCEPTED, replace(ACCEPTED, **changed)])
    assert found(seen) == {"unexpected": 1}


def test_a_conversion_of_another_partner_is_unexpected():
    kept = replace(KEPT, conversions=[replace(BOOKED, partner="partner-2")])
    assert found(kept=kept) == {"unexpected": 1}


def test_a_conversion_that_nobody_reported_is_unexpected():
    stranger = Booked("cv_2", "order-2", "click-1", "partner-1", Decimal(1))
    kept = replace(
        KEPT,
        conversions=[BOOKED, stranger],
        deliveries=[*KEPT.deliveries, Owed("dl_2", "cv_2", "delivered")],
    )
    seen = replace(SEEN, hits=[*SEEN.hits, Hit("dl_2", "order-2")])
    assert found(seen, kept) == {"unexpected": 1}


def test_an_id_that_two_visitors_were_given_is_unexpected():
    seen = replace(SEEN, redirects=SEEN.redirects * 2)
    assert found(seen) == {"unexpected": 1}


def test_an_acknowledged_postback_that_is_not_on_disk_is_a_false_2xx():
    assert found(kept=replace(KEPT, postbacks=frozenset())) == {"false_2xx": 1}


def test_a_partner_that_was_told_twice_is_an_extra_with_a_name():
    seen = replace(SEEN, hits=SEEN.hits * 2)
    assert found(seen) == {"extra": 1}
    assert check(seen, KEPT, NOTHING_ODD).strangers == []


def test_a_hit_without_a_known_delivery_is_a_stranger():
    seen = replace(SEEN, hits=[*SEEN.hits, Hit("dl_9", "order-9")])
    assert check(seen, KEPT, NOTHING_ODD).strangers == ["dl_9"]


@pytest.mark.parametrize("kind", [*KINDS[:-1], "strangers"])
def test_what_falls_short_is_said(kind):
    tally = Tally(**{kind: ["one"]})
    if kind == "strangers":
        tally.extra.append("one")
    assert [one.holds for one in tally.findings()].count(False) == 1


def test_all_six_are_told_in_every_run():
    told = [one.what for one in Tally().findings() if one.holds is not None]
    assert told == [kind.replace("_", " ") for kind in KINDS]
