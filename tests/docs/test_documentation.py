"""Documentation that misses something, or shows what is not true, fails the build."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_origin

import psycopg
import pytest
import typer
from prometheus_client.metrics import MetricWrapperBase
from pydantic import TypeAdapter

from tracker import metrics
from tracker.catalog import check_text
from tracker.catalog.document import Document
from tracker.catalog.offers import DEFAULT_WINDOW
from tracker.catalog.postbacks import JsonTree
from tracker.catalog.reading import Source
from tracker.catalog.sections import Section
from tracker.catalog.times import parse_duration
from tracker.cli import REFUSED, STORE_AWAY, app
from tracker.domain.breaker import OpenReason
from tracker.domain.click import ClickReason
from tracker.domain.click_id import ClickClass
from tracker.domain.delivery import DeadReason, Failure, HeldReason
from tracker.domain.filters import FILTERS
from tracker.domain.judgement import WAIVABLE
from tracker.domain.macros import (
    CLICK_MACROS,
    CLICK_PARAMETER,
    DELIVERY_MACROS,
    SENT_PARAMETER,
    expand_text,
    expand_url,
    parse_template,
)
from tracker.domain.money import MAX_DECIMALS, MAX_DIGITS
from tracker.domain.outcome import REASONS, Reason, Verdict
from tracker.domain.report import DIMENSIONS, MEASURES
from tracker.domain.request import render_tree
from tracker.domain.vocabulary import CANONICAL, GENERIC
from tracker.settings import SERVER_NEEDS, Settings, load_settings, variable
from tracker.web import postback, redirect
from tracker.web.app import create_app

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "tracker"

README = REPOSITORY / "README.md"
HANDBOOK = REPOSITORY / "deploy" / "README.md"
DICTIONARY = REPOSITORY / "sql" / "README.md"
GRID = PACKAGE / "README.md"

NOTHING = "\N{EN DASH}"
FOLDERS = {"tracker", "sql", "tests", "deploy"}
FILES = {
    "pyproject.toml", "README.md", "partners.yaml",
    "Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
}  # fmt: skip

SECRETS = dict.fromkeys(("ACME_TOKEN", "BESTDEALS_KEY", "HOOK_KEY"), "x" * 20) | {
    "KEY": "hush",
    "BESTDEALS_SIGNING_SECRET": "whsec_c2VjcmV0",
}


@pytest.fixture(scope="module")
def readme():
    return README.read_text("utf-8")


# ---------------------------------------------------------------------- the settings


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_stands_with_its_default(readme, field):
    name = variable(field)
    shown = _row(_part(readme, "Settings"), name)[1]
    default = getattr(Settings(), field)

    if shown == NOTHING:
        assert default in {None, "", ()}
    else:
        said = load_settings({name: shown.strip("`")}, needs=())
        assert getattr(said, field) == default


def test_no_setting_stands_that_there_is_not(readme):
    known = {variable(field) for field in Settings.model_fields}

    known |= {f"{variable(field)}_FILE" for field in SERVER_NEEDS}
    pages = readme + HANDBOOK.read_text("utf-8") + DICTIONARY.read_text("utf-8")

    assert set(re.findall(r"TRACKER_\w*[A-Z]", pages)) <= known


# ---------------------------------------------------------------------- the commands


def _commands() -> Iterator[tuple[str, list]]:
    root = typer.main.get_command(app)
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        for sub, leaf in (inner or {"": command}).items():
            yield f"tracker {name} {sub}".strip(), leaf.params


COMMANDS = dict(_commands())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_with_its_options(readme, command):
    row = next(
        line
        for line in readme.splitlines()
        if re.match(rf"\| `{re.escape(command)}[` ]", line)
    )
    options = {
        name
        for parameter in COMMANDS[command]
        for name in parameter.opts
        if name.startswith("--") and not re.fullmatch(r"--sub[2-9]", name)
    }

    assert {name for name in options if f"`{name}" not in row} == set()
    for parameter in COMMANDS[command]:
        if parameter.name in {"limit", "clicks"}:
            assert f"({parameter.default})" in row


def test_every_exit_code_stands(readme):
    for code in (0, REFUSED, 2, STORE_AWAY):
        assert _row(_part(readme, "Commands"), str(code))


# -------------------------------------------------------------------------- the file


def _keys(section: type[Section], path: str = "") -> Iterator[tuple[str, object]]:
    for name, field in section.model_fields.items():
        here = path + (field.alias or name)
        yield here, field.default
        for inner, suffix in _sections(field.annotation):
            yield from _keys(inner, f"{here}{suffix}.")


# A variant has the keys of what it varies.
# Offers and the file as a whole have postbacks of the same form as partners.
_VARIED = re.compile(r"advertisers\.\*\.postback\.variants\[\]\.(?!when)")
_ELSEWHERE = ("offers.*.postbacks[].", "postbacks[].")


def _sections(annotation) -> Iterator[tuple[type[Section], str]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation, ""
    suffix = {dict: ".*", tuple: "[]"}.get(get_origin(annotation), "")
    for argument in get_args(annotation):
        yield from ((section, suffix + rest) for section, rest in _sections(argument))


KEYS = {
    key: default
    for key, default in _keys(Document)
    if not key.startswith(_ELSEWHERE) and not _VARIED.match(key)
}


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_the_file_stands_with_its_default(readme, key):
    shown = _row(_part(readme, "partners.yaml"), key)[1].strip("`")
    default = KEYS[key]

    if isinstance(default, bool):
        assert shown == str(default).lower()
    elif isinstance(default, str):
        assert shown == default


def test_no_key_of_the_file_stands_that_there_is_not(readme):
    assert _names(_part(readme, "partners.yaml")) == set(KEYS)


def test_the_window_that_is_shown_is_the_one_that_holds(readme):
    shown = _row(_part(readme, "partners.yaml"), "offers.*.window")[1].strip("`")

    assert parse_duration(shown) == DEFAULT_WINDOW


def test_the_example_of_the_file_is_right(readme):
    examples = [one for one in _blocks(readme, "yaml") if "version: 1" in one]

    assert examples
    for example in examples:
        check_text(example, "partners.yaml", SECRETS)


def test_the_example_of_a_body_is_what_is_sent(readme):
    part = _part(readme, "Bodies")
    (written,) = _blocks(part, "yaml")
    (said,) = _blocks(part, "json")
    tree = TypeAdapter(JsonTree).validate_python(Source(written, "").data["json"])
    values = {
        "converted_at": "2026-11-22T10:00:00.000+00:00",
        "sub5": " Ann@Example.org",
        "currency": "USD",
        "amount": "49.90",
    }

    assert render_tree(tree, values, {}) == said.replace("\n", "")


def test_the_examples_of_places_are_true(readme):
    pattern = r"(?m)^(https://\S+) +with (\S+) +→ +(\S+)$"
    shown = re.findall(pattern, _part(readme, "Filters"))

    assert len(shown) == 4
    for template, value, url in shown:
        values = {} if value == "nothing" else {"sub1": value}
        assert expand_url(parse_template(template), values, {}) == url


# ---------------------------------------------------------------- macros and filters


@pytest.mark.parametrize("name", sorted(DELIVERY_MACROS))
def test_every_macro_stands_with_its_place(readme, name):
    shown = _row(_part(readme, "Macros"), f"{{{name}}}")[1]

    assert shown == ("both" if name in CLICK_MACROS else "deliveries")


def test_no_macro_stands_that_there_is_not(readme):
    told = _names(_part(readme, "Macros"))

    dotted = {f"{start}NAME" for start in (CLICK_PARAMETER, SENT_PARAMETER)}
    assert told == {f"{{{name}}}" for name in DELIVERY_MACROS | dotted}


def _examples(text) -> list[tuple[str, str, str, str]]:
    pattern = r"^\{(\w+)\|(.+)\} +(.*?) *→ (.*)$"
    return re.findall(pattern, text, re.MULTILINE)


def test_every_filter_stands_and_every_example_is_true(readme):
    part = _part(readme, "Filters")
    examples = _examples(part)
    used = {
        one.partition(":")[0] for _, said, *_ in examples for one in said.split("|")
    }
    used |= set(re.findall(r"\|(raw|optional|required)\}", part))

    assert used == _names(part) == set(FILTERS)
    for macro, said, value, result in examples:
        template = parse_template(f"{{{macro}|{said}}}")
        assert expand_text(template, {macro: value}, SECRETS) == result, said


# ------------------------------------------------------------- postbacks and reasons


def test_every_parameter_of_a_postback_stands(readme):
    part = _part(readme, "Postback parameters")

    assert _names(part) == set(CANONICAL)
    for name in GENERIC["click_id"]:
        assert f"`{name}`" in part


@pytest.mark.parametrize("reason", [one for one in Reason if one])
def test_every_reason_of_a_postback_stands_with_its_status(readme, reason):
    assert _row(_part(readme, "Reasons"), reason)[1] == str(REASONS[reason][0])


def test_it_is_said_how_long_an_amount_may_be(readme):
    meaning = REASONS[Reason.BAD_AMOUNT][1]
    row = " ".join(_row(_part(readme, "Reasons"), Reason.BAD_AMOUNT))

    for said in (meaning, row):
        assert re.findall(r"up to (\d+)", said) == [str(MAX_DIGITS), str(MAX_DECIMALS)]


def test_every_outcome_of_a_postback_stands_and_no_other(readme):
    outcomes = _part(readme, "Outcomes").split("\n#")[0]

    assert _names(outcomes) == set(Verdict)
    assert _names(_part(readme, "Reasons")) == {reason for reason in Reason if reason}


def test_what_can_be_waived_stands(readme):
    part = _part(readme, "Reasons")
    (said,) = re.findall(r"release --waive` takes ([^.]*)\.", part)

    assert set(re.findall(r"`(\w+)`", said)) == WAIVABLE


def test_every_reason_of_a_click_stands_and_no_other(readme):
    told = _names(_part(readme, "Clicks"))

    assert told == {reason for reason in ClickReason if reason}


def test_every_reason_of_a_delivery_stands_and_no_other(readme):
    kinds = (HeldReason, DeadReason, Failure, OpenReason)

    told = _names(_part(readme, "Deliveries"))

    assert told == {reason for kind in kinds for reason in kind if reason}


def test_every_class_of_a_click_stands(readme):
    for one in ClickClass:
        assert f"`{one.name.lower()}`" in _part(readme, "Clicks")


def test_every_endpoint_stands(readme):
    routes = create_app(Settings(sandbox=True)).pages.routes
    paths = {route.path for route in routes}
    paths |= {redirect.PREFIX + "{partner}/{offer}", postback.PREFIX}
    paths |= {postback.PREFIX + "/{advertiser}"}

    part = _part(readme, "HTTP endpoints")

    assert {path for path in paths if f"{path}`" not in part} == set()


# ---------------------------------------------------------- what operators look after


def _metrics() -> Iterator[tuple[str, tuple[str, ...]]]:
    for one in vars(metrics).values():
        if isinstance(one, MetricWrapperBase):
            kind = "_total" if one._type == "counter" else ""
            yield one._name + kind, one._labelnames


def test_every_metric_stands_with_its_labels():
    part = _part(HANDBOOK.read_text("utf-8"), "Metrics")

    assert _names(part) == {name for name, _ in _metrics()}
    for name, labels in _metrics():
        assert re.findall(r"`(\w+)`", _row(part, name)[1]) == list(labels)


_CALL = re.compile(
    r"\b(?:log\.(?:debug|info|warning|error|critical|exception)|say)\(\s*([^\s,)]+)"
)


def _logged() -> Iterator[tuple[str, str]]:
    """What is logged, with the file it stands in."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text("utf-8")
        if "structlog.get_logger()" in text:
            for what in _CALL.findall(text):
                yield what, path.name


