"""How postbacks are written in the file, and what becomes of each way."""

import pytest

from tracker.catalog import compile_catalog, json_schema, load_snapshot, take_snapshot
from tracker.catalog.environment import secret_names
from tracker.domain.outbound import Auth, Number, Rule

NUMBERS = {("partner", "best"): 1, ("offer", "shoes"): 1}
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
                "18:19: partners.best.postbacks[0].form.a: must be text, not a mapping;"
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

    kinds = [one.get("type") for one in schema["oneOf"]]
    assert kinds == ["object", "array", ["string", "number", "boolean"], "null"]
