"""
The published templates that are listed here, and the world that tries them.

A case is a YAML file: what was published, the piece of partners.yaml that says it, and
what must come of it. The piece is put into a small catalog as it stands in the file.
"""

import asyncio
import hmac
import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from hashlib import md5, sha256
from pathlib import Path
from types import SimpleNamespace

import yaml

from tracker.catalog import check_text, compile_catalog
from tracker.domain.answer import Answer, judge_answer
from tracker.domain.click import SUBS, Click
from tracker.domain.click_id import ClickClass, ClickIdMint, SigningKeys
from tracker.domain.conversion import Cause, Change, Conversion, Ledger
from tracker.domain.delivery import owed_deliveries
from tracker.domain.judgement import Rules
from tracker.domain.macro_values import Occasion
from tracker.domain.offer import Status
from tracker.domain.postback import TokenHasher
from tracker.domain.request import build_request
from tracker.domain.worth import Money
from tracker.flow.postback import conclude, hear
from tracker.settings import Settings
from tracker.web.arrival import Arrival, read_arrival
from tracker.web.postback import _answer

FOLDER = Path(__file__).parent
DIRECTIONS = ("inbound", "outbound")

KEYS = SigningKeys(0, {0: b"0" * 32})
MINT = ClickIdMint(KEYS)
SECRETS = {"KEY": "s3cret", "TOKEN": "s3cret"}
NUMBERS = {("partner", "best"): 1, ("offer", "shoes"): 1}

CLICKED = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
CONVERTED = datetime(2026, 11, 22, 10, tzinfo=UTC)

CATALOG = """\
version: 1
currency: USD
rates: {{EUR: 1.08}}
advertisers:
  acme:
{advertiser}
offers:
  shoes:
    name: Acme Shoes
    advertiser: acme
    url: https://shop.acme.example/?cid={{click_id}}
    goals: {goals}
partners:
  best:
    name: Best Deals
    offers: all
{postbacks}
"""

GOALS = """
      lead: {payout: 2.50, revenue: 4.00}
      sale: {payout: 80% of revenue, revenue: 12%, default: true}"""

FACTS = {
    "sub1": "w9x8y7z6",
    "sub2": "spring sale",
    "fbclid": "IwAR2x",
    "goal": "sale",
    "status": "approved",
    "transaction_id": "order-77",
    "payout": "12.50",
}
"""What a conversion is that is told, unless a case says otherwise."""


@dataclass(frozen=True)
class Case:
    """A published template; `text` is the file as it was written."""

    path: Path
    text: str
    said: dict

    @property
    def key(self) -> str:
        return self.path.stem

    @property
    def direction(self) -> str:
        return self.path.parent.name

    def piece(self, name: str, indent: int) -> str:
        """What stands under a key, letter for letter, moved to the right."""
        found = re.search(rf"(?ms)^{name}:(.*?)(?=^\S|\Z)", self.text)
        lines = found[1].rstrip().splitlines() if found else [""]
        return "\n".join([lines[0].strip(), *(" " * indent + one for one in lines[1:])])

    def presets(self) -> list[str]:
        """The presets it names."""
        return re.findall(r"preset: ([a-z0-9-]+)", self.text)


def list_cases(direction: str) -> list[Case]:
    return [_case(path) for path in sorted((FOLDER / direction).glob("*.yaml"))]


@cache
def _case(path: Path) -> Case:
    text = path.read_text("utf-8")
    return Case(path, text, yaml.safe_load(text))


def the_catalog(case: Case):
    """A small one, with the case's piece in its place."""
    advertiser = case.piece("advertiser", 2) if "advertiser" in case.said else ""
    if "auth:" not in advertiser:
        advertiser += "\n    auth: {none: true}"
    told = case.piece("postback", 6) if case.direction == "outbound" else ""
    text = CATALOG.format(
        advertiser=advertiser.strip("\n"),
        goals=case.piece("goals", 4) or GOALS,
        postbacks=f"    postbacks:\n      - {told}" if told else "",
    )
    checked = check_text(text, "partners.yaml", SECRETS)
    return compile_catalog(checked, SECRETS, version=1, numbers=NUMBERS)


# ------------------------------------------------------------------- what we are told


class Inbound:
    """An advertiser's server calls, and calls again."""

    def __init__(self, case: Case) -> None:
        self.rules = Rules(the_catalog(case), MINT, TokenHasher(KEYS))
        self.ledger = Ledger({}, [])
        self.click_id = a_click_id(datetime.now(UTC) - timedelta(minutes=5))

    def call(self, said: dict):
        """What was decided, what the conversion is then, and what is answered."""
        postback, call = self._arrive(said)
        hearing = hear(postback, self.rules, call)
        (judged,) = conclude([hearing], self.ledger, self.rules, {})
        reply = self.rules.catalog.advertisers["acme"].reply
        answered = asyncio.run(_answered(judged.outcome, reply, postback.parameters))
        return judged.outcome, self._conversion(judged.outcome), answered

    def _conversion(self, outcome):
        stored = {one.id: one for one in (*self.ledger.created, *self.ledger.updated)}
        return stored.get(outcome.conversion_id)

    def _arrive(self, said: dict):
        target, body, kind = self._written(said)
        headers = said.get("headers", {}).items()
        told = [f"{name}: {_signed(text, body)}" for name, text in headers]
        arrival = Arrival(
            url=target,
            body=body,
            headers=[f"Content-Type: {kind}", *told],
            address=said.get("from", "203.0.113.1"),
        )
        runtime = SimpleNamespace(
            catalog=self.rules.catalog, hasher=self.rules.hasher, settings=Settings()
        )
        return asyncio.run(read_arrival(runtime, arrival))

    def _written(self, said: dict) -> tuple[str, str, str]:
        """Target, body and content type."""
        if "json" in said:
            return "/postback/acme", self._filled(said["json"]), "application/json"
        if "form" in said:
            kind = "application/x-www-form-urlencoded"
            return "/postback/acme", self._filled(said["form"]), kind
        return f"/postback/acme{self._filled(said['get'])}", "", "text/plain"

    def _filled(self, text: str) -> str:
        filled = text.replace("CLICK", self.click_id)
        return re.sub(r"(MD5|HMAC-SHA1)\((.*?)\)", _hashed, filled)


