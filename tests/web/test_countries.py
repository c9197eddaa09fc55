"""Countries of addresses: bundled, or from an operator's file, or unknown."""

import pytest

from tracker.countries import Countries

_NUMBERS = {2: b"\xa2", 4: b"\xc4", 8: b"\x08\x02"}
MARKER = b"\xab\xcd\xefMaxMind.com"


def encoded(value):
    """As MaxMind's format has it: the few types that a small file needs."""
    match value:
        case dict():
            inner = b"".join(encoded(one) for pair in value.items() for one in pair)
            return bytes([0b111_00000 | len(value)]) + inner
        case str():
            return bytes([0b010_00000 | len(value)]) + value.encode()
        case list():
            return bytes([len(value), 4]) + b"".join(map(encoded, value))
        case bytes():
            return _NUMBERS[len(value)] + value


@pytest.fixture
def database(tmp_path):
    """A file that knows the lower half of IPv4."""

    def database(record):
        data = encoded(record)
        node = (1 + 16).to_bytes(3) + (1).to_bytes(3)
        about = {
            "node_count": (1).to_bytes(4),
            "record_size": (24).to_bytes(2),
            "ip_version": (4).to_bytes(2),
            "database_type": "Test",
            "languages": ["en"],
            "binary_format_major_version": (2).to_bytes(2),
            "binary_format_minor_version": (0).to_bytes(2),
            "build_epoch": (1).to_bytes(8),
            "description": {"en": "Test"},
        }
        path = tmp_path / "countries.mmdb"
        path.write_bytes(node + bytes(16) + data + MARKER + encoded(about))
        return path

    return database


async def opened(file=None):
    countries = Countries(file)
    await countries.open()
    return countries


async def test_what_is_bundled_knows_the_world():
    countries = await opened()

    assert countries.find("133.11.0.1") == "JP"
    assert countries.find("2001:67c:2e8::1") == "NL"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "fe80::1", "", "what"])
async def test_what_is_nowhere_has_no_country(address, database):
    assert (await opened()).find(address) == ""


@pytest.mark.parametrize(
    "record",
    [{"country": {"iso_code": "CH"}}, {"country_code": "CH"}, {"country": "ch"}],
    ids=["MaxMind", "IPinfo Lite", "IPinfo"],
)
async def test_an_own_file_is_believed(database, record):
    countries = await opened(database(record))

    assert countries.find("10.0.0.1") == "CH"
    assert [countries.find(one) for one in ("200.0.0.1", "2001:db8::1", "")] == [""] * 3


@pytest.mark.parametrize("record", [{}, {"country": {}}, {"asn": "AS1"}])
async def test_an_own_file_of_another_kind_knows_no_country(database, record):
    countries = await opened(database(record))

    assert (countries.find("10.0.0.1"), countries.fault) == ("", "")


async def test_an_own_file_that_is_damaged_knows_no_country(database):
    path = database({"country": "CH"})
    raw = path.read_bytes()
    at = raw.index(b"Gcountry")
    path.write_bytes(raw[:at] + b"\xff" * 3 + raw[at + 3 :])

    countries = await opened(path)
    assert (countries.find("10.0.0.1"), countries.fault) == ("", "")


@pytest.mark.parametrize("content", [None, b"", b"no database"])
async def test_an_own_file_that_cannot_be_read_is_a_fault(tmp_path, content):
    """What is bundled has to do meanwhile."""
    path = tmp_path / "countries.mmdb"
    if content is not None:
        path.write_bytes(content)

    countries = await opened(path)
    assert str(path) in countries.fault
    assert countries.find("133.11.0.1") == "JP"


def test_before_it_is_opened_nobody_comes_from_anywhere():
    assert Countries().find("133.11.0.1") == ""
