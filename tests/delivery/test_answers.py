"""Which answers count as told, which end a delivery, and which are asked again."""

from datetime import timedelta

import pytest
from parties import NOW, a_postback

from tracker.domain.answer import Answer, judge_answer
from tracker.domain.delivery import (
    Dead,
    DeadReason,
    Delivered,
    Failure,
    HeldReason,
    Hold,
    Retry,
)
from tracker.domain.outbound import Rule

REFUSED = Dead(DeadReason.REFUSED, Failure.FINAL_ANSWER)


def judged(status, body="", **rules):
    answer = Answer(status, body.encode())
    return judge_answer(answer, a_postback(**rules), 1, NOW, 0.5)


def again(failure):
    return Retry(failure, timedelta(seconds=5))


def a_rule(*statuses, body=None, **json):
    return Rule(frozenset(statuses), body, json)


CODE_0 = a_rule(code=("0",))
A_1_B = Rule(json={"a.1.b": ("true",)})
A = a_rule(a=("*",))
LACKING = again(Failure.NO_SUCCESS_PATTERN)


@pytest.mark.parametrize(
    ("rules", "status", "body", "verdict"),
    [
        ({"success": "OK"}, 200, "OK", Delivered()),
        ({"success": "OK"}, 500, "OK", again(Failure.BAD_STATUS)),
        ({"success": CODE_0}, 200, '{"code": 0}', Delivered()),
        ({"success": CODE_0}, 200, '{"code": "0"}', Delivered()),
        ({"success": CODE_0}, 200, '{"code": 40}', LACKING),
        ({"success": CODE_0}, 200, "code 0", LACKING),
        ({"success": CODE_0}, 200, "[" * 60000, LACKING),
        ({"success": CODE_0}, 500, '{"code": 0}', again(Failure.BAD_STATUS)),
        ({"success": a_rule("302")}, 302, "", Delivered()),
        ({"success": a_rule("302")}, 200, "", again(Failure.BAD_STATUS)),
        ({"success": a_rule("4xx")}, 404, "", Delivered()),
        ({"success": a_rule("410")}, 410, "", Delivered()),
        (
            {"success": a_rule("200", body="OK", code=("1",))},
            200,
            '{"code":1}',
            LACKING,
        ),
        ({"success": A_1_B}, 200, '{"a":[0,{"b":true}]}', Delivered()),
        ({"success": A_1_B}, 200, '{"a":[{"b":true}]}', LACKING),
        ({"success": A}, 200, '{"a":{}}', Delivered()),
        ({"success": A}, 200, '{"a":null}', LACKING),
        ({"final": a_rule("400", body="DUP")}, 400, "", REFUSED),
        ({"final": a_rule("400", body="DUP")}, 200, "DUP", REFUSED),
        ({"final": a_rule("400", body="DUP")}, 200, "OK", Delivered()),
        ({"final": a_rule("410")}, 410, "", REFUSED),
        ({"final": a_rule(code=("7",))}, 200, '{"code":7}', REFUSED),
        ({"final": a_rule("400")}, 410, "", Hold(HeldReason.PAUSED_LANE, Failure.GONE)),
        ({"retry": a_rule(body="BUSY")}, 200, "BUSY", again(Failure.RETRY_ANSWER)),
        (
            {"retry": a_rule("400"), "final": a_rule("4xx")},
            400,
            "",
            again(Failure.RETRY_ANSWER),
        ),
        ({"retry": a_rule("400"), "final": a_rule("4xx")}, 401, "", REFUSED),
    ],
)  # fmt: skip
def test_an_answer_is_judged_by_the_rules_of_its_postback(rules, status, body, verdict):
    assert judged(status, body, **rules) == verdict


def test_no_rule_ends_what_was_not_answered():
    answer = Answer(None, failure=Failure.TIMEOUT)
    postback = a_postback(final=a_rule("0", body=""))

    verdict = judge_answer(answer, postback, 1, NOW, 0.5)

    assert verdict == again(Failure.TIMEOUT)
