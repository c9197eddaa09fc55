"""Every reason of a postback and of a click, brought about as it is in the world."""

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cast import TOKEN, Advertiser

from tracker.catalog import check_text, draft_catalog, seal_draft
from tracker.domain.click import ClickReason
from tracker.domain.click_id import ClickClass, ClickIdMint, SigningKeys
from tracker.domain.outcome import REASONS, Reason
from tracker.domain.signature import Message, sign, signature_header
from tracker.flow.cap import CapWatch
from tracker.flow.clicklog import fold_clicks
from tracker.flow.erasure import erase_click
from tracker.flow.maintenance import make_partitions
from tracker.runtime import open_runtime
from tracker.settings import Settings
from tracker.store.catalogs import Edit
from tracker.web.app import TrackerApp

SECRETS = {"ACME_TOKEN": TOKEN, "OTHER_TOKEN": "other-t0ken", "INITECH_KEY": "k" * 20}

CATALOG = """\
version: 1
currency: USD
fallback_url: https://elsewhere.example/?cid={click_id}
advertisers:
  acme: {auth: {token: "${ACME_TOKEN}"}}
  globex: {auth: {token: "${OTHER_TOKEN}"}}
  far-away: {auth: {token: "${ACME_TOKEN}", allow_ips: [203.0.113.0/24]}}
  initech: {auth: {hmac: ["${INITECH_KEY}"]}}
offers:
  shoes:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals:
      lead: {payout: 2, revenue: 4, default: true}
      sale: {payout: 8%, revenue: 12%, once_per: transaction}
    deeplinks: [shop.acme.example]
    limits: {amount: 5000}
  without-default:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}, sale: {payout: 2, revenue: 4}}
  not-before-an-hour:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
    limits: {min_click_age: 1h}
  reviewed:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4, review: true}}
  without-room:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
    caps: [{of: payout, per: total, limit: 1}]
  without-room-yet:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
    caps: [{of: payout, per: total, limit: 1, then: pending}]
  room-for-one:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
    caps: [{per: total, limit: 1}]
  far:
    advertiser: far-away
    url: https://far.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
  signed:
    advertiser: initech
    url: https://initech.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
  paused:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
    paused: true
  not-yet:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
    starts: 2999-01-01
  over:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
    ends: 2020-01-01
  for-people:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
    targeting: [{devices: bot, to: fallback}]
partners:
  bestdeals: {offers: all}
  resting: {offers: [shoes], paused: true}
"""


@pytest.fixture(scope="module")
def settings(stores, template_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reasons")
    (folder / "partners.yaml").write_text(CATALOG)
    with (
        stores.database(f"reasons_{folder.name}", template_database) as url,
        pytest.MonkeyPatch.context() as patched,
    ):
        for name, value in SECRETS.items():
            patched.setenv(name, value)
        yield Settings(
            database_url=url,
            redis_url=stores.redis_url,
            data_dir=folder,
            catalog=folder / "partners.yaml",
            secret_keys=f"0:{'00' * 16}",
            redis_timeout="2s",
        )


@pytest.fixture(scope="module")
async def app(settings):
    """The web process, in which this catalog has been in force for an hour."""
    draft = draft_catalog(check_text(CATALOG, "partners.yaml", SECRETS))
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    edit = Edit(CATALOG, draft.content_hash, an_hour_ago, 0, draft.keys, draft.caps)
    async with open_runtime(settings) as runtime:
        await runtime.redis.flushall()
        await runtime.catalogs.insert(edit, partial(_sealed, draft))
        await make_partitions(runtime)
    app = TrackerApp(settings)
    async with app.pages.router.lifespan_context(app.pages):
        yield app


def _sealed(draft, version, numbers):
    return seal_draft(draft, version=version, numbers=numbers)


class World:
    """A tracker, and all who call it: visitors, and the advertisers' servers."""

    def __init__(self, runtime, client):
        self.runtime = runtime
        self.client = client
        self.report = Advertiser(client).report

    async def visit(self, offer="shoes", *, partner="bestdeals", **query):
        """Follows a link; the id of the click, wherever its visitor went."""
        answer = await self.client.get(f"/c/{partner}/{offer}", params=query)
        return parse_qs(urlsplit(answer.headers["location"]).query)["cid"][0]

    async def tell(self, click_id, nonce, *, late=0, **said):
        """A call of the advertiser that signs."""
        query = str(httpx.QueryParams({"click_id": click_id, **said}))
        message = Message(str(int(time.time()) - late), nonce, "/postback", query, b"")
        header = signature_header(message, sign(SECRETS["INITECH_KEY"], message))
        return await self.client.get(
            f"/postback?{query}", headers={"tracker-signature": header}
        )

    def mint(self, key=None, age=timedelta()):
        """The id of a visit to the shoes so long ago, signed by whom it may be."""
        catalog = self.runtime.catalog
        mint = ClickIdMint(SigningKeys(0, {0: key})) if key else self.runtime.mint
        return mint.mint(
            now=datetime.now(UTC) - age,
            shard=0,
            click_class=ClickClass.VISIT,
            partner_number=catalog.partners["bestdeals"].number,
            offer_number=catalog.offers["shoes"].number,
        )

    async def ask(self, query, *parameters):
        async with self.runtime.pool.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall()


@pytest.fixture(scope="module")
async def world(app):
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 40000))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://tracker.test"
    ) as client:
        yield World(app.runtime, client)


