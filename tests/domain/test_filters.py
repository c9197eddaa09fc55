"""What each filter makes of a value; the README has more, and a test of it."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.errors import TemplateError
from tracker.domain.filters import FILTERS
from tracker.domain.macros import expand_text, expand_url, masked, parse_template

AT = "2026-11-22T10:00:00.250+00:00"
SECRETS = {"KEY": "hush"}


def filtered(value, spelled, secrets=None):
    template = parse_template(f"{{sub1|{spelled}}}")
    return expand_text(template, {"sub1": value}, secrets or SECRETS)


@pytest.mark.parametrize(
    ("spelled", "value", "result"),
    [
        ("round", "2.345", "2.35"),
        ("round:0", "2.5", "3"),
        ("round:3", "2", "2.000"),
        ("round", "-2.345", "-2.35"),
        ("minor", "12.50", "1250"),
        ("minor", "300", "300"),
        ("minor", "2.500", "2500"),
        ("minor:6", "12.50", "12500000"),
        ("minor:0", "12.50", "13"),
        ("number", "007.50", "7.50"),
        ("number", "1e3", "1e3"),
        ("integer", "12.50", "13"),
        ("boolean", "Yes", "true"),
        ("boolean", "0", "false"),
        ("boolean", "maybe", "maybe"),
        ("percent:12.5", "200", "25"),
        ("unix", AT, "1795341600"),
        ("unix_ms", AT, "1795341600250"),
        ("unix", "2026-11-22T11:00:00+01:00", "1795341600"),
        ("unix", "2026-11-22T10:00:00", "1795341600"),
        ("iso", AT, "2026-11-22T10:00:00Z"),
        ("zone:Europe/Paris|iso", AT, "2026-11-22T11:00:00+01:00"),
        ("zone:America/New_York|date:%H:%M %z", AT, "05:00 -0500"),
        ("zone:Asia/Kolkata|date:%:z", AT, "+05:30"),
        ("date:%Y%m%d %% %e", AT, None),
        ("date:%d/%m/%Y", AT, "22/11/2026"),
        ("lower", "ÄB", "äb"),
        ("upper", "äb", "ÄB"),
        ("trim", "  a b ", "a b"),
        ("digits", "+49 (30) 12-34", "49301234"),
        ("digits|prefix:+", "49 30", "+4930"),
        ("first:3", "abcdef", "abc"),
        ("replace:-=", "a-b-c", "abc"),
        ("replace:a=b=c", "a", "b=c"),
        ("prefix:x:", "1", "x:1"),
        ("suffix:${KEY}", "1", "1hush"),
        ("prefix:${KEY}.${KEY}", "1", "hush.hush1"),
        ("default:${KEY}", "", "hush"),
        ("sha256", "abc", hashlib.sha256(b"abc").hexdigest()),
        ("sha1", "abc", hashlib.sha1(b"abc").hexdigest()),
        ("sha512|first:8", "abc", "ddaf35a1"),
        ("sha512:base64|first:8", "abc", "3a81oZNh"),
        (
            "hmac:KEY:sha512|first:8",
            "abc",
            hmac.digest(b"hush", b"abc", "sha512").hex()[:8],
        ),
        ("json", 'a"b\\c\n\u00e9', r"a\"b\\c\n\u00e9"),
        ("csv", "plain é", "plain é"),
        ("csv", 'a "b", c', '"a ""b"", c"'),
        ("csv", "a;b", '"a;b"'),
        ("csv", "a\nb", '"a\nb"'),
        ("csv", " a", '" a"'),
        ("md5", "é", hashlib.md5("é".encode()).hexdigest()),
        ("hmac:KEY", "abc", hmac.digest(b"hush", b"abc", "sha256").hex()),
        ("hmac:${KEY}:sha1", "abc", hmac.digest(b"hush", b"abc", "sha1").hex()),
        (
            "hmac:KEY:md5:base64",
            "abc",
            base64.b64encode(hmac.digest(b"hush", b"abc", "md5")).decode(),
        ),
        ("base64", "abc", "YWJj"),
        ("urlencode", "a b&é", "a%20b%26%C3%A9"),
    ],
)
def test_a_filter_makes_of_a_value_what_it_says(spelled, value, result):
    if result is None:
        with pytest.raises(TemplateError):
            filtered(value, spelled)
    else:
        assert filtered(value, spelled) == result


ARGUMENTS = {
    "default": ":x", "map": ":a=b,*=c", "percent": ":50", "date": ":%Y",
    "zone": ":Asia/Tokyo", "first": ":3", "replace": ":a=b", "prefix": ":x",
    "suffix": ":x", "hmac": ":KEY",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILTERS.keys() - {"default", "map"}))
def test_nothing_stays_nothing(name):
    assert filtered("", name + ARGUMENTS.get(name, "")) == ""


@pytest.mark.parametrize(
    "spelled",
    [
        "round:x", "round:-1", "round:10", "minor:x", "percent", "percent:1e3", "date",
        "date:%Q", "date:%", "zone", "zone:Mars", "zone:../../etc", "first",
        "first:99999", "replace", "replace:a", "replace:=a", "hmac", "hmac:KEY:crc32",
        "hmac:KEY:sha1:base32", "hmac:a b", "hmac:KEY:sha1:hex:x", "sha256:base32",
        "lower:x", "number:2", "unix_ms:1", "optional:1", "raw:1", "urlencode:1",
    ],
)  # fmt: skip
def test_an_argument_that_makes_no_sense_is_refused(spelled):
    with pytest.raises(TemplateError):
        parse_template(f"{{sub1|{spelled}}}")


def test_a_secret_in_a_filter_is_known_and_never_shown():
    template = parse_template("https://a.example/?s={sub1|hmac:KEY}&t={sub1}")

    assert template.secrets == {"KEY"}
    shown = expand_url(template, {"sub1": "one"}, masked(SECRETS))
    assert shown == "https://a.example/?s=***&t=one"


@given(st.text(), st.sampled_from(sorted(FILTERS)))
def test_no_value_breaks_a_filter(value, name):
    filtered(value, name + ARGUMENTS.get(name, ""))
