"""How postbacks are written in the file, and what becomes of each way."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from tracker.catalog import compile_catalog, json_schema, load_snapshot, take_snapshot
from tracker.catalog.environment import secret_names
from tracker.domain.outbound import (
    Auth,
    Document,
    Number,
    PartnerPostback,
    Rule,
    Signature,
    Span,
    When,
)

NUMBERS = {("partner", "best"): 1, ("offer", "shoes"): 1}
SECRETS = dict.fromkeys(("ACME_TOKEN", "SIGNING", "BASE"), "x")
TELL = "url: https://best.example/pb?cid={sub1}"


@pytest.fixture
def postback_of(check, changed):
    """The one postback of a file that says these lines of it."""

    def compiled(lines):
        text = changed(TELL, TELL + "\n" + lines)
        secrets = {"ACME_TOKEN": "x", "SIGNING": "s", "BASE": "b"}
        catalog = compile_catalog(check(text), secrets, version=1, numbers=NUMBERS)
        return catalog.partners["best"].postbacks[0]

    return compiled


@pytest.fixture
def faults_in(faults_of, changed):
    return lambda lines: faults_of(changed(TELL, TELL + "\n" + lines))


def test_what_stands_without_quotes_is_a_number_or_a_boolean(postback_of):
    tree = postback_of(
        """\
        json:
          a: [1.50, "1.50", -3, 1e3, 007, .5, true, "true", yes, NO]
          b: {c: null, d: '', e: "{payout|number}"}
        """
    ).tree

    assert tree["a"] == [
        "1.50", "1.50", "-3", "1e3", "007", ".5", True, "true", "yes", "NO",
    ]  # fmt: skip
    numbers = [isinstance(one, Number) for one in tree["a"]]
    assert numbers == [True, False, True, True, *[False] * 6]
    assert tree["b"] == {"c": None, "d": "", "e": "{payout|number}"}


@pytest.mark.parametrize(
    "at",
    [
        "{clicked_at|date:%d.%m.%Y %H:%M}",
        "{sub1|default:a b}&s={sub2|optional|prefix:x y}",
    ],
)
def test_a_space_may_stand_where_a_filter_is_told(check, changed, at):
    assert check(changed(TELL, f'url: "https://t.example/?at={at}&b=1"'))


@pytest.mark.parametrize("at", ["{sub1} ", "x y{sub1|default:a b}"])
def test_a_space_may_stand_nowhere_else_in_a_url(faults_of, changed, at):
    (fault,) = faults_of(changed(TELL, f'url: "https://t.example/?at={at}&b=1"'))

    assert "must not contain spaces; write %20" in fault


def test_nothing_is_required_where_a_visitor_goes(faults_of, changed):
    landing = "url: https://shop.acme.example/?cid={click_id}"
    (fault,) = faults_of(changed(landing, landing + "&s={sub1|required}"))

    assert "a visitor has to go somewhere: nothing can be 'required'" in fault


def test_a_field_may_be_a_document_with_filters(postback_of):
    postback = postback_of(
        """\
        query: {"data|base64|urlencode": [{a: 1.50, b: "{sub2}"}], "x|y": "{sub3}"}
        form: {a: "{sub4}", p: {tx: "{click.tx}"}}
        """
    )

    data = Document('[{"a":1.50,"b":"{sub2}"}]', "base64|urlencode")
    assert postback.query == {"data": data, "x|y": "{sub3}"}
    assert postback.form == {"a": "{sub4}", "p": Document('{"tx":"{click.tx}"}')}
    assert postback.macros == {"sub1", "sub2", "sub3", "sub4", "click.tx"}


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ('{"data|bas64": {a: b}}', "no filter 'bas64'; did you mean 'base64'?"),
        ('{"data|hmac:NONE": {a: b}}', "${NONE} is not set, or empty"),
        ('{"data|optional": {a: b}}', "a document that is empty is left out by itself"),
        ("{data: {a: '{sub11}'}}", "unknown macro {sub11}"),
        ("{data: {a: '{revenue}'}}", "reveal: [revenue]"),
        ("{data: {a: {payout}}}", 'put it in quotes: "{payout}"'),
    ],
)
def test_what_is_wrong_with_a_document_is_said(faults_in, query, fault):
    (said,) = faults_in(f"        query: {query}")

    assert fault in said


def test_a_list_may_be_the_document(postback_of):
    postback = postback_of('        json: [{a: "{goal}"}]')

    assert (postback.tree, postback.method) == ([{"a": "{goal}"}], "POST")


def test_every_part_of_a_postback_is_kept(postback_of):
    postback = postback_of(
        """\
        method: PATCH
        body: "<a>{sub2}</a>"
        content_type: application/xml
        auth: {basic: {user: u, password: "${SIGNING}"}}
        success: {status: 2xx, json: {code: [0, ok], ok: true}}
        final: {status: [400, 4xx]}
        retry: {body: BUSY}
        """
    )

    assert (postback.method, postback.content_type) == ("PATCH", "application/xml")
    assert postback.auth == Auth("${SIGNING}", user="u")
    wanted = {"code": ("0", "ok"), "ok": ("true",)}
    assert postback.success == Rule(frozenset({"2xx"}), None, wanted)
    assert postback.final == Rule(frozenset({"400", "4xx"}))
    assert postback.retry == Rule(body="BUSY")
    assert postback.macros == {"sub1", "sub2"}


def test_a_pattern_is_short_for_a_rule(postback_of):
    assert postback_of("        success: OK").success == Rule(body="OK")


def test_all_secrets_of_a_postback_are_found(check, changed):
    lines = """
        json: {a: [{b: "${BASE}"}]}
        headers: {X: "{sub1|hmac:SIGNING}"}
        auth: {bearer: "${UNUSED}"}
    """
    checked = check(changed(TELL, TELL + lines))
    secrets = {"BASE": "1", "SIGNING": "2", "UNUSED": "3", "ACME_TOKEN": "4"}
    catalog = compile_catalog(checked, secrets, version=1, numbers=NUMBERS)

    assert secret_names(catalog).needed == secrets.keys()


async def test_a_postback_comes_through_a_snapshot(check, changed):
    lines = """
        json: {a: [1.50, {b: "{sub1}"}]}
        query: {a: {b: c}, d: e}
        auth: {bearer: "x"}
        success: {json: {code: 0}}
        final: {status: 400}
    """
    checked = check(changed(TELL, TELL + lines))
    secrets = {"ACME_TOKEN": "4"}
    snapshot = take_snapshot(checked, version=1, numbers=NUMBERS)

    loaded = await load_snapshot(snapshot, secrets)

    made = compile_catalog(checked, secrets, version=1, numbers=NUMBERS)
    assert loaded == made
    assert loaded.partners["best"].postbacks[0].tree["a"][0] == "1.50"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (
            "        json: {a: {payout}}",
            (
                "18:19: partners.best.postbacks[0].json.a:"
                ' a mapping; put it in quotes: "{payout}"'
            ),
        ),
        (
            "        json: {a: [b, {payout|round:1}]}",
            (
                "18:23: partners.best.postbacks[0].json.a[1]:"
                ' a mapping; put it in quotes: "{payout|round:1}"'
            ),
        ),
        (
            "        form: {a: {click.x}}",
            (
                "18:19: partners.best.postbacks[0].form.a: a mapping;"
                ' put it in quotes: "{click.x}"'
            ),
        ),
        (
            "        json: {a: [{b: '{payuot}'}]}",
            (
                "18:24: partners.best.postbacks[0].json.a[0].b:"
                " unknown macro {payuot}; did you mean {payout}?"
            ),
        ),
        (
            "        json: {a: [{b: '{revenue_change}'}]}",
            (
                "18:24: partners.best.postbacks[0].json.a[0].b:"
                " {revenue_change} is shown only to a partner with 'reveal: [revenue]'"
            ),
        ),
        (
            "        body: x{sub1}",
            (
                "16:9: partners.best.postbacks[0]: a body needs a 'content_type',"
                " such as application/xml: values are escaped for it"
            ),
        ),
        (
            "        content_type: text/plain",
            (
                "16:9: partners.best.postbacks[0]:"
                " a 'content_type' needs a body that it is of"
            ),
        ),
        (
            "        auth: {}",
            (
                "18:15: partners.best.postbacks[0].auth:"
                " write either 'basic: {user: …, password: …}' or 'bearer'"
            ),
        ),
        (
            "        auth: {bearer: a}\n        headers: {authorization: b}",
            (
                "16:9: partners.best.postbacks[0]:"
                " either 'auth' or a header Authorization, not both"
            ),
        ),
        (
            "        auth: {bearer: '{sub1}'}",
            (
                "18:24: partners.best.postbacks[0].auth.bearer:"
                " no macro is possible here: {sub1}"
            ),
        ),
        (
            "        final: {}",
            (
                "18:16: partners.best.postbacks[0].final:"
                " must have a status, a body or a json path to look for"
            ),
        ),
        (
            "        success: {status: 20}",
            (
                "18:27: partners.best.postbacks[0].success.status:"
                " must be a status such as 404, or 4xx"
            ),
        ),
        (
            "        headers: {X: '{sub1|hmac:NOPE}'}",
            "18:22: partners.best.postbacks[0].headers.X: ${NOPE} is not set, or empty",
        ),
        (
            "        method: HEAD",
            (
                "18:17: partners.best.postbacks[0].method:"
                " must be GET, POST, PUT, PATCH or DELETE"
            ),
        ),
    ],
)
def test_a_postback_that_makes_no_sense_is_refused_at_its_place(
    lines, fault, faults_in
):
    assert faults_in(lines) == [fault]


def test_editors_get_a_schema_that_takes_any_document():
    schema = json_schema()["$defs"]["JsonTree"]

    success = json_schema()["$defs"]["PostbackSection"]["properties"]["success"]
    either = success["anyOf"][0]["oneOf"]
    assert [one.get("type", one.get("$ref")) for one in either] == [
        "string",
        "#/$defs/AnswerSection",
    ]
    kinds = [one.get("type") for one in schema["oneOf"]]
    assert kinds == ["object", "array", ["string", "number", "boolean"], "null"]


EVERYWHERE = """
        headers: {X: "${SIGNING}"}
        sign: {text: "{url}", key: "${BASE}", header: X-Sig, value: "a={signature}"}
        delay: 90m
        when:
          offers: shoes
          labels: {sub2: [fb, 7], click.utm: "*"}
          amount: {min: 10, max: 500}
          payout: {max: 2.50}
