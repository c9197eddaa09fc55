"""What comes of comparing a network's statement with ours."""

from tracker.domain.catalog import Catalog
from tracker.domain.click_id import ClickIdMint
from tracker.domain.errors import ForgedClickIdError, NotFoundError, UnknownClickIdError
from tracker.domain.outcome import Reason

KINDS = {
    "matched": "both sides say the same",
    "different": "both have it, and say different things of it",
    "missing_here": "the statement has it, and we do not",
    "missing_there": "we have it, and the statement does not",
    "repeated": "the statement says it twice; the second time counts for nothing",
    "unread": "a line that cannot be read, or not wholly",
    "void": "rejected on one side, not known to the other: nobody owes it",
    "ignored": "of a status that the advertiser's words map to `ignored`",
    "outside": "of another time than the one that is compared",
}
"""Every line of a statement, and every conversion of its time, is of one kind."""

DISAGREEING = ("different", "missing_here", "missing_there", "repeated", "unread")
"""Kinds that somebody has to look at."""

NEVER_CAME = "never_came"
"""Why something is missing here that no postback spoke of."""


def explain_missing(
    outcome: str | None, reason: str | None, conversion_id: str | None
) -> str:
    """What became of the postback: `quarantined: outside_window`."""
    if outcome is None:
        return NEVER_CAME
    because = f": {reason}" if reason else ""
    return f"{outcome}{because}" + (f" ({conversion_id})" if conversion_id else "")


def doubt_click(
    click_id: str, advertiser: str, mint: ClickIdMint, catalog: Catalog
) -> str:
    """What is wrong with a click id that no postback named, "" if nothing is."""
    try:
        offer = catalog.offer_numbered(mint.read(click_id).offer_number)
    except ForgedClickIdError:
        return Reason.FORGED_CLICK
    except (UnknownClickIdError, NotFoundError):
        return Reason.UNKNOWN_CLICK
    return "" if offer.advertiser == advertiser else Reason.WRONG_ADVERTISER
