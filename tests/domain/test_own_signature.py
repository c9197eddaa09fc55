"""Signatures that others make: what they publish holds, and nothing beside it does."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from tracker.domain.advertiser import Advertiser, Auth, Signature
from tracker.domain.call import Call
from tracker.domain.catalog import Catalog
from tracker.domain.own_signature import judge_own

AT = 1795341600
NOW = datetime.fromtimestamp(AT, UTC)
BODY = b'{"order": "o-1", "cid": "c1", "total": "49.90"}'
PAIRS = (("order", "o-1"), ("cid", "c1"), ("total", "49.90"))
NAMES = {"click_id": ("cid",), "transaction_id": ("order",)}


def a_call(headers=None, **changed):
    sent = {name.lower(): text for name, text in (headers or {}).items()}
    call = Call(
        "https://track.example",
        "/postback/acme",
        "",
        BODY,
        route="acme",
        parameters=PAIRS,
        headers=[(name.encode(), text.encode()) for name, text in sent.items()],
    )
    return call.but(**changed)


def judged(call, at=NOW, names=NAMES, present=None, **rule):
    given = Signature(**{"param": "sig", "hash": "sha256", "key": "${KEY}"} | rule)
    acme = Advertiser(
        "acme", "Acme", Auth(signature=given), names=names, present=present or {}
    )
    catalog = Catalog(1, "USD", "UTC", advertisers={"acme": acme}, offers={},
                      partners={}, secrets={"KEY": "pepper"})  # fmt: skip
    return judge_own(call, given, catalog, at)


def made(text, kind="sha256"):
    return hmac.digest(b"pepper", text, kind)


# ------------------------------------------------------------------- as it is published


def test_github_s_example():
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""
    rule = {
        "text": "{body}",
        "key": "It's a Secret to Everybody",
        "header": "x-hub-signature-256",
    }
    sent = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"X-Hub-Signature-256": sent}

    assert judged(a_call(headers, body=b"Hello, World!"), **rule) == "right"
    assert judged(a_call(headers, body=b"Hello, World?"), **rule) == "wrong"


def test_slack_s_example():
    """https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA"
        b"&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url="
        b"https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
        b"96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
        b"803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    headers = {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": f"v0={signature}",
    }
    time = "header:X-Slack-Request-Timestamp"
    rule = {
        "text": f"v0:{{{time}}}:{{body}}",
        "key": "8f742231b10e8888abcd99yyyzzz85a5",
        "header": "x-slack-signature",
        "read": "v0=([0-9a-f]+)",
        "time": time,
        "within": timedelta(minutes=5),
    }
    then = datetime.fromtimestamp(1531420618, UTC)

    assert judged(a_call(headers, body=body), at=then, **rule) == "right"
    assert judged(a_call(headers, body=body), at=NOW, **rule) == "stale"


def test_svix_s_example():
    """https://docs.svix.com/receiving/verifying-payloads/how-manual"""
    headers = {
        "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "svix-timestamp": "1614265330",
        "svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        " v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo=",
    }
    rule = {
        "text": "{header:svix-id}.{header:svix-timestamp}.{body}",
        "key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "key_encoding": "base64",
        "header": "svix-signature",
        "read": "v1,([A-Za-z0-9+/=]+)",
        "encoding": "base64",
    }

    assert judged(a_call(headers, body=b'{"test": 2432232314}'), **rule) == "right"
    assert judged(a_call(headers, body=b'{"test": 2432232315}'), **rule) == "wrong"


def test_adyen_s_example():
    """https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures"""
    item = {
        "pspReference": "7914073381342284",
        "originalReference": "",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704",
        "amount.value": "1130",
        "amount.currency": "EUR",
        "eventCode": "AUTHORISATION",
        "success": "true",
        "additionalData.hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=",
    }
    at = "notificationItems.NotificationRequestItem."
    pairs = [(f"{at}{name}", text) for name, text in item.items()]
    rule = {
        "param": f"{at}additionalData.hmacSignature".lower(),
        "text": ":".join(f"{{{name}}}" for name, _ in pairs[:-1]),
        "key": "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
        "key_encoding": "hex",
        "encoding": "base64",
    }

    assert judged(a_call(parameters=pairs), **rule) == "right"
    pairs[4] = (pairs[4][0], "9930")
    assert judged(a_call(parameters=pairs), **rule) == "wrong"


STRIPE = {
    "text": "{timestamp}.{body}",
    "header": "stripe-signature",
    "read": "v1=([0-9a-f]+)",
    "vars": {"timestamp": "t=([0-9]+)"},
    "within": timedelta(seconds=300),
}


