"""What an operator does about each reason that something did not count or arrive."""

from collections.abc import Mapping

from tracker.domain.click import ClickReason
from tracker.domain.delivery import DeadReason, Failure, HeldReason
from tracker.domain.outcome import Reason

REMEDIES: Mapping[Reason, str] = {
    Reason.NONE: "",
    Reason.REPEATED: "nothing: it counted when it came first",
    Reason.STALE_STATUS: "nothing, unless the conversion is wrong: `tracker conversions"
    " approve` or `reject` sets it; `reopen: true` lets the advertiser do so",
    Reason.OTHER_TRANSACTION: "where every order of a visitor is to count, write"
    " `once_per: transaction` for the goal",
    Reason.IN_REVIEW: "approve it with `tracker conversions approve`, or wait for"
    " `approve_after`",
    Reason.HELD_BY_CAP: "approve it with `tracker conversions approve`; once the cap"
    " has room the advertiser's word is enough",
    Reason.MISSING_TOKEN: "hand the advertiser its URL again, token and all:"
    " `tracker postback ask`",
    Reason.BAD_TOKEN: "compare the token it sends with its `auth.token`; while it"
    " changes, list both",
    Reason.BAD_SIGNATURE: "compare key and text with what the advertiser signs; a proxy"
    " that changes the URL breaks a signature too",
    Reason.STALE_SIGNATURE: "set the sender's clock, or ours; if both are right it was"
    " a recording",
    Reason.IP_NOT_ALLOWED: "if the address is the advertiser's, add it to"
    " `auth.allow_ips`; if it is our proxy's, set TRACKER_TRUSTED_PROXIES",
    Reason.WRONG_ADVERTISER: "correct the name in the path of the URL that is called,"
    " or the `advertiser` of the offer",
    Reason.UNKNOWN_ADVERTISER: "correct the name in the path of the URL that is called,"
    " or add the advertiser to partners.yaml and release it",
    Reason.UNKNOWN_CLICK: "see that the URL has the sender's macro for our click id,"
    " and that nothing cuts the id; `quarantine release --click ID` names it by hand",
    Reason.FORGED_CLICK: "find out what changed the id on its way; if nothing did,"
    " somebody makes ids up",
    Reason.UNKNOWN_CONVERSION: "it takes something off what never counted here: see why"
    " the sale itself is missing, then release it",
    Reason.REPLAYED: "the sender has to use each nonce for one content only",
    Reason.TRANSACTION_CONFLICT: "ask the advertiser which click its order belongs to;"
    " `tracker trace` shows whom it counted for",
    Reason.OUTSIDE_WINDOW: "give the offer a longer `window` and release it, or waive"
    " this reason",
    Reason.TOO_LARGE: "the sender has to send less",
    Reason.MISSING_CLICK_ID: "list the name it sends the click id by under"
    " `params.click_id` and release it; `tracker postback explain` says what nobody"
    " reads",
    Reason.MISSING_TRANSACTION_ID: "list the name of its order id under"
    " `params.transaction_id` and release it",
    Reason.MISSING_GOAL: "mark a goal of the offer with `default: true`, or list the"
    " name under `params.goal`, and release it",
    Reason.MISSING_AMOUNT: "list the name of the amount under `params.amount` and"
    " release it, or pay a fixed sum",
    Reason.UNFILLED_MACRO: "correct the macro in the URL that is called: its sender"
    " does not know it, or has nothing to put in",
    Reason.BAD_AMOUNT: "see how the sender writes amounts: `amounts` knows commas and"
    " cents",
    Reason.BAD_TRANSACTION_ID: "the sender has to send one id that can be printed",
    Reason.UNKNOWN_GOAL: "add the word to the advertiser's `goals`, or the goal to the"
    " offer, and release it",
    Reason.UNKNOWN_STATUS: "add the word to the advertiser's `statuses` and release it",
    Reason.CAPPED: "raise the limit of the cap and release it, or waive this reason;"
    " `tracker caps` lists what is taken",
    Reason.UNKNOWN_CURRENCY: "add the currency to `rates` and release it",
    Reason.OFFER_MISMATCH: "the sender has to name the offer of the click, or none",
    Reason.REFUSED_CLICK: "offer or partner was paused when the visitor came: waive"
    " this reason if it is to count all the same",
    Reason.TOO_EARLY: "lower the offer's `limits.min_click_age`, or waive this reason",
    Reason.OVER_LIMIT: "if the order is real, waive this reason, or raise the offer's"
    " `limits`",
}
"""For every reason, so that each answer says what to do next."""

