"""Whatever the file holds, the answer is a catalog or a list of faults."""

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracker.catalog import check_text
from tracker.domain.errors import CatalogError

TEXT = (Path(__file__).parents[2] / "partners.yaml").read_text().split("# -----")[0]
SECRETS = {"SANDBOX_POSTBACK_TOKEN": "hunter2-hunter2", "TRACKER_BASE_URL": "http://h"}
PIECES = [
    "{", "}", "[", "]", "&a ", "*a", "<<: ", "- ", ": ", "? ", "!!int ", "|", ">", "'",
    '"', "\n", "\t", "  ", "null", "true", "1e9", "{click_id}", "{revenue}", "${X}",
    "$${X}", "9" * 400, "%", "all", "default", "whsec_", "\x85", "\u2028", "é", "\\",
    "#", "---\n", "...\n", "%YAML 1.1\n", "@", "`", "-1", "0", "(", "\u0661", "\ud800",
]  # fmt: skip


def judge(raw: str | bytes) -> None:
    said = ""
    try:
        check_text(raw, "p.yaml", SECRETS)
    except CatalogError as error:
        said = str(error)
    assert "hunter2" not in said


@given(st.text() | st.binary())
def test_any_text_is_answered(raw):
    judge(raw)


@st.composite
def mutated(draw):
    text = TEXT
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 30))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=5))
        text = text[:start] + piece + text[start + cut :]
    return text


@settings(max_examples=400, deadline=None)
@given(mutated())
@example(TEXT.replace("30d", "99999999999999d"))
def test_a_mutilated_catalog_is_answered(text):
    judge(text)


KEYS = st.sampled_from([
    "version", "currency", "timezone", "rates", "advertisers", "offers", "partners",
    "auth", "token", "allow_ips", "none", "postback", "params", "goals", "statuses",
    "reply", "url", "payout", "revenue", "default", "deeplinks", "limits", "window",
    "postbacks", "id", "form", "json", "headers", "when", "success", "secret", "a",
])  # fmt: skip
VALUES = st.recursive(
    st.sampled_from([*PIECES, "1", "USD", "a", "sale"]).map(lambda s: s[:50]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=30,
)


def flow(value) -> str:
    """As YAML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return "'" + value.replace("'", "''").replace("\n", " ") + "'"


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_shape_is_answered(shape):
    judge(flow(shape))
