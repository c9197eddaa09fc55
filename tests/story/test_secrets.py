"""Our secrets are told to those they are for, and stand nowhere else."""

import json
import re
from dataclasses import replace
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from cast import TOKEN

from tracker import logs
from tracker.flow.catalog import open_catalog
from tracker.flow.clicklog import fold_clicks
from tracker.flow.trace import trace

NASTY = 's3cret/"<&>+ token'
"""Its spellings in URLs, JSON and HTML all differ."""


@pytest.fixture
def stored(runtime, rows):
    """All that Postgres and Redis hold, as one text."""

    async def stored():
        tables = ("clicks", "postbacks", "deliveries", "delivery_archive")
        found = [await rows(f"select * from {table}") for table in tables]
        found.append(await rows("select * from delivery_attempts"))
        keys = await runtime.redis.keys("click*")
        kinds = {key: await runtime.redis.type(key) for key in keys}
        for key, kind in kinds.items():
            if kind == b"string":
                found.append([await runtime.redis.get(key)])
            elif kind == b"stream":
                found.append(await runtime.redis.xrange(key))
        return repr(found)

    return stored


@pytest.fixture
def in_force(runtime):
    """Puts one offer's URL, or one partner's postback, into the catalog."""

    def in_force(*, url=None, secrets=None, **postback):
        catalog = runtime.catalog
        offers, partners = dict(catalog.offers), dict(catalog.partners)
        if url:
            offers["shoes"] = replace(offers["shoes"], url=url)
        if postback:
            (one,) = partners["bestdeals"].postbacks
            changed = replace(one, **postback)
            partners["bestdeals"] = replace(partners["bestdeals"], postbacks=(changed,))
        runtime.catalog = replace(
            catalog,
            offers=offers,
            partners=partners,
            secrets={**catalog.secrets, **(secrets or {})},
        )

    return in_force


async def test_a_secret_of_an_offers_url_goes_to_the_visitor_alone(
    runtime, client, in_force, stored
):
    in_force(url="https://shop.acme.example/?cid={click_id}&k=${ACME_TOKEN}")

    answer = await client.get("/c/bestdeals/shoes")
    before = await stored()
    await fold_clicks(runtime, 0)

    assert f"&k={TOKEN}" in answer.headers["location"]
    assert TOKEN not in before + await stored()


@pytest.mark.parametrize(
    "answered",
    [
        "no such key: {}",
        '{{"token": "{}", "status": "unknown"}}',
        "x" * 1018 + "{}",
        "Authorization: Bearer {}",
    ],
)
async def test_a_partner_that_says_our_secret_back_does_not_store_it(
    runtime, visit, advertiser, partner, run_worker_once, stored, answered
):
    partner.inbox.answers.append(web.Response(status=500, text=answered.format(TOKEN)))

    await advertiser.report(await visit())
    await run_worker_once()

    kept = await stored()
    assert "bad_status" in kept
    assert TOKEN[:6] not in kept


def test_a_secret_is_known_however_it_is_encoded(monkeypatch):
    monkeypatch.setattr(logs, "_hidden", {})
    logs.hide([NASTY])
    spellings = [
        NASTY, quote(NASTY), quote(NASTY, safe=""), quote_plus(NASTY),
        re.sub("%..", lambda found: found[0].lower(), quote(NASTY, safe="")),
        json.dumps(NASTY), json.dumps(NASTY).replace("/", "\\/"), escape(NASTY),
    ]  # fmt: skip

    said = [logs.mask(f"it was {one} indeed") for one in spellings]

    assert [one for one in said if "s3cret" in one] == []


async def test_the_secret_that_signs_calls_is_not_said_back_either(
    runtime, visit, advertiser, partner, run_worker_once, stored, catalog_file
):
    """It stands in the file as it is, so no ${NAME} names it."""
    secret = "whsec_c2VjcmV0LW9mLWEtcGFydG5lcg=="
    catalog = catalog_file.read_text().replace(
        "when: {changes: true}", f"when: {{changes: true}}\n        secret: {secret}"
    )
    catalog_file.write_text(catalog)
    await open_catalog(runtime)
    partner.inbox.answers.append(web.Response(status=500, text=f"bad {secret}"))

    await advertiser.report(await visit())
    await run_worker_once()

    assert "webhook-signature" in partner.inbox.hits[0].headers
    assert secret not in await stored()


async def test_secrets_of_a_referrer_or_a_link_are_not_kept(
    runtime, client, stored, visit
):
    await client.get(
        "/c/bestdeals/shoes?api_key=hunter2&token=hunter2&sub1=label&color=red",
        headers={"referer": "https://u:hunter2@blog.example/?sessionid=1&sig=hunter2"},
    )
    before = await stored()
    await fold_clicks(runtime, 0)

    kept = before + await stored()
    assert "hunter2" not in kept
    assert [one for one in ("label", "red", "blog.example") if one not in kept] == []


async def test_a_trace_tells_no_secret(
    runtime, visit, advertiser, partner, run_worker_once
):
    partner.inbox.answers.append(web.Response(text=f"thanks for {TOKEN}"))
    click_id = await visit(token="hunter2")
    await advertiser.report(click_id)
    await run_worker_once()

    told = repr(await trace(runtime, click_id))

    assert "thanks for ***" in told
    assert [one for one in (TOKEN, "hunter2") if one in told] == []
