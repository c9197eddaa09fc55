"""The catalog of a small tracker, with a secret that stands in it as it is."""

TOKEN = "the-token-of-acme"
LITERAL = "a-literal-secret-of-globex"

CATALOG = """\
# The catalog of a small tracker; this comment stays.
version: 1
currency: USD
advertisers:
  acme:
    name: Acme
    auth: {token: "${ACME_TOKEN}"}
  globex:
    auth: {token: a-literal-secret-of-globex}   # not how it should be
offers:
  shoes:
    advertiser: acme
    name: Shoes
    url: https://shop.acme.example/?cid={click_id}&s={sub1}
    goals:
      lead: {payout: 2.50, revenue: 4.00, default: true}
      sale: {payout: 8%, revenue: 12%, once_per: transaction}
    deeplinks: [shop.acme.example]
  hats:
    advertiser: globex
    url: https://globex.example/hats?cid={click_id}&api_key=a-literal-secret-of-hats
    paused: true
    goals: {lead: {payout: 1, revenue: 2}}
  abroad:
    advertiser: acme
    url: https://shop.acme.example/abroad?cid={click_id}
    targeting:
      - countries: [FR]
        url: https://fr.acme.example/?cid={click_id}
    fallback_url: https://elsewhere.example/
    goals: {lead: {payout: 1, revenue: 2}}
partners:
  bestdeals:
    name: Best Deals
    offers: all
    postbacks:
      - id: all
        url: "${INBOX}/pb?cid={sub1}&status={status}&payout={payout}"
        headers: {X-Api-Key: "${INBOX_KEY}"}
        when: {changes: true}
  quiet:
    offers: [shoes]
    postbacks:
      - id: own
        url: "https://quiet.example/pb?token=a-literal-secret-of-quiet&c={click_id}"
"""
