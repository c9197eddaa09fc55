"""The click that everything is measured with: published, and as real ones are."""

PARTNER = "bestdeals"
OFFER = "shoes"
QUERY = (
    "sub1=newsletter-47&sub2=hero-banner&sub3=eu-west&sub4=7f3a9c21"
    "&gclid=EAIaIQobChMI9p6Wv6nQiQMVkZODBx0KvQ2rEAAYASAAEgJmN_D_BwE"
)
HEADERS = {
    "User-Agent": (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"
        " (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36"
    ),
    "Referer": "https://blog.bestdeals.example/2026/11/ten-pairs-of-shoes",
    "Accept-Language": "en-US,en;q=0.9",
}
URL = f"/c/{PARTNER}/{OFFER}?{QUERY}"