# ------------------------------------------------------------------------- postbacks

_orders = count(1)


def says(*postbacks, of="shoes"):
    """What its advertiser says of one click of an offer, one after the other."""

    async def provoke(world):
        click_id = await world.visit(of)
        for said in postbacks:
            answer = await world.report(**{"click_id": click_id, **said})
        return answer

    return provoke


def sale(**changed):
    """An order in which only this is wrong."""

    async def provoke(world):
        order = {"goal": "sale", "transaction_id": f"o-{next(_orders)}", "amount": "10"}
        return await says({**order, **changed})(world)

    return provoke


async def a_forged_click(world):
    return await world.report(world.mint(key=b"guessed"))


async def an_old_click(world):
    return await world.report(world.mint(age=timedelta(days=31)))


async def a_sale_of_two_clicks(world):
    for _ in range(2):
        answer = await sale(transaction_id="of-two-clicks")(world)
    return answer


async def a_call_signed_an_hour_ago(world):
    return await world.tell(await world.visit("signed"), "of-old-news", late=3600)


async def a_nonce_for_two_calls(world):
    click_id = await world.visit("signed")
    await world.tell(click_id, "of-two-calls", status="pending")
    return await world.tell(click_id, "of-two-calls", status="approved")


POSTBACKS = {
    Reason.NONE: says({}),
    Reason.REPEATED: says({}, {}),
    Reason.STALE_STATUS: says({"status": "rejected"}, {"status": "pending"}),
    Reason.OTHER_TRANSACTION: says({"transaction_id": "1"}, {"transaction_id": "2"}),
    Reason.IN_REVIEW: says({}, {"status": "approved"}, of="reviewed"),
    Reason.HELD_BY_CAP: says({}, {"status": "approved"}, of="without-room-yet"),
    Reason.MISSING_TOKEN: says({"token": None}),
    Reason.BAD_TOKEN: says({"token": "guessed"}),
    Reason.BAD_SIGNATURE: says({}, of="signed"),
    Reason.STALE_SIGNATURE: a_call_signed_an_hour_ago,
    Reason.IP_NOT_ALLOWED: says({}, of="far"),
    Reason.WRONG_ADVERTISER: says({"route": "/globex", "token": "other-t0ken"}),
    Reason.UNKNOWN_ADVERTISER: says({"route": "/nobody"}),
    Reason.UNKNOWN_CLICK: says({"click_id": "nonsense"}),
    Reason.FORGED_CLICK: a_forged_click,
    Reason.UNKNOWN_CONVERSION: says({"status": "refunded"}),
    Reason.REPLAYED: a_nonce_for_two_calls,
    Reason.TRANSACTION_CONFLICT: a_sale_of_two_clicks,
    Reason.OUTSIDE_WINDOW: an_old_click,
    Reason.TOO_LARGE: says({"junk": "x" * 33_000}),
    Reason.MISSING_CLICK_ID: says({"click_id": None}),
    Reason.MISSING_TRANSACTION_ID: sale(transaction_id=None),
    Reason.MISSING_GOAL: says({}, of="without-default"),
    Reason.MISSING_AMOUNT: sale(amount=None),
    Reason.UNFILLED_MACRO: says({"click_id": "{click_id}"}),
    Reason.BAD_AMOUNT: sale(amount="ten"),
    Reason.BAD_TRANSACTION_ID: sale(transaction_id="x" * 256),
    Reason.UNKNOWN_GOAL: says({"goal": "nothing"}),
    Reason.UNKNOWN_STATUS: says({"status": "perhaps"}),
    Reason.UNKNOWN_CURRENCY: sale(currency="SEK"),
    Reason.OFFER_MISMATCH: says({"offer": "reviewed"}),
    Reason.REFUSED_CLICK: says({}, of="paused"),
    Reason.TOO_EARLY: says({}, of="not-before-an-hour"),
    Reason.OVER_LIMIT: sale(amount="5000.01"),
    Reason.CAPPED: says({}, of="without-room"),
}
"""For each reason what is done, or said, that is answered with it."""