@pytest.mark.parametrize(
    ("late", "standing"),
    [(0, "right"), (300, "right"), (-300, "right"), (301, "stale"), (-301, "stale")],
)
def test_stripe_s_time_stands_beside_its_signatures(late, standing):
    """https://docs.stripe.com/webhooks/signature"""
    signature = made(b"%d.%s" % (AT, BODY)).hex()
    headers = {"Stripe-Signature": f"t={AT},v1={'0' * 64},v1={signature},v0=x"}

    at = NOW + timedelta(seconds=late)
    assert judged(a_call(headers), at=at, **STRIPE) == standing
    other = {"Stripe-Signature": f"t={AT + 1},v1={signature}"}
    assert judged(a_call(other), at=at, **STRIPE) == "wrong"


def test_shopify_s_is_base64_over_the_body():
    """https://shopify.dev/docs/apps/build/webhooks/subscribe/https"""
    rule = {"text": "{body}", "header": "x-shopify-hmac-sha256", "encoding": "base64"}
    signature = base64.b64encode(made(BODY)).decode()
    headers = {"X-Shopify-Hmac-Sha256": signature}

    assert judged(a_call(headers), **rule) == "right"
    assert judged(a_call(headers, body=BODY + b" "), **rule) == "wrong"
    assert judged(a_call({}), **rule) == "wrong"


# ----------------------------------------------------------------- as it may be spelled


@pytest.mark.parametrize(
    ("encoding", "spell"),
    [
        ("hex", lambda digest: digest.hex().upper()),
        ("hex", lambda digest: f"sha256={digest.hex()}"),
        ("base64", lambda digest: base64.b64encode(digest).decode()),
        ("base64", lambda digest: base64.b64encode(digest).decode().replace("+", " ")),
        ("base64url", lambda digest: base64.urlsafe_b64encode(digest).decode()),
        ("base64url", lambda digest: base64.urlsafe_b64encode(digest)[:-1].decode()),
    ],
)
def test_a_signature_is_read_in_its_spelling(encoding, spell):
    text = b"9.c1"  # its signature has both a + and a / in it
    headers = {"X-Sig": spell(made(text))}
    call = a_call(headers, parameters=(*PAIRS, ("try", "9")))

    rule = {"text": "{try}.{cid}", "header": "x-sig", "encoding": encoding}
    assert {*"+/"} <= {*base64.b64encode(made(text)).decode()}
    assert judged(call, **rule) == "right"
    assert judged(call, **rule | {"text": "{cid}.{try}"}) == "wrong"


@pytest.mark.parametrize(
    ("sent", "standing"), [(8, "right"), (7, "wrong"), (9, "wrong"), (64, "wrong")]
)
def test_of_a_cut_one_all_that_is_left_counts(sent, standing):
    pair = ("sig", made(b"c1").hex()[:sent])
    call = a_call(parameters=(*PAIRS, pair))
    assert judged(call, text="{cid}", first=8) == standing


def test_filters_are_applied_to_what_was_sent():
    text = f"{hashlib.md5(b'o-1').hexdigest()}C1".encode()
    call = a_call(parameters=(*PAIRS, ("sig", made(text, "sha512").hex())))
    rule = {"text": "{order|md5}{cid|upper}", "hash": "sha512"}
    assert judged(call, **rule) == "right"


@pytest.mark.parametrize(
    "time", [str(AT), f"{AT}000", "2026-11-22T10:00:00Z", "2026-11-22 10:00:00+00:00"]
)
def test_a_time_is_read_in_seconds_milliseconds_or_as_iso(time):
    rule = {"text": "{timestamp}{cid}", "within": timedelta(seconds=300)}
    signature = made(f"{time}c1".encode()).hex()
    call = a_call(parameters=(*PAIRS, ("timestamp", time), ("sig", signature)))
    assert judged(call, **rule) == "right"


@pytest.mark.parametrize("time", ["", "soon", "9" * 16, "9" * 30])
def test_what_is_no_time_proves_nothing(time):
    rule = {"text": "{timestamp}{cid}", "within": timedelta(seconds=300)}
    signature = made(f"{time}c1".encode()).hex()
    call = a_call(parameters=(*PAIRS, ("timestamp", time), ("sig", signature)))
    assert judged(call, **rule) == "wrong"


