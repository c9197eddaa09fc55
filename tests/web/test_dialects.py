"""Calls as different networks make them, and what they are taken to say."""

import asyncio
import re
import time
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from tracker.catalog import check_text
from tracker.catalog.compile import compile_catalog
from tracker.domain.click_id import ClickClass, ClickIdMint, SigningKeys
from tracker.domain.errors import CatalogError, QuarantinedError
from tracker.domain.filed import METHOD
from tracker.domain.judgement import Rules, judge, mention_of
from tracker.domain.postback import TokenHasher, reread
from tracker.domain.signature import Call, prove
from tracker.settings import Settings
from tracker.web.arrival import Arrival, read_arrival

KEYS = SigningKeys(0, {0: b"0" * 32})
MINT = ClickIdMint(KEYS)

CATALOG = """\
version: 1
currency: USD
rates: {{EUR: 1.1, JPY: 0.01, TND: 0.3}}
advertisers:
  acme:
    auth: {auth}
    postback: {dialect}
offers:
  shoes:
    advertiser: acme
    url: https://shop.example/?cid={{click_id}}
    goals:
      sale: {{payout: 10%, revenue: 20%, default: true}}
      lead: {{payout: 1, revenue: 2}}
partners:
  best: {{offers: all}}
"""


def the_rules(dialect, auth="{none: true}", **secrets):
    text = CATALOG.format(dialect=dialect, auth=auth)
    numbers = {("partner", "best"): 1, ("offer", "shoes"): 1}
    checked = check_text(text, "partners.yaml", secrets)
    catalog = compile_catalog(checked, secrets, version=1, numbers=numbers)
    return Rules(catalog, MINT, TokenHasher(KEYS))


def a_click_id():
    return MINT.mint(
        now=datetime.now(UTC),
        shard=0,
        click_class=ClickClass.VISIT,
        partner_number=1,
        offer_number=1,
    )


def arrived(rules, target, headers=(), body=""):
    """The postback that a request becomes."""
    kind = "application/json" if body.startswith("{") else "text/plain"
    fields = {"content-type": kind, **dict(headers)}
    arrival = Arrival(
        url=target,
        body=body,
        headers=[f"{name}: {value}" for name, value in fields.items()],
        address="127.0.0.1",
    )
    runtime = SimpleNamespace(
        catalog=rules.catalog, hasher=rules.hasher, settings=Settings()
    )
    return asyncio.run(read_arrival(runtime, arrival))[0]


def said(dialect, target, headers=(), body=""):
    """Goal, status, amount, or why it is not believed."""
    click_id, rules = a_click_id(), the_rules(dialect)
    call = [one.replace("CLICK", click_id) for one in (target, body)]
    headers = {
        name: text.replace("CLICK", click_id) for name, text in dict(headers).items()
    }
    postback = arrived(rules, call[0], headers, call[1])
    try:
        proposal = judge(postback, rules)
    except QuarantinedError as error:
        return str(error.reason)
    if proposal is None:
        return "ignored"
    assert proposal.click.id == click_id
    assert mention_of(postback, rules).click_id == click_id
    status = "refunded" if proposal.refund else proposal.status
    amount = proposal.sent.in_units_of("USD").amount
    return proposal.goal, status and str(status), amount and str(amount)


