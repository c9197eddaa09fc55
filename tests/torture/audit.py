"""
The invariants: after each step of the property machine, and when all is drained.

What Postgres decided is told to the model in the same order, and must be what the
model says; everything else follows from what the model then holds.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from evidence import moment, money, written
from ledger_model import AUTHENTICATION, HTTP, Case, Conversion, LedgerModel

LONG_ENOUGH = {
    "expired": timedelta(days=7),
    "click_details_lost": timedelta(hours=24),
}
ATTEMPTS = 12
"""After so many failures a delivery may be given up."""

NEVER = {"request.failed", "spool.refused", "spool.failed", "click.collided"}
"""Events that no outage explains."""


KEYS = {
    "clicks": (("id",), "clicked_at"),
    "postbacks": (("id",), "received_at"),
    "delivery_attempts": (
        ("delivery_id", "round", "number", "outcome", "started_at"),
        "started_at",
    ),
    "delivery_archive": (("id", "round"), "finished_at"),
}
"""What is kept by day: what makes a row itself, and what says how old it is."""


class ViolationError(AssertionError):
    """A promise is broken; the sentence says which, and by what."""


def hold(holds, *told):
    if not holds:
        raise ViolationError(" ".join(map(str, told)))


@dataclass(frozen=True)
class Act:
    """What an operator meant to do; `name` stands beside what came of it."""

    name: str
    conversion: Conversion | None = None
    status: str | None = None
    amount: Decimal | None = None
    call: int = 0
    waived: str | None = None


class Audit:
    """Knows what has been seen, and what must be true of it."""

    def __init__(self, world, witness):
        self.model = LedgerModel()
        self.acts = {}
        self._world, self._witness = world, witness
        self.rows = {}
        self._released = {}
        self._seen_changes = set()
        self._silent_lanes = set()
        self._seen = {table: {} for table in KEYS}

    @property
    def paused_lanes(self):
        return [row["lane"] for row in self.evidence.lanes if row["paused_at"]]

    @property
    def quarantined(self):
        rows = [row for _, row in sorted(self.rows.items())]
        return [row for row in rows if row["outcome"] == "quarantined"]

    def check(self):
        """Everything that must be true at any moment."""
        evidence = self._kept(self._witness.look())
        self._follow(evidence)
        self._check_answers()
        self._check_conversions(evidence)
        self._check_changes(evidence)
        self._check_deliveries(evidence)
        self._check_attempts(evidence)
        self._check_hits(evidence)
        self._check_clicks(evidence)
        self._check_log()
        self.evidence = evidence
        return evidence

    def check_end(self):
        """Everything that must be true when all stores are up and all is drained."""
        evidence = self.check()
        owed = evidence.deliveries
        hold(not owed, "never delivered, and not given up:", owed)
        known = {row["id"] for row in evidence.clicks}
        gone = self._world.visits.keys() - known - self._world.lost_visits
        hold(not gone, "clicks neither kept nor counted lost:", gone)
        for number, call in self._world.calls.items():
            is_told = call.status in {503, 429} or number in self.rows
            hold(is_told, "an answer without its postback:", call)

    # --------------------------------------------------------- nothing is forgotten

    def _kept(self, evidence):
        """With what was there and is gone, which may only be what is old enough."""
        now = moment(evidence.now)
        for table, (names, written_at) in KEYS.items():
            seen = self._seen[table]
            there = {_key(row, names): row for row in getattr(evidence, table)}
            keep = self._world.keeps[table]
            for key in seen.keys() - there.keys():
                age = now - moment(seen[key][written_at])
                hold(age > keep, "gone before its time:", seen[key])
            seen.update(there)
        kept = {table: list(self._seen[table].values()) for table in KEYS}
        return replace(evidence, **kept)

    # ------------------------------------------------- what happened, in its order

    def _follow(self, evidence):
        events = [
            *((written(row), self._hear, row) for row in self._new_postbacks(evidence)),
            *((written(row), self._release, row) for row in self._freed(evidence)),
            *((written(row), self._act, row) for row in self._new_acts(evidence)),
        ]
        for _, tell, row in sorted(events, key=lambda event: event[0]):
            tell(row)

    def _new_postbacks(self, evidence):
        numbers = Counter(_number(row) for row in evidence.postbacks)
        hold(not numbers - Counter(set(numbers)), "a postback stands twice:", numbers)
        return [row for row in evidence.postbacks if _number(row) not in self.rows]

    def _freed(self, evidence):
        for row in evidence.postbacks:
            by = row["released_by"]
            if by and self._released.get(_number(row)) != by:
                yield row

    def _new_acts(self, evidence):
        for row in evidence.conversion_changes:
            if (
                row["operator"]
                and row["note"]
                and row["note"] not in self._seen_changes
            ):
                yield row

    def _hear(self, row):
        number = _number(row)
        call = self._world.calls[number]
        at = moment(row["received_at"])
        hold(call.sent_at <= at <= call.answered_at, "arrived at another time:", row)
        is_then = call.version == row["catalog_version"]
        hold(is_then or row["released_by"], "judged by another catalog:", row)
        self.rows[number] = row
        if row["released_by"]:
            # Judged and released between two looks: only the release is told.
            return
        self._compare(self.model.hear(self._case(row, call)), row)

    def _release(self, row):
        number = _number(row)
        self._released[number] = row["released_by"]
        self.rows[number] = row
        act = self.acts[row["released_by"]]
        case = self._case(row, self._world.calls[number], waived=act.waived)
        self._compare(self.model.hear(case), row)

    def _act(self, row):
        self._seen_changes.add(row["note"])
        act = self.acts[row["note"]]
        case = Case(
            None,
            moment(row["changed_at"]),
            self._world.books[row["catalog_version"]],
            row["catalog_version"],
            row["note"],
        )
        if act.status is not None:
            self.model.move(act.conversion, act.status, case)
        else:
            self.model.correct(act.conversion, act.amount, case)

    def _case(self, row, call, waived=None):
        version = row["catalog_version"]
        book = self._world.books[version]
        at = moment(row["received_at"])
        return Case(call.report, at, book, version, row["id"], waived)

    def _compare(self, verdict, row):
        told = (row["outcome"], row["reason"])
        call = self._world.calls[_number(row)]
        expected = (verdict.outcome, verdict.reason)
        hold(told == expected, "decided", told, "and not", expected, "for", call.report)
        conversion = verdict.conversion
        if verdict.outcome == "accepted":
            conversion.id = row["conversion_id"]
        expected_id = conversion.id if conversion else None
        hold(row["conversion_id"] == expected_id, "of another conversion:", row)

    # --------------------------------------------------------------- the answers

    def _check_answers(self):
        """Whoever was answered finds what they were told."""
        for number, call in self._world.calls.items():
            row = self.rows.get(number)
            hold(call.status < 500 or call.status == 503, "an error:", call)
            if call.status in {503, 202}:
                continue
            if call.status == 429:
                self._check_limited(call, row)
                continue
            hold(row, "an answer without its postback:", call)
            if number not in self._released:
                self._check_answer(call, row)

    def _check_answer(self, call, row):
        said = (call.answer["status"], call.answer["reason"])
        hold(said == (row["outcome"], row["reason"]), "an answer untrue:", call, row)
        hold(call.status == HTTP[row["reason"]], "an answer by another name:", call)
        same = call.answer["conversion_id"] == row["conversion_id"]
        hold(same, "an answer of another conversion:", call, row)
        hold(call.answer["postback_id"] == row["id"], "an answer of another:", call)

    def _check_limited(self, call, row):
        """429 takes the place of a failing authentication only."""
        hold(row is None or row["reason"] in AUTHENTICATION, "locked out:", call)

    # ---------------------------------------------------------------- the ledger

    def _check_conversions(self, evidence):
        there = {row["id"]: row for row in evidence.conversions}
        expected = {one.id: one for one in self.model.conversions}
        hold(there.keys() == expected.keys(), "other conversions:", there, expected)
        for one in self.model.conversions:
            row = there[one.id]
            told = {
                "advertiser": (row["advertiser"], one.owner),
                "click_id": (row["click_id"], one.click.id),
                "partner": (row["partner"], one.click.partner),
                "offer": (row["offer"], one.click.offer),
                "goal": (row["goal"], one.goal),
                "transaction_id": (row["transaction_id"], one.transaction),
                "status": (row["status"], one.status),
                "amount": (money(row["amount"]), one.amount),
                "payout": (money(row["payout"]), one.payout),
                "revenue": (money(row["revenue"]), one.revenue),
                "currency": (row["currency"], "USD"),
                "changes": (row["changes"], len(one.changes)),
                "converted_at": (moment(row["converted_at"]), one.converted_at),
                "changed_at": (moment(row["changed_at"]), one.changed_at),
            }
            wrong = {name: pair for name, pair in told.items() if pair[0] != pair[1]}
            hold(not wrong, "a conversion is not what it must be:", wrong)

    def _check_changes(self, evidence):
        there = {
            (row["conversion_id"], row["number"]): row
            for row in evidence.conversion_changes
        }
        expected = {
            (one.id, change.number): change
            for one in self.model.conversions
            for change in one.changes
        }
        hold(there.keys() == expected.keys(), "other changes:", there.keys(), expected)
        for key, change in expected.items():
            row = there[key]
            cause = row["postback_id"] or row["note"]
            told = {
                "kind": (row["kind"], change.kind),
                "old_status": (row["old_status"], change.old_status),
                "status": (row["status"], change.status),
                "amount": (money(row["amount"]), change.amount),
                "payout": (money(row["payout"]), change.payout),
                "revenue": (money(row["revenue"]), change.revenue),
                "cause": (cause, change.cause),
                "changed_at": (moment(row["changed_at"]), change.at),
                "catalog_version": (row["catalog_version"], change.version),
            }
            wrong = {name: pair for name, pair in told.items() if pair[0] != pair[1]}
            hold(not wrong, "a change is not what it must be:", wrong)
        self.changes = {there[key]["id"]: (key, one) for key, one in expected.items()}

    # ------------------------------------------------------------- the deliveries

    def _check_deliveries(self, evidence):
        """Every change has the deliveries it owes, each exactly once."""
        owed = {
            (change_id, partner, wish)
            for change_id, (_, change) in self.changes.items()
            for partner, wish in change.owed
        }
        rows = [*evidence.deliveries, *evidence.delivery_archive]
        self.deliveries = {row["id"]: row for row in rows}
        there = {(r["change_id"], r["partner"], r["postback"]) for r in rows}
        hold(there == owed, "owed and not there, or there and not owed:", there ^ owed)
        hold(len(self.deliveries) == len(owed), "one is owed twice:", self.deliveries)
        self._check_rounds(evidence)
        for row in evidence.delivery_archive:
            self._check_ending(row)

    def _check_rounds(self, evidence):
        ended = defaultdict(list)
        for row in evidence.delivery_archive:
            ended[row["id"]].append(row["round"])
        for row in evidence.deliveries:
            ended[row["id"]].append(row["round"])
        for delivery, rounds in ended.items():
            whole = sorted(rounds) == list(range(1, len(rounds) + 1))
            hold(whole, "rounds are missing, or stand twice:", delivery, rounds)

    def _check_ending(self, row):
        if row["outcome"] == "delivered":
            heard = [h for h in self._world.hits if h.delivery == row["id"]]
            told = any(h.status == 200 for h in heard)
            hold(told, "called delivered, and the partner never took it:", row)
            return
        age = moment(row["finished_at"]) - moment(row["created_at"])
        if row["reason"] == "attempts_exhausted":
            hold(row["attempts"] >= ATTEMPTS, "given up too soon:", row)
        else:
            hold(age >= LONG_ENOUGH[row["reason"]], "given up too soon:", row)

    def _check_attempts(self, evidence):
        """No call that nobody accounts for, and one ending for each lease."""
        endings = Counter(
            (row["delivery_id"], row["round"], row["number"])
            for row in evidence.delivery_attempts
            if row["outcome"] != "orphan"
        )
        twice = [lease for lease, number in endings.items() if number > 1]
        hold(not twice, "a lease ended twice:", twice)
        counted = Counter(row["delivery_id"] for row in evidence.delivery_attempts)
        leased = {row["id"] for row in evidence.deliveries if row["lease_token"]}
        asleep = Counter(lease.delivery.id for lease in self._world.sleepers)
        for delivery, hits in Counter(hit.delivery for hit in self._world.hits).items():
            most = counted[delivery] + (delivery in leased) + asleep[delivery]
            hold(hits <= most, "calls that nobody accounts for:", delivery, hits)

    def _check_hits(self, evidence):
        """Each call says what was true at its change, and they come in order."""
        for hit in self._world.hits:
            hold(hit.delivery in self.deliveries, "an unknown delivery:", hit)
            row = self.deliveries[hit.delivery]
            self._check_said(hit, row)
        self._check_order()
        self._check_paused(evidence)

    def _check_said(self, hit, row):
        (conversion_id, _), change = self.changes[row["change_id"]]
        conversion = next(c for c in self.model.conversions if c.id == conversion_id)
        expected = {
            "goal": conversion.goal,
            "status": change.status,
            "payout": f"{change.payout:.2f}",
            "amount": "" if change.amount is None else _cents(change.amount),
            "transaction_id": change.transaction or "",
            "click_id": conversion.click.id,
            "change_id": row["change_id"],
        }
        if "cid" in hit.said:
            expected["cid"] = conversion.click.sub1
        hold(hit.said == expected, "told", hit.said, "and not", expected)

    def _check_order(self):
        first = {}
        for server in self._world.ground.servers.values():
            for place, hit in enumerate(server.hits):
                row = self.deliveries[hit.delivery]
                key = row["conversion_id"], row["partner"], row["postback"]
                first.setdefault(key, {}).setdefault(row["number"], place)
        for key, places in first.items():
            numbers = sorted(places, key=places.get)
            hold(numbers == sorted(numbers), "told out of order:", key, numbers)

    def _check_paused(self, evidence):
        """Nothing is sent on a lane that was paused all the time."""
        paused = {row["lane"] for row in evidence.lanes if row["paused_at"]}
        busy = {row["lane"] for row in evidence.deliveries if row["lease_token"]}
        busy |= {lease.delivery.lane for lease in self._world.sleepers}
        hits = Counter(
            self.deliveries[hit.delivery]["lane"] for hit in self._world.hits
        )
        for lane in self._silent_lanes & paused:
            quiet = hits[lane] == self._lane_hits[lane]
            hold(quiet, "called on a paused lane:", lane)
        self._silent_lanes, self._lane_hits = paused - busy, hits

    # ----------------------------------------------------------------- the clicks

    def _check_clicks(self, evidence):
        for row in evidence.clicks:
            click = self._world.visits[row["id"]]
            hold((row["sub1"] or "") == click.sub1, "a click is another one:", row)
        hold(not evidence.click_collisions, "clicks met:", evidence.click_collisions)
        hold(not evidence.clicks_rejected, "not folded:", evidence.clicks_rejected)

    def _check_log(self):
        """Nothing failed that no store was to blame for."""
        for event in self._world.events:
            hold(event["event"] not in NEVER, "it came to:", event)


def _key(row, names):
    return tuple(row[name] for name in names)


def _number(row):
    return int(dict(row["parameters"])["call"])


def _cents(amount):
    return f"{amount.quantize(Decimal('0.01'), rounding='ROUND_HALF_UP'):.2f}"
