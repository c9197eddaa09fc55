"""
Forged ids, tokens and signatures, recordings, and a right token for another's click.

Most of it meets the judgement itself, which no store and no network stands before; a
part goes over HTTP into a web process, and recordings meet the whole flow at times that
are given to it.
"""

import asyncio
import hashlib
import hmac
import random
import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from urllib.parse import quote, urlencode

import aiohttp
from defended import CATALOG, KEY, ORIGIN, OWNERS, SALT, SECRETS, TOKEN, defended
from forging import forgeries, is_plain
from row import Row, must, told
from structlog.testing import capture_logs
from yarl import URL

from tracker.catalog import check_text, compile_catalog
from tracker.domain.base32 import normalise
from tracker.domain.click_id import ClickClass, ClickIdMint, SigningKeys
from tracker.domain.errors import QuarantinedError
from tracker.domain.identity import new_postback_id
from tracker.domain.judgement import Rules, judge, witness
from tracker.domain.postback import Postback, TokenHasher, conceal
from tracker.domain.signature import Call, Message, sign, signature_header
from tracker.domain.value import Value
from tracker.flow.postback import accept_postback
from tracker.flow.start import start
from tracker.runtime import open_runtime
from tracker.web.query import read_pairs

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CLICKS = 50
"""Genuine ones of each offer."""

HONEST = 5
AGES = (0, 299, 301, 601)
SAME, STALE = "the first answer", "stale_signature"
IN_FLIGHT = 50


def attack(scale):
    chance = random.Random(scale.seed)
    yield from _at_the_judgement(chance, scale.pick(1_000_000, 16_000))
    with defended(webs=1) as tracker:
        yield from asyncio.run(_over_http(chance, tracker, scale.pick(20_000, 240)))
        with capture_logs():
            findings = asyncio.run(_recorded(tracker))
        yield from findings


# ------------------------------------------------------------------- at the judgement


