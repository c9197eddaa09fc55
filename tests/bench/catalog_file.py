"""The partners.yaml of a measurement: few partners, or very many."""

from dataclasses import dataclass

from published import OFFER, PARTNER, QUERY

LISTED = 5
"""Offers that each partner has links for."""


@dataclass(frozen=True)
class CatalogFile:
    """
    So many partners and offers, `bestdeals` and `shoes` the first of them.

    Partners are told on `sink_port`; every visitor is sent to the page `landing`.
    """

    partners: int = 10
    offers: int = 10
    sink_port: int = 9
    landing: str = "landing"

    def write(self, path):
        """At once, as an editor does it: nobody ever reads half of it."""
        new = path.with_suffix(".new")
        new.write_text(self.text())
        new.replace(path)

    def links(self, number):
        """Tracked links of so many partners, or of all, each to another offer."""
        return tuple(
            f"/c/{self._partner_key(n)}/{self._offer_key(self._listed(n)[-1])}?{QUERY}"
            for n in range(min(number, self.partners))
        )

    def text(self):
        return "\n".join(
            [
                "version: 1",
                "currency: USD",
                "advertisers:",
                "  acme:",
                '    auth: {token: "${ACME_TOKEN}"}',
                "offers:",
                *(self._offer(number) for number in range(self.offers)),
                "partners:",
                *(self._partner(number) for number in range(self.partners)),
                "",
            ]
        )

    def _offer(self, number):
        url = "cid={click_id}&source={partner}&s={sub1}"
        return f"""\
  {self._offer_key(number)}:
    advertiser: acme
    url: https://shop.example/{self.landing}?{url}
    window: 120d
    goals:
      sale: {{payout: 8%, revenue: 12%, once_per: transaction}}"""

    def _partner(self, number):
        offers = ", ".join(map(self._offer_key, self._listed(number)))
        url = f"http://127.0.0.1:{self.sink_port}/pb"
        return f"""\
  {self._partner_key(number)}:
    offers: [{offers}]
    postbacks:
      - id: sales
        url: {url}?cid={{sub1}}&payout={{payout}}&at={{changed_at}}"""

    def _listed(self, number):
        """`shoes`, and some that are not those of the next partner."""
        return sorted(
            {0, *((number * LISTED + n) % self.offers for n in range(LISTED))}
        )

    @staticmethod
    def _partner_key(number):
        return f"partner-{number}" if number else PARTNER

    @staticmethod
    def _offer_key(number):
        return f"offer-{number}" if number else OFFER


SMALL = CatalogFile()
LARGE = CatalogFile(partners=10_000, offers=1_000)
