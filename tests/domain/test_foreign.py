"""The words of other trackers, and what is said to whoever writes one of them."""

import pytest

from tracker.domain.foreign import ours, translation
from tracker.domain.macros import CLICK_MACROS, DELIVERY_MACROS


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("clickid", "; did you mean {click_id}?"),
        ("CLICK_ID", "; did you mean {click_id}?"),
        ("sub_1", "; did you mean {sub1}?"),
        ("payout_usd", "; did you mean {payout}?"),
        ("payuot", "; did you mean {payout}?"),
        ("aff_sub", "; that is {sub1} here"),
        ("aff_sub3", "; that is {sub3} here"),
        ("sub_id_10", "; that is {sub10} here"),
        ("subid", "; that is {sub1} or {click_id} here"),
        ("tid", "; that is {transaction_id} or {click_id} here"),
        ("affiliate_id", "; that is {partner} here"),
        ("campaign_id", "; that is {offer} here"),
        ("sale_amount", "; that is {amount} here"),
        ("zzz", ""),
    ],
)
def test_a_word_of_another_tracker_is_translated(word, said):
    assert translation(word, sorted(DELIVERY_MACROS)) == said


@pytest.mark.parametrize(
    ("word", "names"), [("tid", ("click_id",)), ("txid", ()), ("sum", ())]
)
def test_only_what_may_stand_there_is_proposed(word, names):
    """`txid` is close to `ttclid`, and yet has nothing to do with it."""
    assert ours(word, sorted(CLICK_MACROS)) == names