CLICK_REASONS: Mapping[ClickReason, tuple[str, str]] = {
    ClickReason.NONE: ("", ""),
    ClickReason.OFFER_PAUSED: (
        "the offer was paused",
        "take `paused` from the offer, or give such visitors a `fallback_url`",
    ),
    ClickReason.PARTNER_PAUSED: (
        "the partner was paused",
        "take `paused` from the partner, or see what its visitors are sent to",
    ),
    ClickReason.CAPPED: (
        "a cap had no room left",
        "raise the limit of the cap; `tracker caps` lists what is taken",
    ),
    ClickReason.OFFER_NOT_STARTED: (
        "the offer had not begun",
        "correct `starts`, or ask the partner to wait for it",
    ),
    ClickReason.OFFER_ENDED: (
        "the offer had ended",
        "correct `ends`, or ask the partner to take the link down",
    ),
    ClickReason.NOT_TARGETED: (
        "no rule of the offer takes such a visitor",
        "see the offer's `targeting`; a rule without conditions takes everybody",
    ),
    ClickReason.BAD_DEEPLINK: (
        "the deep link is no URL that can be followed",
        "correct `deeplink` in the partner's link; the offer's own page was shown",
    ),
    ClickReason.DEEPLINK_NOT_LISTED: (
        "the host of the deep link is not on the offer's list",
        "add the host to the offer's `deeplinks`, or sign the link: `tracker link`",
    ),
    ClickReason.BAD_DEEPLINK_SIGNATURE: (
        "the signature is not ours for this deep link",
        "make the link again: `tracker link`",
    ),
    ClickReason.ERASED: (
        "what it told was erased",
        "nothing: that was asked for",
    ),
}
"""For every reason of a click: what it means, and what to do about it."""

DELIVERY_REMEDIES: Mapping[HeldReason | DeadReason | Failure, str] = {
    HeldReason.PAUSED_LANE: "ask the partner whether the address is right still; resume"
    " the lane, and what waits is sent",
    HeldReason.REMOVED_POSTBACK: "put the postback back into partners.yaml; without it"
    " this ends after seven days",
    HeldReason.CLICK_DETAILS: "nothing: its click is on the way; after a day it goes"
    " without, or ends",
    DeadReason.ATTEMPTS_EXHAUSTED: "see what the partner answered; once that is mended,"
    " replay it",
    DeadReason.EXPIRED: "see why it waited so long; then replay it",
    DeadReason.CLICK_DETAILS_LOST: "the labels are lost: take them from the template,"
    " then replay it",
    DeadReason.REFUSED: "the answer says what the partner has against it; replay it"
    " once that is mended",
    DeadReason.NOT_WANTED: "nothing: its postback does not want such a conversion",
    Failure.NONE: "",
    Failure.FORBIDDEN_ADDRESS: "if the partner's server is really there, allow its"
    " network: TRACKER_ALLOW_DESTINATIONS",
    Failure.NO_ADDRESS: "correct the host in the URL of the postback, or wait for its"
    " name server",
    Failure.NO_CONNECTION: "nothing yet, it is tried again; if it lasts, ask the"
    " partner whether its server is up",
    Failure.BAD_CERTIFICATE: "the partner has to renew its certificate, or the host in"
    " the URL is not the certificate's",
    Failure.TIMEOUT: "nothing yet, it is tried again; if it lasts, the partner's server"
    " is too slow",
    Failure.BROKEN_ANSWER: "nothing yet, it is tried again; if it lasts, what listens"
    " there is no web server",
    Failure.BAD_STATUS: "read the answer: 4xx is mostly a parameter that is wrong or"
    " missing in the URL, 5xx the partner's own fault",
    Failure.NO_SUCCESS_PATTERN: "read the answer: it says what is wrong; if it is a"
    " success after all, correct `success`",
    Failure.GONE: "ask the partner for its new address, correct it, resume the lane",
    Failure.FINAL_ANSWER: "read the answer: the partner does not take it",
    Failure.RETRY_ANSWER: "nothing: it is tried again",
    Failure.BAD_TEMPLATE: "correct the template of the postback; the error says where",
    Failure.WORKER_DIED: "nothing: it is sent again, under the same id",
}
"""For every reason that a delivery waits, ended or failed: what to do about it."""
