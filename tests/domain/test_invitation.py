"""What an advertiser is asked to call, in its own words."""

import pytest

from tracker.catalog import check_text, compile_catalog
from tracker.domain.invitation import invite

SECRETS = {"ACME_TOKEN": "a token/of acme", "ACME_KEY": "k" * 20}

CATALOG = """\
version: 1
currency: USD
advertisers:
  acme:
    auth: {token: ["${ACME_TOKEN}", older-token], allow_ips: 203.0.113.0/24}
    postback:
      params: {click_id: [cid, click], transaction_id: order, token: secret}
      goals: {e1: lead}
      statuses: {approved: ["1"], rejected: ["3", trash]}
      reply: {body: OK}
  globex:
    auth: {hmac: "${ACME_KEY}", signature: {text: "{click_id}${ACME_KEY}", param: sg}}
offers:
  shoes:
    advertiser: acme
    url: https://shop.acme.example/?c={click_id}
    goals:
      lead: {payout: 2, revenue: 4}
      sale: {payout: 3, revenue: 5, once_per: transaction}
  hats:
    advertiser: globex
    url: https://globex.example/?c={click_id}
    goals: {lead: {payout: 2, revenue: 4}}
partners:
  best:
    offers: {hats: {goals: {lead: {payout: 8%}}}}
"""


@pytest.fixture(scope="module")
def invited():
    numbers = {("offer", "shoes"): 1, ("offer", "hats"): 2, ("partner", "best"): 1}
    checked = check_text(CATALOG, "partners.yaml", SECRETS)
    catalog = compile_catalog(checked, SECRETS, version=1, numbers=numbers)

    def invited(advertiser, *, shows_token=False):
        wanted = catalog.advertiser(advertiser)
        return invite(
            wanted, catalog, "https://track.example/", shows_token=shows_token
        )

    return invited


def test_the_url_is_in_the_advertiser_s_own_words(invited):
    assert invited("acme").url == (
        "https://track.example/postback/acme?cid={your click id macro}"
        "&order={your transaction id macro}&goal={your goal macro}"
        "&status={your status macro}&secret=${ACME_TOKEN}"
    )


def test_what_cannot_be_left_out_has_a_reason(invited):
    because = {one.name: one.because for one in invited("acme").parameters}

    assert because == {
        "cid": "it says which visitor it was",
        "order": "sale of shoes counts once for each",
        "goal": "shoes has several, and no default",
        "status": "",
        "secret": "nothing counts without it",
    }


def test_a_share_of_one_partner_s_terms_asks_for_the_amount(invited):
    amount = next(p for p in invited("globex").parameters if p.meaning == "amount")

    assert amount.because == "lead of hats is a share of it"


def test_words_are_the_advertiser_s_or_ours(invited):
    found = invited("acme")

    assert found.goals == {"lead": ["e1"], "sale": ["sale"]}
    assert found.statuses == {
        "pending": ["pending"],
        "approved": ["1"],
        "rejected": ["3", "trash"],
    }
    assert (found.reply, found.addresses) == ("OK", ("203.0.113.0/24",))


def test_other_names_of_a_parameter_are_told(invited):
    assert invited("acme").parameters[0].others == ("click",)


def test_a_token_stands_in_it_on_request_only(invited):
    shown = invited("acme", shows_token=True)

    assert shown.url.endswith("&secret=a%20token%2Fof%20acme")
    assert "a token" not in str(invited("acme"))


def test_how_to_sign_is_told_without_the_key(invited):
    proofs = invited("globex").proofs

    assert [one.split(":")[0] for one in proofs] == [
        "each call is signed",
        "each call has sg=SHA256 of {click_id}${ACME_KEY}, in hex",
    ]


DIALECT = """\
version: 1
currency: USD
advertisers:
  acme:
    auth: {none: true}
    postback:
      params:
        click_id: ["path:2", cid]
        transaction_id: "path:order"
        status: "header:X-Status"
        currency: cur
        goal: []
      defaults: {currency: EUR}
      present: {cb: {status: rejected}}
      amounts: {minor: true}
      items: {amount: "AMT#", quantity: "QTY#"}
rates: {EUR: 1.1}
offers:
  shoes:
    advertiser: acme
    url: https://shop.acme.example/?c={click_id}
    goals: {sale: {payout: sent, revenue: 12%}}
partners:
  best: {offers: all}
"""


def test_whatever_its_dialect_is_the_url_speaks_it():
    """Segments of the path in their place, and headers not in the URL."""
    checked = check_text(DIALECT, "partners.yaml", {})
    numbers = {("offer", "shoes"): 1, ("partner", "best"): 1}
    catalog = compile_catalog(checked, {}, version=1, numbers=numbers)

    found = invite(catalog.advertiser("acme"), catalog, "https://t", shows_token=False)

    assert found.url == (
        "https://t/postback/acme/-/{your click id macro}"
        "/order:{your transaction id macro}?amt1={your amount macro}"
        "&cur={your currency macro}&payout={your payout macro}"
    )
    assert "header:x-status" in [one.name for one in found.parameters]
    assert found.spellings == [
        "amounts are in cents: 1250 is 12.50",
        "the amount is the sum of the items in amt#, qty#",
        "where no currency is sent, eur counts",
        "where cb is sent, it means status rejected",
    ]


def test_what_depends_on_the_event_is_asked_for_each():
    varied = CATALOG.replace(
        "      reply: {body: OK}",
        "      variants: [{when: {type: [back, gone], 'path:1': '*'},"
        " params: {transaction_id: refund}, statuses: {refunded: ['*']}}]",
    )
    numbers = {("partner", "best"): 1, ("offer", "shoes"): 1, ("offer", "hats"): 2}
    checked = check_text(varied, "partners.yaml", SECRETS)
    catalog = compile_catalog(checked, SECRETS, version=1, numbers=numbers)
    acme = catalog.advertiser("acme")
    found = invite(acme, catalog, "https://t.example", shows_token=False)
    ((told_by, other),) = found.variants.items()

    assert told_by == "type is back or gone and path:1 is there"
    assert other.url.startswith("https://t.example/postback/acme/1?cid=")
    assert "&refund={your transaction id macro}&" in other.url
    assert other.url.endswith("&type=back")
    assert other.statuses["refunded"] == ["any other word"]
    assert "refund" not in found.url
