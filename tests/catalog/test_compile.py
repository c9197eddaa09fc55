"""What a file says becomes domain values; what it stops saying is kept."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tracker.catalog import compile_catalog
from tracker.domain.advertiser import Auth
from tracker.domain.errors import CatalogError
from tracker.domain.money import Rate
from tracker.domain.offer import Status
from tracker.domain.partner import GoalTerms

NUMBERS = {
    ("partner", "best"): 1,
    ("partner", "other"): 2,
    ("offer", "shoes"): 7,
    ("offer", "boots"): 8,
}

FULL = """
    version: 1
    currency: USD
    timezone: Europe/Paris
    rates: {EUR: 1.08}
    fallback_url: https://example.org/?p={partner}
    advertisers:
      acme:
        name: Acme Shoes
        auth: {token: ["${ACME_TOKEN}"], allow_ips: 203.0.113.0/24}
        postback:
          params: {click_id: [CID, sub], amount: total}
          goals: {E1: lead, e2: sale}
          statuses: {approved: ["1", SALE], ignored: test}
          reply: {body: OK, always_200: true}
        reopen: true
    offers:
      shoes:
        advertiser: acme
        url: https://shop.acme.example/?cid={click_id}
        window: 12h
        currency: EUR
        goals:
          lead: {payout: 2.50, revenue: 4.00}
          sale:
            {payout: 8%, revenue: 12%, once_per: transaction, scope: click,
             status: pending, on_repeat: add, default: true}
        deeplinks: Shop.Acme.Example
        limits: {amount: 500, min_click_age: 5s}
    partners:
      best:
        name: Best Deals
        reveal: [revenue]
        offers: {shoes: {goals: {sale: {payout: 10%}}}}
        postbacks:
          - id: sales
            url: https://best.example/pb
            json: {cid: "{sub1}", earned: "{revenue}"}
            when: {goals: sale, statuses: [approved], changes: true}
            success: "^ok"
            secret: "${SIGNING}"
      other: {offers: all, paused: true}
"""


@pytest.fixture
def build(check, secrets):
    def build(text, previous=None, version=1, numbers=NUMBERS):
        return compile_catalog(
            check(text), secrets, version=version, numbers=numbers, previous=previous
        )

    return build


def test_an_advertiser_is_translated_at_the_edge(build):
    acme = build(FULL).advertiser("acme")

    assert acme.auth == Auth(("${ACME_TOKEN}",), ("203.0.113.0/24",))
    assert acme.names == {"click_id": ("cid", "sub"), "amount": ("total",)}
    assert acme.goals == {"e1": "lead", "e2": "sale"}
    assert acme.statuses == {"1": "approved", "sale": "approved", "test": "ignored"}
    assert (acme.reply.body, acme.reply.always_200, acme.reopen) == ("OK", True, True)


def test_an_offer_has_its_terms(build):
    shoes = build(FULL).offers["shoes"]

    assert (shoes.number, shoes.name, shoes.currency) == (7, "shoes", "EUR")
    assert (shoes.window, shoes.timezone) == (timedelta(hours=12), "Europe/Paris")
    assert shoes.goals["lead"].payout == Rate(Decimal("2.50"))
    assert shoes.goals["sale"].revenue == Rate(Decimal(12), is_percent=True)
    assert shoes.goals["sale"].status is Status.PENDING
    assert (shoes.default_goal, shoes.deeplinks) == ("sale", {"shop.acme.example"})
    assert shoes.limits.min_click_age == timedelta(seconds=5)


def test_a_partner_has_its_own_terms_and_postbacks(build):
    best = build(FULL).partners["best"]

    own = GoalTerms(payout=Rate(Decimal(10), is_percent=True))
    assert best.offers == {"shoes": {"sale": own}}
    assert (best.number, best.reveal, best.all_offers) == (1, {"revenue"}, False)
    assert best.postback("sales").method == "POST"
    assert best.postback("sales").when.statuses == {Status.APPROVED}


def test_a_partner_may_promote_everything(build):
    other = build(FULL).partners["other"]

    assert other.may_promote("shoes")
    assert other.is_paused


def test_the_only_goal_is_the_default(build, good):
    assert build(good).offers["shoes"].default_goal == "sale"


def test_only_secrets_that_are_named_are_kept(build, secrets):
    catalog = build(FULL)

    assert catalog.secrets == {k: secrets[k] for k in ("ACME_TOKEN", "SIGNING")}
    assert not any(value in repr(catalog) for value in catalog.secrets.values())


def test_what_is_removed_keeps_its_last_terms(build):
    before = build(FULL)

    after = build("version: 1\ncurrency: EUR", before, version=2)

    shoes, best = after.offers["shoes"], after.partners["best"]
    assert shoes.is_retired
    assert shoes.goals == before.offers["shoes"].goals
    assert (shoes.number, best.number) == (7, 1)
    assert best.is_retired
    assert after.advertiser("acme").is_retired
    assert after.secrets == before.secrets


def test_what_comes_back_has_its_number_and_its_new_terms(build, good):
    gone = build("version: 1\ncurrency: EUR", build(FULL), version=2)

    back = build(good, gone, version=3)

    shoes = back.offers["shoes"]
    assert (shoes.number, shoes.is_retired) == (7, False)
    assert shoes.goals["sale"].once_per == "click"
    assert back.partners["other"].is_retired


def test_a_retired_offer_keeps_the_rate_of_its_currency(build):
    text = "version: 1\ncurrency: GBP\nrates: {USD: 0.5}"
    before = build(FULL.replace("EUR: 1.08", "EUR: 1.08, GBP: 2"))

    after = build(text, before, version=2)

    assert after.rate("EUR", "GBP") == Decimal("0.54")


def test_a_retired_offer_keeps_the_words_of_its_goals(build):
    boots = FULL.replace("shoes", "boots").replace("goals: {E1: lead, e2: sale}", "")
    boots = boots.replace("lead: {payout: 2.50, revenue: 4.00}", "")

    after = build(boots, build(FULL), version=2)

    assert after.advertiser("acme").goals == {"e1": "lead", "e2": "sale"}
    assert not after.advertiser("acme").is_retired


def test_a_secret_that_went_with_its_entry_can_not_be_proven(build, check, secrets):
    before, after = build(FULL), check("version: 1\ncurrency: USD")
    token = secrets.pop("ACME_TOKEN")

    catalogs = [
        compile_catalog(after, secrets, version=2, numbers=NUMBERS, previous=before)
        for _ in range(2)
    ]

    proofs = {catalog.secrets["ACME_TOKEN"] for catalog in catalogs}
    assert len(proofs) == 2
    assert not proofs & {token, ""}


def test_an_entry_without_a_number_is_refused(build):
    with pytest.raises(CatalogError, match="the offer shoes has no number"):
        build(FULL, numbers={("partner", "best"): 1, ("partner", "other"): 2})
