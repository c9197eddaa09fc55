from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.errors import TemplateError
from tracker.domain.macros import (
    CLICK_DETAILS,
    DELIVERY_MACROS,
    check_url,
    expand_text,
    expand_url,
    masked,
    parse_template,
)

ANYTHING = st.text() | st.text(alphabet="{}$|&=#?/@:%\r\n\0 ;\ud800sub1")


def text_of(template, secrets=None, **values):
    return expand_text(parse_template(template), values, secrets or {})


def url_of(template, secrets=None, **values):
    return expand_url(parse_template(template), values, secrets or {})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{sub1}", "one"),
        ("{ sub1 }", "one"),
        ("<{sub1}{sub1}>", "<oneone>"),
        ("{unheard_of}", ""),
        ("{{sub1}}", "{sub1}"),
        ("{{{sub1}}}", "{one}"),
        ("${KEY}", "hush"),
        ("$${KEY}", "${KEY}"),
        ("$$${KEY}", "$${KEY}"),
        ("$ {sub1}", "$ one"),
        ('{{"a":"{sub1}"}}', '{"a":"one"}'),
        ("{payout|percent:50}", "1.25"),
        ("{payout|percent:33.3}", "0.83"),
        ("{status|map:approved=1,rejected=3}", "1"),
        ("{sub1|map:two=2}", "one"),
        ("{sub1|map:two=2,*=0}", "0"),
        ("{sub2|default:none}", "none"),
        ("{sub2|default:a=b:c}", "a=b:c"),
        ("{sub1|default:none}", "one"),
        ("{clicked_at|unix}", "1795345200"),
        ("{payout | percent:50 | map:1.25=half}", "half"),
    ],
)
def test_a_template_says_what_it_spells(template, text):
    values = {
        "sub1": "one",
        "payout": "2.50",
        "status": "approved",
        "clicked_at": "2026-11-22T11:00:00.123+00:00",
    }
    assert text_of(template, {"KEY": "hush"}, **values) == text


@pytest.mark.parametrize(
    ("template", "position"),
    [
        ("{", 0),
        ("}", 0),
        ("a}b", 1),
        ("{}", 0),
        ("ab{ }", 2),
        ("a{b", 1),
        ("{sub1|shout}", 0),
        ("x{sub1|percent}", 1),
        ("x{sub1|percent:half}", 1),
        ("{sub1|map:}", 0),
        ("{sub1|map:a}", 0),
        ("{sub1|map:=a}", 0),
        ("{sub1|unix:x}", 0),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_stands(template, position):
    with pytest.raises(TemplateError) as refused:
        parse_template(template)

    assert refused.value.position == position


@pytest.mark.parametrize("value", ["", "abc", "NaN", "Infinity", "1e999999999", "-0"])
@pytest.mark.parametrize("spelled", ["percent:50", "unix", "map:a=b"])
def test_a_filter_passes_on_what_it_cannot_read(value, spelled):
    text_of(f"{{sub1|{spelled}}}", sub1=value)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "https://a.example/",
        "http://a.example:8080/{sub1}",
        "https://a.example?{sub1}",
        "https://a.example#{sub1}",
        "HTTPS://A.example/",
        "https://${HOST}/x",
        "https://[::1]/x",
    ],
)
def test_a_url_has_its_origin_before_its_first_macro(url):
    check_url(parse_template(url), {"HOST": "a.example"})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example/",
        "//a.example/",
        "ftp://a.example/",
        "javascript:alert(1)",
        "{sub1}",
        "https://{sub1}/",
        "https://a.{sub1}/",
        "https://a.example{sub1}",
        "https://a.example:{sub1}/",
        "https://a.example:80{sub1}/",
        "{sub1}https://a.example/",
        "https://{{/",
        "https://user@a.example/",
        "https://user:pass@a.example/",
        "https://${AT}/",
        "https://a.example\\{sub1}",
        "https://a .example/",
        "https:///x",
    ],
)
def test_no_macro_and_no_user_name_stands_in_an_origin(url):
    with pytest.raises(TemplateError):
        check_url(parse_template(url), {"AT": "a@b"})


def test_masked_it_can_be_shown():
    template = parse_template("https://a.example/?k=${KEY}&s={sub1}")

    assert template.secrets == {"KEY"}
    assert template.macros == {"sub1"}
    shown = expand_url(template, {"sub1": "one"}, masked({}))
    assert shown == "https://a.example/?k=***&s=one"


def test_the_details_of_a_click_are_its_labels_and_ad_ids():
    assert {"sub1", "sub10", "gclid", "msclkid"} <= CLICK_DETAILS
    assert not {"click_id", "partner", "offer", "clicked_at"} & CLICK_DETAILS
    assert "revenue" in DELIVERY_MACROS


@given(ANYTHING)
def test_a_value_that_looks_like_a_template_stays_a_value(value):
    assert text_of("<{sub1}>", {"KEY": "hush"}, sub1=value) == f"<{value}>"


@given(ANYTHING)
def test_a_value_cannot_ask_for_another_macro_or_a_secret(value):
    url = url_of(
        "https://a.example/?x={sub1}", {"KEY": "hush!"}, sub1=value, payout="4.2e1!"
    )

    assert "hush!" not in unquote(url)
    assert "4.2e1!" not in unquote(url)


@given(ANYTHING, ANYTHING)
def test_no_value_leaves_the_place_where_it_stands(one, two):
    template = "https://a.example:8443/p/{sub1}/q?x={sub1}&y={sub2|default:-}#{sub2}"
    url = urlsplit(url_of(template, sub1=one, sub2=two))
    one, two = (text.encode(errors="replace").decode() for text in (one, two))

    assert (url.scheme, url.netloc) == ("https", "a.example:8443")
    assert url.path.count("/") == 3
    assert unquote(url.path) == f"/p/{one}/q"
    query = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
    assert query == [("x", one), ("y", two or "-")]


@given(ANYTHING)
def test_a_url_holds_nothing_but_what_urls_hold(value):
    url = url_of("https://a.example/{sub1}?x={sub1}", sub1=value)

    assert url.isascii()
    assert url.isprintable()
    assert " " not in url


@given(st.text())
def test_any_text_is_a_template_or_is_refused(text):
    try:
        template = parse_template(text)
    except TemplateError:
        return
    assert expand_text(template, {}, masked({})) is not None


@given(st.text())
def test_doubled_braces_make_any_text_stand_for_itself(text):
    escaped = text.replace("{", "{{").replace("}", "}}")
    if "$$" not in text and "${" not in text:
        assert text_of(escaped) == text
