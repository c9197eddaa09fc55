"""
The sandbox: an advertiser's shop and a partner's server, both played by ourselves.

    /sandbox                the story, and a tracked link to begin it with
    /sandbox/shop           where the link leads; its button fires a real postback
    /sandbox/inbox          with a query: the partner's server; without: what it heard
    /sandbox/inbox/hits     the same as JSON, for `tracker demo`

The shop calls the tracker over HTTP, as an advertiser's server would. Nothing here
outlives the process, and nothing is served unless the settings ask for it.
"""

import os
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route
from yarl import URL

from tracker.catalog import read_secrets
from tracker.domain.postback import MASK, clean
from tracker.program import program
from tracker.settings import SANDBOX_TOKEN, Settings

LINK = "/c/bestdeals/acme-shoes?sub1=demo-1"
POSTBACK = "/postback/acme"

KEPT_HITS = 200
KEPT_CALLS = 100

TIMEOUT_SECONDS = 10.0
MAX_BODY = 16 * 1024
MAX_FIELD = 500
"""Characters that the shop takes of a field; a URL of three of them is still one."""

MAX_VALUE = 2000
"""Characters kept of a parameter in the inbox, and of an answer in the shop."""

MAX_PARAMETERS = 100

STATUSES = {"buy": "approved", "refund": "rejected"}
"""What the shop reports for each of its buttons."""

PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

_FOLDER = Path(__file__).parent / "templates" / "sandbox"

Pairs = tuple[tuple[str, str], ...]


def sandbox_routes(settings: Settings) -> list[Route]:
    """The sandbox's routes; none unless the settings ask for it."""
    return Sandbox(settings).routes() if settings.sandbox else []


# ------------------------------------------------------------------- the partner


@dataclass(frozen=True, slots=True)
class Hit:
    """One call that the partner's server took; `number` counts from 1."""

    number: int
    at: datetime
    method: str
    parameters: Pairs


@dataclass
class Inbox:
    """What the partner was told: the last hits, and how many there ever were."""

    count: int = 0
    hits: deque[Hit] = field(default_factory=lambda: deque(maxlen=KEPT_HITS))

    def record(
        self, method: str, parameters: Iterable[tuple[str, str]], *, now: datetime
    ) -> None:
        """Keeps a hit; of what is longer than the bounds, the beginning."""
        kept = [(name[:MAX_VALUE], value[:MAX_VALUE]) for name, value in parameters]
        self.count += 1
        self.hits.append(Hit(self.count, now, method, tuple(kept[:MAX_PARAMETERS])))

    def list_newest(self) -> list[Hit]:
        """The hits, the newest first."""
        return list(reversed(self.hits))

    def list_after(self, number: int) -> list[Hit]:
        """The hits behind that number, the oldest first."""
        return [hit for hit in self.hits if hit.number > number]


# ---------------------------------------------------------------- the advertiser


@dataclass(frozen=True, slots=True)
class Report:
    """What the shop has to say about an order."""

    click_id: str
    order: str
    amount: str
    status: str


@dataclass(frozen=True, slots=True)
class Call:
    """
    A report as it was made, the token masked, and what the tracker answered.

    `http_status` is 0 where there was no answer; `body` then says why.
    """

    at: datetime
    report: Report
    url: str
    http_status: int
    body: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order with the calls about it, the newest first."""

    number: str
    amount: str
    calls: list[Call]


@dataclass
class Shop:
    """The advertiser's server, and the last calls it made."""

    endpoint: str
    token: str = field(repr=False)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))

    async def tell(self, report: Report) -> None:
        """Fires the postback and keeps what became of it."""
        http_status, body = await _get(postback_url(self.endpoint, report, self.token))
        shown = postback_url(self.endpoint, report, self.token and MASK)
        now = datetime.now(UTC)
        self.calls.append(Call(now, report, shown, http_status, body[:MAX_VALUE]))

    def list_orders(self, click_id: str) -> list[Order]:
        """The orders of a click, those that were heard of last first."""
        orders: dict[str, Order] = {}
        for call in reversed(self.calls):
            report = call.report
            if report.click_id == click_id:
                new = Order(report.order, report.amount, [])
                orders.setdefault(report.order, new).calls.append(call)
        return list(orders.values())


def postback_url(endpoint: str, report: Report, token: str) -> str:
    """The call that an advertiser's server makes; without a token it sends none."""
    values = {
        "click_id": report.click_id,
        "transaction_id": report.order,
        "goal": "sale",
        "status": report.status,
        "amount": report.amount,
        "token": token,
    }
    if not token:
        del values["token"]
    return f"{endpoint}?{urlencode(values, safe='*')}"


async def _get(url: str) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    # A session per call, as pressing a button is rare.
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            asked = session.get(URL(url, encoded=True), allow_redirects=False)
            async with asked as response:
                return response.status, await response.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            return 0, str(error) or "The tracker took too long."


