"""The schema that editors complete and check partners.yaml by."""

import re
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from tracker.catalog import json_schema

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text("utf-8")
FILE = (REPOSITORY / "partners.yaml").read_text("utf-8")

SCHEMA = json_schema()
EXAMPLES = [
    one
    for one in re.findall(r"(?ms)^```yaml\n(.*?)^```", README)
    if "version: 1" in one
]


@pytest.fixture(scope="module")
def validator():
    return jsonschema_rs.validator_for(SCHEMA)


class EditorLoader(yaml.SafeLoader):
    """The types of YAML 1.2, which has no dates."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class has it
        first: [one for one in known if "timestamp" not in one[0]]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def faults_of(validator, text):
    """As an editor finds them, which reads YAML with its own types."""
    document = yaml.load(text, EditorLoader)
    return [one.message for one in validator.iter_errors(document)]


@pytest.mark.parametrize("text", [*EXAMPLES, FILE], ids=lambda text: text[:20])
def test_what_is_right_is_right_in_an_editor(validator, text):
    assert faults_of(validator, text) == []


def test_there_is_an_example_to_check():
    assert EXAMPLES


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("currency: USD", "curency: USD"),
        ("once_per: transaction", "once_per: order"),
        ("auth:", "proof:"),
    ],
)
def test_what_is_wrong_is_underlined(validator, old, new):
    assert EXAMPLES[0].count(old) >= 1

    assert faults_of(validator, EXAMPLES[0].replace(old, new, 1))


def keys(schema):
    for name, section in [("", schema), *schema["$defs"].items()]:
        for key, field in section.get("properties", {}).items():
            yield pytest.param(field, id=f"{name}.{key}")


@pytest.mark.parametrize("field", [*keys(SCHEMA)])
def test_every_key_says_what_it_is(field):
    """In its own words, or in those of the section that it holds."""
    refs = [field, *field.get("anyOf", ())]
    names = [one["$ref"].rpartition("/")[2] for one in refs if "$ref" in one]
    told = [field, *(SCHEMA["$defs"][name] for name in names)]

    assert any(one.get("description") for one in told)
