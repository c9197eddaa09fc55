"""A rehearsed call is made in earnest, once, and marked as a test."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tracker.domain.answer import Answer, judge_answer
from tracker.domain.delivery import (
    EXPLANATIONS,
    Dead,
    Delivered,
    Failure,
    Hold,
    Retry,
    Verdict,
)
from tracker.domain.errors import RefusedChangeError
from tracker.domain.request import Request
from tracker.flow.rehearsal import RehearsedCall
from tracker.logs import mask
from tracker.runtime import Runtime

TEST_HEADER = "X-Tracker-Test"
"""What tells such a call from one in earnest."""

MOST_SHOWN = 300
"""Characters of an answer."""

_JUDGED = {Delivered: "success", Retry: "retry", Dead: "final", Hold: "final"}


@dataclass(frozen=True, slots=True)
class SentCall:
    """A call that was made, the answer to it, and what that would mean."""

    call: RehearsedCall
    answer: Answer
    verdict: Verdict

    @property
    def has_arrived(self) -> bool:
        """Whether the partner would count as told."""
        return isinstance(self.verdict, Delivered)

    @property
    def judged(self) -> str:
        """`success`, `retry` or `final`."""
        return _JUDGED[type(self.verdict)]

    @property
    def failure(self) -> Failure:
        """Why it would not count."""
        verdict = self.verdict
        return Failure.NONE if isinstance(verdict, Delivered) else verdict.failure

    @property
    def judgement(self) -> str:
        """What the answer would mean, and why, in words."""
        failure = self.failure
        because = f": {failure}, {EXPLANATIONS[failure]}" if failure else ""
        return f"{self.judged}{because}"

    @property
    def said(self) -> str:
        """
        How the answer begins, without secrets.

        It is masked before it is cut: half a secret would not be known for one.
        """
        body = self.answer.body[: 4 * MOST_SHOWN].decode(errors="replace")
        return mask(body)[:MOST_SHOWN]


async def send_rehearsed(runtime: Runtime, call: RehearsedCall) -> SentCall:
    """Makes the call, once, marked as a test; RefusedChangeError if none is to make."""
    if call.request is None:
        raise RefusedChangeError(f"{call.postback.id}: {call.problem}")
    request = _marked(call.request)
    answer = await runtime.sender.send(request)
    verdict = judge_answer(answer, call.postback, 1, datetime.now(UTC), 0.5)
    shown = call.shown and _marked(call.shown)
    return SentCall(replace(call, request=request, shown=shown), answer, verdict)


def _marked(request: Request) -> Request:
    """What its receiver can tell a test by."""
    return replace(request, headers={**request.headers, TEST_HEADER: "1"})
