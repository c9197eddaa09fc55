"""
For an advertiser's server: reports conversions, signed, and tried again where needed.

    from tracker.sdk import Reporter

    with Reporter("https://track.example.com", "acme", key=KEY) as reporter:
        answer = reporter.report(
            click_id=order.click_id, goal="sale",
            transaction_id=order.id, amount=order.total,
        )

`AsyncReporter` is the same with `await`. A call that is tried again carries the same
nonce, so a tracker that had heard it the first time gives the first answer. Needs
httpx: `pip install 'tracker[sdk]'`.
"""

import asyncio
import json
import random
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeAlias

import httpx

from tracker.domain.signature import (
    HEADER,
    Message,
    is_nonce,
    sign,
    signature_header,
)

Said: TypeAlias = str | int | Decimal | None
"""What a parameter can be; None is not sent, and money is never a float."""

_GOOD = frozenset({"accepted", "updated", "duplicate", "ignored", "spooled", ""})
_SERVER_ERROR = 500
_REDIRECT = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What the tracker said.

    `status` is `accepted`, `updated`, `duplicate`, `ignored`, `spooled`, `quarantined`
    or `failed`; "" where the advertiser's `reply` in the catalog takes its place, which
    then is the `text`.
    """

    http_status: int
    status: str = ""
    reason: str = ""
    conversion_id: str | None = None
    postback_id: str | None = None
    text: str = field(default="", repr=False)


class ReportError(Exception):
    """The tracker did not take the report."""


class RefusedError(ReportError):
    """It does not believe it: `answer` has the reason; trying again does not help."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.http_status}: {answer.reason or answer.text[:200]}")
        self.answer = answer


class UnreachableError(ReportError):
    """It could not be reached, or could not keep it: report it again later."""


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long a report may take, in seconds.

    The `timeout` is httpx's, for each step of a try: to connect, to send, to read a
    piece of the answer. Between tries are the `pauses`, give or take a fifth. No try
    begins later than `within` after the first, which must stay below the 300 s for
    which a signature lives.
    """

    timeout: float = 10.0
    pauses: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    within: float = 75.0

    def waits(self) -> Iterator[float]:
        """Between one try and the next, as long as there is time; it begins now."""
        return self._until(time.monotonic() + self.within)

    def _until(self, deadline: float) -> Iterator[float]:
        for pause in self.pauses:
            wait = pause * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
            if time.monotonic() + wait >= deadline:
                return
            yield wait


class _Account:
    """Where an advertiser reports, and how it proves who it is."""

    def __init__(
        self, base_url: str, advertiser: str, key: str | None, token: str | None
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ValueError("the base URL starts with http:// or https://")
        self._path = f"/postback/{advertiser}"
        self._url = base_url.rstrip("/") + self._path
        self._key = key
        self._token = token

    def request(self, said: Mapping[str, Said], nonce: str | None) -> httpx.Request:
        """A call that can be sent as often as needed."""
        body = json.dumps(_checked(said)).encode()
        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        if self._key:
            headers[HEADER] = self._signed(self._key, body, nonce)
        return httpx.Request("POST", self._url, content=body, headers=headers)

    def _signed(self, key: str, body: bytes, nonce: str | None) -> str:
        nonce = nonce or secrets.token_urlsafe(18)
        if not is_nonce(nonce):
            raise ValueError("a nonce has 8 to 100 of A-Z a-z 0-9 . _ ~ -")
        message = Message(str(int(time.time())), nonce, self._path, "", body)
        return signature_header(message, sign(key, message))


class Reporter:
    """
    Reports conversions, and waits for the answer.

    `key` signs each call (`hmac` in the catalog), `token` is sent with it. One may be
    used by many threads.
    """

    def __init__(  # noqa: PLR0913 - two ways to prove, and two to be tested
        self,
        base_url: str,
        advertiser: str,
        *,
        key: str | None = None,
        token: str | None = None,
        patience: Patience | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._account = _Account(base_url, advertiser, key, token)
        self._patience = patience or Patience()
        self._http = http or httpx.Client(timeout=self._patience.timeout)

    def report(self, *, nonce: str | None = None, **said: Said) -> Answer:
        """
        The tracker's answer to what is said, by the names that the catalog gives it.

        A `nonce` of one's own, such as `order-1842`, makes it the same report after a
        restart too. Raises RefusedError, and UnreachableError when all tries failed.
        """
        request = self._account.request(said, nonce)
        waits = self._patience.waits()
        while True:
            try:
                return _read(self._http.send(request))
            except (httpx.TransportError, UnreachableError) as error:
                wait = next(waits, None)
                if wait is None:
                    raise UnreachableError(f"no answer: {error}") from error
            time.sleep(wait)

    def close(self) -> None:
        """Its connections are closed."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncReporter:
    """Likewise, for programs that await."""

    def __init__(  # noqa: PLR0913 - two ways to prove, and two to be tested
        self,
        base_url: str,
        advertiser: str,
        *,
        key: str | None = None,
        token: str | None = None,
        patience: Patience | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._account = _Account(base_url, advertiser, key, token)
        self._patience = patience or Patience()
        self._http = http or httpx.AsyncClient(timeout=self._patience.timeout)

    async def report(self, *, nonce: str | None = None, **said: Said) -> Answer:
        """As `Reporter.report` does."""
        request = self._account.request(said, nonce)
        waits = self._patience.waits()
        while True:
            try:
                return _read(await self._http.send(request))
            except (httpx.TransportError, UnreachableError) as error:
                wait = next(waits, None)
                if wait is None:
                    raise UnreachableError(f"no answer: {error}") from error
            await asyncio.sleep(wait)

    async def close(self) -> None:
        """Its connections are closed."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _checked(said: Mapping[str, Said]) -> dict[str, str]:
    for name, value in said.items():
        if not isinstance(value, str | int | Decimal | None) or isinstance(value, bool):
            raise TypeError(f"{name} is text, a whole number or a Decimal")
    return {name: _text(value) for name, value in said.items() if value is not None}


def _text(value: str | int | Decimal) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _read(response: httpx.Response) -> Answer:
    """Raises RefusedError, and UnreachableError for what a later try may mend."""
    answer = _answer(response)
    status = response.status_code
    if status >= _SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
        raise UnreachableError(f"{status} {answer.reason}".strip())
    if status >= _REDIRECT or answer.status not in _GOOD:
        raise RefusedError(answer)
    return answer


def _answer(response: httpx.Response) -> Answer:
    said = _object(response)
    return Answer(
        http_status=response.status_code,
        status=str(said.get("status") or ""),
        reason=str(said.get("reason") or ""),
        conversion_id=said.get("conversion_id"),
        postback_id=said.get("postback_id"),
        text=response.text,
    )


def _object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        said = response.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