def _at_the_judgement(chance, number):
    bench = Bench(chance)
    believed = bench.count_accepted(bench.genuine())
    yield must(
        "genuine ones believed", f"{believed} of {len(OWNERS)}", believed == len(OWNERS)
    )
    started = time.monotonic()
    for name, attempts in bench.forged().items():
        accepted = bench.count_accepted(islice(attempts, number // 4))
        yield must(f"accepted of {number // 4:,} forged {name}", accepted, not accepted)
    pace = number / (time.monotonic() - started)
    crossed = list(bench.crossed())
    accepted = bench.count_accepted(crossed)
    what = f"accepted of {len(crossed):,} right proofs for another's click"
    yield must(what, accepted, not accepted)
    yield told("refused for", _shown(bench.reasons))
    yield told("pace", f"{pace:,.0f} forgeries/s judged on one core")


_RUNS = re.compile(r"[0-9A-Za-z]+")


class Bench:
    """The judgement, and everything real that there is to forge from."""

    def __init__(self, chance, now=NOW):
        self.chance = chance
        self.now = now
        self.reasons = Counter()
        self.rules = _rules()
        self.clicks = {offer: self._clicks(self.rules.mint, offer) for offer in OWNERS}

    def genuine(self):
        """What each advertiser sends for a click of its own."""
        return [self._genuine(offer, self.clicks[offer][0]) for offer in OWNERS]

    def _genuine(self, offer, click_id, **more):
        return _genuine(offer, click_id, at=self.now, **more)

    def forged(self):
        return {
            "ids": self._ids(),
            "tokens": self._tokens(),
            "signatures": self._signatures(),
            "signatures of an advertiser's own": self._own_signatures(),
        }

    def crossed(self):
        """Everything is right but whose click it is."""
        for offer in OWNERS:
            for other in OWNERS.keys() - {offer}:
                for click_id in self.clicks[other]:
                    yield self._genuine(offer, click_id)
                    yield self._genuine(offer, click_id, is_generic=True)

    def count_accepted(self, attempts):
        return sum(self._is_accepted(one) for one in attempts)

    def _is_accepted(self, attempt):
        try:
            arrived = _arrived(attempt, self.rules, self.now)
            return judge(arrived, self.rules) is not None
        except QuarantinedError as error:
            self.reasons[error.reason] += 1
            return False

    def _ids(self):
        """
        With the right token. Strangers sign ids too.

        Case is forgiven, and i l o; one of ours is found among other text.
        """
        stranger = ClickIdMint(SigningKeys(0, {0: b"somebody else's"}))
        made = {normalise(one) for one in self.clicks["shoes"]}
        reals = [*self.clicks["shoes"], *self._clicks(stranger, "shoes")]
        for text in forgeries(self.chance, reals):
            if made.isdisjoint(map(normalise, _RUNS.findall(text))):
                yield Attempt({"click_id": text, "token": TOKEN})

    def _tokens(self):
        """As a parameter and as a bearer, turn by turn."""
        click_id = self.clicks["shoes"][0]
        for number, text in enumerate(forgeries(self.chance, [*SECRETS.values()])):
            if text.strip() == TOKEN:
                continue
            if number % 2:
                yield Attempt({"click_id": click_id}, bearer=text.strip())
            else:
                yield Attempt({"click_id": click_id, "token": text})

    def _signatures(self):
        """The header, or what it was made for."""
        click_id = self.clicks["tools"][0]
        genuine = self._genuine("tools", click_id)
        stranger = self._genuine("tools", click_id, key="x" * 20)
        header, query = genuine.header, urlencode(genuine.said)
        headers = forgeries(self.chance, [header, stranger.header])
        queries = forgeries(self.chance, [query, f"{query}&status=rejected"])
        while True:
            text = next(headers)
            if _spelled(text) != _spelled(header):
                yield genuine.but(header=text)
            text = next(queries)
            if text != query:
                yield genuine.but(said=dict(read_pairs(text)), query=text)

    def _own_signatures(self):
        """The hash, the amount or the click that it was made for; a body besides."""
        by_url = self._genuine("maps", self.clicks["maps"][0])
        genuine = self._genuine("masks", self.clicks["masks"][0])
        hashes = forgeries(self.chance, [genuine.said["sig"], "0" * 32])
        amounts = forgeries(self.chance, ["10", "49.90"])
        while True:
            made = next(hashes)
            if made.strip().lower() != genuine.said["sig"]:
                yield genuine.but(said={**genuine.said, "sig": made})
            amount = next(amounts)
            if amount != "10":
                yield genuine.but(said={**genuine.said, "amount": amount})
            click_id = self.chance.choice(self.clicks["masks"][1:])
            yield genuine.but(said={**genuine.said, "click_id": click_id})
            said = {"amount": amount, "status": "approved"}
            yield by_url.but(body=urlencode(said, errors="replace"))

    def _clicks(self, mint, offer):
        number = self.rules.catalog.offers[offer].number
        return [
            mint.mint(
                now=NOW - timedelta(minutes=n + 1),
                shard=0,
                click_class=ClickClass.VISIT,
                partner_number=1,
                offer_number=number,
            )
            for n in range(CLICKS)
        ]


def _rules():
    checked = check_text(CATALOG, "partners.yaml", SECRETS)
    numbers = {("offer", offer): n for n, offer in enumerate(OWNERS, 1)}
    catalog = compile_catalog(
        checked, SECRETS, version=1, numbers={**numbers, ("partner", "best"): 1}
    )
    keys = SigningKeys(0, {0: b"the keys of the torture"})
    return Rules(catalog, ClickIdMint(keys), TokenHasher(keys))


class Attempt(Value, frozen=True):
    """A call; `query` is how it is spelled, where that matters."""

    said: dict[str, str]
    bearer: str = ""
    header: str = ""
    route: str | None = None
    query: str = ""
    body: str = ""
    address: str = "192.0.2.7"

    @property
    def path(self):
        return f"/postback/{self.route}" if self.route else "/postback"


def _genuine(offer, click_id, *, at, is_generic=False, key=KEY, **more):
    """As the offer's own advertiser makes it, for whatever click."""
    route = None if is_generic else OWNERS[offer]
    attempt = Attempt({"click_id": click_id, **more}, route=route)
    if offer == "tools":
        return _signed(attempt, key, at)
    if offer == "masks":
        text = f"{click_id}10{SALT}"
        made = hashlib.md5(text.encode()).hexdigest()
        return attempt.but(said={**attempt.said, "amount": "10", "sig": made})
    if offer == "maps":
        url = f"{ORIGIN}{attempt.path}?{urlencode(attempt.said)}"
        made = hmac.new(SALT.encode(), url.encode(), "sha256").hexdigest()
        return attempt.but(said={**attempt.said, "sig": made})
    token = TOKEN if offer == "shoes" else SECRETS["FAR"]
    return attempt.but(said={**attempt.said, "token": token})


def _signed(attempt, key, at):
    query = urlencode(attempt.said)
    timestamp = str(int(at.timestamp()))
    nonce = f"for-{attempt.said['click_id']}"
    message = Message(timestamp, nonce, attempt.path, query, b"")
    return attempt.but(header=signature_header(message, sign(key, message)))


def _spelled(header):
    """Hex has no case, and blanks around a header mean nothing."""
    claim, version, signature = header.strip().rpartition("v1=")
    return claim + version + signature.lower()


def _arrived(attempt, rules, at):
    """As the web process makes it of a request."""
    pairs = [*attempt.said.items(), *read_pairs(attempt.body)]
    parameters, digest = conceal(
        pairs, rules.catalog.vocabulary(attempt.route), rules.hasher, attempt.bearer
    )
    postback = Postback(
        id=new_postback_id(at),
        received_at=at,
        method="POST" if attempt.body else "GET",
        path=attempt.path,
        address=attempt.address,
        route=attempt.route,
        parameters=parameters,
        token_digest=digest,
    )
    call = Call(
        origin=ORIGIN,
        path=attempt.path,
        query=attempt.query or urlencode(attempt.said, errors="replace"),
        body=attempt.body.encode(),
        header=attempt.header,
        route=attempt.route,
        parameters=pairs,
    )
    return witness(postback, call, rules)


def _shown(counted):
    return ", ".join(f"{what} {number:,}" for what, number in counted.most_common())


# -------------------------------------------------------------------------- over HTTP


async def _over_http(chance, tracker, number):
    """All from one address, where an honest sender reports between them."""
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as client:
        attempts = await _attempts(chance, tracker, client, number)
        honest = [
            _genuine("shoes", await tracker.visit(client), at=NOW)
            for _ in range(HONEST)
        ]
        forged = await _send(client, tracker, attempts)
        believed = await _send(client, tracker, honest)
    conversions = tracker.ask("select count(*) from conversions")
    taken = sum(n for status, n in forged.items() if status < 300)
    failures = sum(n for status, n in forged.items() if status >= 500)
    kept = tracker.ask("select count(*) from postbacks")
    what = f"2xx to {len(attempts):,} forgeries over HTTP"
    return [
        told("answers over HTTP", _shown(forged)),
        must(what, taken, not taken),
        must("5xx", failures, not failures),
        must("honest ones believed after them", believed[200], believed[200] == HONEST),
        must("conversions", f"{conversions} of {HONEST}", conversions == HONEST),
        told("postbacks kept", f"{kept:,} of {len(attempts) + HONEST:,}"),
    ]


async def _attempts(chance, tracker, client, number):
    """Forged from what real visitors arrive with, and real advertisers would send."""
    bench = Bench(chance, datetime.now(UTC))
    for offer in OWNERS:
        bench.clicks[offer] = [await tracker.visit(client, offer) for _ in range(5)]
    kinds = bench.forged().values()
    attempts = [one for kind in kinds for one in islice(kind, number // 4)]
    attempts = [one for one in [*attempts, *bench.crossed()] if _is_sendable(one)]
    chance.shuffle(attempts)
    return attempts


def _is_sendable(attempt):
    """What no client could put into a header is left to the judgement."""
    headers = attempt.header + attempt.bearer
    return headers.isascii() and is_plain(headers)


async def _send(client, tracker, attempts):
    """How often each status was answered."""
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def send(attempt):
        url, headers = _url(tracker, attempt), _headers(attempt)
        method, body = ("POST", attempt.body) if attempt.body else ("GET", None)
        async with (
            gate,
            client.request(method, url, headers=headers, data=body) as answer,
        ):
            return answer.status

    return Counter(await asyncio.gather(*(send(one) for one in attempts)))


def _url(tracker, attempt):
    query = attempt.query or urlencode(attempt.said, errors="replace")
    safe = "".join(map(chr, range(0x21, 0x7F)))
    spelled = quote(query, safe=safe, errors="replace").replace("#", "%23")
    return URL(f"{tracker.urls[0]}{attempt.path}?{spelled}", encoded=True)


def _headers(attempt):
    headers = {"tracker-signature": attempt.header} if attempt.header else {}
    if attempt.bearer:
        headers["authorization"] = f"Bearer {attempt.bearer}"
    return headers


# ------------------------------------------------------------------------- recordings


async def _recorded(tracker):
    """One genuine call, heard again and again; every postback of its goal is paid."""
    before = tracker.ask("select count(*) from conversions")
    now = datetime.now(UTC)
    async with aiohttp.ClientSession() as client:
        click_id = await tracker.visit(client, "tools")
    real = _genuine("tools", click_id, at=now, goal="refill")
    changed = real.but(said={**real.said, "status": "rejected"})
    other = _genuine("tools", click_id, at=now, goal="refill", status="rejected")
    async with open_runtime(tracker.settings) as runtime:
        await start(runtime)

        async def hear(attempt, seconds):
            at = now + timedelta(seconds=seconds)
            arrived = _arrived(attempt, runtime.rules(), at)
            return await accept_postback(runtime, arrived)

        first = await hear(real, 0)
        answers = [await hear(real, seconds) for seconds in AGES]
        altered = [await hear(changed, seconds) for seconds in AGES]
        reused = await hear(other, 0)
    paid = tracker.ask("select count(*) from conversions") - before
    told_of = [SAME if one == first else one.reason for one in answers]
    wrong = {one.reason for one in altered}
    return [
        must("recordings", _by_age(told_of), told_of == [SAME, SAME, STALE, STALE]),
        must("paid for all of them", paid, paid == 1),
        must("changed on the way", ", ".join(wrong), wrong == {"bad_signature"}),
        must("nonce with another content", reused.reason, reused.reason == "replayed"),
    ]


def _by_age(told_of):
    return ", ".join(f"{age} s {said}" for age, said in zip(AGES, told_of, strict=True))


ROW = Row(11, "forged ids, tokens and signatures, recordings, another's click", attack)
