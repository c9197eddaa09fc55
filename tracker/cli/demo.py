"""
`tracker demo`: some hundred clicks and postbacks over HTTP, against the sandbox.

    click ──► 302 to the shop ──► click id ──► postbacks, good and bad ──► the inbox

Every figure of the summary was measured by this process, from outside the tracker.
"""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from tracker.domain.errors import TrackerError

# Relative to the base URL, which may have a path.
LINK = "c/bestdeals/acme-shoes"
UNKNOWN_LINK = "c/bestdeals/no-such-offer"
POSTBACK = "postback/acme"
HITS = "sandbox/inbox/hits"

CONCURRENCY = 16
PATIENCE = timedelta(seconds=30)
"""How long the partner's inbox is waited for after the last postback."""

_TIMEOUT_SECONDS = 15.0
_POLL = 0.1
_FOUND = 302
_NO_ANSWER = 0
_CHANNELS = ("newsletter", "search", "blog", "coupons")

# Of eight clicks six are visits, three of which end in a sale.
_KINDS = ("visit", "visit", "visit", "HEAD", "visit", "visit", "visit", "prefetch")
_SALES = (0, 2, 5)
_FAULTS = ("forged click id", "wrong token", "amount=abc", "empty transaction_id")

_NO_HITS = (aiohttp.ClientError, TimeoutError, ValueError, KeyError)
"""What it looks like when no sandbox answers, or something else does."""

Told = tuple[str, str, str]
"""What a partner is told: its own label, the transaction, the status."""


class DemoError(TrackerError):
    """The demo has nothing to talk to."""


@dataclass(frozen=True, slots=True)
class Report:
    """A postback that is to be sent, and what it is an example of."""

    example: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Answer:
    """What one postback was answered; `http_status` is 0 for no answer at all."""

    example: str
    http_status: int
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """
    What was seen; every figure is a measurement.

    `clicks` counts by kind of request and HTTP status. `owed` is what the partner
    has to be told according to the answers, `told` how much of it the inbox had
    when waiting ended, `repeats` how often it was told what it knew. `click_id` is
    a click with a conversion to trace, "" if there was none.
    """

    clicks: Counter[tuple[str, int]]
    answers: Counter[Answer]
    owed: int
    told: int
    repeats: int
    redirect_mean: timedelta
    redirect_p95: timedelta
    waited: timedelta
    click_id: str


def demo(base_url: str, token: str, clicks: int = 200) -> DemoSummary:
    """
    Runs the demo in a terminal: a progress bar, then the summary.

    Raises DemoError if no sandbox answers at that address.
    """
    console = Console()
    with _progress(console, clicks) as advance:
        summary = asyncio.run(run_demo(base_url, token, clicks, advance=advance))
    console.print(render(summary))
    return summary


async def run_demo(
    base_url: str,
    token: str,
    clicks: int = 200,
    *,
    patience: timedelta = PATIENCE,
    advance: Callable[[], None] = lambda: None,
) -> DemoSummary:
    """
    Clicks, sends postbacks, and waits until the partner has been told.

    `advance` is called once per click whose story is over. Raises DemoError if no
    sandbox answers at that address.
    """
    async with _session(base_url) as session:
        await _find_sandbox(session, base_url)
        run = _Run(session, token)
        async with _watched(run):
            await _in_parallel(run, clicks, advance)
        waited = await _wait_until_told(run, patience)
    return _summary(run, waited)


def render(summary: DemoSummary) -> Group:
    """The summary as tables, for a terminal."""
    return Group(_clicks_table(summary), _answers_table(summary), _facts(summary))


# --------------------------------------------------------------------- the story


@dataclass
class _Run:
    """One run: what it sends, and what it has seen so far."""

    session: aiohttp.ClientSession
    token: str
    name: str = field(default_factory=lambda: f"demo-{secrets.token_hex(3)}")
    clicks: Counter[tuple[str, int]] = field(default_factory=Counter)
    answers: Counter[Answer] = field(default_factory=Counter)
    redirect_seconds: list[float] = field(default_factory=list)
    owed: set[Told] = field(default_factory=set)
    told: Counter[Told] = field(default_factory=Counter)
    heard: int = 0
    stories: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> set[Told]:
        """What the partner has not been told yet."""
        return self.owed - self.told.keys()


@dataclass(frozen=True, slots=True)
class _Reply:
    """What came back over the wire."""

    http_status: int
    location: str = ""
    body: bytes = b""


async def _in_parallel(run: _Run, clicks: int, advance: Callable[[], None]) -> None:
    """The numbers are dealt out to a fixed number of visitors."""
    numbers = iter(range(clicks))

    async def visitor() -> None:
        for number in numbers:
            await _tell_story(run, number, is_last=number == clicks - 1 > 0)
            advance()

    async with asyncio.TaskGroup() as visitors:
        for _ in range(min(CONCURRENCY, clicks)):
            visitors.create_task(visitor())


