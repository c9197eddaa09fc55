from urllib.parse import parse_qsl, quote_plus

from hypothesis import example, given
from hypothesis import strategies as st

from tracker.web.query import read_pairs

QUERIES = st.text(alphabet="ab=&%+2F0 é\0;", max_size=40)
PAIRS = st.lists(st.tuples(st.text(min_size=1), st.text()))


@given(QUERIES)
@example("a=%zz&%=&&=x&a+b=c%20d&e%CC=%ff")
def test_a_query_is_read_as_urllib_reads_it(text):
    """But for pairs without a name, which nobody could ask for."""
    theirs = parse_qsl(text, keep_blank_values=True)
    assert read_pairs(text) == [pair for pair in theirs if pair[0]]


@given(PAIRS)
def test_what_was_encoded_is_read_back(pairs):
    sound = [
        tuple(text.encode(errors="replace").decode() for text in pair) for pair in pairs
    ]
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sound)
    assert read_pairs(query) == sound
