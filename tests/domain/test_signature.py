"""What a signature proves, and what it cannot be talked into."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from tracker.domain.advertiser import Advertiser, Auth, Signature
from tracker.domain.catalog import Catalog
from tracker.domain.signature import (
    Call,
    Message,
    prove,
    sign,
    signature_header,
)

KEY = "vector-key-0123456789"
SIGNED_AT = 1795341600
NOW = datetime.fromtimestamp(SIGNED_AT, UTC)
NONCE = "order-1.3f8c"

GET = Message(
    str(SIGNED_AT),
    NONCE,
    "/postback/acme",
    "click_id=2n0fpxn100mwp3r000010001sb8gxgak&amount=49.90",
    b"",
)
POST = Message(
    str(SIGNED_AT),
    NONCE,
    "/postback/acme",
    "",
    b'{"click_id": "2n0fpxn100mwp3r000010001sb8gxgak", "amount": "49.90"}',
)


def a_catalog(auth, **names):
    acme = Advertiser("acme", "Acme", auth, names=names)
    return Catalog(1, "USD", "UTC", advertisers={"acme": acme}, offers={}, partners={},
                   secrets={"SALT": "pepper"})  # fmt: skip


def a_call(message=GET, **changed):
    call = Call(
        "https://track.example",
        message.path,
        message.query,
        message.body,
        signature_header(message, sign(KEY, message)),
        "acme",
    )
    return call.but(**changed)


def proven(call, auth, *, late=0, **names):
    catalog = a_catalog(auth, **names)
    now = NOW + timedelta(seconds=late)
    return prove(call, catalog.advertisers["acme"], catalog, now)


OURS = Auth(hmac=(KEY,))


def test_a_signature_is_made_as_it_is_published():
    text = b"\n".join([b"tracker-v1", b"1795341600", NONCE.encode(), b"/postback/acme"])
    text += b"\n" + GET.query.encode() + b"\n"
    assert sign(KEY, GET) == hmac.new(KEY.encode(), text, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("message", [GET, POST])
def test_a_call_that_is_signed_in_a_header_is_proven(message):
    proof = proven(a_call(message), OURS)
    assert (proof.advertiser, proof.held, proof.is_stale) == ("acme", ("hmac",), False)
    assert proof.nonce.text == NONCE


def test_behind_the_query_it_proves_as_much():
    signed = f"{GET.query}&timestamp={SIGNED_AT}&nonce={NONCE}&signature="
    call = a_call(header="", query=signed + sign(KEY, GET).upper())
    assert proven(call, OURS) == proven(a_call(), OURS)


def test_a_query_of_nothing_but_the_signature_is_one():
    message = GET.but(query="")
    query = f"timestamp={SIGNED_AT}&nonce={NONCE}&signature={sign(KEY, message)}"
    assert proven(a_call(header="", query=query), OURS).held == ("hmac",)


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "/postback/globex"},
        {"path": "/postback"},
        {"query": GET.query + "&status=approved"},
        {"query": GET.query.replace("49.90", "490.9")},
        {"body": b"amount=1"},
        {"header": ""},
        {"header": "t=1795341600,n=order-1.3f8c,v1=" + "0" * 64},
        {"header": "t=1795341600,n=order-1.3f8c"},
        {"header": "\N{KELVIN SIGN}"},
    ],
)
def test_what_was_changed_on_the_way_proves_nothing(changed):
    proof = proven(a_call().but(**changed), OURS)
    assert (proof.held, proof.nonce) == ((), None)


@pytest.mark.parametrize("part", ["timestamp", "nonce"])
def test_time_and_nonce_are_signed_too(part):
    other = GET.but(**{part: "1795341601"})
    header = signature_header(other, sign(KEY, GET))
    assert proven(a_call(header=header), OURS).held == ()


@pytest.mark.parametrize("key", ["first-key-0123456789", KEY])
def test_two_keys_live_side_by_side(key):
    header = signature_header(GET, sign(key, GET))
    both = Auth(hmac=("first-key-0123456789", KEY))
    assert proven(a_call(header=header), both).held == ("hmac",)


@pytest.mark.parametrize(
    ("late", "is_stale"),
    [(0, False), (300, False), (-300, False), (301, True), (-301, True), (601, True)],
)
def test_a_signature_lives_for_five_minutes_either_way(late, is_stale):
    proof = proven(a_call(), OURS, late=late)
    assert (proof.held, proof.is_stale) == (("hmac",), is_stale)
    assert (proof.nonce is None) is is_stale


@pytest.mark.parametrize("seconds", [5, 86_400])
def test_signed_anew_it_is_the_same_content(seconds):
    """Also a day later."""
    later = GET.but(timestamp=str(SIGNED_AT + seconds))
    header = signature_header(later, sign(KEY, later))
    again = proven(a_call(header=header), OURS, late=seconds)
    assert again.nonce == proven(a_call(), OURS).nonce


# ------------------------------------------------------- of an advertiser's own making

PAIRS = (("cid", "c1"), ("order", "o-1"), ("total", "49.90"))


def own_call(signature, *more, query="cid=c1&order=o-1&total=49.90&sig=x&st=1"):
    pairs = (*PAIRS, *more, ("SIG", signature))
    return a_call(header="", query=query, parameters=pairs)


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
def test_its_own_hash_holds_over_what_was_sent(kind):
    rule = Signature("sig", kind, "{cid}{order}{Total}${SALT}")
    made = hashlib.new(kind, b"c1o-149.90pepper").hexdigest()

    assert proven(own_call(made.upper()), Auth(signature=rule)).held == ("signature",)
    assert proven(own_call(made[:-1]), Auth(signature=rule)).held == ()


def test_its_own_hmac_may_cover_the_whole_url():
    rule = Signature("sig", "sha256", "{url}", key="${SALT}")
    url = b"https://track.example/postback/acme?cid=c1&order=o-1&total=49.90&st=1"
    made = hmac.new(b"pepper", url, "sha256").hexdigest()

    assert proven(own_call(made), Auth(signature=rule)).held == ("signature",)
    other = own_call(made, query="cid=c1&order=o-1&total=99.90&sig=x&st=1")
    assert proven(other, Auth(signature=rule)).held == ()


@pytest.mark.parametrize("body", [b"amount=999999&status=approved", b"{}"])
def test_a_body_is_not_covered_by_the_url(body):
    """A genuine GET, sent as a POST, would say whatever its body says."""
    rule = Signature("sig", "sha256", "{url}", key="${SALT}")
    url = b"https://track.example/postback/acme?cid=c1&order=o-1&total=49.90&st=1"
    made = hmac.new(b"pepper", url, "sha256").hexdigest()

    genuine = own_call(made)
    assert proven(genuine, Auth(signature=rule)).held == ("signature",)
    assert proven(genuine.but(body=body), Auth(signature=rule)).held == ()


@pytest.mark.parametrize(
    "more",
    [
        ("cid", "other"),
        ("CID", "other"),
        ("click_id", "other"),
        ("sig", "0" * 32),
    ],
)
def test_what_was_signed_must_be_what_counts(more):
    """Another click under another name for it would be judged, and unsigned."""
    rule = Signature("sig", "md5", "{cid}{order}{total}${SALT}")
    made = hashlib.md5(b"c1o-149.90pepper").hexdigest()
    names = {"click_id": ("click_id", "cid")}

    assert proven(own_call(made), Auth(signature=rule), **names).held == ("signature",)
    assert proven(own_call(made, more), Auth(signature=rule), **names).held == ()


def test_both_kinds_are_told_apart():
    rule = Signature("sig", "md5", "{cid}${SALT}")
    both = Auth(hmac=(KEY,), signature=rule)
    made = hashlib.md5(b"c1pepper").hexdigest()

    assert proven(a_call(), both).held == ("hmac",)
    assert proven(own_call(made), both).held == ("signature",)


def test_where_no_signature_is_asked_for_nothing_is_proven():
    assert proven(a_call(), Auth(tokens=("t",))) is None
