"""What a postback sends, of every form that it may have."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from functools import partial
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parties import CLICK_ID, NOW, a_delivery, a_postback

from tracker.domain.errors import MissingValueError, TemplateError
from tracker.domain.filters import FILTERS
from tracker.domain.outbound import Auth, Document, Signature
from tracker.domain.request import build_request

ANYTHING = st.text() | st.text(alphabet="{}$|&=#?/@:\\%\r\n\0 ;\"'<>]é€\ud800ab1")

ARGUMENTS = {
    "default": ":a&b=c", "map": ":a=b,*=c", "percent": ":50", "date": ":%Y",
    "zone": ":Asia/Tokyo", "first": ":3", "replace": ":a=b", "prefix": ":&x=",
    "suffix": ':"', "hmac": ":KEY:sha1:base64",
}  # fmt: skip


def request_of(postback, values=None, secrets=None):
    values = a_delivery().macro_values | (values or {})
    return build_request(postback, values, secrets or {}, "dl_1", NOW)


def json_of(tree, values=None, secrets=None):
    postback = a_postback(method="POST", json=json.dumps(tree))
    return request_of(postback, values, secrets).body.decode()


def url_of(rest, **values):
    return request_of(a_postback("https://a.example" + rest), values).url


@pytest.mark.parametrize(
    ("rest", "url"),
    [
        ("/?a={sub2|optional}&b=1", "/?b=1"),
        ("/?a={sub2|optional}", "/"),
        ("/?a={sub2|optional}#x", "/%23x"),
        ("/?b=1&a=x{sub2|optional}y&c={sub2}", "/?b=1&c="),
        ("/?a={sub1|optional}&b={sub2|default:&|optional}", "/?a=one&b=%26"),
        ("/p{sub2|optional}/q?a=1", "/p/q?a=1"),
        ("/?a={sub2}&&b", "/?a=&&b"),
        ("/?{sub2|map:x=&a=b|optional}&c=1", "/?c=1"),
    ],
)
def test_an_optional_parameter_vanishes_when_its_value_is_empty(rest, url):
    assert url_of(rest) == "https://a.example" + url


def test_what_a_filter_adds_to_a_url_is_encoded_as_any_value():
    at = {"clicked_at": "2026-11-22T10:00:00+00:00"}
    rest = "/{clicked_at|date:%d.%m %H:%M}?d={sub2|default:a b&c}&e={sub2|optional}"

    url = url_of(rest, **at)

    assert url == "https://a.example/22.11%2010%3A00?d=a%20b%26c"


def test_a_document_is_a_field_as_its_json_text():
    fields = {
        "a": "{sub1}",
        "p": Document('{"tx":"{sub1}","no":"{sub2}","n":1.50}'),
        "none": Document('{"x":"{sub2}"}'),
        "data": Document('[{"e":"{sub1}&é\\""}]', "base64"),
    }
    request = request_of(a_postback(method="POST", form=fields, query=fields))

    sent = [
        ("a", "one"),
        ("p", '{"tx":"one","n":1.50}'),
        ("data", base64.b64encode(b'[{"e":"one&\\u00e9\\""}]').decode()),
    ]
    assert parse_qsl(request.body.decode(), keep_blank_values=True) == sent
    assert parse_qsl(urlsplit(request.url).query)[-3:] == sent


def test_a_query_is_appended_and_its_secrets_are_masked():
    query = {
        "k": "${KEY}",
        "none": "{sub2}",
        "gone": "{sub2|optional}",
        "sent by": "x{sub1}",
        "mac": Document('{"a":"b"}', "hmac:KEY|first:4"),
    }
    postback = a_postback("https://a.example/pb", query=query)

    request = request_of(postback, {"sub1": "&é"}, {"KEY": "hush"})

    mac = hmac.digest(b"hush", b'{"a":"b"}', "sha256").hex()[:4]
    rest = f"none=&sent%20by=x%26%C3%A9&mac={mac}"
    assert request.url == f"https://a.example/pb?k=hush&{rest}"
    shown = rest.replace(mac, "***")
    assert request.masked_url == f"https://a.example/pb?k=***&{shown}"
    assert set(postback.texts) >= {"${KEY}", "{document|hmac:KEY|first:4}"}


def test_a_raw_value_brings_its_own_encoding_and_no_more():
    url = url_of("/{sub1|raw}?x={sub2|raw}", sub1="a/b%2F", sub2="c&d=1 é\n#\\")

    assert url == "https://a.example/a/b%2F?x=c&d=1%20%C3%A9%0A%23%5C"


def test_optional_fields_and_headers_vanish_too():
    texts = {"A": "{sub2|optional}", "B": "x{sub1|optional}", "C": "{sub2}"}
    request = request_of(a_postback(method="POST", form=texts, headers=texts))

    assert request.body == b"B=xone&C="
    assert "A" not in request.headers
    assert (request.headers["B"], request.headers["C"]) == ("xone", "")


def test_a_postback_may_name_another_user_agent():
    headers = request_of(a_postback(headers={"user-agent": "x"})).headers

    assert [name for name in headers if name.lower() == "user-agent"] == ["user-agent"]


@pytest.mark.parametrize("text", ["$${X}", "{{X}}", "[X]", "#X#", "100%s %d"])
def test_what_looks_like_a_macro_of_others_is_left_alone(text):
    said = text.replace("$$", "$").replace("{{", "{").replace("}}", "}")
    postback = a_postback(method="POST", body=text, content_type="text/plain")

    assert request_of(postback).body.decode() == said
    assert json_of({"a": text}) == json.dumps({"a": said}, separators=(",", ":"))


def test_what_looks_like_a_macro_of_others_is_sent_in_a_url_too():
    url = url_of("/?a=[X]&b=#X#&c={{X}}&d=$${X}&e={sub1}")

    assert url == "https://a.example/?a=[X]&b=%23X%23&c={X}&d=${X}&e=one"


def test_an_empty_leaf_is_left_out_and_what_is_empty_by_that():
    tree = {
        "data": [{"a": "{sub2}", "b": {"c": "{sub3}"}}, {"d": "{sub1}", "e": None}],
        "f": ["{sub2}", {"i": "{sub3}"}],
        "g": "x{sub2|optional}",
        "h": False,
    }

    assert json_of(tree) == '{"data":[{"d":"one"}],"h":false}'
    assert json_of({"a": "{sub2}"}) == "{}"
    assert json_of(["{sub2}"]) == "[]"


def test_a_required_leaf_takes_its_mapping_with_it():
    ids = [
        {"type": "EMAIL", "value": "{sub2|sha256|required}"},
        {"type": "CLICK", "value": "{sub1|required}"},
    ]
    tree = {"ids": ids, "sub": {"a": "b", "c": {"d": "{sub3|required}", "e": 1}}}

    assert json_of(tree) == '{"ids":[{"type":"CLICK","value":"one"}],"sub":{"a":"b"}}'
    assert json_of({"a": ["{sub2|required}", "b"]}) == '{"a":["b"]}'


@pytest.mark.parametrize(
    "part",
    [
        {"url": "https://a.example/?a={sub1}&b={sub2|required}"},
        {"form": {"a": "{sub1}", "b": "x{sub2|required}"}},
        {"body": "<a>{sub2|required}</a>", "content_type": "text/xml"},
        {"json": '{"a": "b", "c": "{sub2|required}"}'},
        {"json": '[{"a": "b", "c": "{sub2|required}"}]'},
    ],
)
def test_without_what_is_required_there_is_no_call(part):
    postback = replace(a_postback(method="POST"), **part)
    with pytest.raises(MissingValueError, match=r"\{sub2\} is required, and is empty"):
        request_of(postback)

    assert request_of(postback, {"sub2": "two"})


def test_a_header_without_its_required_value_vanishes_alone():
    headers = request_of(a_postback(headers={"A": "{sub2|required}", "B": "b"})).headers

    assert "A" not in headers
    assert headers["B"] == "b"


def test_what_is_written_as_an_empty_list_or_mapping_stays_one():
    tree = {"a": [], "b": {"c": {}}, "d": ["{sub2}", []], "e": ["{sub2}"]}

    assert json_of(tree) == '{"a":[],"b":{"c":{}},"d":[[]]}'


@pytest.mark.parametrize(
    ("leaf", "value", "spelled"),
    [
        ("{sub1|number}", "2.50", "2.50"),
        ("{sub1|number}", "007", "7"),
        ("{sub1|number}", "1,5", '"1,5"'),
        ("{sub1|number}", "NaN", '"NaN"'),
        ("{sub1|integer}", "2.50", "3"),
        ("{sub1|boolean}", "yes", "true"),
        ("{sub1|boolean}", "maybe", '"maybe"'),
        ("{sub1}", "2.50", '"2.50"'),
        ("x{sub1|number}", "2.50", '"x2.50"'),
        ("{payout|percent:50|number}", "", "1.25"),
        ("{sub1|minor|integer}", "2.50", "250"),
        ("{sub1|raw}", '","b":"', '"\\",\\"b\\":\\""'),
    ],
)
def test_a_leaf_has_the_type_its_filter_gives_it(leaf, value, spelled):
    assert json_of({"a": leaf}, {"sub1": value}) == f'{{"a":{spelled}}}'


def test_numbers_of_the_file_are_sent_digit_for_digit():
    postback = a_postback(method="POST", json='{"a":1.50,"b":-0,"c":10000000000000000}')

    body = request_of(postback).body

    assert body == b'{"a":1.50,"b":-0,"c":10000000000000000}'


@pytest.mark.parametrize(
    ("kind", "body", "sent"),
    [
        ("application/json", '{{"a":"{sub1}"}}', '{"a":"\\"<&\\u00e9"}'),
        ("application/x+json; charset=utf-8", '"{sub1}"', '"\\"<&\\u00e9"'),
        ("text/xml", "<a b='{sub1}'/>", "<a b='&quot;&lt;&amp;é'/>"),
        ("text/html", "{sub1}", "&quot;&lt;&amp;é"),
        ("application/x-www-form-urlencoded", "a={sub1}", "a=%22%3C%26%C3%A9"),
        ("text/plain", "{sub1}", '"<&é'),
        ("text/xml", "<a>{sub1|raw}</a>", '<a>"<&é</a>'),
    ],
)
def test_a_body_is_escaped_for_what_it_is(kind, body, sent):
    postback = a_postback(method="PUT", body=body, content_type=kind)
    request = request_of(postback, {"sub1": '"<&é'})

    assert request.body.decode() == sent
    assert request.headers["Content-Type"] == kind
    assert request.method == "PUT"


def test_a_call_proves_who_makes_it():
    basic = a_postback(auth=Auth("${P}", user="${U}"))
    bearer = a_postback(auth=Auth("${P}"))
    secrets = {"P": "pass:word", "U": "user"}

    token = base64.b64encode(b"user:pass:word").decode()
    sent = [request_of(one, None, secrets).headers for one in (basic, bearer)]
    told = [headers["Authorization"] for headers in sent]
    assert told == [f"Basic {token}", "Bearer pass:word"]


@pytest.mark.parametrize(
    ("rule", "signature"),
    [
        (
            Signature("{click_id}:{payout}", key="${K}", param="sig"),
            hmac.digest(b"hush", f"{CLICK_ID}:2.50".encode(), "sha256").hex(),
        ),
        (
            Signature("{url}${K}", hash="md5", param="sig"),
            hashlib.md5(b"https://a.example/?a=onehush").hexdigest(),
        ),
        (
            Signature("{timestamp}.{body}", "${K}", "sha1", "base64", header="X-Sig"),
            base64.b64encode(hmac.digest(b"hush", b'1795345200.{"a":"one"}', "sha1")),
        ),
    ],
)
def test_a_call_is_signed_the_way_its_receiver_wants_it(rule, signature):
    postback = a_postback(
        "https://a.example/?a={sub1}", method="POST", json='{"a":"{sub1}"}', sign=rule
    )
    request = request_of(postback, None, {"K": "hush"})

    if rule.param:
        assert request.url == f"https://a.example/?a=one&sig={signature}"
        assert request.masked_url == "https://a.example/?a=one&sig=***"
    else:
        assert request.headers["X-Sig"] == signature.decode()
        assert request.url == "https://a.example/?a=one"


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        (
            {"text": "{body}", "value": "sha256={signature}"},
            "sha256=" + hmac.digest(b"hush", b'{"a":"one"}', "sha256").hex(),
        ),
        (
            {"text": "{timestamp}.{body}", "value": "t={timestamp},v1={signature}"},
            "t=1795345200,v1="
            + hmac.digest(b"hush", b'1795345200.{"a":"one"}', "sha256").hex(),
        ),
        (
            {"text": "{sub1}", "hash": "sha512", "encoding": "base64url"},
            base64.urlsafe_b64encode(hmac.digest(b"hush", b"one", "sha512")).decode(),
        ),
    ],
)
def test_a_signature_is_sent_within_what_its_receiver_wants(rule, sent):
    sign = Signature(key="${K}", header="X-Sig", **rule)
    postback = a_postback(method="POST", json='{"a":"{sub1}"}', sign=sign)

    assert request_of(postback, None, {"K": "hush"}).headers["X-Sig"] == sent


def test_in_a_parameter_it_is_encoded():
    sign = Signature("{sub1}", "hush", param="sig", value="v1={signature}&{timestamp}")
    request = request_of(a_postback("https://a.example/?a={sub1}", sign=sign))

    made = hmac.digest(b"hush", b"one", "sha256").hex()
    assert request.url == f"https://a.example/?a=one&sig=v1%3D{made}%261795345200"


def test_a_signature_that_cannot_be_made_is_a_fault_of_the_template():
    postback = a_postback(sign=Signature("{url}", key="${GONE}", param="s"))

    with pytest.raises(TemplateError):
        request_of(postback)


@given(ANYTHING)
def test_no_value_leaves_a_signed_url(text):
    rule = Signature("{sub1}", key="k" * 16, encoding="base64", param="s&g")
    postback = a_postback("https://a.example/?a={sub1}", sign=rule)

    url = urlsplit(request_of(postback, {"sub1": text}).url)

    assert url.netloc == "a.example"
    names = [name for name, _ in parse_qsl(url.query, keep_blank_values=True)]
    assert names == ["a", "s&g"]


def test_the_time_of_the_attempt_is_not_frozen():
    assert url_of("/?t={now|unix}") == "https://a.example/?t=1795345200"


def test_a_call_has_a_uuid_that_is_the_same_in_every_attempt():
    postback = a_postback("https://a.example/?u={uuid}")
    build = partial(build_request, postback, {}, {})

    url = build("dl_1", NOW).url

    assert url == "https://a.example/?u=14580a82-e66d-5d11-879f-8fc6fb21285f"
    assert build("dl_1", NOW + timedelta(days=1)).url == url
    assert build("dl_2", NOW).url != url


@given(ANYTHING)
def test_no_value_leaves_its_leaf(text):
    value = text.encode(errors="replace").decode()
    tree = {"a": ["{sub1}", {"b": "<{sub1}>"}], "n": "{sub1|number}", "r": "{sub1|raw}"}
    document = json.loads(json_of(tree, {"sub1": value}))

    if value:
        assert document.keys() == {"a", "n", "r"}
        assert document["a"] == [value, {"b": f"<{value}>"}]
        assert document["r"] == value
        assert isinstance(document["n"], str | int | float)


@given(ANYTHING)
def test_no_value_leaves_its_place_in_a_raw_body(text):
    value = text.encode(errors="replace").decode()
    sent = {
        kind: request_of(
            a_postback(method="POST", body=body, content_type=kind), {"sub1": value}
        ).body.decode()
        for kind, body in (
            ("application/json", '{{"a":"{sub1}","b":"x"}}'),
            ("application/xml", "<a b='{sub1}'><c>{sub1}</c></a>"),
            ("application/x-www-form-urlencoded", "a={sub1}&b=x"),
            ("text/plain", "a={sub1}"),
        )
    }

    assert json.loads(sent["application/json"]) == {"a": value, "b": "x"}
    root = ET.fromstring(sent["application/xml"])
    assert ([one.tag for one in root], root.attrib.keys()) == (["c"], {"b"})
    form = parse_qsl(sent["application/x-www-form-urlencoded"], keep_blank_values=True)
    assert form == [("a", value), ("b", "x")]
    assert len(sent["text/plain"].splitlines()) == 1 or not set("\r\n") & {
        *sent["text/plain"]
    }


FILTERED = st.lists(
    st.sampled_from(sorted({*FILTERS} - {"raw", "optional", "required"})),
    min_size=1,
    max_size=3,
).map(lambda names: "".join(f"|{name}{ARGUMENTS.get(name, '')}" for name in names))


@given(ANYTHING, FILTERED)
def test_no_filter_lets_a_value_out_of_its_place(text, filters):
    macro = f"{{sub1{filters}}}"
    postback = a_postback(
        f"https://a.example/{macro}/p?a={macro}&b=x",
        method="POST",
        json=json.dumps({"a": macro, "b": "x"}),
        headers={"X-A": macro},
    )
    request = request_of(postback, {"sub1": text}, {"KEY": "hush"})

    url = urlsplit(request.url)
    assert (url.netloc, url.path.count("/")) == ("a.example", 2)
    names = [name for name, _ in parse_qsl(url.query, keep_blank_values=True)]
    assert names == ["a", "b"]
    document = json.loads(request.body)
    assert document["b"] == "x"
    assert document.keys() <= {"a", "b"}
    assert isinstance(document.get("a", ""), str | int | float | bool)
    assert not set(request.headers["X-A"]) & {"\r", "\n", "\0"}


@given(ANYTHING)
def test_no_raw_value_moves_the_call_or_adds_a_line(text):
    url = url_of("/{sub1|raw}?x={sub1|raw}", sub1=text)
    parts = urlsplit(url)

    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "a.example", "")
    assert url.isascii()
    assert url.isprintable()
    assert " " not in url