CALLS = {
    "names in order of preference, of any case": (
        "{params: {click_id: [aff-sub, C], amount: [v]}}",
        "/postback/acme?c=CLICK&AFF-SUB=&V=12.5",
        ("sale", None, "12.5"),
    ),
    "a status as a segment of the path": (
        "{params: {click_id: [cid], status: ['path:1']}}",
        "/postback/acme/rejected?cid=CLICK",
        ("sale", "rejected", None),
    ),
    "everything in the path, encoded": (
        "{params: {click_id: ['path:2'], goal: ['path:1'], amount: ['path:4']}}",
        "/postback/acme/le%61d/CLICK//7.00/",
        ("lead", None, "7.00"),
    ),
    "values by their names in the path": (
        "{params: {click_id: ['path:ClickRef'], amount: ['path:v'], goal: ['path:1']}}",
        "/postback/acme/lead/V:5/x/clickref:CLICK/v:6",
        ("lead", None, "5"),
    ),
    "meanings that are switched off": (
        "{params: {amount: [], currency: [], offer: [], status: [], goal: []}}",
        (
            "/postback/acme?click_id=CLICK&amount=many&currency=Coins&offer=12&status=1"
            "&goal=Level+5"
        ),
        ("sale", None, None),
    ),
    "a default for each, and words of its own": (
        (
            "{defaults: {status: ok, goal: e1},"
            " goals: {E1: lead}, statuses: {pending: OK}}"
        ),
        "/postback/acme?click_id=CLICK&amount=1",
        ("lead", "pending", "1"),
    ),
    "what is sent counts before a default": (
        "{defaults: {status: pending, amount: 5}}",
        "/postback/acme?click_id=CLICK&status=approved",
        ("sale", "approved", "5"),
    ),
    "a status by presence": (
        "{present: {ChargeBack: {status: rejected}, trial: {goal: lead}}}",
        "/postback/acme?click_id=CLICK&status=approved&chargeback=y&trial=1",
        ("lead", "rejected", None),
    ),
    "a presence that is denied": (
        "{present: {chargeback: {status: rejected}}}",
        "/postback/acme?click_id=CLICK&status=approved&chargeback=false",
        ("sale", "approved", None),
    ),
    "a presence that is a macro left as text": (
        "{present: {chargeback: {status: rejected}}}",
        "/postback/acme?click_id=CLICK&chargeback=%7Bcb%7D",
        "unfilled_macro",
    ),
    "a status by number": (
        "{statuses: {approved: ['1'], ignored: ['9']}}",
        "/postback/acme?click_id=CLICK&status=9",
        "ignored",
    ),
    "a status that is any other word": (
        "{statuses: {approved: [paid], ignored: ['*']}}",
        "/postback/acme?click_id=CLICK&status=order.viewed",
        "ignored",
    ),
    "a listed status beside any other": (
        "{statuses: {approved: [paid], ignored: ['*']}}",
        "/postback/acme?click_id=CLICK&status=PAID",
        ("sale", "approved", None),
    ),
    "our own status is not any other word": (
        "{statuses: {approved: [paid], ignored: ['*']}}",
        "/postback/acme?click_id=CLICK&status=rejected",
        ("sale", "rejected", None),
    ),
    "no status is not any other word": (
        "{statuses: {approved: [paid], ignored: ['*']}}",
        "/postback/acme?click_id=CLICK&status=",
        ("sale", None, None),
    ),
    "a goal that is any other word": (
        "{goals: {'7': sale, '*': lead}}",
        "/postback/acme?click_id=CLICK&goal=upsell",
        ("lead", None, None),
    ),
    "our own goal is not any other word": (
        "{goals: {'7': sale, '*': lead}}",
        "/postback/acme?click_id=CLICK&goal=sale",
        ("sale", None, None),
    ),
    "a click id that is glued to something": (
        "{extract: {click_id: '^aff-([0-9a-z]{32})'}}",
        "/postback/acme?click_id=AFF-CLICKxyz",
        ("sale", None, None),
    ),
    "a click id that no pattern finds is taken as it came": (
        "{extract: {click_id: '^aff-([0-9a-z]{32})'}}",
        "/postback/acme?click_id=CLICK",
        ("sale", None, None),
    ),
    "a click id nested in other text": (
        "{}",
        "/postback/acme?click_id=a1~CLICK~0123456789abcdefghjkmnpqrstvwxyz",
        ("sale", None, None),
    ),
    "a click id with a suffix": (
        "{}",
        "/postback/acme?click_id=CLICK_b2",
        ("sale", None, None),
    ),
    "a click id within which a macro was left": (
        "{}",
        "/postback/acme?click_id=aff-%7Bclick_id%7D&x=CLICK",
        "unfilled_macro",
    ),
    "the first of several values that a pattern finds": (
        "{extract: {click_id: 'aff-([0-9a-z]{32})'}}",
        "/postback/acme?click_id=GA1.2&click_id=aff-CLICK&click_id=x",
        ("sale", None, None),
    ),
    "the first of several parameters in which a pattern finds it": (
        "{params: {click_id: [custom, landing]}, extract: {click_id: 'cid=(\\w{32})'}}",
        "/postback/acme?custom=red&landing=/shop?a=b%26cid=CLICK",
        ("sale", None, None),
    ),
    "the preferred one where a pattern finds nothing": (
        "{params: {click_id: [custom, landing]}, extract: {click_id: 'cid=(\\w{32})'}}",
        "/postback/acme?landing=red&custom=a~CLICK",
        ("sale", None, None),
    ),
    "two values of one parameter in which a pattern finds what differs": (
        "{extract: {amount: '([0-9.]+)'}}",
        "/postback/acme?click_id=CLICK&amount=USD+1&amount=USD+2",
        "bad_amount",
    ),
    "an amount between other text": (
        "{extract: {amount: '([0-9.]+)'}}",
        "/postback/acme?click_id=CLICK&amount=USD+12.50",
        ("sale", None, "12.50"),
    ),
    "an amount with a comma": (
        "{amounts: {decimal: comma}}",
        "/postback/acme?click_id=CLICK&amount=1.234,56",
        ("sale", None, "1234.56"),
    ),
    "an amount with a point, in groups": (
        "{amounts: {decimal: point}}",
        "/postback/acme?click_id=CLICK&amount=12,345,678.9",
        ("sale", None, "12345678.9"),
    ),
    "groups that nobody announced": (
        "{}",
        "/postback/acme?click_id=CLICK&amount=1,234.56",
        "bad_amount",
    ),
    "an amount that could be two": (
        "{amounts: {decimal: comma}}",
        "/postback/acme?click_id=CLICK&amount=1.234",
        "bad_amount",
    ),
    "an amount in cents": (
        "{amounts: {minor: true}}",
        "/postback/acme?click_id=CLICK&amount=1250",
        ("sale", None, "12.50"),
    ),
    "an offer and a currency by words of its own": (
        "{offers: {A-77: shoes}, currencies: {'978': EUR}}",
        "/postback/acme?click_id=CLICK&offer=a-77&currency=978&amount=1",
        ("sale", None, "1"),
    ),
    "an offer by a word that means none": (
        "{offers: {A-77: shoes}}",
        "/postback/acme?click_id=CLICK&offer=A-78",
        "offer_mismatch",
    ),
    "words for nothing": (
        "{}",
        (
            "/postback/acme?click_id=CLICK&amount=N/A&goal=null&status=undefined"
            "&currency=-&transaction_id=None"
        ),
        ("sale", None, None),
    ),
    "a word for nothing that means something": (
        "{goals: {none: lead}, statuses: {rejected: ['-']}}",
        "/postback/acme?click_id=CLICK&goal=None&status=-",
        ("lead", "rejected", None),
    ),
    "a presence of nothing": (
        "{present: {payout: {status: rejected}, why: {status: rejected}}}",
        "/postback/acme?click_id=CLICK&payout=0.00&why=null",
        ("sale", None, None),
    ),
    "an amount in millionths": (
        "{amounts: {minor: micros}}",
        "/postback/acme?click_id=CLICK&amount=12345678",
        ("sale", None, "12.345678"),
    ),
    "an amount in tenths of cents, with a comma": (
        "{amounts: {decimal: comma, minor: 3}}",
        "/postback/acme?click_id=CLICK&amount=12.345.600,5",
        ("sale", None, "12345.6005"),
    ),
    "an amount as floats are added up": (
        "{}",
        "/postback/acme?click_id=CLICK&amount=19.990000000000002",
        ("sale", None, "19.990000"),
    ),
    "an amount of less than one": (
        "{}",
        "/postback/acme?click_id=CLICK&amount=-.5",
        ("sale", "refunded", "0.5"),
    ),
    "an amount of less than one, with a comma": (
        "{amounts: {decimal: comma}}",
        "/postback/acme?click_id=CLICK&amount=,5",
        ("sale", None, "0.5"),
    ),
    "an amount in yen, which have no cents": (
        "{amounts: {minor: true}, defaults: {currency: JPY}}",
        "/postback/acme?click_id=CLICK&amount=1250",
        ("sale", None, "1250"),
    ),
    "an amount in thousandths": (
        "{amounts: {minor: true}}",
        "/postback/acme?click_id=CLICK&amount=1250&currency=tnd",
        ("sale", None, "1.250"),
    ),
    "numbered items, with gaps and in any order": (
        "{items: {amount: 'AMT#', quantity: 'QTY#'}}",
        "/postback/acme?click_id=CLICK&amt7=5&AMT1=10&QTY1=2&QTY3=&AMT3=",
        ("sale", None, "25"),
    ),
    "items with brackets": (
        "{items: {amount: 'items[#][price]', quantity: 'items[#][qty]'}}",
        "/postback/acme?click_id=CLICK&items[0][price]=1.5&items[0][qty]=3&items[1][price]=2",
        ("sale", None, "6.5"),
    ),
    "items that are listed": (
        "{items: {list: parts}}",
        "/postback/acme?click_id=CLICK&parts=GROUP:12.50|GROUP2:3.00|",
        ("sale", None, "15.50"),
    ),
    "items that are listed with quantities": (
        "{items: {list: p, between: ';', within: ',', amount_at: 2, quantity_at: 3}}",
        "/postback/acme?click_id=CLICK&p=sku1,2.5,2,x;sku2,1,1,y",
        ("sale", None, "6.0"),
    ),
    "a sum that is sent counts before its items": (
        "{items: {list: parts}}",
        "/postback/acme?click_id=CLICK&amount=3&parts=a:bad",
        ("sale", None, "3"),
    ),
    "items count before a default": (
        "{items: {list: parts}, defaults: {amount: 1}}",
        "/postback/acme?click_id=CLICK&parts=a:2|b:3",
        ("sale", None, "5"),
    ),
    "a default counts where there are no items": (
        "{items: {list: parts}, defaults: {amount: 1}}",
        "/postback/acme?click_id=CLICK&parts=",
        ("sale", None, "1"),
    ),
    "an item that is no number": (
        "{items: {list: parts}}",
        "/postback/acme?click_id=CLICK&parts=a:5|b:NaN",
        "bad_amount",
    ),
    "a quantity without an amount": (
        "{items: {amount: 'AMT#', quantity: 'QTY#'}}",
        "/postback/acme?click_id=CLICK&AMT1=5&QTY2=1",
        "bad_amount",
    ),
    "a refund by its word": (
        "{statuses: {refunded: [reversal]}}",
        "/postback/acme?click_id=CLICK&status=Reversal&amount=5",
        ("sale", "refunded", "5"),
    ),
    "a refund by its sign": (
        "{}",
        "/postback/acme?click_id=CLICK&amount=-5",
        ("sale", "refunded", "5"),
    ),
    "a rejection with a sign is a rejection": (
        "{}",
        "/postback/acme?click_id=CLICK&status=rejected&amount=-5",
        ("sale", "rejected", "5"),
    ),
    "what adds and takes off at once": (
        "{}",
        "/postback/acme?click_id=CLICK&amount=-5&revenue=1",
        "bad_amount",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_understood(name):
    dialect, target, meant = CALLS[name]
    assert said(dialect, target) == meant


def test_json_is_read_by_its_paths():
    dialect = (
        "{params: {click_id: [data.click.id], status: [data.state], amount: [sum]},"
        " items: {amount: data.lines.price, quantity: data.lines.qty},"
        " present: {data.refund: {status: rejected}}}"
    )
    body = (
        '{"data": {"click": {"id": "CLICK"}, "state": "approved", "refund": false,'
        ' "lines": [{"price": 2.5, "qty": 2}, {"price": 2.5, "qty": 1}]}}'
    )
    meant = ("sale", "approved", "7.5")
    assert said(dialect, "/postback/acme", body=body) == meant


ITEMS = "{params: {click_id: [id]}, items: {amount: rows.sum, quantity: rows.qty}}"

LISTS = {
    "all of a path": (
        "{params: {click_id: [attrs.value]}}",
        '{"attrs": [{"value": ""}, {"value": "CLICK"}]}',
        ("sale", None, None),
    ),
    "an entry by what it says of itself": (
        (
            "{params: {click_id: ['attrs[Name=click_id].value'],"
            " goal: ['attrs[name=g].value']}}"
        ),
        (
            '{"attrs": [{"name": "g", "value": "lead"},'
            ' {"name": "Click_ID", "value": "CLICK"}]}'
        ),
        ("lead", None, None),
    ),
    "an entry by its place": (
        "{params: {click_id: [id], amount: ['rows[-1].sum'], goal: ['rows[0].goal']}}",
        '{"id": "CLICK", "rows": [{"sum": 1, "goal": "lead"}, {"sum": 2.5}]}',
        ("lead", None, "2.5"),
    ),
    "an entry of each list in a list": (
        "{params: {click_id: ['orders.attrs[k=c].v']}}",
        (
            '{"orders": [{"attrs": []},'
            ' {"attrs": [{"k": "x", "v": 1}, {"k": "c", "v": "CLICK"}]}]}'
        ),
        ("sale", None, None),
    ),
    "an entry that is not there": (
        "{params: {click_id: [id], amount: ['rows[7].sum', 'rows[-7].sum', all]}}",
        '{"id": "CLICK", "all": 3, "rows": [{"sum": 1}]}',
        ("sale", None, "3"),
    ),
    "an item without a quantity": (
        ITEMS,
        '{"id": "CLICK", "rows": [{"sum": "10.00"}, {"sum": "5.00", "qty": 3}]}',
        ("sale", None, "25.00"),
    ),
    "a quantity that is not of the item before it": (
        ITEMS,
        '{"id": "CLICK", "rows": [{"sum": "10.00"}, {"qty": 3}]}',
        ("sale", None, "10.00"),
    ),
    "an entry that only a variant chooses, by one that chooses the variant": (
        (
            "{params: {click_id: ['a[k=c].v']}, variants: [{when: {'a[k=t].v': lead},"
            " params: {goal: ['a[k=t].v'], amount: ['rows[0].sum']}}]}"
        ),
        (
            '{"a": [{"k": "t", "v": "lead"}, {"k": "c", "v": "CLICK"}],'
            ' "rows": [{"sum": 4}, {"sum": 5}]}'
        ),
        ("lead", None, "4"),
    ),
    "items that only a variant has": (
        (
            "{params: {click_id: [id]}, variants: [{when: {id: '*'},"
            " items: {amount: rows.sum, quantity: rows.qty}}]}"
        ),
        '{"id": "CLICK", "rows": [{"sum": "10.00"}, {"qty": 3}]}',
        ("sale", None, "10.00"),
    ),
    "items of several orders": (
        "{params: {click_id: [id]}, items: {amount: o.rows.sum, quantity: o.rows.qty}}",
        (
            '{"id": "CLICK", "o": [{"rows": [{"sum": 1}]}, {},'
            ' {"rows": [{"qty": 2, "sum": 2}]}]}'
        ),
        ("sale", None, "5"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_keeps_its_places(name):
    dialect, body, meant = LISTS[name]
    assert said(dialect, "/postback/acme", body=body) == meant


NESTED = "{params: {click_id: [push.click], amount: ['push.rows[0].sum']}}"


@pytest.mark.parametrize("place", ["query", "form"])
def test_json_in_a_parameter_is_read_where_its_members_are_asked_for(place):
    text = quote('{"click": "CLICK", "rows": [{"sum": 5}], "token": "s3cret"}')
    call = {"query": (f"?push={text}", ""), "form": ("", f"push={text}")}[place]
    assert said(NESTED, f"/postback/acme{call[0]}", body=call[1]) == (
        "sale",
        None,
        "5",
    )
    postback = arrived(the_rules(NESTED), f"/postback/acme{call[0]}", body=call[1])
    assert "s3cret" not in repr(postback)


@pytest.mark.parametrize("text", ["{", '{"a":' * 50, "[" * 900, "CLICK", "{}"])
def test_what_is_no_json_stays_as_it_is(text):
    postback = arrived(the_rules(NESTED), f"/postback/acme?push={quote(text)}&x=1")
    assert ("x", "1") in postback.parameters


@pytest.mark.parametrize(
    "params",
    [
        "{click_id: ['{a}-{b}']}",
        "{click_id: ['path:']}",
        "{click_id: ['path:21']}",
        "{click_id: ['attrs[name=x]value']}",
        "{token: ['attrs[name=key].value']}",
        "{token: [key], transaction_id: [key]}",
        "{}, offers: {a: boots}",
        "{}, items: {amount: 'rows[0].sum'}",
        "{}, currencies: {a: XXX}",
        "{}, currencies: {a: EUR, A: USD}",
    ],
)
def test_a_name_that_could_never_be_sent_is_a_fault(params):
    with pytest.raises(CatalogError):
        the_rules(f"{{params: {params}}}")


def test_a_header_can_carry_a_value():
    dialect = "{params: {click_id: ['header:X-Click-Id', cid]}}"
    call = ("/postback/acme?cid=other", {"x-click-id": "CLICK"})
    assert said(dialect, *call) == ("sale", None, None)


VARIED = (
    "{params: {click_id: [sub], status: [type], amount: [total]},"
    " statuses: {approved: [paid], ignored: ['*']}, defaults: {goal: sale},"
    " amounts: {decimal: comma}, variants: ["
    "{when: {type: [Refund, chargeback], live: '*'}, params: {amount: [back, total]},"
    " statuses: {refunded: [refund]}, amounts: {minor: true}},"
    "{when: {'header:x-event': trial}, defaults: {goal: lead}, params: {amount: []}},"
    "{when: {'path:1': [old]}, params: {click_id: ['path:2']}}]}"
)


@pytest.mark.parametrize(
    ("target", "headers", "meant"),
    [
        ("?sub=CLICK&type=paid&total=5&back=3", {}, ("sale", "approved", "5")),
        ("?sub=CLICK&type=viewed&total=5", {}, "ignored"),
        ("?sub=CLICK&TYPE=refund&live=0&total=900&back=300,5", {},
         ("sale", "refunded", "3.005")),
        ("?sub=CLICK&type=refund&live=&back=300", {}, "ignored"),
        ("?sub=CLICK&type=chargeback&live=1&back=300", {}, "ignored"),
        ("?sub=CLICK&total=5", {"x-event": "Trial"}, ("lead", None, None)),
        ("?sub=CLICK&type=refund&live=1&back=300", {"x-event": "trial"},
         ("sale", "refunded", "3.00")),
        ("/old/CLICK?sub=other&total=5", {}, ("sale", None, "5")),
    ],
)  # fmt: skip
def test_the_first_variant_that_fits_says_how_a_call_is_read(target, headers, meant):
    assert said(VARIED, f"/postback/acme{target}", headers) == meant


def test_a_row_of_a_file_is_read_by_names_that_do_not_vary():
    rules = the_rules("{variants: [{when: {v: '1'}, params: {amount: [back]}}]}")
    target = f"/postback/acme?v=1&click_id={a_click_id()}&amount=5&back=3"
    postback = arrived(rules, target)
    rows = [judge(one, rules) for one in (postback, postback.but(method=METHOD))]
    assert [one.sent.amount for one in rows] == [3, 5]


def test_a_variant_hides_every_secret_but_what_it_reads():
    dialect = (
        "{params: {token: [pass]},"
        " variants: [{when: {v: '1'},"
        " params: {token: [word], transaction_id: [pass]}}]}"
    )
    rules = the_rules(dialect, "{token: s3cret}")
    plain = arrived(rules, "/postback/acme?pass=s3cret&word=x")
    varied = arrived(rules, "/postback/acme?v=1&pass=order&word=s3cret")

    assert [text for _, text in plain.parameters] == ["***", "***"]
    assert [text for _, text in varied.parameters] == ["1", "order", "***"]
    hashes = [one.token_digest for one in (plain, varied)]
    assert all(rules.hasher.matches(one, ["s3cret"]) for one in hashes)


def test_a_postback_is_read_again_by_a_variant_that_came_later():
    before = the_rules("{}")
    later = the_rules(
        "{variants: [{when: {'path:1': refund}, params: {click_id: ['path:2'],"
        " token: [word]}, defaults: {status: refunded}}]}"
    )
    click_id = a_click_id()
    postback = arrived(before, f"/postback/acme/refund/{click_id}?amount=1&word=x")
    again = reread(postback, later.catalog.dialect("acme"), later.hasher)

    assert mention_of(again, later).click_id == click_id
    assert judge(again, later).refund
    assert dict(again.parameters)["word"] == "***"
    assert later.hasher.matches(again.token_digest, ["x"])


def test_a_signature_covers_what_its_variant_reads():
    """The other name for the same, which only the variant reads, must be signed too."""
    dialect = "{variants: [{when: {v: '1'}, params: {amount: [total, amount]}}]}"
    auth = "{signature: {hash: md5, text: '{amount}${SALT}'}}"
    rules = the_rules(dialect, auth, SALT="s")
    acme, signed = rules.catalog.advertiser("acme"), md5(b"5s").hexdigest()

    def held(**more):
        pairs = [*{"amount": "5", "signature": signed, **more}.items()]
        call = Call("", "/postback/acme", "", route="acme", parameters=pairs)
        return bool(prove(call, acme, rules.catalog, datetime.now(UTC)).held)

    assert held(total="9")
    assert not held(total="9", v="1")
    assert held(total="5", v="1")


def test_a_header_that_is_not_asked_for_is_not_kept():
    rules = the_rules("{params: {click_id: ['header:x-click-id']}}")
    postback = arrived(rules, "/postback/acme?a=1&header:x-click-id=b", {"cookie": "c"})
    assert postback.parameters == (("a", "1"),)


@pytest.mark.parametrize(
    ("token", "target", "headers"),
    [
        ("path:1", "/postback/acme/s3cret/x?a=1", {}),
        ("path:2", "/postback/acme/a%2Fb/s3cret?a=1", {}),
        ("path:1", "//postback/acme/s3cret".removeprefix("/"), {}),
        ("path:key", "/postback/acme/x/Key:s3cret/y?a=1", {}),
        ("header:x-key", "/postback/acme?a=1", {"x-key": "s3cret"}),
        ("auth.pw", "/postback/acme?auth.pw=s3cret", {}),
    ],
)
def test_a_token_is_masked_wherever_it_stands(token, target, headers):
    rules = the_rules(f"{{params: {{token: ['{token}']}}}}")
    postback = arrived(rules, target, headers)

    assert "s3cret" not in repr(postback)
    assert rules.hasher.matches(postback.token_digest, ["s3cret"])


IGNORES = "{goals: {x: lead}, statuses: {ignored: [ping], approved: [ok]}}"


@pytest.mark.parametrize(
    "query",
    [
        "st=1&status=ping",
        "click_id=CLICK&status=ping&goal=nobody&amount=many",
        "click_id=somebody&status=PING",
        "click_id=%7Bclick%7D&status=ping",
        "click_id=CLICK&amount=1&amount=2&status=ping",
    ],
)
def test_what_is_ignored_need_not_make_sense(query):
    """A sender that hears a 4xx for its own test switches the whole hook off."""
    assert said(IGNORES, f"/postback/acme?{query}") == "ignored"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("status=ping&status=ok&click_id=CLICK", "unknown_status"),
        ("status=%7Bst%7D", "unfilled_macro"),
        ("status=pong", "missing_click_id"),
    ],
)
def test_what_is_not_ignored_has_to(query, reason):
    assert said(IGNORES, f"/postback/acme?{query}") == reason


def test_what_is_ignored_must_be_proven():
    rules = the_rules(IGNORES, "{token: s3cret-word}")
    with pytest.raises(QuarantinedError, match="missing_token"):
        judge(arrived(rules, "/postback/acme?status=ping"), rules)


@pytest.mark.parametrize(
    "amount", ["NaN", "1e9", "0x10", "∞", "1" * 13, "--1", "1,5", ".", "1."]
)
def test_what_is_no_number_is_no_amount(amount):
    assert said("{}", f"/postback/acme?click_id=CLICK&amount={amount}") == "bad_amount"


def test_many_items_are_counted_or_refused():
    dialect = "{items: {list: parts}}"
    target = "/postback/acme?click_id=CLICK&parts=" + "|".join(["a:1"] * 500)
    assert said(dialect, target) == ("sale", None, str(Decimal(500)))
    assert said(dialect, f"{target}|a:1") == "bad_amount"


README = Path(__file__).parents[2] / "README.md"
ROWS = re.findall(
    r"(?m)^\| `(.+)` \| `(/postback/acme\S*)` \| (.+) \|$", README.read_text("utf-8")
)


@pytest.mark.parametrize(("dialect", "target", "told"), ROWS)
def test_the_dialects_that_are_told_are_true(dialect, target, told):
    """Each row of the README is read as it says."""
    whole = dialect if dialect == "{}" else f"{{{dialect}}}"
    found = said(whole, target.replace("\\|", "|"))
    if isinstance(found, str):
        assert told == found
        return
    goal, status, amount = found
    meant = {"goal": goal, "status": status, "amount": amount}

    claims = re.findall(r"(goal|status|amount) ([\w.]+)", told)
    assert claims or told.startswith("the click")
    assert {**meant, **dict(claims)} == meant


@pytest.mark.parametrize("text", ["a" * 10_000, "a" * 256, "~" * 5_000, "A" * 33 * 300])
def test_a_long_text_is_no_click_id_and_takes_no_time(text):
    dialect = "{extract: {click_id: '^(?:a*)(?:a*)b'}}"
    began = time.process_time()
    assert said(dialect, f"/postback/acme?click_id={text}&x=CLICK") == "unknown_click"
    assert time.process_time() - began < 1


def test_many_that_look_like_click_ids_cannot_be_guessed_at_once():
    click_id = a_click_id()
    forged = [click_id[:-1] + last for last in "0123456789" if last != click_id[-1]][:9]
    guess = "/postback/acme?x=CLICK&click_id="
    assert said("{}", f"{guess}{'~'.join(forged[:8])}") == "forged_click"
    assert said("{}", f"{guess}{'~'.join(forged)}") == "unknown_click"


def test_two_clicks_in_one_text_are_nobody_s():
    other = f"/postback/acme?click_id=CLICK~{a_click_id()}"
    assert said("{}", other) == "unknown_click"
    assert said("{}", "/postback/acme?click_id=CLICK~CLICK") == ("sale", None, None)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("CID=%7Bx%7D&total=1", ["CID"]),
        ("cid=CLICK&total=[AMT]&cb=__CB__", ["total", "cb"]),
        ("cid=CLICK&AMT1=1&AMT2=%23amount%23", ["AMT2"]),
        ("cid=CLICK_%7Bsub1%7D", []),
        ("cid=CLICK&total=%AD_SUM%", ["total"]),
        ("cid=CLICK&total=%257Bsum%257D", ["total"]),
        ("cid=CLICK&total=5", []),
    ],
)
def test_the_parameters_with_a_macro_are_named(query, names):
    dialect = (
        "{params: {click_id: [cid], amount: [total]},"
        " present: {cb: {status: rejected}}, items: {amount: 'AMT#'}}"
    )
    rules = the_rules(dialect)
    target = f"/postback/acme?{query}".replace("CLICK", a_click_id())
    parameters = arrived(rules, target).parameters
    assert rules.catalog.dialect("acme").read(parameters).unfilled() == names


def test_what_is_signed_cannot_be_said_by_another_parameter():
    """The amount is signed, and empty; its items, which nobody signed, do not count."""
    auth = '{signature: {param: sig, hash: md5, text: "{cid}{total}salt-${SALT}"}}'
    text = CATALOG.format(
        auth=auth,
        dialect=(
            "{params: {click_id: [cid], amount: [total, other]},"
            " extract: {amount: 'USD(.+)'}, items: {list: parts}}"
        ),
    )
    secrets = {"SALT": "s"}
    numbers = {("partner", "best"): 1, ("offer", "shoes"): 1}
    catalog = compile_catalog(
        check_text(text, "partners.yaml", secrets), secrets, version=1, numbers=numbers
    )
    acme, click_id = catalog.advertiser("acme"), a_click_id()

    def held(total, *more):
        signed = md5(f"{click_id}{total}salt-s".encode()).hexdigest()
        pairs = [("cid", click_id), ("total", total), ("sig", signed), *more]
        call = Call("", "/postback/acme", "", route="acme", parameters=pairs)
        return prove(call, acme, catalog, datetime.now(UTC)).held

    assert held("5") == held("") == ("signature",)
    assert held("", ("parts", "a:5")) == ()
    assert held("5", ("other", "USD9")) == ()
    assert held("null") == ("signature",)
