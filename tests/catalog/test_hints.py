"""What is likely not meant is named at its place, and refuses nothing."""

import re
from pathlib import Path

import pytest

from tracker.catalog import HINTS, check_text, find_hints

README = Path(__file__).parents[2] / "README.md"

FINE = """\
version: 1
currency: USD
advertisers:
  acme:
    auth: {token: "${ACME_TOKEN}"}
offers:
  shoes:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals:
      lead: {payout: 2.50, revenue: 4.00}
      sale: {payout: 8%, revenue: 12%, default: true}
partners:
  best:
    offers: all
    postbacks:
      - id: sales
        url: https://best.example/pb?cid={sub1}
"""

SECRETS = {"ACME_TOKEN": "the-token-of-acme", "OTHER_TOKEN": "another-token-of-all"}

AUTH = 'auth: {token: "${ACME_TOKEN}"}'
TELL = "url: https://best.example/pb?cid={sub1}"
HATS = """\
  hats:
    advertiser: acme
    url: https://shop.acme.example/hats?cid={click_id}
    goals: {lead: {payout: 1, revenue: 2}}
"""

# What is replaced, by what, and the one hint that follows.
ONE_HINT = {
    "a secret of two advertisers": (
        "offers:\n  shoes",
        (
            '  globex:\n    auth: {token: "${ACME_TOKEN}"}\noffers:\n'
            f"{HATS.replace('acme', 'globex')}  shoes"
        ),
        (
            "7:19: hint: advertisers.globex.auth.token: is the secret of acme as well:"
            " each can report for the other"
        ),
    ),
    "a secret that a partner is told": (
        TELL,
        TELL + "&key=${ACME_TOKEN}",
        (
            "17:9: hint: partners.best.postbacks[0]: tells the partner the secret that"
            " proves acme"
        ),
    ),
    "a secret that stands in the file": (
        AUTH,
        "auth: {token: the-token-of-acme}",
        (
            "5:19: hint: advertisers.acme.auth.token: stands in the file for everybody"
            " who reads it: write ${NAME}, and put the value into the environment or"
            " the secrets file"
        ),
    ),
    "a signing secret that stands in the file": (
        TELL,
        TELL + "\n        secret: our-signing-secret",
        (
            "19:17: hint: partners.best.postbacks[0].secret: stands in the file for"
            " everybody who reads it: write ${NAME}, and put the value into the"
            " environment or the secrets file"
        ),
    ),
    "nothing to prove": (
        AUTH,
        "auth: {none: true}",
        (
            "5:18: hint: advertisers.acme.auth.none: whoever learns a click id can"
            " report a sale for it: ask for a token or a signature, where its server"
            " can send one"
        ),
    ),
    "a signature for any sale": (
        AUTH,
        "auth: {signature: {text: '{clikid}{transid}', key: '${ACME_TOKEN}'}}",
        (
            "5:30: hint: advertisers.acme.auth.signature.text: names neither the click"
            " nor the transaction (click_id, cid, clickid, subid or transaction_id):"
            " who sees one signature may report what he likes with it"
        ),
    ),
    "an offer in the open": (
        "https://shop",
        "http://shop",
        (
            "9:10: hint: offers.shoes.url: goes through the net for everybody to read"
            " and to change: use https://"
        ),
    ),
    "a postback in the open": (
        "https://best",
        "http://best",
        (
            "18:14: hint: partners.best.postbacks[0].url: goes through the net for"
            " everybody to read and to change: use https://"
        ),
    ),
    "the operator's own postback in the open": (
        "partners:\n",
        "postbacks: [{id: own, url: 'http://own.example/'}]\npartners:\n",
        (
            "13:28: hint: postbacks[0].url: goes through the net for everybody to read"
            " and to change: use https://"
        ),
    ),
    "a password in the file": (
        TELL,
        f"{TELL}\n        auth: {{bearer: our-own-token}}",
        (
            "19:15: hint: partners.best.postbacks[0].auth: stands in the file for"
            " everybody who reads it: write ${NAME}, and put the value into the"
            " environment or the secrets file"
        ),
    ),
    "more than all of the revenue": (
        "payout: 2.50",
        "payout: 120% of revenue",
        (
            "11:22: hint: offers.shoes.goals.lead.payout: the partner earns more than"
            " the advertiser owes us"
        ),
    ),
    "an advertiser without an offer": (
        "offers:\n  shoes",
        '  globex:\n    auth: {token: "${OTHER_TOKEN}"}\noffers:\n  shoes',
        (
            "6:3: hint: advertisers.globex: owns no offer, so that it has nothing to"
            " report"
        ),
    ),
    "a partner with nothing to promote": (
        "  best:",
        "  idle:\n    offers: []\n  best:",
        "14:3: hint: partners.idle: may promote nothing: no link of it leads anywhere",
    ),
    "a partner that is not told": (
        "  best:",
        "  quiet: {offers: all}\n  best:",
        "14:3: hint: partners.quiet: is told of no conversion: it has no postbacks",
    ),
    "a goal without a word": (
        AUTH,
        f"{AUTH}\n    postback: {{goals: {{e2: sale}}}}",
        (
            "12:7: hint: offers.shoes.goals.lead: no word of acme leads here: it would"
            " have to send 'lead' itself"
        ),
    ),
    "a share of an amount that has no name": (
        AUTH,
        f"{AUTH}\n    postback: {{params: {{click_id: cid}}}}",
        (
            "6:16: hint: advertisers.acme.postback.params: sale of shoes is a share of"
            " the amount, and amount is not listed: acme would have to send `amount`"
            " itself"
        ),
    ),
    "an amount that is needed and switched off": (
        AUTH,
        f"{AUTH}\n    postback: {{params: {{click_id: cid, amount: []}}}}",
        (
            "6:16: hint: advertisers.acme.postback.params: sale of shoes is a share of"
            " the amount, and amount is switched off"
        ),
    ),
    "a name that looks misspelt": (
        AUTH,
        f"{AUTH}\n    postback: {{params: {{click_id: clik_id, amount: sum}}}}",
        (
            "6:35: hint: advertisers.acme.postback.params.click_id: 'clik_id' looks"
            " misspelt; did you mean 'click_id'?"
        ),
    ),
    "a name of ours for something else": (
        AUTH,
        f"{AUTH}\n    postback: {{params: {{amount: revenue}}}}",
        (
            "6:33: hint: advertisers.acme.postback.params.amount: 'revenue' is our own"
            " word for something else than amount"
        ),
    ),
    "a word of ours for another status": (
        AUTH,
        f"{AUTH}\n    postback: {{statuses: {{approved: [rejected]}}}}",
        (
            "6:37: hint: advertisers.acme.postback.statuses.approved: 'rejected' counts"
            " as approved here: is that meant?"
        ),
    ),
    "a call that cannot be matched": (
        TELL,
        "url: https://best.example/pb?sum={payout}",
        (
            "18:14: hint: partners.best.postbacks[0].url: says nothing that the"
            " partner's link had, such as {sub1}: how is it to know which click paid"
            " off?"
        ),
    ),
    "a call that says the same": (
        TELL,
        f"{TELL}\n      - id: again\n        {TELL}",
        (
            "19:13: hint: partners.best.postbacks[1].id: says the same as 'sales': the"
            " partner is told twice"
        ),
    ),
    "a payout above the revenue": (
        "payout: 2.50",
        "payout: 5",
        (
            "11:22: hint: offers.shoes.goals.lead.payout: the partner earns more than"
            " the advertiser owes us"
        ),
    ),
    "a partner's payout above the revenue": (
        "offers: all",
        "offers: {shoes: {goals: {sale: {payout: 15%}}}}",
        (
            "15:45: hint: partners.best.offers.shoes.goals.sale.payout: the partner"
            " earns more than the advertiser owes us"
        ),
    ),
}


