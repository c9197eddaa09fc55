"""What became of a postback: a stable word, a stable reason, and their HTTP status."""

from enum import StrEnum

from tracker.domain.identity import ConversionId, PostbackId
from tracker.domain.money import MAX_DECIMALS, MAX_DIGITS
from tracker.domain.value import Value


class Verdict(StrEnum):
    """What was decided about a postback."""

    ACCEPTED = "accepted"
    UPDATED = "updated"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"
    SPOOLED = "spooled"


class Reason(StrEnum):
    """Why; accepted, updated and ignored postbacks need none."""

    NONE = ""
    REPEATED = "repeated"
    STALE_STATUS = "stale_status"
    OTHER_TRANSACTION = "other_transaction"
    IN_REVIEW = "in_review"
    HELD_BY_CAP = "held_by_cap"
    MISSING_TOKEN = "missing_token"  # noqa: S105 - a reason, not a password
    BAD_TOKEN = "bad_token"  # noqa: S105 - a reason, not a password
    BAD_SIGNATURE = "bad_signature"
    STALE_SIGNATURE = "stale_signature"
    IP_NOT_ALLOWED = "ip_not_allowed"
    WRONG_ADVERTISER = "wrong_advertiser"
    UNKNOWN_ADVERTISER = "unknown_advertiser"
    UNKNOWN_CLICK = "unknown_click"
    FORGED_CLICK = "forged_click"
    UNKNOWN_CONVERSION = "unknown_conversion"
    REPLAYED = "replayed"
    TRANSACTION_CONFLICT = "transaction_conflict"
    OUTSIDE_WINDOW = "outside_window"
    TOO_LARGE = "too_large"
    MISSING_CLICK_ID = "missing_click_id"
    MISSING_TRANSACTION_ID = "missing_transaction_id"
    MISSING_GOAL = "missing_goal"
    MISSING_AMOUNT = "missing_amount"
    UNFILLED_MACRO = "unfilled_macro"
    BAD_AMOUNT = "bad_amount"
    BAD_TRANSACTION_ID = "bad_transaction_id"
    UNKNOWN_GOAL = "unknown_goal"
    UNKNOWN_STATUS = "unknown_status"
    UNKNOWN_CURRENCY = "unknown_currency"
    OFFER_MISMATCH = "offer_mismatch"
    REFUSED_CLICK = "refused_click"
    TOO_EARLY = "too_early"
    OVER_LIMIT = "over_limit"
    CAPPED = "capped"


REASONS: dict[Reason, tuple[int, str]] = {
    Reason.NONE: (200, "nothing to object to"),
    Reason.REPEATED: (200, "says what was already applied, or nothing that may change"),
    Reason.STALE_STATUS: (200, "the conversion has moved on; this status is behind it"),
    Reason.OTHER_TRANSACTION: (
        200,
        "the goal counts once per click, and another transaction has counted",
    ),
    Reason.IN_REVIEW: (
        200,
        "the goal is under review: an operator approves it, or its time does",
    ),
    Reason.HELD_BY_CAP: (
        200,
        "a cap without room for it holds it at pending: an operator approves it",
    ),
    Reason.MISSING_TOKEN: (401, "the advertiser's token was not sent"),
    Reason.BAD_TOKEN: (401, "the token is not this advertiser's"),
    Reason.BAD_SIGNATURE: (
        401,
        "the signature was not sent, or is not this advertiser's for this call",
    ),
    Reason.STALE_SIGNATURE: (401, "signed more than 300 s before or after it arrived"),
    Reason.IP_NOT_ALLOWED: (403, "the address is not on the advertiser's list"),
    Reason.WRONG_ADVERTISER: (403, "the click belongs to another advertiser's offer"),
    Reason.UNKNOWN_ADVERTISER: (404, "no advertiser has the name in the path"),
    Reason.UNKNOWN_CLICK: (
        404,
        "not one of our click ids, or signed with a retired key",
    ),
    Reason.FORGED_CLICK: (404, "looks like our click id, but we did not sign it"),
    Reason.UNKNOWN_CONVERSION: (404, "a refund of what was never reported"),
    Reason.REPLAYED: (409, "the nonce was used already, for another content"),
    Reason.TRANSACTION_CONFLICT: (
        409,
        "the same transaction was reported for another click",
    ),
    Reason.OUTSIDE_WINDOW: (410, "the click is older than the attribution window"),
    Reason.TOO_LARGE: (413, "more than 32 KB, or more than 1,000 parameters"),
    Reason.MISSING_CLICK_ID: (
        422,
        "no click id, and no known transaction to find the conversion by",
    ),
    Reason.MISSING_TRANSACTION_ID: (422, "the goal counts once per transaction"),
    Reason.MISSING_GOAL: (422, "the offer has several goals and no default"),
    Reason.MISSING_AMOUNT: (422, "payout or revenue is a share of an amount not sent"),
    Reason.UNFILLED_MACRO: (422, "a macro of the sender's was left as text"),
    Reason.BAD_AMOUNT: (
        422,
        (
            f"up to {MAX_DIGITS} digits, and a point before up to {MAX_DECIMALS} more;"
            " one value; less than nothing only as a refund of what is known"
        ),
    ),
    Reason.BAD_TRANSACTION_ID: (
        422,
        "1 to 255 printable characters; one value",
    ),
    Reason.UNKNOWN_GOAL: (422, "the offer has no such goal"),
    Reason.UNKNOWN_STATUS: (422, "a status that nobody mapped"),
    Reason.UNKNOWN_CURRENCY: (422, "the catalog has no rate for the currency"),
    Reason.OFFER_MISMATCH: (422, "the offer that was named is not the click's"),
    Reason.REFUSED_CLICK: (422, "the visitor was never sent to the advertiser"),
    Reason.TOO_EARLY: (422, "sooner after the click than the offer allows"),
    Reason.OVER_LIMIT: (422, "amount or payout is above the offer's limit"),
    Reason.CAPPED: (422, "a cap of the offer or the partner has no room for it"),
}
"""For every reason: the HTTP status of its answer, and what it means."""


SPOOLED = 202
"""On disk, and to be judged (RFC 9110, 15.3.3)."""


class Outcome(Value, frozen=True):
    """The answer to a postback, true when it is given."""

    postback_id: PostbackId
    verdict: Verdict
    reason: Reason = Reason.NONE
    conversion_id: ConversionId | None = None

    @property
    def http_status(self) -> int:
        """What the sender's server is told."""
        return SPOOLED if self.verdict is Verdict.SPOOLED else REASONS[self.reason][0]
