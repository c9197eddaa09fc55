"""Sales, as an advertiser's server reports them."""

import httpx
from ground import TOKEN
from load import Requests
from published import HEADERS

from tracker.domain.click_id import LENGTH


def sales_of(click_ids, series):
    """Each request another transaction; they go to these clicks in turn."""
    return Requests(tuple(map(_report, click_ids)), series)


def visit(server, link):
    """Follows a link; the id of the click."""
    location = httpx.get(server.url(link), headers=HEADERS).headers["location"]
    return location.partition("cid=")[2][:LENGTH]


def _report(click_id):
    """What an advertiser calls, up to the number of the transaction."""
    return (
        f"/postback?click_id={click_id}&token={TOKEN}&goal=sale&amount=49.90"
        "&transaction_id="
    )
