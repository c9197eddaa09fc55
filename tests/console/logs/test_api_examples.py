"""The examples of the README, as they stand there, with a token."""

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from onlookers import PEOPLE
from signed_in import person_in

from tracker.console.api.description import document
from tracker.console.api.index import CALLS
from tracker.domain.person import GRANTS, Actor, Person
from tracker.flow.entry import make_token

README = Path(__file__).parents[3] / "README.md"
SECTION = README.read_text().partition("## The API\n")[2].partition("\n## ")[0]
EXAMPLES = re.findall(r"```bash\n(curl .*?)```", SECTION, re.DOTALL)


@pytest.fixture(scope="module")
async def token(runtime):
    role, name, partner = PEOPLE["viewer"]
    person_id = await person_in(runtime, name, role, partner)
    person = await runtime.people.get(person_id)
    viewer = Person(person.id, name, role, partner, GRANTS[role])
    said = {"name": "reader", "days": "1"}
    return await make_token(runtime, viewer, said, ["own", "see"], Actor(name))


def spoken(example, token):
    """What curl would send: method, URL, headers and body."""
    here = {"\\\n": "", "$TOKEN": token, "acme-shoes": "shoes"}
    for written, meant in here.items():
        example = example.replace(written, meant)
    words = shlex.split(example)[1:]
    flags = list(zip(words[:-1:2], words[1::2], strict=True))
    headers = dict(one.split(": ", 1) for flag, one in flags if flag == "-H")
    bodies = [one for flag, one in flags if flag == "-d"]
    return words[-1], headers, bodies[0] if bodies else None


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
async def test_an_example_of_the_readme_is_answered(console, token, example):
    url, headers, body = spoken(example, token)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(console)) as client:
        answer = await client.request(
            "POST" if body else "GET", url, headers=headers, content=body
        )

    assert answer.status_code == 200, answer.text


BODIES = [call for call in CALLS if call.example is not None]


@pytest.mark.parametrize("call", BODIES, ids=lambda call: call.path)
def test_an_example_of_the_description_is_such_a_body(call):
    assert msgspec.convert(call.example, call.body)


@pytest.mark.parametrize("call", BODIES, ids=lambda call: call.path)
async def test_an_example_of_the_description_is_understood(as_who, call):
    """What it is about need not be there."""
    path = call.path.replace(":int", "").replace("{id}", "999999")

    answer = await as_who("admin").request(
        call.method, f"/api/v1{path}", json=call.example
    )

    assert answer.status_code in {call.status, 404, 409}, answer.text


def test_every_body_that_must_say_something_has_an_example():
    described = document(CALLS, "http://c")["paths"].values()
    bodies = [
        one["requestBody"]
        for methods in described
        for one in methods.values()
        if "requestBody" in one
    ]

    assert len(bodies) > 5
    for body in bodies:
        content = body["content"].get("application/json", {})
        assert "example" in content or not body["required"]


def test_each_call_has_a_name_of_its_own():
    described = document(CALLS, "http://c")["paths"].values()
    names = [one["operationId"] for methods in described for one in methods.values()]

    assert len(set(names)) == len(names) == len(CALLS)


def test_the_readme_has_three_examples():
    assert len(EXAMPLES) == 3
    paths = {urlsplit(shlex.split(one)[-1]).path for one in EXAMPLES}
    assert len(paths) == 3


async def test_a_token_that_is_none_is_a_stranger(console):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(console), base_url="http://c"
    ) as client:
        answer = await client.get(
            "/api/v1/me", headers={"authorization": "Bearer nothing"}
        )

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