async def _tell_story(run: _Run, number: int, *, is_last: bool) -> None:
    """One click, and what its visitor's advertiser then reports."""
    kind = "unknown link" if is_last else _KINDS[number % len(_KINDS)]
    label = f"{run.name}-{number}"
    click_id = await _click(run, kind, label, number)
    if click_id and kind == "visit":
        for report in plan_reports(number, click_id, label, run.token):
            await _send(run, report, label)


def plan_reports(number: int, click_id: str, label: str, token: str) -> list[Report]:
    """What the advertiser's server says about a visit, in order."""
    sale = {
        "click_id": click_id,
        "transaction_id": label,
        "goal": "sale",
        "status": "approved",
        "amount": f"{20 + number % 80}.90",
        "token": token,
    }
    if number % len(_KINDS) in _SALES:
        return list(_sale_reports(number // len(_KINDS), sale))
    return list(_fault_reports(number, sale))


def _sale_reports(turn: int, sale: dict[str, str]) -> Iterator[Report]:
    yield Report("sale", sale)
    if turn % 3 == 0:
        yield Report("sale, repeated", sale)
    if turn % 3 == 1:
        yield Report("approved → rejected", {**sale, "status": "rejected"})
        yield Report("rejected → approved for 1", {**sale, "amount": "1"})


def _fault_reports(number: int, sale: dict[str, str]) -> Iterator[Report]:
    changes = {
        "forged click id": {"click_id": _forged(sale["click_id"])},
        "wrong token": {"token": "not-the-token"},
        "amount=abc": {"amount": "abc"},
        "empty transaction_id": {"transaction_id": ""},
    }
    turn, place = divmod(number, len(_KINDS))
    # Of the three visits of eight that end in no sale, one is reported wrongly.
    if place == 1:
        fault = _FAULTS[turn % len(_FAULTS)]
        yield Report(fault, {**sale, **changes[fault]})


def _forged(click_id: str) -> str:
    """The same id, its signature off by one character."""
    return click_id[:-1] + ("1" if click_id.endswith("0") else "0")


# ---------------------------------------------------------------------- the wire


def _session(base_url: str) -> aiohttp.ClientSession:
    """aiohttp, because a slower client would mostly measure itself."""
    if not _is_http(base_url):
        raise DemoError(f"{base_url!r} is not a URL like http://127.0.0.1:8080")
    return aiohttp.ClientSession(
        f"{base_url.rstrip('/')}/",
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
        headers={"User-Agent": "tracker-demo"},
    )


def _is_http(url: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    return False


async def _find_sandbox(session: aiohttp.ClientSession, base_url: str) -> None:
    try:
        await _get_hits(session, after=0)
    except _NO_HITS as error:
        raise DemoError(
            f"No sandbox answers at {base_url}: "
            "start one with `tracker up --sandbox`, or `make run`."
        ) from error


async def _click(run: _Run, kind: str, label: str, number: int) -> str:
    """The click id that the shop would receive, "" if the visitor was not sent on."""
    began = time.perf_counter()
    reply = await _ask(
        run.session,
        "HEAD" if kind == "HEAD" else "GET",
        UNKNOWN_LINK if kind == "unknown link" else LINK,
        params={"sub1": label, "sub2": _CHANNELS[number % len(_CHANNELS)]},
        headers={"Sec-Purpose": "prefetch"} if kind == "prefetch" else {},
    )
    took = time.perf_counter() - began
    run.clicks[kind, reply.http_status] += 1
    if reply.http_status != _FOUND:
        return ""
    run.redirect_seconds.append(took)
    return parse_qs(urlsplit(reply.location).query).get("cid", [""])[0]


async def _send(run: _Run, report: Report, label: str) -> None:
    """Sends a postback, and notes what the partner is to be told of it."""
    reply = await _ask(run.session, "GET", POSTBACK, params=report.parameters)
    answer = _read_answer(report, reply)
    run.answers[answer] += 1
    if answer.status in {"accepted", "updated"}:
        sent = report.parameters
        run.owed.add((label, sent["transaction_id"], sent["status"]))
        run.stories[answer.status] = sent["click_id"]


async def _ask(
    session: aiohttp.ClientSession, method: str, path: str, **options: Any
) -> _Reply:
    """No answer is a reply as well, and counted like any other."""
    asked = session.request(method, path, allow_redirects=False, **options)
    try:
        async with asked as response:
            location = response.headers.get("Location", "")
            return _Reply(response.status, location, await response.read())
    except (aiohttp.ClientError, TimeoutError):
        return _Reply(_NO_ANSWER)


def _read_answer(report: Report, reply: _Reply) -> Answer:
    if reply.http_status == _NO_ANSWER:
        return Answer(report.example, _NO_ANSWER, "no answer", "")
    said: dict[str, Any] = {}
    with suppress(ValueError):
        said = dict(json.loads(reply.body))
    status, reason = said.get("status") or "", said.get("reason") or ""
    return Answer(report.example, reply.http_status, str(status), str(reason))


# --------------------------------------------------------------------- the inbox


@asynccontextmanager
async def _watched(run: _Run) -> AsyncIterator[None]:
    """The inbox is read all the while, for it keeps only what came last."""
    watch = asyncio.create_task(_watch(run))
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch


async def _watch(run: _Run) -> None:
    while True:
        await _look(run)
        await asyncio.sleep(_POLL)


async def _wait_until_told(run: _Run, patience: timedelta) -> timedelta:
    """How long it took from the last postback, at most as long as the patience."""
    began = time.monotonic()
    with suppress(TimeoutError):
        async with asyncio.timeout(patience.total_seconds()):
            await _look(run)
            while run.missing:
                await asyncio.sleep(_POLL)
                await _look(run)
    return timedelta(seconds=time.monotonic() - began)


async def _look(run: _Run) -> None:
    """Counts what has come since; an inbox that does not answer is asked again."""
    with suppress(*_NO_HITS):
        for hit in await _get_hits(run.session, after=run.heard):
            run.heard = hit["number"]
            said = dict(hit["parameters"])
            told = (said.get("cid", ""), said.get("tx", ""), said.get("status", ""))
            if told[0].startswith(f"{run.name}-"):
                run.told[told] += 1


async def _get_hits(session: aiohttp.ClientSession, after: int) -> list[dict[str, Any]]:
    asked = session.get(HITS, params={"after": after}, raise_for_status=True)
    async with asked as response:
        return list((await response.json())["hits"])


# ------------------------------------------------------------------- the summary


def _summary(run: _Run, waited: timedelta) -> DemoSummary:
    mean, p95 = _mean_and_p95(run.redirect_seconds)
    return DemoSummary(
        clicks=run.clicks,
        answers=run.answers,
        owed=len(run.owed),
        told=len(run.owed) - len(run.missing),
        repeats=run.told.total() - len(run.told),
        redirect_mean=mean,
        redirect_p95=p95,
        waited=waited,
        # A conversion that has changed has more to tell than one that has not.
        click_id=run.stories.get("updated") or run.stories.get("accepted", ""),
    )


def _mean_and_p95(seconds: Sequence[float]) -> tuple[timedelta, timedelta]:
    """By nearest rank; both are zero where nothing was measured."""
    if not seconds:
        return timedelta(), timedelta()
    rank = -(-len(seconds) * 95 // 100)
    mean, p95 = sum(seconds) / len(seconds), sorted(seconds)[rank - 1]
    return timedelta(seconds=mean), timedelta(seconds=p95)


@contextmanager
def _progress(console: Console, clicks: int) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("clicks", total=clicks)
        yield lambda: progress.advance(task)


def _clicks_table(summary: DemoSummary) -> Table:
    table = _table("Clicks", "request", "HTTP", "count")
    for (kind, status), count in sorted(summary.clicks.items()):
        table.add_row(kind, _http(status), str(count))
    return table


def _answers_table(summary: DemoSummary) -> Table:
    table = _table("Postbacks", "what was sent", "HTTP", "answer", "reason", "count")
    by_status = sorted(summary.answers.items(), key=lambda item: item[0].http_status)
    for answer, count in by_status:
        words = (answer.example, _http(answer.http_status), answer.status)
        table.add_row(*words, answer.reason, str(count))
    return table


def _facts(summary: DemoSummary) -> Table:
    """The figures that are one number each."""
    late = "" if summary.told == summary.owed else " when waiting ended"
    table = Table.grid(padding=(0, 2))
    table.add_row("redirect, as seen here", _redirect_time(summary))
    table.add_row("the partner was told", f"{summary.told} of {summary.owed}{late}")
    table.add_row("… more than once", str(summary.repeats))
    table.add_row("… after the last postback", _milliseconds(summary.waited))
    table.add_row("a click to trace", summary.click_id or "none")
    return table


def _redirect_time(summary: DemoSummary) -> str:
    mean = _milliseconds(summary.redirect_mean)
    p95 = _milliseconds(summary.redirect_p95)
    return f"mean {mean}, p95 {p95}, {CONCURRENCY} at a time"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column == "count" else "left")
    return table


def _http(status: int) -> str:
    return str(status) if status else "none"


def _milliseconds(duration: timedelta) -> str:
    return f"{duration / timedelta(milliseconds=1):.1f} ms"
