import pytest

from tracker.catalog.parameters import check_reply
from tracker.domain.reply import fill_reply

SAID = {"status": "duplicate", "reason": "", "conversion_id": "cv_1"}
SENT = (("eventId", "e-7"), ("note", 'a "b" <c>\n'), ("key", "***"))


def filled(template, content_type="text/plain"):
    return fill_reply(template, SAID, content_type, SENT)


@pytest.mark.parametrize(
    ("template", "answer"),
    [
        ("OK", "OK"),
        ("{postback.eventid}:OK", "e-7:OK"),
        ("{postback.nothing|default:none}", "none"),
        ("{status|map:duplicate=AGAIN,*=OK} {conversion_id|upper}", "AGAIN CV_1"),
        ("[{postback.key}]", "[]"),
        ("{a|no filter}", "{a|no filter}"),
        ('{{"id": "{conversion_id}"}}', '{{"id": "cv_1"}}'),
    ],
)
def test_a_reply_says_what_was_sent_and_decided(template, answer):
    assert filled(template) == answer


def test_what_is_put_in_cannot_leave_its_place():
    template = '{"note": "{postback.note}"}'
    assert filled(template, "application/json") == r'{"note": "a \"b\" <c>\n"}'
    assert "&lt;c&gt;" in filled("{postback.note}", "text/html")
    assert "\n" not in filled("{postback.note}")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{eventId}", "unknown macro"),
        ("{post.eventId}:OK", "unknown macro"),
        ("{conversion-id}", "conversion_id"),
        ("{eventId|upper}", "unknown macro"),
        ("{status|uper}", "did you mean 'upper'"),
        ("{status|hmac:KEY}", "no secret"),
    ],
)
def test_what_a_reply_cannot_hold_is_a_fault(template, said):
    with pytest.raises(ValueError, match=said):
        check_reply(template)