def _events() -> set[str]:
    literal = {what.strip('"') for what, _ in _logged() if what.startswith('"')}
    return literal | {f"postback.{verdict}" for verdict in Verdict}


def test_every_log_event_has_a_name_that_can_be_looked_up():
    unnamed = {where for what, where in _logged() if not what.startswith('"')}

    assert unnamed <= {"postback.py"}


def test_every_log_event_stands_and_no_other():
    handbook = HANDBOOK.read_text("utf-8")

    assert _names(_part(handbook, "Log events")) == _events()


# ------------------------------------------------------------------------ the tables


def _tables() -> dict[str, set[str]]:
    schema = (REPOSITORY / "sql" / "schema.sql").read_text("utf-8")
    made = re.findall(r"(?ms)^CREATE TABLE (\w+) \(\n(.*?)^\)", schema)
    return {
        table: set(re.findall(r"(?m)^    ([a-z]\w*) ", columns))
        for table, columns in made
    }


def _described() -> dict[str, set[str]]:
    """The tables of the dictionary, each with the columns it explains."""
    parts = re.split(r"(?m)^### `(\w+)`$", DICTIONARY.read_text("utf-8"))[1:]
    return {
        table: {
            column
            for row in re.findall(r"(?m)^\| (`.*?) \|", re.split(r"(?m)^## ", text)[0])
            for column in re.findall(r"`(\w+)`", row)
        }
        for table, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_every_table_stands_and_no_other():
    assert _described().keys() == _tables().keys()


def test_every_column_that_is_explained_exists():
    tables = _tables()

    for table, columns in _described().items():
        assert columns - tables[table] == set(), table


def test_every_function_of_the_database_stands():
    schema = (REPOSITORY / "sql" / "schema.sql").read_text("utf-8")

    for name in re.findall(r"(?m)^CREATE FUNCTION (\w+)", schema):
        assert f"`{name}(" in DICTIONARY.read_text("utf-8")


def test_every_query_of_the_dictionary_runs(database_url):
    queries = _blocks(DICTIONARY.read_text("utf-8"), "sql")

    assert queries
    with psycopg.connect(database_url) as connection:
        connection.read_only = True
        for query in queries:
            connection.execute(query)


# ------------------------------------------------------------------------- the clone


def test_every_module_stands_and_no_other():
    grid = GRID.read_text("utf-8")
    modules = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }

    told = set(re.findall(r"(?m)^\| `([\w/]+\.py)` \| [^|]*\|$", grid))

    assert told == modules


