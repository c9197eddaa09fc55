import re
import time

import pytest

from tracker.catalog.patterns import check_quick
from tracker.domain.dialect import MAX_EXTRACTED

QUICK = [
    "^aff-([0-9a-z]{32})",
    r"([\d.,]+)\s*(?:USD|EUR)",
    r"^[^:]*:[^:]*:([^:]*)",
    r"(?<=id=)\w+",
    r"^https?://[^/]+/([^?]*)",
    "(?:ab){3}c?",
    ".*x.*y",
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
]


@pytest.mark.parametrize("pattern", QUICK)
def test_what_people_write_is_taken_and_takes_no_time(pattern):
    check_quick(pattern)
    for text in ("a", ":", "x", "1", "/", "ab", "id="):
        began = time.process_time()
        re.compile(pattern, re.IGNORECASE).search(
            (text * MAX_EXTRACTED)[:MAX_EXTRACTED]
        )
        assert time.process_time() - began < 0.5


@pytest.mark.parametrize("pattern", SLOW)
def test_what_may_take_for_ever_is_refused(pattern):
    with pytest.raises(ValueError, match="repeats"):
        check_quick(pattern)


@pytest.mark.parametrize("pattern", ["(", "a{99999999999}", "[z-a]", "(?P<1>a)"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="is not a regular expression"):
        check_quick(pattern)
