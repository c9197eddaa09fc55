"""The cast of the story: an advertiser's server, a partner's, and their catalog."""

from urllib.parse import parse_qsl, urlsplit

TOKEN = "s3cret-token"

CATALOG = """\
version: 1
currency: USD
timezone: UTC
rates: {EUR: 1.10}
advertisers:
  acme:
    name: Acme
    auth: {token: "${ACME_TOKEN}"}
  globex:
    name: Globex
    auth: {token: "${GLOBEX_TOKEN}", allow_ips: [127.0.0.0/8]}
    postback:
      params:
        click_id: [cid]
        transaction_id: [order]
        amount: [total]
        goal: [event]
        status: [st]
        token: [secret]
      goals: {e1: lead, e2: sale}
      statuses: {approved: ["1"], pending: ["2"], rejected: ["3"], ignored: [test]}
      reply: {body: "OK"}
  initech:
    name: Initech
    auth: {hmac: ["${INITECH_KEY}", "${INITECH_NEXT_KEY}"]}
  umbrella:
    name: Umbrella
    auth:
      token: "${ACME_TOKEN}"
      signature: {param: check, hash: md5, text: "{cid}{total}${UMBRELLA_SALT}"}
    postback: {params: {click_id: [cid], amount: [total]}}
  hooli:
    name: Hooli
    auth: {token: "${ACME_TOKEN}"}
    postback:
      params:
        token: ["path:1"]
        status: ["path:2"]
        click_id: ["header:X-Click-Id", ref]
        payout: [commission]
      extract: {click_id: "^ref-([0-9a-z]{32})"}
      statuses: {approved: [sold], refunded: [returned]}
      amounts: {decimal: comma}
      items: {list: parts}
      reply:
        body: '{"ok": true, "id": "{conversion_id}"}'
        failure: '{"ok": false, "why": "{reason}"}'
        content_type: application/json
        always_200: true
offers:
  search:
    advertiser: hooli
    name: Search
    url: https://hooli.example/?cid={click_id}
    goals: {sale: {payout: sent, revenue: 20%}}
  shoes:
    advertiser: acme
    name: Shoes
    url: https://shop.acme.example/landing?cid={click_id}&source={partner}&s={sub1}
    window: 30d
    goals:
      lead: {payout: 2.50, revenue: 4.00, default: true}
      sale: {payout: 8%, revenue: 12%, once_per: transaction}
      upsell: {payout: 10%, revenue: 20%, on_repeat: add}
      install: {payout: 1, revenue: 2, status: pending, on_repeat: update}
      trial: {payout: 1, revenue: 2, once_per: transaction, scope: click}
      refill: {payout: 5%, revenue: 10%, once_per: postback}
    deeplinks: [shop.acme.example]
    limits: {amount: 5000}
  closed:
    advertiser: acme
    name: Closed
    url: https://shop.acme.example/closed?cid={click_id}
    paused: true
    goals: {lead: {payout: 1, revenue: 2}}
  moved:
    advertiser: acme
    name: Moved
    url: https://shop.acme.example/moved?cid={click_id}
    paused: true
    fallback_url: https://elsewhere.example/?from={partner}
    goals: {lead: {payout: 1, revenue: 2}}
  game:
    advertiser: globex
    name: Game
    url: https://game.globex.example/?cid={click_id}
    window: 1h
    goals:
      lead: {payout: 1, revenue: 2}
      sale: {payout: 50%, revenue: 80%, once_per: transaction, status: pending}
  tools:
    advertiser: initech
    name: Tools
    url: https://tools.initech.example/?cid={click_id}
    goals:
      lead: {payout: 1, revenue: 2, default: true}
      refill: {payout: 1, revenue: 2, once_per: postback}
  masks:
    advertiser: umbrella
    name: Masks
    url: https://umbrella.example/?cid={click_id}
    goals: {sale: {payout: 10%, revenue: 20%}}
partners:
  bestdeals:
    name: Best Deals
    offers: all
    postbacks:
      - id: all
        url: >-
          ${INBOX}/pb?cid={sub1}&goal={goal}&status={status}&payout={payout}&tx={transaction_id}
        when: {changes: true}
  quiet:
    name: Quiet
    offers: [shoes]
"""


class Advertiser:
    """An advertiser's server: it knows its click ids, and what to call."""

    def __init__(self, client):
        self._client = client

    async def report(self, click_id=None, *, route="", token=TOKEN, **said):
        """Fires a postback; what is None is not said."""
        said = {"click_id": click_id, "token": token, **said}
        query = {name: value for name, value in said.items() if value is not None}
        return await self._client.get(f"/postback{route}", params=query)


async def get_raw(app, path, query_string):
    """A request that no client library would send; status, headers and body."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query_string,
        "headers": [],
        "client": ("127.0.0.1", 40000),
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


class Partner:
    """A partner's server, and what it was told."""

    def __init__(self, inbox):
        self.inbox = inbox

    @property
    def told(self):
        """What each call said, in order."""
        return [dict(parse_qsl(urlsplit(hit.target).query)) for hit in self.inbox.hits]