def test_the_top_level_holds_nothing_else():
    ignored = (REPOSITORY / ".gitignore").read_text("utf-8").split()
    found = [
        path
        for path in REPOSITORY.iterdir()
        if not path.name.startswith(".") and f"{path.name}/" not in ignored
    ]

    assert {path.name for path in found if path.is_dir()} == FOLDERS
    assert {path.name for path in found if path.is_file()} <= FILES


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_every_folder_explains_itself(folder):
    assert (REPOSITORY / folder / "README.md").is_file()


def _pages() -> list[Path]:
    pages = [*REPOSITORY.glob("*.md")]
    return pages + [
        page for one in FOLDERS for page in (REPOSITORY / one).rglob("*.md")
    ]


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"(?s)```.*?```", "", page.read_text("utf-8"))
    links = re.findall(r"\]\(([^)\s]+)\)", text)

    for link in links:
        target, _, anchor = link.partition("#")
        if ":" in target:
            continue
        place = page.parent / target if target else page
        assert place.exists(), link
        assert not anchor or anchor in _anchors(place), link


def _anchors(page) -> set[str]:
    """As forges make them of headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


# ----------------------------------------------------------------------- the reports


@pytest.mark.parametrize("measure", MEASURES.values(), ids=lambda one: one.name)
def test_every_column_of_a_report_stands_with_its_formula(readme, measure):
    row = _row(_part(readme, "Reports"), measure.name)

    whose = "staff" if measure.is_private else ""
    assert row[1:] == [measure.label, measure.formula, whose]


def test_every_dimension_of_a_report_stands(readme):
    part = _part(readme, "Reports").replace("`sub1` to `sub10`", "")
    named = {name for name in DIMENSIONS if f"`{name}`" in part}

    assert named == {name for name in DIMENSIONS if not name.startswith("sub")}


def _row(text: str, name: str) -> list[str]:
    """The cells of the table row that begins with the name."""
    found = re.search(rf"(?m)^\| `{re.escape(name)}` \|.*\|$", text)
    assert found, f"no table has a row for {name}"
    cells = re.split(r"(?<!\\)\|", found[0].strip("|"))
    return [cell.strip().replace(r"\|", "|") for cell in cells]


def _names(text: str) -> set[str]:
    """What the rows of the tables in it begin with."""
    return set(re.findall(r"(?m)^\| `([^`]+)` \|", text))


def _part(text: str, title: str) -> str:
    """What stands under a heading, to the next one that is no deeper."""
    found = re.search(rf"(?m)^(#+) {re.escape(title)}$", text)
    assert found, f"no heading says {title}"
    below = text[found.end() :]
    return re.split(rf"(?m)^#{{1,{len(found[1])}}} ", below)[0]


def _blocks(text, language) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)
