"""
The settings: read once from the environment, all faults reported together.

    TRACKER_PORT=8080
    TRACKER_SECRET_KEYS_FILE=/run/secrets/tracker_keys

Every field is one variable, its name in capitals behind `TRACKER_`. A secret may
instead come from the file that `TRACKER_…_FILE` names. A variable set to nothing
counts as absent, and one that starts with `TRACKER_` but is not a setting is a fault:
a misspelt name would otherwise be a default nobody asked for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from tracker import failpoints
from tracker.domain.click_id import SigningKeys
from tracker.domain.errors import SettingsError

PREFIX = "TRACKER_"

SERVER_NEEDS = ("database_url", "redis_url", "secret_keys")
"""What `serve` and `worker` cannot run without; `up` makes what is missing."""

SANDBOX_TOKEN = "SANDBOX_POSTBACK_TOKEN"  # noqa: S105 -- the variable's name
SANDBOX_TOKEN_FILE = "sandbox_token"  # noqa: S105 -- the file's name
"""The token of the sandbox's advertiser: made once by `up`, in the data directory."""

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DURATION = re.compile(r"(\d{1,12})(ms|[smhd])", re.ASCII)
_SECRET_KEY = re.compile(r"([0-7]):((?:[0-9a-fA-F]{2})+)", re.ASCII)
_MIN_KEY_BYTES = 16
_WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- recognised, not bound


def _duration(value: object) -> object:
    return _read_duration(value) if isinstance(value, str) else value


def _read_duration(value: str) -> timedelta:
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError("must be a number and a unit: 50ms, 30s, 90m, 24h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def _at_least(text: str) -> AfterValidator:
    def check(value: timedelta) -> timedelta:
        if value < _read_duration(text):
            raise ValueError(f"must be at least {text}")
        return value

    return AfterValidator(check)


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(_network(part.strip()) for part in value.split(",") if part.strip())


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"must be networks like 10.0.0.0/8; {error}") from error


