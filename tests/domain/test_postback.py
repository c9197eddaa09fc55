import pytest

from tracker.domain.catalog import Advertiser, Auth
from tracker.domain.click_id import SigningKeys
from tracker.domain.postback import (
    GENERIC,
    TokenHasher,
    conceal,
    names_of,
    read_statement,
)

KEYS = SigningKeys(0, {0: b"0" * 32, 1: b"1" * 32})


def concealed(names, **sent):
    return conceal(sent.items(), names, TokenHasher(KEYS), None)


def test_every_secret_is_masked_and_the_token_hashed():
    pairs, digest = concealed(GENERIC, token="t", Password="p", amount="1", sig="s")
    assert dict(pairs) == {
        "token": "***",
        "Password": "***",
        "amount": "1",
        "sig": "***",
    }
    assert TokenHasher(KEYS).matches(digest, ["other", "t"])


def test_a_name_that_an_advertiser_uses_for_something_else_is_not_masked():
    """One network's transaction id is called `hash`."""
    acme = Advertiser("acme", "A", Auth(none=True), names={"transaction_id": ("hash",)})
    pairs, _ = concealed(names_of(acme), hash="order-1", key="k")
    assert dict(pairs) == {"hash": "order-1", "key": "***"}


def test_a_hash_outlives_the_rotation_of_its_key():
    digest = TokenHasher(KEYS).digest("t")
    rotated = TokenHasher(SigningKeys(1, KEYS.secrets))
    assert rotated.digest("t") != digest
    assert rotated.matches(digest, ["t"])


def test_an_advertiser_s_own_names_take_the_place_of_ours():
    acme = Advertiser("acme", "A", Auth(none=True), names={"status": ("st",)})
    statement = read_statement(
        [("status", "theirs"), ("ST", " ok "), ("click_id", "c")], names_of(acme)
    )
    assert (statement.get("status"), statement.get("click_id")) == ("ok", "c")


def test_of_several_names_the_first_that_was_sent_with_a_value_counts():
    sent = [("clickid", "second"), ("cid", ""), ("subid", "third")]
    assert read_statement(sent, GENERIC).get("click_id") == "second"


@pytest.mark.parametrize(
    "text",
    [
        "{x}", "{{x}}", "${x}", "$!{x}", "[x]", "[[x]]", "[=x=]", "[%x%]", "%x%",
        "#x#", "##x##", "__X__", "!!!x!!!", "REPLACE", "OPTIONAL", "{aff_sub}",
    ],
)  # fmt: skip
def test_a_macro_left_as_text_is_recognised(text):
    assert read_statement([("amount", text)], GENERIC).unfilled()


@pytest.mark.parametrize("text", ["x", "1.50", "a{b", "50%", "#1", "[", "_x_", "a[1]b"])
def test_what_only_looks_a_little_like_one_is_not(text):
    assert not read_statement([("transaction_id", text)], GENERIC).unfilled()
