from collections import Counter

import pytest

from tracker.domain.targeting import Destination, Rule, Targeting, choose, pick
from tracker.domain.visitor import Visitor, identity_of

HERE = (Destination("https://here.example/"),)
THERE = (Destination("https://there.example/"),)

PHONE = "Mozilla/5.0 (Linux; Android 15) Mobile"


def a_visitor(country="DE", user_agent=PHONE, accepts="de-CH"):
    return Visitor("203.0.113.9", user_agent, accepts, lambda _: country)


def words(**listed):
    return {trait: frozenset(some.split()) for trait, some in listed.items()}


def where(*rules, visitor=None):
    """Where a visitor goes, and why."""
    choice = choose(Targeting(rules, HERE), visitor or a_visitor())
    return choice.url, choice.why


def test_the_first_rule_that_fits_wins():
    rules = (
        Rule(words(countries="US CA"), destinations=HERE),
        Rule(words(countries="DE AT"), destinations=THERE),
        Rule(words(countries="DE")),
    )
    assert where(*rules) == (THERE[0].url, "rule=2 country=DE")


def test_all_that_a_rule_asks_must_hold():
    rule = Rule(words(devices="tablet", languages="de"), destinations=THERE)

    url, why = where(rule)
    assert (url, why) == (HERE[0].url, "rule=none device=mobile")


def test_a_rule_without_a_destination_leads_to_the_fallback():
    assert where(Rule(words(countries="DE"))) == (None, "rule=1 country=DE")


@pytest.mark.parametrize(("listed", "fits"), [("de", 1), ("de-ch", 1), ("de-at", 0)])
def test_a_language_has_its_kinds(listed, fits):
    assert Rule(words(languages=listed)).fits(a_visitor()) == fits


def test_an_exception_takes_visitors_out():
    rule = Rule(words(devices="mobile"), words(countries="US CA"))

    assert rule.fits(a_visitor("FR"))
    assert not rule.fits(a_visitor("CA"))


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule(words(countries="US")), False),
        (Rule(excepted=words(countries="US")), False),
        (Rule(words(countries="US unknown")), True),
    ],
)
def test_who_comes_from_nobody_knows_where_fits_no_country(rule, fits):
    """Neither a list nor its opposite: only a rule that names the unknown."""
    assert rule.fits(a_visitor("")) is fits


def test_nothing_is_found_out_that_no_rule_asks():
    def never(_):
        raise AssertionError

    visitor = Visitor("203.0.113.9", PHONE, "", never)
    rules = (Rule(words(devices="desktop", countries="US")),)
    assert choose(Targeting(rules, HERE), visitor).why == "rule=none device=mobile"


VISITORS = [identity_of(f"198.51.{n // 250}.{n % 250}", PHONE) for n in range(4000)]


def spread(*weights):
    """Who of all visitors goes where, each destination by its place."""
    urls = [Destination(f"https://{n}.example/", w) for n, w in enumerate(weights)]
    return [pick(urls, one) for one in VISITORS]


def test_visitors_are_spread_by_weight():
    shares = Counter(spread(70, 20, 10, 0))

    assert [round(shares[n] / len(VISITORS), 1) for n in range(4)] == [0.7, 0.2, 0.1, 0]


def test_a_changed_weight_moves_only_whom_it_must():
    """Nobody moves between two destinations whose weights stayed."""
    before, after = spread(50, 30, 20), spread(50, 30, 40)

    moves = {(a, b) for a, b in zip(before, after, strict=True) if a != b}
    assert moves == {(0, 2), (1, 2)}


def test_an_order_moves_nobody():
    for who in VISITORS:
        assert pick([*THERE, *HERE], who) == 1 - pick([*HERE, *THERE], who)


def test_why_names_the_destination_among_several():
    several = (*HERE, *THERE)
    choice = choose(Targeting((), several), a_visitor())

    place = pick(several, a_visitor().identity)
    assert (choice.url, choice.why) == (several[place].url, f"destination={place + 1}")