"""


def test_a_condition_is_kept_as_it_is_written(check, changed):
    checked = check(changed(TELL, TELL + EVERYWHERE))
    catalog = compile_catalog(
        checked, dict.fromkeys(SECRETS, "x"), version=1, numbers=NUMBERS
    )
    (postback,) = catalog.partners["best"].postbacks

    assert postback.delay == timedelta(minutes=90)
    assert postback.sign == Signature(
        "{url}", "${BASE}", header="X-Sig", value="a={signature}"
    )
    assert postback.when == When(
        offers=frozenset({"shoes"}),
        labels={"sub2": frozenset({"fb", "7"}), "click.utm": frozenset("*")},
        amount=Span(Decimal(10), Decimal(500)),
        payout=Span(most=Decimal("2.50")),
    )
    assert postback.asked == {"click.utm"}


async def test_offers_and_the_file_have_postbacks_too(check, changed):
    listed = [f"\n    - id: o\n      {TELL}" + EVERYWHERE.replace("\n  ", "\n")]
    deeper = listed[0].replace("\n", "\n  ")
    text = changed(
        "partners:", f"    postbacks:{deeper}\npostbacks:{listed[0]}\npartners:"
    )
    secrets = dict.fromkeys(SECRETS, "x")
    checked = check(text)
    snapshot = take_snapshot(checked, version=1, numbers=NUMBERS)

    catalog = await load_snapshot(snapshot, secrets)

    assert catalog == compile_catalog(checked, secrets, version=1, numbers=NUMBERS)
    assert catalog.postbacks == catalog.offers["shoes"].postbacks
    assert secret_names(catalog).needed == SECRETS.keys()
    assert len(list(catalog.all_postbacks())) == 3


def test_a_postback_of_an_older_snapshot_is_still_read():
    older = {
        "id": "sales", "url": "https://a.example/", "method": "POST", "form": None,
        "json": {"a": "{sub1}"}, "headers": {}, "success": "OK", "secret": None,
        "when": {"goals": ["sale"], "statuses": ["approved"], "changes": False},
    }  # fmt: skip

    postback = msgspec.convert(older, PartnerPostback)

    assert postback.tree == {"a": "{sub1}"}
    assert (postback.success, postback.delay) == ("OK", timedelta())


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (
            "{when: {offers: [shoez]}}",
            "when.offers[0]: no offer 'shoez'; did you mean 'shoes'?",
        ),
        (
            "{when: {labels: {sub11: x}}}",
            (
                "when.labels.sub11: must be a label of the click, such as sub2 or"
                " click.NAME; did you mean 'sub1'?"
            ),
        ),
        ("{when: {amount: {}}}", "when.amount: must have a min, a max or both"),
        (
            "{when: {payout: {min: 2, max: 1}}}",
            "when.payout: min must not be more than max",
        ),
        ("{delay: 4d}", "delay: must be at most 3d"),
        (
            "{sign: {text: '{url}', param: s}}",
            (
                "sign: needs a secret: a 'key', or ${NAME} in the text;"
                " anybody could make this signature"
            ),
        ),
        (
            "{sign: {text: '{url}', key: abc}}",
            "sign: write either 'param' or 'header': what carries it",
        ),
        (
            "{sign: {text: '{url}', key: abc, param: s, value: 'v1={sig}'}}",
            "sign.value: unknown macro {sig}",
        ),
        (
            "{sign: {text: '{url}', key: abc, param: s, value: 'v1'}}",
            "sign.value: must contain {signature}, as in sha256={signature}",
        ),
        (
            "{sign: {text: '{uri}', key: abc, param: s}}",
            "sign.text: unknown macro {uri}; did you mean {url}?",
        ),
        (
            "{sign: {text: '{revenue}', key: abc, param: s}}",
            (
                "sign.text: {revenue} is shown only to a partner"
                " with 'reveal: [revenue]'"
            ),
        ),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(lines, fault, faults_of, changed):
    merged = f"<<: {lines}"
    faults = faults_of(changed(TELL, f"{TELL}\n        {merged}"))

    assert [one.split("postbacks[0].")[-1] for one in faults] == [fault]


@pytest.mark.parametrize("name", ["revenue", "Comm", "earned"])
def test_what_an_advertiser_says_of_revenue_is_shown_to_nobody_either(
    name, faults_of, changed
):
    auth = 'auth: {token: "${ACME_TOKEN}"}'
    params = "\n    postback: {params: {revenue: [comm, earned]}}"
    asking = changed(TELL, TELL + f"&r={{postback.{name}}}").replace(
        auth, auth + params
    )
    assert [one.split("url: ")[-1] for one in faults_of(asking)] == [
        f"{{postback.{name}}} is shown only to a partner with 'reveal: [revenue]'"
    ]


def test_an_offer_tells_only_of_goals_of_its_own(faults_of, changed):
    two = """\
  hats:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals: {lead: {payout: 1, revenue: 2}}
    postbacks: [{id: a, url: https://a.example/, when: {goals: sale}}]
partners:
"""
    assert faults_of(changed("partners:\n", two)) == [
        "16:64: offers.hats.postbacks[0].when.goals: this offer has no goal 'sale'"
    ]
