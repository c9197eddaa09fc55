import re
import time

import pytest

from tracker.catalog.patterns import check_pattern, check_quick
from tracker.domain.answer import MAX_SEARCHED
from tracker.domain.dialect import MAX_EXTRACTED

QUICK = [
    "^aff-([0-9a-z]{32})",
    r"([\d.,]+)\s*(?:USD|EUR)",
    r"^[^:]*:[^:]*:([^:]*)",
    r"(?<=id=)\w+",
    r"^https?://[^/]+/([^?]*)",
    "(?:ab){3}c?",
    "^.*x.*y",
    r"(\d+)-(\d+)-(\d+)",
    "^" + "a?" * 8 + "b",
    "[δ-λ]+ω",
]

FOR_ANSWERS = [
    "OK",
    '"ok": *true',
    "success=true",
    r'"code":\s*0',
    "^OK|already been notified and saved",
    r"<status>\s*(ok|success)\s*</status>",
    r'\{\s*"status"\s*:\s*"ok"',
    "OK.*done",
    r"\s*ok\s*$",
]

SLOW = [
    "(a+)+$",
    "(a*)*",
    "(a|ab)*c",
    "(?:x+y?)*z",
    "([a-z]+)*",
    "(.*)(.*)(.*)(.*)x",
    "a?" * 30 + "a" * 30,
    r"(\w{1,50}-){2,9}",
    "((a{1,9}){1,9}){1,9}b",
    "^" + "a?" * 26 + "b",
    "^a*a*a*b",
    ".*x.*y",
    "^[δ-λ]*[η-ψ]*[δ-ψ]*x",
    r"^[\u03b4-\u03bb]*[\u03b7-\u03c8]*[\u03b4-\u03c8]*x",
    "^a*(?!a*b)a*(?!a*b)c",
]


@pytest.mark.parametrize("pattern", QUICK)
def test_what_people_write_is_taken_and_takes_no_time(pattern):
    check_quick(pattern)
    assert seconds(pattern, MAX_EXTRACTED) < 0.01


@pytest.mark.parametrize("pattern", FOR_ANSWERS)
def test_what_is_looked_for_in_an_answer_takes_little(pattern):
    check_pattern(pattern)
    assert seconds(pattern, MAX_SEARCHED) < 0.3


def seconds(pattern, length):
    """How long it takes at the worst with some long texts."""
    compiled, took = re.compile(pattern, re.IGNORECASE), 0.0
    for text in ("a", ":", "x", "1", "/", " ", "ab", "id=", "OK", '"ok":', "<status>"):
        long = (text * length)[:length]
        began = time.process_time()
        compiled.search(long)
        took = max(took, time.process_time() - began)
    return took


@pytest.mark.parametrize("pattern", SLOW)
def test_what_may_take_for_ever_is_refused(pattern):
    with pytest.raises(ValueError, match="repeats"):
        check_quick(pattern)
    with pytest.raises(ValueError, match="repeats"):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(", "a{99999999999}", "[z-a]", "(?P<1>a)"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="is not a regular expression"):
        check_quick(pattern)
