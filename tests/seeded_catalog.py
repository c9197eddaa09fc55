"""The catalog of the seeded month: a small network of some years, two currencies."""

SECRETS = {
    "STRIDE_TOKEN": "stride-4f7c1a",
    "LUMEN_TOKEN": "lumen-91be02",
    "NORDBANK_TOKEN": "nordbank-5d33e8",
    "PIXELPLAY_TOKEN": "pixelplay-c0ffee",
}
"""What each advertiser proves itself by."""

CATALOG = """\
# Who promotes what, and who is told when it paid off.
version: 1
currency: USD
timezone: Europe/Paris
rates: {EUR: 1.10}

advertisers:
  stride:
    name: Stride Shoes
    auth: {token: "${STRIDE_TOKEN}"}
  lumen:
    name: Lumen Energy
    auth: {token: "${LUMEN_TOKEN}"}
  nordbank:
    name: Nordbank
    auth: {token: "${NORDBANK_TOKEN}"}
  pixelplay:
    name: Pixelplay Games
    auth: {token: "${PIXELPLAY_TOKEN}"}

offers:
  stride-shoes:
    advertiser: stride
    name: Stride Shoes, all countries
    url: https://shop.stride.example/?cid={click_id}&src={partner}&s={sub1}
    window: 30d
    goals:
      # Goods can be returned, so a sale is pending until the month is over.
      sale: {payout: 8%, revenue: 12%, once_per: transaction, status: pending}
      signup: {payout: 1.20, revenue: 2.00, default: true}
    deeplinks: [shop.stride.example]
  stride-running:
    advertiser: stride
    name: Stride Running Club
    url: https://club.stride.example/join?cid={click_id}
    goals: {signup: {payout: 3.50, revenue: 5.00}}
    caps: [{per: total, limit: 60, then: accept, clicks: redirect}]
  lumen-green:
    advertiser: lumen
    name: Lumen Green Tariff
    currency: EUR
    url: https://www.lumen.example/green?cid={click_id}
    goals:
      lead: {payout: 6.00, revenue: 9.50, default: true}
      contract: {payout: 45.00, revenue: 70.00, status: pending}
  nordbank-card:
    advertiser: nordbank
    name: Nordbank Credit Card
    currency: EUR
    url: https://cards.nordbank.example/apply?cid={click_id}
    goals: {approval: {payout: 32.00, revenue: 50.00, status: pending}}
  nordbank-savings:
    advertiser: nordbank
    name: Nordbank Savings
    currency: EUR
    url: https://savings.nordbank.example/?cid={click_id}
    goals: {deposit: {payout: 18.00, revenue: 28.00}}
  pixel-raiders:
    advertiser: pixelplay
    name: Pixel Raiders
    url: https://play.pixelplay.example/raiders?cid={click_id}
    goals:
      install: {payout: 1.10, revenue: 1.80, default: true}
      purchase: {payout: 30%, revenue: 50%, once_per: postback}
  pixel-farm:
    advertiser: pixelplay
    name: Pixel Farm
    url: https://play.pixelplay.example/farm?cid={click_id}
    goals: {install: {payout: 0.70, revenue: 1.20}}
  pixel-chess:
    advertiser: pixelplay
    name: Pixel Chess (ended)
    url: https://play.pixelplay.example/chess?cid={click_id}
    paused: true
    goals: {install: {payout: 0.90, revenue: 1.30}}

partners:
  bestdeals:
    name: Best Deals
    offers: all
    postbacks:
      - id: sales
        url: https://track.bestdeals.example/pb?cid={sub1}&goal={goal}&status={status}&payout={payout}
        when: {changes: true}
  couponking:
    name: Coupon King
    offers: all
    postbacks:
      - id: all
        url: https://api.couponking.example/v2/conversions?click={sub1}&sum={payout}&tx={transaction_id}
  reviewhub:
    name: Review Hub
    offers: [stride-shoes, stride-running, lumen-green, nordbank-card, nordbank-savings]
    postbacks:
      - id: approved
        url: https://hooks.reviewhub.example/tracker/{sub2}?c={sub1}&p={payout}
        when: {statuses: [approved]}
  playloop:
    name: Playloop
    offers: [pixel-raiders, pixel-farm, pixel-chess]
    postbacks:
      - id: installs
        url: https://pb.playloop.example/in?clickid={sub1}&event={goal}&payout={payout}
  mailroom:
    name: Mailroom
    offers: [lumen-green, nordbank-savings, stride-shoes]
    postbacks:
      - id: leads
        url: https://mailroom.example/hooks/lead?id={sub1}&s={status}
  studentlife:
    name: Student Life
    offers: [stride-shoes, stride-running, nordbank-savings]
  searchlane:
    name: Searchlane
    offers: all
    postbacks:
      - id: s2s
        url: https://s2s.searchlane.example/?gclid={sub3}&value={payout}
  quietcorner:
    name: Quiet Corner
    offers: [stride-shoes]
"""
