"""
What would be decided about a postback, and why; nothing of it is written.

It is heard and decided by what decides in earnest, in a transaction of which nothing
stays.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from ipaddress import ip_network

from tracker.domain.advertiser import Advertiser
from tracker.domain.call import Call
from tracker.domain.conversion import Change, Conversion
from tracker.domain.delivery import owed_deliveries
from tracker.domain.dialect import Dialect
from tracker.domain.errors import NotFoundError
from tracker.domain.foreign import ours
from tracker.domain.judgement import WAIVABLE, Rules, dialect_of, mention_of
from tracker.domain.macro_values import Occasion
from tracker.domain.outcome import Outcome
from tracker.domain.postback import MASK, Postback
from tracker.domain.signature import kinds_asked
from tracker.domain.vocabulary import Meaning, Statement
from tracker.flow.ledger import find_clicks
from tracker.flow.postback import Hearing, clicks_of, hear, judge_alone
from tracker.flow.quarantine import recall_postback
from tracker.flow.trace import TracedClick, find_click
from tracker.runtime import Runtime
from tracker.store.reports import ListedConversion

_SIGNED_BY = frozenset({"timestamp", "nonce", "signature"})


@dataclass(frozen=True, slots=True)
class ReadParameter:
    """
    A parameter as it was sent, its secret masked, and what it was read as.

    `counts` is false where it says nothing; `note` says why, or what is odd about it.
    """

    name: str
    value: str
    meanings: Sequence[Meaning]
    counts: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What came of a hearing: the outcome, and as far as it got, what it is about.

    The `change` is the one it would make, `after` the conversion as that leaves it,
    and `told` the postbacks that would hear of it.
    """

    outcome: Outcome
    goal: str | None = None
    keys: Sequence[tuple[str, str]] = ()
    change: Change | None = None
    after: Conversion | None = None
    told: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    A postback, step by step.

    `advertiser` is whose it was taken for, and `asked` what that one has to prove. The
    address `is_assumed` where none is known: one that fits. `before` is the conversion
    that it concerns, as it stands. `otherwise` is what would be decided if only its
    reason were waived.
    """

    postback: Postback
    advertiser: str | None
    parameters: Sequence[ReadParameter]
    unfilled: Sequence[str]
    click: TracedClick | None
    asked: Sequence[str]
    is_proven: bool
    is_assumed: bool
    decision: Decision
    before: ListedConversion | None = None
    otherwise: Decision | None = None


async def explain_postback(
    runtime: Runtime,
    postback: Postback,
    call: Call | None = None,
    *,
    made_up: TracedClick | None = None,
) -> Explanation:
    """
    What would be decided about it by the catalog in force, were it to come now.

    It may be about a click that is `made_up`, of which no store knows.
    """
    rules = runtime.rules()
    mention = mention_of(postback, rules)
    advertiser = rules.catalog.advertisers.get(mention.advertiser or "")
    dialect = dialect_of(postback, rules.catalog)
    choosing = rules.catalog.dialect(postback.route).choosing
    statement = dialect.read(postback.parameters)
    assumed = "" if postback.address else _fitting_address(advertiser)
    heard = hear(postback.but(address=postback.address or assumed), rules, call)
    decision = await _decide(runtime, heard, rules, made_up)
    return Explanation(
        postback=postback,
        advertiser=mention.advertiser,
        parameters=list(_parameters(postback, call, dialect, choosing, statement)),
        unfilled=statement.unfilled(),
        click=await _click(
            runtime, mention.click_id, statement.get("click_id"), made_up
        ),
        asked=_asked(advertiser),
        is_proven=heard.is_proven,
        is_assumed=bool(assumed),
        decision=decision,
        before=await _stands(runtime, decision),
        otherwise=await _waived(runtime, heard, decision, rules, made_up),
    )


async def explain_quarantined(runtime: Runtime, postback_id: str) -> Explanation:
    """
    The same for one in quarantine, as of its arrival: what a release would come to.

    Raises NotFoundError if it is not there.
    """
    async with runtime.conversions.rehearsal() as opened:
        postback = await recall_postback(opened, postback_id, runtime.rules())
    return await explain_postback(runtime, postback)


async def _click(
    runtime: Runtime,
    mentioned: str | None,
    sent: str | None,
    made_up: TracedClick | None,
) -> TracedClick | None:
    """The click that it speaks of; what is none of ours stays as it was sent."""
    if mentioned is None or sent is None:
        return None
    if made_up and made_up.id == mentioned:
        return made_up
    found = await find_click(runtime, mentioned)
    return found if found.facts else replace(found, id=sent)


async def _decide(
    runtime: Runtime, heard: Hearing, rules: Rules, made_up: TracedClick | None
) -> Decision:
    clicks = dict(await find_clicks(runtime, clicks_of([heard])))
    if made_up and made_up.record:
        clicks[made_up.record.id] = made_up.record
    async with runtime.conversions.rehearsal() as opened:
        judged, ledger = await judge_alone(opened, heard)
    proposal = heard.proposal
    decision = Decision(
        outcome=judged.outcome,
        goal=proposal.goal if proposal else None,
        keys=proposal.keys if proposal else (),
    )
    if not ledger.changes:
        return decision
    (change,) = ledger.changes
    after = ledger.get_after(change)
    click, sent = clicks.get(after.click_id), heard.postback.parameters
    owed = owed_deliveries(Occasion(change, after, click, rules.catalog, sent))
    told = [f"{one.partner}/{one.postback}" for one in owed]
    return replace(decision, change=change, after=after, told=told)


async def _waived(
    runtime: Runtime,
    heard: Hearing,
    decision: Decision,
    rules: Rules,
    made_up: TracedClick | None,
) -> Decision | None:
    """What else there is to say, where one reason hides it that can be waived."""
    reason = decision.outcome.reason
    if reason not in WAIVABLE:
        return None
    lenient = rules.but(waived=reason)
    return await _decide(runtime, hear(heard.postback, lenient), lenient, made_up)


async def _stands(runtime: Runtime, decision: Decision) -> ListedConversion | None:
    """The conversion that it concerns, if there is one already."""
    try:
        known = decision.outcome.conversion_id
        return await runtime.reports.get_conversion(known) if known else None
    except NotFoundError:
        return None


def _fitting_address(advertiser: Advertiser | None) -> str:
    """One that the advertiser may call from; "" where any will do."""
    networks = advertiser.auth.networks if advertiser else ()
    return str(ip_network(networks[0])[0]) if networks else ""


def _asked(advertiser: Advertiser | None) -> list[str]:
    """What it has to prove, by the names that the file has for it."""
    if advertiser is None:
        return []
    auth = advertiser.auth
    asked = {"token": auth.tokens, "allow_ips": auth.networks, "none": auth.none}
    return [*(name for name, is_so in asked.items() if is_so), *kinds_asked(advertiser)]


def _parameters(
    postback: Postback,
    call: Call | None,
    dialect: Dialect,
    choosing: Collection[str],
    statement: Statement,
) -> Iterator[ReadParameter]:
    left_out = {value for _, value in call.parameters} if call else set()
    for name, value in postback.parameters:
        meanings = dialect.vocabulary.meanings(name)
        implied = dialect.said_elsewhere([(name, value)])
        note = _note(name, value, meanings, statement)
        if name.lower() in choosing and value.strip() and not note:
            note = "" if meanings or implied else "chooses how the call is read"
        elif not meanings and not implied:
            note = _unread(name, dialect, statement)
        elif "token" in meanings and value == MASK and MASK in left_out:
            note = "*** stands in logs in its place; what was sent is not known here"
        counts = bool(meanings or implied) and not note
        yield ReadParameter(name, value, meanings or sorted(implied), counts, note)


def _note(
    name: str, value: str, meanings: Sequence[Meaning], statement: Statement
) -> str:
    """Why a parameter that is read does not count."""
    if not value.strip():
        return "empty, which counts as absent"
    if name in statement.unfilled():
        return "a macro of the sender's, left as text"
    if statement.unclear.intersection(meanings):
        return "sent twice, with different values"
    preferred = {statement.names.get(one, name) for one in meanings}
    if meanings and name.lower() not in {one.lower() for one in preferred}:
        return f"{preferred.pop()} is preferred to it"
    return ""


def _unread(name: str, dialect: Dialect, statement: Statement) -> str:
    """What nobody reads, and what was likely meant by it."""
    vocabulary, said = dialect.vocabulary, statement.get
    if vocabulary.hides(name) or name.lower() in _SIGNED_BY:
        return "part of the proof, or a secret: it says nothing of the action"
    named = {one: own for one, own in vocabulary.names.items() if own}
    unsaid = {one: own for one, own in named.items() if said(one) is None}
    spelled = {own: one for one, names in unsaid.items() for own in names}
    near = get_close_matches(name.lower(), spelled, n=1, cutoff=0.75)
    meant = [spelled[one] for one in near] or ours(name, [str(one) for one in unsaid])
    for one, own in unsaid.items():
        if one in meant:
            return f"nobody reads it; did you mean {_named(own[0], one)}?"
    return "nobody reads it"


def _named(name: str, meaning: Meaning) -> str:
    return name if name == meaning else f"{name}, which is {meaning}"