def _hashed(found) -> str:
    """A signature as a sender makes it; the key is the secret."""
    text = found[2].encode()
    if found[1] == "MD5":
        return md5(text, usedforsecurity=False).hexdigest()
    return hmac.new(SECRETS["TOKEN"].encode(), text, "sha1").hexdigest()


def _signed(header: str, body: str) -> str:
    """A header with a signature in it, over the time and the body maybe."""
    now = str(int(datetime.now(UTC).timestamp()))
    made = re.sub(
        r"(HEX|BASE64)-HMAC\((.*?)\)",
        lambda found: _spelled(found[1], found[2].replace("BODY", body), now),
        header,
    )
    return made.replace("NOW", now)


def _spelled(kind: str, text: str, now: str) -> str:
    signed = text.replace("NOW", now).encode()
    digest = hmac.digest(SECRETS["TOKEN"].encode(), signed, "sha256")
    return digest.hex() if kind == "HEX" else b64encode(digest).decode()


def a_click_id(at: datetime) -> str:
    return MINT.mint(
        now=at,
        shard=0,
        click_class=ClickClass.VISIT,
        partner_number=1,
        offer_number=1,
    )


async def _answered(outcome, reply, parameters) -> str:
    sent = []

    async def send(message):
        sent.append(message.get("body", b""))

    await _answer(send, outcome, reply, parameters)
    return b"".join(sent).decode()


# ---------------------------------------------------------------------- what we tell


class Outbound:
    """A conversion is told to a partner."""

    def __init__(self, case: Case) -> None:
        self.catalog = the_catalog(case)
        self.facts = FACTS | case.said.get("facts", {})
        (self.postback,) = self.catalog.partners["best"].postbacks
        self.click_id = a_click_id(CLICKED)

    def request(self):
        """The call as it goes out, after all the conversion's values were frozen."""
        (delivery,) = owed_deliveries(self._occasion())
        return build_request(
            self.postback,
            delivery.macro_values,
            self.catalog.secrets,
            delivery.id,
            CONVERTED,
        )

    def expected_body(self, body: str) -> str:
        digest = sha256(self.click_id.encode()).hexdigest()
        return body.replace("CLICK_SHA256", digest)

    def judged(self, status: int, body: str) -> str:
        """Delivered, failed (to be tried again), or refused for good."""
        answer = Answer(status, body.encode())
        verdict = judge_answer(answer, self.postback, 1, CONVERTED, 0.5)
        kinds = {"Delivered": "delivered", "Retry": "failed", "Dead": "refused"}
        return kinds[type(verdict).__name__]

    def _occasion(self) -> Occasion:
        conversion = self._conversion()
        change = Change(
            id="ch_1",
            conversion_id=conversion.id,
            number=1,
            kind="created",
            old_status=None,
            status=conversion.status,
            money=conversion.money,
            cause=Cause(CONVERTED, 1),
        )
        return Occasion(change, conversion, self._click(), self.catalog)

    def _conversion(self) -> Conversion:
        return Conversion(
            id="cv_2n0fpxnfsy9tp1japn0kbyap",
            advertiser="acme",
            offer="shoes",
            partner="best",
            goal=self.facts["goal"],
            click_id=self.click_id,
            click_class=ClickClass.VISIT,
            clicked_at=CLICKED,
            transaction_id=self.facts["transaction_id"] or None,
            status=Status(self.facts["status"]),
            money=Money(
                "USD",
                payout=Decimal(self.facts["payout"]),
                revenue=Decimal("20.00"),
                amount=Decimal("129.90"),
            ),
            converted_at=CONVERTED,
            changed_at=CONVERTED,
            changes=1,
            catalog_version=1,
        )

    def _click(self) -> Click:
        return Click(
            id=self.click_id,
            catalog_version=1,
            subs=tuple(self.facts.get(name, "") for name in SUBS),
            ad_ids={
                "gclid": "Cj0KCQ",
                "fbclid": self.facts["fbclid"],
                "ttclid": "E.C.P.abc",
                "msclkid": "3f1e9b",
            },
            params={
                "ScCid": "sc-77",
                "epik": "dj0yJnU9",
                "li_fat_id": "df5gf5-gh6t7",
                "rdt_cid": "rdt-5",
            },
            address="203.0.113.9",
            user_agent="Mozilla/5.0 (X11)",
        )