def hints_of(text):
    return find_hints(check_text(text, "partners.yaml", SECRETS), SECRETS)


def test_a_file_that_is_fine_has_none():
    assert hints_of(FINE) == []


@pytest.mark.parametrize(("old", "new", "hint"), ONE_HINT.values(), ids=ONE_HINT)
def test_a_hint_stands_at_its_place(old, new, hint):
    assert FINE.count(old) == 1
    changed = FINE.replace(old, new)

    said = [str(one).removeprefix("partners.yaml:") for one in hints_of(changed)]

    assert said == [hint]


def test_an_offer_for_nobody_and_a_postback_for_another_offer():
    changed = FINE.replace("offers:\n", f"offers:\n{HATS}")
    changed = changed.replace("offers: all", "offers: [hats]")
    changed += "        when: {goals: [sale]}\n"

    idle, silent = map(str, hints_of(changed))

    assert idle.endswith(
        "11:3: hint: offers.shoes: no partner may promote it: add it to the `offers`"
        " of one"
    )
    assert silent.endswith(
        "23:23: hint: partners.best.postbacks[0].when.goals: never fires: the"
        " partner promotes nothing with 'sale'"
    )


def test_a_name_for_two_meanings_is_doubtful():
    params = "{click_id: id, transaction_id: id, amount: sum, goal: ev}"
    changed = FINE.replace(AUTH, f"{AUTH}\n    postback: {{params: {params}}}")

    assert [one.path.rpartition(".")[2] for one in hints_of(changed)] == [
        "click_id",
        "transaction_id",
    ]


@pytest.mark.parametrize(
    "said",
    [
        "params: {click_id: cid}, items: {amount: 'AMT#'}",
        "params: {click_id: cid, amount: a}, defaults: {goal: lead}, goals: {e: sale}",
        "params: {click_id: cid, amount: sum, revenue: payout}",
    ],
)
def test_what_is_said_in_another_way_needs_no_name(said):
    changed = FINE.replace(AUTH, f"{AUTH}\n    postback: {{{said}}}")

    assert hints_of(changed) == []


@pytest.mark.parametrize("name", ["clickid", "subid", "cid", "orderid", "sum", "amnt"])
def test_usual_and_short_names_are_not_doubted(name):
    params = f"{{click_id: [{name}], amount: total}}"
    changed = FINE.replace(AUTH, f"{AUTH}\n    postback: {{params: {params}}}")

    assert hints_of(changed) == []


def test_no_secret_stands_in_a_hint():
    both = 'token: "${ACME_TOKEN}"}\n  globex:\n    auth: {token: the-token-of-acme}'
    changed = FINE.replace('token: "${ACME_TOKEN}"}', both)

    assert "the-token" not in "".join(map(str, hints_of(changed)))


def test_every_hint_has_a_test():
    shown = {
        one.kind
        for old, new, _ in ONE_HINT.values()
        for one in hints_of(FINE.replace(old, new))
    }

    assert shown | {"idle_offer", "silent_postback"} == set(HINTS)


def test_every_hint_is_listed_in_the_readme():
    part = README.read_text("utf-8").partition("\n## Hints\n")[2].partition("\n#")[0]

    assert set(re.findall(r"(?m)^\| `(\w+)` \|", part)) == set(HINTS)
