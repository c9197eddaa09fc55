from datetime import timedelta
from ipaddress import ip_network

import pytest

from tracker.domain.errors import SettingsError
from tracker.settings import Settings, load_settings, to_environ

KEY = "ab" * 16
SERVER = {
    "TRACKER_DATABASE_URL": "postgresql://tracker:hunter22@db/tracker",
    "TRACKER_REDIS_URL": "redis://cache",
    "TRACKER_SECRET_KEYS": f"3:{KEY}",
}


def faults_of(environ, **options):
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, **options)
    return str(caught.value).splitlines()


def test_nothing_set_is_what_the_documentation_says():
    settings = load_settings({}, needs=())

    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.hot_window == timedelta(hours=24)
    assert settings.redis_timeout == timedelta(milliseconds=50)
    assert settings.spool_bytes == 10**9


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())


def test_all_faults_are_reported_together():
    environ = {
        "TRACKER_PORT": "99999",
        "TRACKER_HOT_WINDOW": "yesterday",
        "TRACKER_RETENTION_CLICKS": "1h",
        "TRACKER_TRUSTED_PROXIES": "10.0.0.1/8",
    }

    faults = faults_of(environ)

    assert [fault.partition(":")[0] for fault in faults] == [
        "TRACKER_DATABASE_URL",
        "TRACKER_HOT_WINDOW",
        "TRACKER_PORT",
        "TRACKER_REDIS_URL",
        "TRACKER_RETENTION_CLICKS",
        "TRACKER_SECRET_KEYS",
        "TRACKER_TRUSTED_PROXIES",
    ]
    assert "must be at least 1d, not '1h'" in faults[4]


def test_a_misspelt_name_is_a_fault_that_names_the_right_one():
    faults = faults_of({"TRACKER_PROT": "80"}, needs=())

    assert faults == ["TRACKER_PROT: is not a setting; did you mean TRACKER_PORT?"]


@pytest.mark.parametrize(
    "value", [KEY, f"8:{KEY}", "0:abcd", f"0:{KEY},0:{KEY}", f"0:{KEY},,1:{KEY}"]
)
def test_a_bad_key_is_refused_without_showing_it(value):
    (fault,) = faults_of({"TRACKER_SECRET_KEYS": value}, needs=())

    assert fault.startswith("TRACKER_SECRET_KEYS: ")
    assert "ab" not in fault.replace("absent", "")


def test_the_first_key_signs_and_all_verify():
    environ = SERVER | {"TRACKER_SECRET_KEYS": f"5:{KEY}, 2:{KEY}ff"}

    keys = load_settings(environ).signing_keys

    assert keys.signing == 5
    assert set(keys.secrets) == {2, 5}


def test_no_secret_shows_in_a_fault_or_in_what_is_printed():
    faults = faults_of(SERVER | {"TRACKER_DATABASE_URL": "mysql://u:hunter22@db"})
    settings = load_settings(SERVER)

    assert "hunter22" not in "".join(faults)
    assert "hunter22" not in repr(settings)
    assert KEY not in repr(settings)


def test_a_secret_may_come_from_a_file(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"1:{KEY}\n")
    environ = SERVER | {"TRACKER_SECRET_KEYS_FILE": str(file)}
    del environ["TRACKER_SECRET_KEYS"]

    assert load_settings(environ).signing_keys.signing == 1


def test_a_secret_from_two_places_or_from_none_is_a_fault(tmp_path):
    environ = SERVER | {
        "TRACKER_SECRET_KEYS_FILE": str(tmp_path / "absent"),
        "TRACKER_PORT_FILE": "/etc/port",
    }

    faults = faults_of(environ)

    assert [fault.partition(":")[0] for fault in faults] == [
        "TRACKER_PORT_FILE",
        "TRACKER_SECRET_KEYS",
        "TRACKER_SECRET_KEYS_FILE",
    ]


def test_an_empty_variable_counts_as_absent():
    settings = load_settings({"TRACKER_PORT": "", "OTHER": "x"}, needs=())

    assert settings.port == 8080


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("0.0.0.0", "http://127.0.0.1:9000"),
        ("::", "http://[::1]:9000"),
        ("go.example", "http://go.example:9000"),
    ],
)
def test_the_base_url_follows_host_and_port(host, base_url):
    settings = load_settings({"TRACKER_HOST": host, "TRACKER_PORT": "9000"}, needs=())

    assert settings.base_url == base_url


def test_the_internal_port_is_another_one():
    environ = {"TRACKER_PORT": "9000", "TRACKER_INTERNAL_PORT": "9000"}

    (fault,) = faults_of(environ, needs=())

    assert fault.startswith("TRACKER_INTERNAL_PORT: must not be")


def test_settings_written_out_read_back_as_they_were():
    environ = SERVER | {
        "TRACKER_HOT_WINDOW": "90m",
        "TRACKER_SPOOL_BYTES": "2GB",
        "TRACKER_ALLOW_DESTINATIONS": "10.0.0.0/8, ::1",
        "TRACKER_SANDBOX": "1",
        "TRACKER_LOG_LEVEL": "DEBUG",
    }

    settings = load_settings(environ)

    assert settings.allow_destinations[0] == ip_network("10.0.0.0/8")
    assert load_settings(to_environ(settings)) == settings