def _starts_with(*starts: str) -> AfterValidator:
    def check(value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(starts):
            raise ValueError(f"must start with {' or '.join(starts)}")
        return value

    return AfterValidator(check)


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL like https://go.example.com")
    if parts.query or parts.fragment:
        raise ValueError("must have neither a query nor a fragment")
    return value.rstrip("/")


def _default_base_url(known: dict[str, Any]) -> str:
    return _local_url(known["host"], known["port"])


def _default_console_url(known: dict[str, Any]) -> str:
    return _local_url(known["host"], known["console_port"])


def _local_url(host: str, port: int) -> str:
    """Where a browser on this machine finds us; a wildcard is not an address."""
    host = _WILDCARDS.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _secret_keys(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        _read_keys(value.get_secret_value())
    return value


def _read_keys(text: str) -> SigningKeys:
    """The keys of `NUMBER:HEX,…`; a fault names the entry, never what it says."""
    entries = [part.strip() for part in text.split(",")]
    pairs = [_read_key(number, entry) for number, entry in enumerate(entries, 1)]
    if len(dict(pairs)) != len(pairs):
        raise ValueError("has a number twice")
    return SigningKeys(signing=pairs[0][0], secrets=dict(pairs))


def _read_key(position: int, entry: str) -> tuple[int, bytes]:
    match = _SECRET_KEY.fullmatch(entry)
    if match is None:
        raise ValueError(
            f"entry {position} is not NUMBER:HEX with a number from 0 to 7"
        )
    key = bytes.fromhex(match[2])
    if len(key) < _MIN_KEY_BYTES:
        raise ValueError(f"entry {position} is shorter than {_MIN_KEY_BYTES} bytes")
    return int(match[1]), key


def _failpoints(value: str) -> str:
    try:
        return failpoints.check(value)
    except SettingsError as error:
        raise ValueError(str(error)) from None


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
Port = Annotated[int, Field(ge=1, le=65535)]
Retention = Annotated[Duration, _at_least("1d")]


class Settings(BaseModel):
    """All settings, checked. Made by `load_settings`; tests may build it directly."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
    )

    database_url: Annotated[
        SecretStr | None,
        _starts_with("postgresql://", "postgres://"),
        Field(description="Postgres, as `postgresql://…`; not set: embedded by `up`"),
    ] = None
    redis_url: Annotated[
        SecretStr | None,
        _starts_with("redis://", "rediss://", "unix://"),
        Field(description="Redis or Valkey, as `redis://…`; not set: embedded by `up`"),
    ] = None
    catalog: Annotated[
        Path, Field(description="The file of advertisers, offers and partners")
    ] = Path("partners.yaml")
    data_dir: Annotated[
        Path, Field(description="Embedded stores, spool, last good catalog, made keys")
    ] = Path(".tracker")
    host: Annotated[str, Field(description="The address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Field(description="The port to listen on")] = 8080
    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        default_factory=_default_base_url,
        description="What links start with; not set: follows host and port",
    )
    internal_port: Annotated[
        Port | None,
        Field(description="A port of their own for `/readyz` and `/metrics`"),
    ] = None
    console_port: Annotated[
        int,
        Field(ge=0, le=65535, description="The port of the console; 0: `up` runs none"),
    ] = 8081
    console_url: Annotated[str, AfterValidator(_base_url)] = Field(
        default_factory=_default_console_url,
        description="Where people find the console; not set: follows host and port",
    )
    secret_keys: Annotated[
        SecretStr | None,
        AfterValidator(_secret_keys),
        Field(
            description="`NUMBER:HEX,…`, numbers 0 to 7, at least 16 bytes each: "
            "the first signs, all verify; not set: made once by `up`"
        ),
    ] = None
    secrets_file: Annotated[
        Path | None,
        Field(description="Lines `NAME=value` for every `${NAME}` of the catalog"),
    ] = None
    country_file: Annotated[
        Path | None,
        Field(description="Countries of addresses, in MaxMind's format"),
    ] = None
    trusted_proxies: Annotated[
        Networks,
        Field(description="Networks whose `X-Forwarded-For` is believed"),
    ] = ()
    allow_destinations: Annotated[
        Networks,
        Field(description="Networks that deliveries may go to though not public"),
    ] = ()
    shards: Annotated[
        int,
        Field(ge=1, le=256, description="Slots that clicks are spread over in Redis"),
    ] = 1
    hot_window: Annotated[
        Duration,
        _at_least("1m"),
        Field(description="How long Redis keeps a click"),
    ] = timedelta(hours=24)
    redis_timeout: Annotated[
        Duration,
        _at_least("1ms"),
        Field(
            description="What Redis is given from the arrival of a click; then it is "
            "written to the spool"
        ),
    ] = timedelta(milliseconds=50)
    spool_bytes: Annotated[
        ByteSize,
        Field(gt=0, description="The most the spool of a process may take, like `1GB`"),
    ] = ByteSize(1_000_000_000)
    spool_free_bytes: Annotated[
        ByteSize, Field(ge=0, description="What a spool leaves free on its disk")
    ] = ByteSize(256_000_000)
    retention_clicks: Annotated[
        Retention, Field(description="How long clicks are kept in Postgres")
    ] = timedelta(days=90)
    retention_postbacks: Annotated[
        Retention, Field(description="How long postbacks are kept")
    ] = timedelta(days=400)
    retention_attempts: Annotated[
        Retention, Field(description="How long attempts at deliveries are kept")
    ] = timedelta(days=90)
    retention_deliveries: Annotated[
        Retention, Field(description="How long finished deliveries are kept")
    ] = timedelta(days=400)
    retention_addresses: Annotated[
        Retention,
        Field(description="How long addresses are kept in full; then their network is"),
    ] = timedelta(days=30)
    retention_audit: Annotated[
        Retention, Field(description="How long the console's audit log is kept")
    ] = timedelta(days=730)
    retention_refused_sign_ins: Annotated[
        Retention, Field(description="How long it keeps who was not let in")
    ] = timedelta(days=90)
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(_lower),
        Field(description="The least that is logged: debug, info, warning or error"),
    ] = "info"
    failpoints: Annotated[
        str,
        AfterValidator(_failpoints),
        Field(description="Faults to provoke, for tests of the tracker itself"),
    ] = ""
    sandbox: Annotated[
        bool, Field(description="Serve the sandbox; `up --sandbox` sets it")
    ] = False
    parent_fd: Annotated[
        int | None,
        Field(ge=0, description="The pipe to `up`, which sets it, for its children"),
    ] = None

    @model_validator(mode="after")
    def _ports_differ(self) -> "Settings":
        if self.internal_port == self.port:
            raise ValueError("internal_port: must not be the port visitors use")
        if self.console_port in {self.port, self.internal_port}:
            raise ValueError("console_port: must be a port of its own")
        return self

    @property
    def database_conninfo(self) -> str:
        """Where Postgres is; SettingsError if nobody said."""
        return self._told("database_url")

    @property
    def redis_address(self) -> str:
        """Where Redis is; SettingsError if nobody said."""
        return self._told("redis_url")

    @property
    def signing_keys(self) -> SigningKeys:
        """The keys that sign and verify; SettingsError if there are none."""
        return _read_keys(self._told("secret_keys"))

    def _told(self, field: str) -> str:
        value = getattr(self, field)
        if value is None:
            raise SettingsError(_missing(field))
        return str(value.get_secret_value())


def load_settings(
    environ: Mapping[str, str], *, needs: Iterable[str] = SERVER_NEEDS
) -> Settings:
    """
    The settings in `environ`, and what `needs` names among them.

    Raises SettingsError with one line for every fault, and never a secret in it.
    """
    given = {
        name: value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value
    }
    values, faults = _read_files(given)
    faults += [_unknown(name) for name in values if name not in _VARIABLES]
    known = {
        _VARIABLES[name]: text for name, text in values.items() if name in _VARIABLES
    }
    lacking = {
        field
        for field in needs
        if field not in known and f"{variable(field)}_FILE" not in given
    }
    return _validate(known, faults + [_missing(field) for field in lacking])


def to_environ(settings: Settings) -> dict[str, str]:
    """What `load_settings` would read these settings from; plain text, secrets too."""
    return {
        variable(field): _written(getattr(settings, field))
        for field in sorted(settings.model_fields_set)
        if getattr(settings, field) is not None
    }


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def _validate(known: Mapping[str, str], faults: list[str]) -> Settings:
    settings = None
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        faults = [*faults, *_faults(error, known)]
    if settings is None or faults:
        raise SettingsError("\n".join(sorted(set(faults))))
    return settings


def _read_files(given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """`given` with every `NAME_FILE` replaced by NAME and what the file holds."""
    values, faults = dict(given), []
    for name in sorted(_SECRETS & {n.removesuffix("_FILE") for n in given}):
        path = values.pop(f"{name}_FILE", None)
        if path is None:
            continue
        if name in given:
            faults.append(f"{name}: is set twice, by itself and by {name}_FILE")
        try:
            values[name] = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{name}_FILE: {path} cannot be read: {_why(error)}")
    return values, faults


def _why(error: OSError | UnicodeDecodeError) -> str:
    """The error without its figures, which might be bytes of a secret."""
    return error.strerror or "" if isinstance(error, OSError) else "it is not UTF-8"


def _faults(error: ValidationError, known: Mapping[str, str]) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        if fault["type"] == "default_factory_not_called":
            continue
        says = str(fault.get("ctx", {}).get("error", fault["msg"]))
        if not fault["loc"]:
            field, _, says = says.partition(": ")
        else:
            field = str(fault["loc"][0])
        yield f"{variable(field)}: {_sentence(says)}{_shown(field, known)}"


def _sentence(says: str) -> str:
    return says.replace("Input should be", "must be").replace("Value should", "must")


def _shown(field: str, known: Mapping[str, str]) -> str:
    if variable(field) in _SECRETS or field not in known:
        return ""
    return f", not {known[field][:60]!r}"


def _written(value: object) -> str:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case timedelta():
            return f"{value // _UNITS['ms']}ms"
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)


def _missing(field: str) -> str:
    return f"{variable(field)}: is not set; only `tracker up` makes its own"


def _unknown(name: str) -> str:
    near = get_close_matches(name, [*_VARIABLES, *(f"{s}_FILE" for s in _SECRETS)], 1)
    return f"{name}: is not a setting" + (f"; did you mean {near[0]}?" if near else "")


_VARIABLES = {variable(field): field for field in Settings.model_fields}
_SECRETS = {
    variable(name)
    for name, field in Settings.model_fields.items()
    if SecretStr in get_args(field.annotation)
}
