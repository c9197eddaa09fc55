"""A bad file is refused whole, with every fault named at its place."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tracker.catalog import (
    CheckedCatalog,
    Fault,
    FaultyCatalogError,
    check_file,
    check_text,
    json_schema,
)
from tracker.domain.errors import CatalogError
from tracker.domain.money import Rate

URL = "url: https://shop.acme.example/?cid={click_id}"
TELL = "url: https://best.example/pb?cid={sub1}"
TOP = "currency: USD"
AUTH = 'auth: {token: "${ACME_TOKEN}"}'
TERMS = "{payout: 8%, revenue: 12%}"

# What is replaced, by what, and the one fault that follows.
ONE_FAULT = {
    "a key that is misspelt": (
        "advertiser: acme",
        "advertizer: acme\n    advertiser: acme",
        "8:5: offers.shoes.advertizer: unknown key; did you mean 'advertiser'?",
    ),
    "a key that nobody knows": (
        AUTH,
        f"{AUTH}\n    zzz: 1",
        (
            "6:5: advertisers.acme.zzz: unknown key;"
            " there are name, auth, postback or reopen"
        ),
    ),
    "a key that is missing": (
        "revenue: 12%",
        "once_per: click",
        (
            "11:7: offers.shoes.goals.sale: 'revenue' is missing:"
            " what the advertiser owes us: 4.00 or 12%"
        ),
    ),
    "a key without a value": (
        "revenue: 12%",
        "revenue: ",
        (
            "11:26: offers.shoes.goals.sale.revenue: 'revenue' is missing:"
            " what the advertiser owes us: 4.00 or 12%"
        ),
    ),
    "a key that stands twice": (
        TOP,
        f"{TOP}\ncurrency: EUR",
        "3:1: currency: stands twice; first in line 2",
    ),
    "a key with capitals": (
        "  best:",
        "  Best:",
        (
            "13:3: partners.Best: a key has 1 to 64 lower-case letters, digits,"
            " '-' and '_' and nothing else"
        ),
    ),
    "another version": (
        "version: 1",
        "version: 2",
        "1:10: version: must be 1",
    ),
    "a currency in lower case": (
        TOP,
        "currency: usd",
        "2:11: currency: must be three capital letters such as USD",
    ),
    "a currency that does not exist": (
        TOP,
        "currency: USX",
        "2:11: currency: unknown currency: give it a rate to make it known",
    ),
    "a time zone that does not exist": (
        TOP,
        f"{TOP}\ntimezone: Europe/Pariss",
        "3:11: timezone: no such time zone; did you mean 'Europe/Paris'?",
    ),
    "a rate of nothing": (
        TOP,
        f"{TOP}\nrates: {{EUR: 0}}",
        "3:14: rates.EUR: must be more than zero",
    ),
    "a rate for the own currency": (
        TOP,
        f"{TOP}\nrates: {{USD: 2}}",
        "3:9: rates.USD: 'USD' is the catalog's own currency: it needs no rate",
    ),
    "no proof at all": (
        AUTH,
        "auth: {}",
        (
            "5:11: advertisers.acme.auth: say what must be proven:"
            " token, hmac, signature, allow_ips, or 'none: true' for nothing"
        ),
    ),
    "a proof and none": (
        AUTH,
        "auth: {none: true, allow_ips: 10.0.0.1}",
        (
            "5:11: advertisers.acme.auth:"
            " 'none: true' contradicts the proofs beside it: keep one"
        ),
    ),
    "yes for true": (
        AUTH,
        "auth: {none: yes}",
        "5:18: advertisers.acme.auth.none: must be true or false",
    ),
    "a secret that is not set": (
        "${ACME_TOKEN}",
        "${ACME_TOKN}",
        "5:19: advertisers.acme.auth.token: ${ACME_TOKN} is not set, or empty",
    ),
    "a secret that is empty": (
        "${ACME_TOKEN}",
        "${EMPTY}",
        "5:19: advertisers.acme.auth.token: ${EMPTY} is not set, or empty",
    ),
    "a second token that is empty": (
        '"${ACME_TOKEN}"',
        '["${ACME_TOKEN}", ""]',
        "5:37: advertisers.acme.auth.token[1]: must not be empty",
    ),
    "a network with host bits": (
        AUTH,
        "auth: {allow_ips: [10.0.0.0/8, 10.1.2.3/8]}",
        "5:36: advertisers.acme.auth.allow_ips[1]: has bits set after its prefix",
    ),
    "a meaning that does not exist": (
        AUTH,
        f"{AUTH}\n    postback: {{params: {{clickid: cid}}}}",
        (
            "6:25: advertisers.acme.postback.params.clickid: must be click_id,"
            " transaction_id, goal, status, amount, currency, revenue, payout,"
            " offer, refund_id or token; did you mean 'click_id'?"
        ),
    ),
    "a status word listed twice": (
        AUTH,
        f"{AUTH}\n    postback: {{statuses: {{approved: [a], rejected: [b, A]}}}}",
        (
            "6:56: advertisers.acme.postback.statuses.rejected[1]:"
            " 'a' is listed already, under approved"
        ),
    ),
    "a goal that no offer of it has": (
        AUTH,
        f"{AUTH}\n    postback: {{goals: {{e1: sael}}}}",
        (
            "6:28: advertisers.acme.postback.goals.e1:"
            " no offer of acme has a goal 'sael'; did you mean 'sale'?"
        ),
    ),
    "an advertiser that does not exist": (
        "advertiser: acme",
        "advertiser: acne",
        "8:17: offers.shoes.advertiser: no advertiser 'acne'; did you mean 'acme'?",
    ),
    "an offer URL that loses its clicks": (
        URL,
        "url: https://shop.acme.example/",
        (
            "9:10: offers.shoes.url: must contain {click_id},"
            " or no postback could ever name its click"
        ),
    ),
    "an unknown macro": (
        URL,
        f"{URL}&s={{sub0}}",
        "9:10: offers.shoes.url: unknown macro {sub0}; did you mean {sub10}?",
    ),
    "a macro that comes too early": (
        URL,
        f"{URL}&s={{payout}}",
        "9:10: offers.shoes.url: {payout} is not known yet when somebody clicks",
    ),
    "a brace that stands alone": (
        URL,
        f"{URL}&s={{",
        "9:10: offers.shoes.url: a lone '{'; write it twice to mean itself",
    ),
    "a macro in the host": (
        URL,
        "url: https://{click_id}.example/",
        (
            "9:10: offers.shoes.url: must start with http:// or https://, a host and"
            " a slash, with no macro and no user name among them"
        ),
    ),
    "a window of nothing": (
        URL,
        f"window: 0d\n    {URL}",
        "9:13: offers.shoes.window: must be more than zero; 30d is usual",
    ),
    "a window that is too long": (
        URL,
        f"window: 367d\n    {URL}",
        "9:13: offers.shoes.window: must be at most 366d",
    ),
    "a window in words": (
        URL,
        f"window: a month\n    {URL}",
        "9:13: offers.shoes.window: must be a time such as 30d, 12h, 90m or 45s",
    ),
    "a negative payout": (
        "payout: 8%",
        "payout: -8%",
        "11:22: offers.shoes.goals.sale.payout: must not be negative",
    ),
    "a share that is none": (
        "payout: 8%",
        "payout: 8%%",
        (
            "11:22: offers.shoes.goals.sale.payout:"
            " must be a number such as 2.50, or a share such as 8%"
        ),
    ),
    "a share beyond reason": (
        "payout: 8%",
        "payout: 1000.5%",
        "11:22: offers.shoes.goals.sale.payout: must be at most 1000%",
    ),
    "a decimal comma": (
        "payout: 8%",
        'payout: "2,50"',
        (
            "11:22: offers.shoes.goals.sale.payout:"
            " must be a number such as 2.50, without separators"
        ),
    ),
    "a choice that is misspelt": (
        TERMS,
        "{payout: 1, revenue: 2, once_per: clik}",
        (
            "11:47: offers.shoes.goals.sale.once_per:"
            " must be click, transaction or postback; did you mean 'click'?"
        ),
    ),
    "a status that is misspelt": (
        TERMS,
        "{payout: 1, revenue: 2, status: aproved}",
        (
            "11:45: offers.shoes.goals.sale.status:"
            " must be pending, approved or rejected; did you mean 'approved'?"
        ),
    ),
    "two default goals": (
        f"sale: {TERMS}",
        (
            "sale: {payout: 1, revenue: 2, default: true}\n"
            "      lead: {payout: 1, revenue: 2, default: true}"
        ),
        (
            "12:46: offers.shoes.goals.lead.default:"
            " 'sale' is the default already: only one can be"
        ),
    ),
    "no goals": (
        f"\n      sale: {TERMS}",
        " {}",
        "10:12: offers.shoes.goals: must not be empty",
    ),
    "a deep link with a scheme": (
        URL,
        f"{URL}\n    deeplinks: [a.example, 'https://b.example']",
        (
            "10:28: offers.shoes.deeplinks[1]: must be a host name alone, such as"
            " shop.acme.example (no https://, no path, no port, no '*')"
        ),
    ),
    "an offer that does not exist, in a list": (
        "offers: [shoes]",
        "offers: [shoes, shoos]",
        "14:21: partners.best.offers[1]: no offer 'shoos'; did you mean 'shoes'?",
    ),
    "an offer that does not exist, in a mapping": (
        "offers: [shoes]",
        "offers: {shoos: {goals: {sale: {payout: 1}}}}",
        "14:14: partners.best.offers.shoos: no offer 'shoos'; did you mean 'shoes'?",
    ),
    "own terms for a goal that does not exist": (
        "offers: [shoes]",
        "offers: {shoes: {goals: {sael: {payout: 1}}}}",
        (
            "14:30: partners.best.offers.shoes.goals.sael:"
            " the offer has no goal 'sael'; did you mean 'sale'?"
        ),
    ),
    "own terms that are wrong": (
        "offers: [shoes]",
        "offers: {shoes: {goals: {sale: {payout: x}}}}",
        (
            "14:45: partners.best.offers.shoes.goals.sale.payout:"
            " must be a number such as 2.50, without separators"
        ),
    ),
    "a word for offers that is not all": (
        "offers: [shoes]",
        "offers: alle",
        "14:13: partners.best.offers: must be all; did you mean 'all'?",
    ),
    "an unknown macro in a postback": (
        TELL,
        f"{TELL}&p={{payuot}}",
        (
            "17:14: partners.best.postbacks[0].url:"
            " unknown macro {payuot}; did you mean {payout}?"
        ),
    ),
    "an unknown filter": (
        TELL,
        f"{TELL}&p={{payout|percnt}}",
        (
            "17:14: partners.best.postbacks[0].url: {payout|percnt}:"
            " no filter 'percnt'; did you mean 'percent'?"
        ),
    ),
    "revenue that the partner must not see": (
        TELL,
        f"{TELL}&p={{revenue}}",
        (
            "17:14: partners.best.postbacks[0].url:"
            " {revenue} is shown only to a partner with 'reveal: [revenue]'"
        ),
    ),
    "revenue in a form": (
        TELL,
        f"{TELL}\n        form: {{r: '{{revenue|percent:50}}'}}",
        (
            "18:19: partners.best.postbacks[0].form.r:"
            " {revenue} is shown only to a partner with 'reveal: [revenue]'"
        ),
    ),
    "two postbacks with one id": (
        TELL,
        f"{TELL}\n      - id: sales\n        {TELL}",
        (
            "18:13: partners.best.postbacks[1].id:"
            " another postback has the id 'sales' already"
        ),
    ),
    "a goal to wait for that no offer has": (
        TELL,
        f"{TELL}\n        when: {{goals: [sale, leed]}}",
        "18:30: partners.best.postbacks[0].when.goals[1]: no offer has a goal 'leed'",
    ),
    "a body that GET cannot carry": (
        TELL,
        f"{TELL}\n        method: GET\n        json: {{a: b}}",
        "16:9: partners.best.postbacks[0]: this body needs 'method: POST'",
    ),
    "two bodies": (
        TELL,
        f"{TELL}\n        form: {{a: b}}\n        json: {{a: b}}",
        (
            "16:9: partners.best.postbacks[0]:"
            " a call has a form, a json body or a body, not several"
        ),
    ),
    "a header that is ours": (
        TELL,
        f"{TELL}\n        headers: {{Host: x}}",
        (
            "18:19: partners.best.postbacks[0].headers.Host:"
            " this header is set by the tracker itself"
        ),
    ),
    "a pattern that does not compile": (
        TELL,
        f"{TELL}\n        success: '(ok'",
        (
            "18:18: partners.best.postbacks[0].success: is not a regular expression:"
            " missing ), unterminated subpattern at position 0"
        ),
    ),
    "a signing secret that is not base64": (
        TELL,
        f"{TELL}\n        secret: whsec_***",
        "18:17: partners.best.postbacks[0].secret: what follows whsec_ must be base64",
    ),
    "a mapping where text is meant": (
        TELL,
        "url: {cid: 1}",
        "17:14: partners.best.postbacks[0].url: must be text, not a mapping",
    ),
    "a mapping where a list is meant": (
        "postbacks:\n      - id: sales\n        url",
        "postbacks:\n        url",
        "16:9: partners.best.postbacks: must be a list such as [a, b], not a mapping",
    ),
    "a list where a mapping is meant": (
        AUTH,
        "auth: [x]",
        "5:11: advertisers.acme.auth: must be a mapping ('key: value'), not a list",
    ),
    "a segment that there is not": (
        AUTH,
        f'{AUTH}\n    postback: {{params: {{click_id: "path:0"}}}}',
        (
            "6:35: advertisers.acme.postback.params.click_id:"
            " after path: stands which segment, 1 to 20, or the word before its colon"
        ),
    ),
    "a pattern that may take for ever": (
        AUTH,
        f"{AUTH}\n    postback: {{extract: {{click_id: (a+)+}}}}",
        (
            "6:36: advertisers.acme.postback.extract.click_id:"
            " repeats what repeats or chooses itself, as (a+)+ and (a|b)* do:"
            " it may take for ever; write [ab]* for (a|b)*"
        ),
    ),
    "a default that is no goal": (
        AUTH,
        f"{AUTH}\n    postback: {{defaults: {{goal: sail}}}}",
        (
            "6:33: advertisers.acme.postback.defaults.goal:"
            " no goal 'sail'; did you mean 'sale'?"
        ),
    ),
    "a presence that is no status": (
        AUTH,
        f"{AUTH}\n    postback: {{present: {{cb: {{status: reject}}}}}}",
        (
            "6:39: advertisers.acme.postback.present.cb.status: no status 'reject';"
            " did you mean 'rejected'?"
        ),
    ),
    "items in no place": (
        AUTH,
        f"{AUTH}\n    postback: {{items: {{quantity: q}}}}",
        (
            "6:23: advertisers.acme.postback.items: say where items stand:"
            " either 'amount' or 'list'"
        ),
    ),
    "a reply with a macro that is none": (
        AUTH,
        f'{AUTH}\n    postback: {{reply: {{body: "OK {{conversionid}}"}}}}',
        (
            "6:30: advertisers.acme.postback.reply.body: unknown macro {conversionid};"
            " did you mean 'conversion_id'?"
        ),
    ),
    "a comma that may mean either": (
        AUTH,
        (
            f"{AUTH}\n    postback:"
            " {amounts: {decimal: comma}, items: {list: p, within: ','}}"
        ),
        (
            "6:15: advertisers.acme.postback: ',' stands before the fraction of an"
            " amount: it cannot stand between items, nor within one"
        ),
    ),
    "a variant of no calls": (
        AUTH,
        f"{AUTH}\n    postback: {{variants: [{{when: {{}}}}]}}",
        ("6:34: advertisers.acme.postback.variants[0].when: must not be empty"),
    ),
    "a variant that no word chooses": (
        AUTH,
        f"{AUTH}\n    postback: {{variants: [{{when: {{type: []}}}}]}}",
        (
            "6:27: advertisers.acme.postback.variants[0]: no word of 'type': \"*\" is"
            " any"
        ),
    ),
    "a variant that a secret chooses": (
        AUTH,
        f"{AUTH}\n    postback: {{variants: [{{when: {{auth.key: x}}}}]}}",
        ("5:5: advertisers.acme: 'auth.key' is a secret: no variant can be told by it"),
    ),
    "a goal of a variant that there is not": (
        AUTH,
        f"{AUTH}\n    postback: {{variants: [{{when: {{a: b}}, goals: {{x: no}}}}]}}",
        (
            "6:53: advertisers.acme.postback.variants[0].goals.x: no offer of acme has"
            " a goal 'no'"
        ),
    ),
    "a variant that parts nothing": (
        AUTH,
        (
            f"{AUTH}\n    postback: {{items: {{list: p, within: ','}}, variants:"
            " [{when: {a: b}, amounts: {decimal: comma}}]}"
        ),
        (
            "6:15: advertisers.acme.postback: ',' stands before the fraction of an"
            " amount: it cannot stand between items, nor within one"
        ),
    ),
    "a header that nothing signs": (
        AUTH,
        (
            "auth: {hmac: a-key-of-16-letters}\n"
            "    postback: {params: {amount: 'header:x-sum'}}"
        ),
        (
            "5:5: advertisers.acme: no signature covers a header that it does not name,"
            " so 'header:x-sum' could be anybody's"
        ),
    ),
    "a payout of what nobody knows": (
        "payout: 8%",
        "payout: 8% of profit",
        (
            "11:22: offers.shoes.goals.sale.payout: must be such as 2.50, 8%,"
            " 80% of revenue, or sent"
        ),
    ),
    "a merge of what is no mapping": (
        AUTH,
        f"{AUTH}\n    <<: x",
        "6:9: '<<' takes a mapping: '<<: *name'",
    ),
}


@pytest.mark.parametrize(("old", "new", "fault"), ONE_FAULT.values(), ids=ONE_FAULT)
def test_a_fault_is_named_at_its_place(faults_of, changed, old, new, fault):
    assert faults_of(changed(old, new)) == [fault]


BROKEN = {
    "an empty file": ("", "1:1: the file is empty"),
    "only comments": ("# nothing\n", "1:1: the file is empty"),
    "a list": ("- a\n- b\n", "1:1: must be a mapping, with lines such as 'version: 1'"),
    "a word": ("hello", "1:1: must be a mapping, with lines such as 'version: 1'"),
    "a tab": (
        "a:\n\tb: 1\n",
        (
            "2:1: no value can start with this character: indent with spaces and not"
            " with tabs, and put quotes around text that starts with it"
        ),
    ),
    "an open quote": ("a: 'x\n", "2:1: the file ends before the quotes are closed"),
    "a colon too many": (
        "a: b: c\n",
        (
            "1:5: a colon is not allowed here: check how the line is indented, and put"
            " quotes around text that holds ': '"
        ),
    ),
    "rubbish": (b"\x89PNG\r\n\x1a\n", "1:1: not UTF-8 text: save the file as UTF-8"),
    "Latin-1": (b"a: 1\nb: \xe9\n", "2:4: not UTF-8 text: save the file as UTF-8"),
    "NUL": ("a: 1\nb: \0\n", "2:4: the character U+0000 is not allowed; is this text?"),
    "half a character": ("a: \ud800", "1:4: not UTF-8 text: save the file as UTF-8"),
    "two documents": (
        "a: 1\n---\nb: 2\n",
        "2:1: only one document is allowed: remove this '---'",
    ),
    "a tag": (
        "a: !!python/name:os.system x",
        (
            "1:4: the tag 'tag:yaml.org,2002:python/name:os.system'"
            " is not allowed: remove it"
        ),
    ),
    "an unknown alias": ("a: *b", "1:4: no anchor '&b' stands above"),
    "an endless alias": ("a: &b [*b]", "1:8: no anchor '&b' stands above"),
    "a hundred thousand brackets": (
        "a: " + "[" * 100_000,
        "1:24: nested deeper than 20 levels",
    ),
}


@pytest.mark.parametrize(("text", "fault"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_yaml_gets_one_clear_answer(faults_of, text, fault):
    assert faults_of(text) == [fault]


def test_all_faults_are_named_at_once_in_the_order_of_the_file(faults_of):
    faults = faults_of("""\
        version: 1
        version: 1
        currency: usd
        advertisers:
          acme: {auth: {token: "${NOWHERE}"}, reopn: true}
        offers:
          shoes: {advertiser: acne, url: "http://x/", goals: {sale: {payout: x}}}
        partners:
          best: {offers: [shos]}
    """)

    assert [fault.split(": ")[:2] for fault in faults] == [
        ["2:1", "version"],
        ["3:11", "currency"],
        ["5:24", "advertisers.acme.auth.token"],
        ["5:39", "advertisers.acme.reopn"],
        ["7:23", "offers.shoes.advertiser"],
        ["7:34", "offers.shoes.url"],
        ["7:55", "offers.shoes.goals.sale"],
        ["7:70", "offers.shoes.goals.sale.payout"],
        ["9:19", "partners.best.offers[0]"],
    ]


def test_a_fault_is_a_value_too(changed, secrets):
    with pytest.raises(CatalogError) as caught:
        check_text(changed("version: 1", "version: x"), "p.yaml", secrets)

    assert isinstance(caught.value, FaultyCatalogError)
    assert caught.value.faults == (Fault("p.yaml", 1, 10, "version", "must be 1"),)


def test_a_thousand_faults_are_enough(faults_of, good):
    partners = "\n".join(f"  p{n}: {{offers: [none], paused: x}}" for n in range(5000))

    assert len(faults_of(f"{good}\n{partners}")) == 1000


def test_what_yaml_would_guess_stays_text(check, changed):
    goals = """no: {payout: 1, revenue: 1}
      on: {payout: 1, revenue: 1}
      2024-01-01: {payout: 0x10, revenue: 1}"""
    text = changed("sale: {payout: 8%, revenue: 12%}", goals)

    with pytest.raises(FaultyCatalogError, match="payout: must be a number"):
        check(text)
    goals = check(text.replace("0x10", "010")).document.offers["shoes"].goals
    assert list(goals) == ["no", "on", "2024-01-01"]


def test_names_are_never_booleans_numbers_or_dates(check, changed):
    for name in ("NO", "yes", "1:30", "1_000", "2024-01-01", "0x1f", "1e3", ".inf"):
        checked = check(changed("  best:", f"  best:\n    name: {name}"))
        assert checked.document.partners["best"].name == name


def test_rates_and_windows_mean_what_they_say(check, changed):
    text = changed(TERMS, "{payout: 8.25%, revenue: 2.50}")
    offer = check(text.replace("    goals:", "    window: 90m\n    goals:"))

    shoes = offer.document.offers["shoes"]
    assert shoes.window == timedelta(minutes=90)
    assert shoes.goals["sale"].payout == Rate(Decimal("8.25"), is_percent=True)
    assert str(shoes.goals["sale"].revenue.value) == "2.50"


def test_anchors_and_merges_work_and_what_is_written_wins(check, changed):
    text = changed(
        f"sale: {TERMS}",
        "sale: &sale {payout: 8%, revenue: 12%}\n      lead: {<<: *sale, payout: 5%}",
    )

    lead = check(text).document.offers["shoes"].goals["lead"]
    assert (str(lead.payout.value), str(lead.revenue.value)) == ("5", "12")


def test_a_fault_in_what_was_merged_is_named_where_it_is_written(faults_of, changed):
    text = changed(
        f"sale: {TERMS}",
        "sale: &sale {payout: 8%, revenue: x}\n      lead: {<<: *sale, payout: y}",
    )

    assert [fault.split(": ")[0] for fault in faults_of(text)] == [
        "11:41", "11:41", "12:33",
    ]  # fmt: skip


def test_ten_lines_of_aliases_do_not_fill_the_memory(faults_of):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    (fault,) = faults_of("\n".join(lines))
    assert "more than 2,000,000 values, aliases included" in fault


def test_a_long_chain_of_merges_is_refused(faults_of):
    links = (f"&a{n} {{<<: *a{n - 1}, k{n}: 1}}" for n in range(1, 5000))
    text = f"a: 1\na: [&a0 {{k: 1}}, {', '.join(links)}]\nb: *a4999"

    assert any("nested deeper" in fault for fault in faults_of(text))


def test_a_file_that_is_too_large_is_not_read(tmp_path, secrets):
    path = tmp_path / "partners.yaml"
    path.write_bytes(b"#" * (32 * 1024 * 1024 + 1))

    with pytest.raises(FaultyCatalogError, match="larger than 32 MB"):
        check_file(path, secrets)


def test_a_file_that_is_not_there_is_a_fault(tmp_path, secrets):
    with pytest.raises(FaultyCatalogError, match="No such file"):
        check_file(tmp_path / "partners.yaml", secrets)


def test_a_byte_order_mark_and_windows_lines_do_no_harm(good, secrets):
    raw = b"\xef\xbb\xbf" + good.replace("\n", "\r\n").encode()

    assert isinstance(check_text(raw, "p.yaml", secrets), CheckedCatalog)


def test_sections_may_be_commented_out_to_nothing(check):
    checked = check("version: 1\ncurrency: USD\nadvertisers:\noffers:\npartners:\n")

    assert checked.document.partners == {}


def test_a_value_of_a_secret_is_never_shown(secrets, changed):
    value = secrets["ACME_TOKEN"]
    text = changed(URL, "url: '${ACME_TOKEN}{click_id}{payuot}'\n    zzz: {a")

    for bad in (text, text.replace("{a", "1"), text.replace("{payuot}", "")):
        with pytest.raises(FaultyCatalogError) as caught:
            check_text(bad, "partners.yaml", secrets)
        assert value not in str(caught.value) + repr(caught.value.faults)


def test_the_catalog_of_the_sandbox_is_right():
    path = Path(__file__).parents[2] / "partners.yaml"
    secrets = {"SANDBOX_POSTBACK_TOKEN": "x", "TRACKER_BASE_URL": "http://[::1]:8080"}

    document = check_file(path, secrets).document

    assert document.offers["acme-shoes"].goals["sale"].default
    assert document.partners["bestdeals"].postbacks[0].id == "sales"


def test_the_example_in_its_comments_is_right():
    path = Path(__file__).parents[2] / "partners.yaml"
    lines = path.read_text().split("# -----")[-1].splitlines()[1:]
    text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)
    secrets = {"ACME_POSTBACK_TOKEN": "x", "BESTDEALS_SIGNING_SECRET": "y"}

    document = check_text(text, "partners.yaml", secrets).document

    assert document.partners["bestdeals"].postbacks[1].bodies == ["json"]


def test_editors_get_a_schema_that_takes_numbers_where_we_take_text():
    schema = json.loads(json.dumps(json_schema()))

    goal = schema["$defs"]["GoalSection"]["properties"]
    assert goal["payout"]["type"] == ["number", "string"]
    assert "const" not in schema["properties"]["version"]
    assert schema["properties"]["version"]["enum"] == [1, "1"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["OfferTermsSection"]["type"] == ["object", "null"]
    assert list(schema["properties"]["offers"]["patternProperties"]) == [
        "^[a-z0-9_-]{1,64}$"
    ]
    assert schema["required"] == ["version", "currency"]
