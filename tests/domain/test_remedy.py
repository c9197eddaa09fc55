from tracker.domain.outcome import Reason
from tracker.domain.remedy import REMEDIES


def test_every_reason_says_what_to_do():
    assert set(REMEDIES) == set(Reason)
    assert [reason for reason, text in REMEDIES.items() if not text] == [Reason.NONE]
