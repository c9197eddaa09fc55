"""
What forgers and repeaters meet: web processes on real stores, and five advertisers.

Each of them proves itself in another way: by a token, by a signature of our kind, by
one of its own making, by one over its URL, and by a token at an address.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
from stores import Stores, started_stores, temporary_folder

from tracker.settings import Settings, to_environ, variable
from tracker.store.migrations import migrate

TOKEN = "s3cret-Token-of-acme"
KEY = "the-key-that-initech-signs-with"
SALT = "a-pinch-of-salt-for-umbrella"
SECRETS = {"TOKEN": TOKEN, "KEY": KEY, "SALT": SALT, "FAR": "the-token-of-far-away"}

ORIGIN = "https://track.example"
"""What the URLs that are signed begin with, wherever the tracker is reached."""

OWNERS = {
    "shoes": "acme",
    "tools": "initech",
    "masks": "umbrella",
    "maps": "globex",
    "trips": "far-away",
}
"""Every offer, and whose it is."""

_OFFER = """\
  {offer}:
    advertiser: {owner}
    url: https://shop.example/?cid={{click_id}}
    goals:
      lead: {{payout: 1, revenue: 2, default: true}}
      sale: {{payout: 1, revenue: 2, once_per: transaction}}
      refill: {{payout: 1, revenue: 2, once_per: postback}}
"""

_OFFERS = "".join(_OFFER.format(offer=one, owner=OWNERS[one]) for one in OWNERS)

CATALOG = f"""\
version: 1
currency: USD
advertisers:
  acme: {{auth: {{token: "${{TOKEN}}"}}}}
  initech: {{auth: {{hmac: "${{KEY}}"}}}}
  umbrella:
    auth:
      signature: {{param: sig, hash: md5, text: "{{click_id}}{{amount}}${{SALT}}"}}
  globex: {{auth: {{signature: {{param: sig, text: "{{url}}", key: "${{SALT}}"}}}}}}
  far-away: {{auth: {{token: "${{FAR}}", allow_ips: [192.0.2.0/24]}}}}
offers:
{_OFFERS}
partners:
  best:
    offers: all
    postbacks: [{{id: all, url: "https://partner.example/?cid={{click_id}}"}}]
"""

_START_SECONDS = 60


@dataclass(frozen=True)
class Defended:
    settings: Settings
    database_url: str
    urls: tuple[str, ...]

    async def visit(self, client, offer="shoes"):
        """The id that a visitor arrives with."""
        link = f"{self.urls[0]}/c/best/{offer}"
        async with client.get(link, allow_redirects=False) as answer:
            return parse_qs(urlsplit(answer.headers["location"]).query)["cid"][0]

    def ask(self, query):
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query).fetchone()[0]


@contextmanager
def defended(*, webs) -> Iterator[Defended]:
    """So many web processes, ready; everything is ended with the block."""
    with ExitStack() as stack:
        stores = stack.enter_context(started_stores())
        folder = stack.enter_context(temporary_folder())
        url = stack.enter_context(stores.database("torture"))
        asyncio.run(migrate(url))
        settings = _settings(stores, folder, url)
        ports = [_free_port() for _ in range(webs)]
        for port in ports:
            stack.enter_context(_web(settings, folder, port))
        urls = tuple(f"http://127.0.0.1:{port}" for port in ports)
        for one in urls:
            _wait_until_ready(one)
        yield Defended(settings, url, urls)


def _settings(stores: Stores, folder: Path, database_url: str) -> Settings:
    (folder / "partners.yaml").write_text(CATALOG)
    secrets = "\n".join(f"{name}={value}" for name, value in SECRETS.items())
    (folder / "secrets").write_text(secrets)
    return Settings(
        database_url=database_url,
        redis_url=stores.redis_url,
        base_url=ORIGIN,
        data_dir=folder,
        catalog=folder / "partners.yaml",
        secrets_file=folder / "secrets",
        secret_keys=f"0:{'5a' * 32}",
        redis_timeout="2s",
    )


@contextmanager
def _web(settings: Settings, folder: Path, port: int) -> Iterator[None]:
    environ = {**to_environ(settings), variable("port"): str(port)}
    command = [sys.executable, "-m", "tracker", "serve"]
    with (folder / f"web-{port}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environ}, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def _wait_until_ready(url):
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise SystemExit(f"{url} is not ready")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
