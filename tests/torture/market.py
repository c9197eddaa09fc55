"""Who takes part in an attack: an advertiser, its offer, and partners."""

TOKEN = "token-of-the-torture"
KEYS = f"0:{'5a' * 32}"

PARTNERS = tuple(f"partner-{number}" for number in range(8))
"""Every other one asks for details of the click, which its id does not tell."""

OFFER = "shoes"
PAYOUT_PERCENT = 8


def catalog_text(sink_port):
    url = "cid={click_id}&source={partner}&s={sub1}"
    partners = "".join(_partner(number, sink_port) for number in range(len(PARTNERS)))
    return f"""\
version: 1
currency: USD
advertisers:
  acme:
    auth: {{token: "${{ACME_TOKEN}}"}}
offers:
  {OFFER}:
    advertiser: acme
    url: https://shop.example/landing?{url}
    window: 30d
    goals:
      sale: {{payout: {PAYOUT_PERCENT}%, revenue: 12%, once_per: transaction}}
partners:
{partners}"""


def _partner(number, sink_port):
    url = f"http://127.0.0.1:{sink_port}/pb?tx={{transaction_id}}&payout={{payout}}"
    detail = "&sub={sub1}" if number % 2 else ""
    return f"""\
  {PARTNERS[number]}:
    offers: [{OFFER}]
    postbacks:
      - id: sales
        url: {url}&cid={{click_id}}{detail}
"""