def test_all_parameters_may_be_signed_in_the_order_of_their_names():
    signature = made(b"cid=c1&order=o-1&total=49.90").hex()
    pairs = (*PAIRS, ("sig", signature))
    assert judged(a_call(parameters=pairs), text="{sorted}") == "right"

    joined = (("cid", "c1&order=o-1&total=49.90"), ("sig", signature))
    assert judged(a_call(parameters=joined), text="{sorted}") == "wrong"
    again = (
        *PAIRS,
        ("total", "99"),
        ("sig", made(b"cid=c1&order=o-1&total=49.90&total=99").hex()),
    )
    assert judged(a_call(parameters=again), text="{sorted}") == "wrong"
    more = (*pairs, ("status", "rejected"))
    assert judged(a_call(parameters=more), text="{sorted}") == "wrong"


# ------------------------------------------------------------------ what is not covered


@pytest.mark.parametrize(
    ("query", "standing"),
    [
        ("", "right"),
        ("sig=SIG", "right"),
        ("sig=SIG&token=t", "right"),
        ("sig=SIG&status=rejected", "wrong"),
        ("sig=SIG&anything=1", "wrong"),
    ],
)
def test_a_body_leaves_no_room_for_a_query(query, standing):
    """A genuine call, sent again with more in its URL, would say what that says."""
    call = a_call(query=query, parameters=(*PAIRS, ("sig", made(BODY).hex())))
    assert judged(call, text="{body}") == standing


def test_url_and_body_may_both_be_signed():
    text = b"https://track.example/postback/acme?goal=sale" + BODY
    headers = {"X-Sig": made(text).hex()}
    rule = {"text": "{url}{body}", "header": "x-sig"}
    assert judged(a_call(headers, query="goal=sale"), **rule) == "right"
    assert judged(a_call(headers, query="goal=lead"), **rule) == "wrong"


def test_a_body_that_is_no_text_is_not_signed_by_a_replacement():
    headers = {"X-Sig": made("\ufffd".encode()).hex()}
    assert (
        judged(a_call(headers, body=b"\xff"), text="{body}", header="x-sig") == "wrong"
    )


def test_a_text_that_names_nothing_that_was_sent_proves_nothing():
    """Else its signature would be a constant, good for any sale."""
    call = a_call(parameters=(*PAIRS, ("sig", made(b"").hex())))
    assert judged(call, text="{clikid}{transid}") == "wrong"

    named = a_call(parameters=(*PAIRS, ("sig", made(b"o-1").hex())))
    assert judged(named, text="{clikid}{order}") == "right"


def test_a_header_that_was_sent_twice_is_nobody_s():
    headers = [(b"x-sig", made(BODY).hex().encode()), (b"x-sig", b"other")]
    rule = {"text": "{body}", "header": "x-sig"}
    assert judged(a_call().but(headers=headers[:1]), **rule) == "right"
    assert judged(a_call().but(headers=headers), **rule) == "wrong"


def test_what_is_read_beside_a_signature_must_be_there():
    signature = made(b"." + BODY).hex()
    headers = {"Stripe-Signature": f"v1={signature}"}
    assert judged(a_call(headers), **STRIPE | {"within": None}) == "wrong"


def test_what_follows_from_another_parameter_is_not_what_was_signed():
    present = {"chargeback": {"status": "rejected"}}
    pairs = (*PAIRS, ("status", "approved"), ("sig", made(b"c1approved").hex()))
    call = a_call(parameters=pairs)
    charged = a_call(parameters=(*pairs, ("chargeback", "1")))

    assert judged(call, text="{cid}{status}", present=present) == "right"
    assert judged(charged, text="{cid}{status}", present=present) == "wrong"


def test_in_a_header_a_signature_leaves_its_usual_parameter_no_room():
    """An advertiser may call something else so."""
    headers = {"X-Sig": made(BODY).hex()}
    call = a_call(headers, query="signature=another-order")
    names = {"click_id": ("cid",), "transaction_id": ("signature",)}
    rule = {"text": "{body}", "header": "x-sig", "param": "signature"}
    assert judged(call, names=names, **rule) == "wrong"


@pytest.mark.parametrize(("mark", "standing"), [("t", "right"), ("both", "wrong")])
def test_a_token_that_says_more_is_not_passed_over(mark, standing):
    headers = {"X-Sig": made(BODY).hex()}
    names = {"click_id": ("cid", "both"), "token": ("t", "both")}
    call = a_call(headers, query=f"{mark}=x")
    rule = {"text": "{body}", "header": "x-sig"}
    assert judged(call, names=names, **rule) == standing
