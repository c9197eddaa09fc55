from datetime import UTC, datetime

import msgspec
import pytest

from tracker.domain.click_id import SigningKeys
from tracker.domain.identity import new_postback_id
from tracker.domain.postback import Postback, TokenHasher, conceal
from tracker.domain.signature import Nonce, Proof
from tracker.domain.vocabulary import CANONICAL, GENERIC, Vocabulary, own_names

KEYS = SigningKeys(0, {0: b"0" * 32, 1: b"1" * 32})


def concealed(names, **sent):
    return conceal(sent.items(), Vocabulary(names), TokenHasher(KEYS), None)


def test_every_secret_is_masked_and_the_token_hashed():
    pairs, digest = concealed(GENERIC, token="t", Password="p", amount="1", sig="s")
    assert dict(pairs) == {
        "token": "***",
        "Password": "***",
        "amount": "1",
        "sig": "***",
    }
    assert TokenHasher(KEYS).matches(digest, ["other", "t"])


def test_of_a_token_in_a_header_and_one_beside_it_either_will_do():
    """A gateway on the way may have an `Authorization` of its own."""
    hasher = TokenHasher(KEYS)
    _, digest = conceal([("token", "t")], Vocabulary(GENERIC), hasher, "foreign")

    assert hasher.matches(digest, ["t"])
    assert hasher.matches(digest, ["foreign"])
    assert not hasher.matches(digest, ["tforeign"])
    twice = [("token", "t"), ("token", "u")]
    _, digest = conceal(twice, Vocabulary(GENERIC), hasher, "foreign")
    assert not hasher.matches(digest, ["t", "u"])


def test_a_name_that_an_advertiser_uses_for_something_else_is_not_masked():
    """One network's transaction id is called `hash`."""
    acme = {**CANONICAL, "transaction_id": ("hash",)}
    pairs, _ = concealed(acme, hash="order-1", key="k")
    assert dict(pairs) == {"hash": "order-1", "key": "***"}


@pytest.mark.parametrize("name", ["order.token", "token", "path.key"])
def test_what_an_advertiser_calls_a_transaction_is_kept(name):
    """Masked, the orders of all customers would be one: `***`."""
    acme = own_names({"transaction_id": (name,)})
    pairs, _ = concealed(acme, **{name: "order-1", "auth.secret": "s", "a.token": "t"})
    assert dict(pairs)[name] == "order-1"
    assert dict(pairs)["auth.secret"] == "***"


def test_what_is_a_token_to_somebody_is_masked_whatever_else_it_means():
    """On the route for all, one advertiser's token may be another one's click id."""
    pairs, _ = concealed({**GENERIC, "token": ("token", "cid")}, cid="secret")
    assert dict(pairs) == {"cid": "***"}


def test_a_hash_outlives_the_rotation_of_its_key():
    digest = TokenHasher(KEYS).digest("t")
    rotated = TokenHasher(SigningKeys(1, KEYS.secrets))
    assert rotated.digest("t") != digest
    assert rotated.matches(digest, ["t"])


def test_an_advertiser_s_own_names_take_the_place_of_ours():
    acme = {**CANONICAL, "status": ("st",)}
    sent = [("status", "theirs"), ("ST", " ok "), ("click_id", "c")]
    statement = Vocabulary(acme).read(sent)
    assert (statement.get("status"), statement.get("click_id")) == ("ok", "c")


def test_of_several_names_the_first_that_was_sent_with_a_value_counts():
    sent = [("clickid", "second"), ("cid", ""), ("subid", "third")]
    assert Vocabulary(GENERIC).read(sent).get("click_id") == "second"


@pytest.mark.parametrize(
    "text",
    [
        "{x}", "{{x}}", "${x}", "$!{x}", "[x]", "[[x]]", "[=x=]", "[%x%]", "%x%",
        "#x#", "##x##", "__X__", "!!!x!!!", "REPLACE", "OPTIONAL", "{aff_sub}",
    ],
)  # fmt: skip
def test_a_macro_left_as_text_is_recognised(text):
    assert Vocabulary(GENERIC).read([("amount", text)]).unfilled()


@pytest.mark.parametrize("text", ["x", "1.50", "a{b", "50%", "#1", "[", "_x_", "a[1]b"])
def test_what_only_looks_a_little_like_one_is_not(text):
    assert not Vocabulary(GENERIC).read([("transaction_id", text)]).unfilled()


@pytest.mark.parametrize("wire", [msgspec.json, msgspec.msgpack])
def test_what_was_proven_at_arrival_survives_a_spool(wire):
    """A postback is judged as of its arrival, whenever that is."""
    nonce = Nonce("nonce-1234", b"\0\xff")
    proof = Proof("acme", ("hmac",), is_stale=True, nonce=nonce)
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    postback = Postback(
        id=new_postback_id(now),
        received_at=now,
        method="GET",
        path="/postback",
        address="",
        proof=proof,
    )
    assert wire.decode(wire.encode(postback), type=Postback) == postback
