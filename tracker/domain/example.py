"""A postback as an advertiser would send it, to try what would come of it."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from tracker.domain.invitation import Invitation
from tracker.domain.offer import Offer
from tracker.domain.postback import MASK
from tracker.domain.vocabulary import Meaning

_LEFT_OPEN = re.compile(r"(?<=[?&])[^?&=]+=\{your [^}]*\}&?")
"""A parameter that an example need not have."""


def example_url(invitation: Invitation, offer: Offer, click_id: str) -> str:
    """
    The URL that it is asked to call, filled in for that click of the offer.

    In place of its token stands `***`.
    """
    values = _values(invitation, offer, click_id)
    url = invitation.url
    for one in invitation.parameters:
        if one.meaning in values:
            url = url.replace(one.placeholder, quote(values[one.meaning], safe="*"))
    return _LEFT_OPEN.sub("", url).rstrip("?&")


def _values(
    invitation: Invitation, offer: Offer, click_id: str
) -> Mapping[Meaning, str]:
    goals = [goal for goal in offer.goals.values() if not goal.is_retired]
    goal = offer.default_goal or (goals[0].key if goals else "")
    return {
        "click_id": click_id,
        "transaction_id": "test-1",
        "goal": _first(invitation.goals, goal),
        "status": _first(invitation.statuses, "approved"),
        "amount": "10",
        "currency": offer.currency,
        "token": MASK,
    }


def _first(words: Mapping[str, Sequence[str]], ours: str) -> str:
    said = words.get(ours) or (ours,)
    return said[0]