def test_every_reason_of_a_postback_is_brought_about():
    assert set(POSTBACKS) == set(Reason)


@pytest.mark.parametrize("reason", POSTBACKS, ids=lambda reason: reason or "none")
async def test_a_postback_is_answered_and_kept_with_its_reason(world, reason):
    answer = await POSTBACKS[reason](world)

    assert answer.status_code == REASONS[reason][0]
    told = answer.json()
    assert told["reason"] == reason
    (kept,) = await world.ask(
        "select outcome, reason, conversion_id from postbacks where id = %s",
        told["postback_id"],
    )
    assert kept == (told["status"], told["reason"], told["conversion_id"])
    assert (told["status"] == "quarantined") is (told["conversion_id"] is None)


# ---------------------------------------------------------------------------- clicks


def visits(offer="shoes", **query):
    """Somebody follows a link."""

    async def provoke(world):
        return await world.visit(offer, **query)

    return provoke


async def one_after_the_last_there_is_room_for(world):
    await says({}, of="room-for-one")(world)
    await CapWatch(world.runtime).look()
    return await world.visit("room-for-one")


async def one_that_is_erased(world):
    click_id = await world.visit(sub1="jane@example.org")
    await erase_click(world.runtime, click_id, "ann")
    return click_id


CLICKS = {
    ClickReason.NONE: visits(),
    ClickReason.OFFER_PAUSED: visits("paused"),
    ClickReason.PARTNER_PAUSED: visits(partner="resting"),
    ClickReason.CAPPED: one_after_the_last_there_is_room_for,
    ClickReason.OFFER_NOT_STARTED: visits("not-yet"),
    ClickReason.OFFER_ENDED: visits("over"),
    ClickReason.NOT_TARGETED: visits("for-people"),
    ClickReason.BAD_DEEPLINK: visits(deeplink="javascript:alert(1)"),
    ClickReason.DEEPLINK_NOT_LISTED: visits(deeplink="https://evil.example/"),
    ClickReason.BAD_DEEPLINK_SIGNATURE: visits(
        deeplink="https://evil.example/", deeplink_signature="guessed"
    ),
    ClickReason.ERASED: one_that_is_erased,
}
"""For each reason what is done for a click to be kept with it."""


def test_every_reason_of_a_click_is_brought_about():
    assert set(CLICKS) == set(ClickReason)


@pytest.mark.parametrize("reason", CLICKS, ids=lambda reason: reason or "none")
async def test_a_click_is_kept_with_its_reason(world, reason):
    click_id = await CLICKS[reason](world)
    await fold_clicks(world.runtime, 0)

    (kept,) = await world.ask("select reason from clicks where id = %s", click_id)
    assert kept == (reason or None,)
