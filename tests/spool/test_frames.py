import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.spool.frames import Kind, Record, find_frames, make_frame, read_frame

records = st.builds(
    Record,
    st.integers(0, 2**64 - 1),
    st.sampled_from(Kind),
    st.binary(max_size=200),
)


@given(records)
def test_a_record_is_read_as_it_was_written(record):
    assert read_frame(make_frame(record)) == record


@given(records, st.data())
def test_a_record_with_a_flipped_bit_is_no_record(record, data):
    frame = bytearray(make_frame(record))
    place = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[place // 8] ^= 1 << place % 8

    with pytest.raises(ValueError, match=r"record|Kind"):
        read_frame(bytes(frame))


@given(st.lists(records, max_size=5), st.binary(max_size=50), st.data())
def test_every_whole_record_is_found_among_other_bytes(whole, junk, data):
    cut = make_frame(Record(1, Kind.CLICK, b"x" * 30))[: data.draw(st.integers(0, 54))]

    found = find_frames(junk + cut + junk.join(make_frame(one) for one in whole) + cut)

    assert list(found) == whole


def test_records_are_found_in_a_mapped_file(tmp_path):
    record = Record(7, Kind.POSTBACK, b"body")
    path = tmp_path / "file"
    path.write_bytes(b"\0" * 100 + make_frame(record))

    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        assert list(find_frames(data)) == [record]
