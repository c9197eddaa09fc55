"""A postback explained, step by step, in words."""

from collections.abc import Iterator

from tracker.domain.conversion import Change
from tracker.domain.judgement import UNPROVEN
from tracker.domain.money import to_minor_unit
from tracker.domain.outcome import REASONS, Outcome, Reason, Verdict
from tracker.domain.remedy import REMEDIES
from tracker.domain.spelling import full_time
from tracker.domain.worth import Money
from tracker.flow.explanation import Decision, Explanation, ReadParameter
from tracker.flow.story import FOUND_IN
from tracker.flow.trace import TracedClick

Line = tuple[str, str]

_AS_IN_EARNEST = {
    Verdict.ACCEPTED: "it would make a conversion",
    Verdict.UPDATED: "it would change the conversion",
    Verdict.DUPLICATE: "it would change nothing",
    Verdict.IGNORED: "it would be answered with success, and change nothing",
    Verdict.QUARANTINED: "it would be kept in quarantine, and nobody told",
}


def list_steps(found: Explanation) -> Iterator[Line]:
    """Each by its name, in the order of judgement; parameters are indented."""
    postback = found.postback
    yield "call", f"{postback.method} {postback.path}"
    yield "advertiser", _advertiser(found)
    for one in found.parameters:
        yield f"  {one.name}", _parameter(one)
    if found.click:
        yield "click", _click(found.click)
    yield "proof", _proof(found)
    yield from _decided(found.decision)
    if found.before:
        before = found.before
        yield "stands", f"{before.id}: {before.goal} is {before.status}"
    yield from _verdict(found.decision.outcome)
    if found.otherwise:
        reason = found.decision.outcome.reason
        yield "otherwise", f"were {reason} not to count:"
        yield from _decided(found.otherwise)
        yield from _verdict(found.otherwise.outcome)


def _advertiser(found: Explanation) -> str:
    route = found.postback.route
    if found.advertiser is None:
        return f"nobody known, {f'{route!r} in the path' if route else 'none named'}"
    if route and route != found.advertiser:
        return f"{route!r} in the path is nobody; the click is {found.advertiser}'s"
    how = "named in the path" if route else "the owner of the click's offer"
    return f"{found.advertiser}, {how}"


def _parameter(one: ReadParameter) -> str:
    value = one.value or '""'
    if not one.meanings:
        return f"{value}: {one.note}"
    said = " and ".join(one.meanings)
    return f"{value} → {said}" + (f", but {one.note}" if one.note else "")


def _click(click: TracedClick) -> str:
    if click.facts is None or click.clicked_at is None:
        return f"{click.id} is not a click of ours: {click.doubt}"
    visit = click.facts.click_class.word
    # Only one that is made up has facts and is nowhere.
    is_made_up = click.found_in == "nowhere"
    how = "it is made up, and kept nowhere" if is_made_up else FOUND_IN[click.found_in]
    return (
        f"{visit} by {click.partner} for {click.offer}, {full_time(click.clicked_at)};"
        f" {how}"
    )


def _proof(found: Explanation) -> str:
    asked = ", ".join(found.asked) or "nothing"
    if found.is_proven:
        assumed = "; the address is not judged" if found.is_assumed else ""
        return f"{asked}: all that is asked holds{assumed}"
    if found.decision.outcome.reason in UNPROVEN:
        return f"{asked}: not proven"
    return f"{asked}: not judged, for what is wrong comes before it"


def _decided(decision: Decision) -> Iterator[Line]:
    if decision.goal:
        yield "goal", decision.goal
    for advertiser, key in decision.keys[:1]:
        yield "counts as", f"{key} of {advertiser}"
    if decision.change and decision.after:
        yield "status", _status(decision.change)
        if decision.change.cause.note:
            yield "because", decision.change.cause.note
        yield "money", spelled_money(decision.after.money)
        yield "tells", ", ".join(decision.told) or "nobody"


def _status(change: Change) -> str:
    if change.old_status is None or change.old_status == change.status:
        return change.status
    return f"{change.old_status} → {change.status}"


def spelled_money(money: Money) -> str:
    """`payout 4.00, revenue 6.00, amount 50.00 USD`."""
    sums = {"payout": money.payout, "revenue": money.revenue, "amount": money.amount}
    told = [
        f"{name} {to_minor_unit(value, money.currency):f}"
        for name, value in sums.items()
        if value is not None
    ]
    return f"{', '.join(told)} {money.currency}"


def _verdict(outcome: Outcome) -> Iterator[Line]:
    because = f": {outcome.reason}" if outcome.reason else ""
    yield "verdict", f"{outcome.verdict}{because} (HTTP {outcome.http_status})"
    if outcome.reason is Reason.NONE:
        yield "", _AS_IN_EARNEST.get(outcome.verdict, "")
        return
    yield "", REASONS[outcome.reason][1]
    yield "to do", REMEDIES[outcome.reason]