# --------------------------------------------------------------------- the pages


class Sandbox:
    """The pages, and the two servers they stand for."""

    def __init__(self, settings: Settings) -> None:
        tokens = read_secrets(os.environ, settings.secrets_file)
        self.inbox = Inbox()
        self.shop = Shop(settings.base_url + POSTBACK, tokens.get(SANDBOX_TOKEN, ""))
        self._pages = _environment(
            link=settings.base_url + LINK,
            # Relative to the origin that was visited, whatever name it has.
            root=urlsplit(settings.base_url).path + "/sandbox",
            program=program(),
        )
        self._style = (_FOLDER / "style.css").read_text("utf-8")

    def routes(self) -> list[Route]:
        """All that the sandbox serves."""
        return [
            Route("/sandbox", self.show_start),
            Route("/sandbox/style.css", self.show_style),
            Route("/sandbox/shop", self.show_shop, methods=["GET"]),
            Route("/sandbox/shop", self.sell, methods=["POST"]),
            Route("/sandbox/inbox", self.answer_inbox, methods=["GET", "POST"]),
            Route("/sandbox/inbox/view", self.show_inbox),
            Route("/sandbox/inbox/hits", self.list_hits),
        ]

    async def show_start(self, _: Request) -> Response:
        """The story in three steps."""
        return self._page("start.html", count=self.inbox.count)

    async def show_style(self, _: Request) -> Response:
        """The one style sheet."""
        return PlainTextResponse(
            self._style, headers=PAGE_HEADERS, media_type="text/css"
        )

    async def show_shop(self, request: Request) -> Response:
        """Where the tracked link leads."""
        click_id = request.query_params.get("cid", "")
        return self._page(
            "shop.html",
            click_id=click_id,
            parameters=request.query_params.multi_items(),
            orders=self.shop.list_orders(click_id[:MAX_FIELD]),
            new_order=f"order-{secrets.token_hex(3)}",
            has_token=bool(self.shop.token),
        )

    async def sell(self, request: Request) -> Response:
        """A button of the shop was pressed: reports it, and shows the page again."""
        _refuse_other_sites(request)
        form = await _read_form(request)
        click_id = request.query_params.get("cid", "")
        await self.shop.tell(
            Report(
                click_id=click_id[:MAX_FIELD],
                order=form.get("order", "")[:MAX_FIELD],
                amount=form.get("amount", "")[:MAX_FIELD],
                status=STATUSES.get(form.get("action", ""), "approved"),
            )
        )
        return RedirectResponse(f"shop?{request.url.query}#orders", status_code=303)

    async def answer_inbox(self, request: Request) -> Response:
        """The partner's server; a browser that comes without a query sees its page."""
        if request.method != "POST" and not request.url.query:
            return await self.show_inbox(request)
        parameters = [*request.query_params.multi_items(), *await _read_body(request)]
        self.inbox.record(request.method, parameters, now=datetime.now(UTC))
        return PlainTextResponse("OK")

    async def show_inbox(self, _: Request) -> Response:
        """What the partner was told, the newest first."""
        return self._page("inbox.html", inbox=self.inbox, kept=KEPT_HITS)

    async def list_hits(self, request: Request) -> Response:
        """How many hits there ever were, and those `after` a number that are kept."""
        after = request.query_params.get("after", "0")
        if not after.isdecimal() or len(after) > len(str(2**63)):
            raise HTTPException(400, "after must be the number of a hit")
        hits = [
            {**asdict(hit), "at": hit.at.isoformat()}
            for hit in self.inbox.list_after(int(after))
        ]
        return JSONResponse({"count": self.inbox.count, "hits": hits})

    def _page(self, name: str, **values: object) -> Response:
        page = self._pages.get_template(name).render(values)
        return HTMLResponse(page, headers=PAGE_HEADERS)


def _environment(**values: object) -> Environment:
    pages = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    pages.globals.update(values)
    return pages


def _printable(value: object) -> object:
    """A NUL or half a surrogate pair has no place in a page."""
    return clean(value) if type(value) is str else value


def _refuse_other_sites(request: Request) -> None:
    """No page elsewhere may press the button; only browsers say where they are."""
    site = request.headers.get("sec-fetch-site", "none")
    if site not in {"none", "same-origin"}:
        raise HTTPException(403, "the form was sent from another site")


async def _read_form(request: Request) -> Mapping[str, str]:
    return dict(_pairs(await _read(request)))


async def _read_body(request: Request) -> list[tuple[str, str]]:
    """The fields of a form; any other body is one parameter, whole."""
    body = await _read(request)
    if "urlencoded" in request.headers.get("content-type", ""):
        return _pairs(body)
    return [("body", body)] if body else []


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


async def _read(request: Request) -> str:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"more than {MAX_BODY} bytes")
    return body.decode(errors="replace")
