"""What partners.yaml can ask an advertiser's server to prove."""

from datetime import timedelta

import pytest

from tracker.catalog import check_text, compile_catalog, load_snapshot, take_snapshot
from tracker.domain.advertiser import Auth, Signature
from tracker.domain.errors import CatalogError

SECRETS = {"KEY": "a-key-of-sixteen-characters", "NEXT": "another-key-of-that-length"}
NUMBERS = {("offer", "shoes"): 1, ("partner", "best"): 1}
HMAC = '{hmac: ["${KEY}", "${NEXT}"]}'
OWN = '{signature: {param: Sig, hash: md5, text: "{cid}${KEY}", key: "${NEXT}"}}'

PUBLISHED = (
    '{signature: {header: X-Sig, text: "{t}.{body}", key: "${KEY}", first: 20,'
    ' read: "v1=(.*)", vars: {t: "t=(.*?),"}, time: t, within: 5m,'
    " hash: sha512, encoding: base64url}}"
)


def a_file(auth, rest=""):
    return f"""\
version: 1
currency: USD
advertisers:
  acme:
    auth: {auth}
{rest}"""


@pytest.mark.parametrize(
    ("auth", "compiled"),
    [
        (HMAC, Auth(hmac=("${KEY}", "${NEXT}"))),
        ('{hmac: "${KEY}"}', Auth(hmac=("${KEY}",))),
        (OWN, Auth(signature=Signature("sig", "md5", "{cid}${KEY}", "${NEXT}"))),
        (
            PUBLISHED,
            Auth(
                signature=Signature(
                    param="signature",
                    header="x-sig",
                    text="{t}.{body}",
                    key="${KEY}",
                    first=20,
                    read="v1=(.*)",
                    vars={"t": "t=(.*?),"},
                    time="t",
                    within=timedelta(minutes=5),
                    hash="sha512",
                    encoding="base64url",
                )
            ),
        ),
    ],
)
async def test_a_proof_is_carried_from_the_file_to_every_process(auth, compiled):
    checked = check_text(a_file(auth), "partners.yaml", SECRETS)

    catalog = compile_catalog(checked, SECRETS, version=1, numbers={})
    snapshot = take_snapshot(checked, version=1, numbers={})

    assert catalog.advertisers["acme"].auth == compiled
    assert await load_snapshot(snapshot, SECRETS) == catalog
    assert not any(value.encode() in snapshot for value in SECRETS.values())


@pytest.mark.parametrize("auth", [HMAC, OWN])
async def test_the_keys_are_secrets_that_must_be_set(auth):
    checked = check_text(a_file(auth), "partners.yaml", SECRETS)
    with pytest.raises(CatalogError, match=r"not set, or empty: \$\{NEXT\}"):
        compile_catalog(checked, {"KEY": "x" * 16}, version=1, numbers={})


@pytest.mark.parametrize(
    ("auth", "rest", "fault"),
    [
        ("{hmac: short}", "", "must have at least 16 characters"),
        ('{hmac: ["${KEY}", "${KEY}", "${KEY}"]}', "", "must have at most 2"),
        ("{signature: {text: '{cid}'}}", "", "needs a key, or a ${SECRET} in its text"),
        ("{signature: {key: k}}", "", "'text' is missing"),
        ("{signature: {text: all, key: k}}", "", "must contain a parameter"),
        ("{signature: {text: '{cid', key: k}}", "", "a lone '{'"),
        ("{signature: {text: '{a}${NO}'}}", "", "${NO} is not set"),
        (
            "{signature: {text: '{a}', key: k, hash: md4}}",
            "",
            "must be md5, sha1, sha256 or",
        ),
        (
            "{signature: {text: '{a}', key: k, param: status}}",
            "",
            "auth.signature.param is also its name for status",
        ),
        (
            "{signature: {text: '{a}', key: k, param: cid}}",
            "    postback: {params: {click_id: [cid]}}",
            "auth.signature.param is also its name for click_id",
        ),
        ("{signature: {text: '{a}', key: k, param: a}}", "", "can cover itself: a"),
        (
            "{signature: {text: '{body}{header:x-s}', key: k, header: X-S}}",
            "",
            "can cover itself: header:x-s",
        ),
        ("{signature: {text: '{a}', key: k, param: b, header: X}}", "", "write either"),
        (
            "{signature: {text: '{a}', key: k, param: 'header:X'}}",
            "",
            "a header is 'header: X'",
        ),
        ("{signature: {text: '{a}', key: k, header: 'a b'}}", "", "not the name of a"),
        ("{signature: {text: '{header:X-T}', key: k}}", "", "would do for any call"),
        (
            "{signature: {text: '{t}', key: k, vars: {t: 't=(.*)'}}}",
            "",
            "would do for any call",
        ),
        (
            "{signature: {text: '{body}', key: k, vars: {t: 't=(.*)'}}}",
            "",
            "{t} is read, but not in the text",
        ),
        (
            "{signature: {text: '{body}', key: k, vars: {body: 't=(.*)'}}}",
            "",
            "'vars' cannot have body",
        ),
        (
            "{signature: {text: '{body}{timestam}', key: k, within: 5m}}",
            "",
            "or what 'time' says; did you mean 'timestam'?",
        ),
        (
            "{signature: {text: '{body}', key: k, time: t}}",
            "",
            "'time' goes with 'within'",
        ),
        ("{signature: {text: '{a}', key: k, first: 7}}", "", "a number of at least 8"),
        (
            "{signature: {text: '{a}', key: k, hash: md5, first: 33}}",
            "",
            "'first' can be at most 32 of a md5",
        ),
        (
            "{signature: {text: '{a}', key: k, key_encoding: hex}}",
            "",
            "'key' is not hex",
        ),
        (
            "{signature: {text: '{a}${KEY}', key_encoding: hex}}",
            "",
            "'key_encoding' needs a key",
        ),
        (
            "{signature: {text: '{a}{path:2}', key: k}}",
            "",
            "'path:2' is not in params",
        ),
        (
            "{signature: {text: '{body}', key: k}}",
            "    postback: {params: {status: ['header:X-Topic']}}",
            "no signature covers a header that it does not name",
        ),
        ("{none: true, hmac: '${KEY}'}", "", "contradicts the proofs beside it"),
    ],
)
def test_a_proof_that_proves_nothing_is_a_fault(auth, rest, fault):
    with pytest.raises(CatalogError) as caught:
        check_text(a_file(auth, rest), "partners.yaml", SECRETS)
    assert fault in str(caught.value)


async def test_a_snapshot_of_before_there_were_signatures_is_read():
    """An upgrade must not refuse what is in force."""
    checked = check_text(a_file("{token: t}"), "partners.yaml", {})
    snapshot = take_snapshot(checked, version=1, numbers={})

    former = snapshot.replace(b"tracker-catalog 2\n", b"tracker-catalog 1\n", 1)

    assert await load_snapshot(former, {}) == await load_snapshot(snapshot, {})
