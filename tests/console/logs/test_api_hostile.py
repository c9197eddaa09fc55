"""Whatever a program says, each call answers as its description says it may."""

import re
from urllib.parse import quote

import msgspec
import pytest

from tracker.console.api.description import document
from tracker.console.api.index import CALLS

PATHS = document(CALLS, "http://console")["paths"]
HOSTILE = ("a\0b", "\u202e<b>'--", "9" * 5000, "2024-13-45", "")
NO_BODIES = (b"[" * 1000, b'{"a": ' * 1000 + b"1" + b"}" * 1000, b"\xff\xfe")
ANSWERED = [one for one in CALLS if one.answer_type == "application/json"]


def requests_to(call):
    """The address and the body of each, with one hostile word in each place."""
    path = f"/api/v1{call.path}"
    for word in HOSTILE:
        said = quote(word) or "%20"
        in_path = re.sub(r"\{\w+\}", said, re.sub(r"\{\w+:int\}", "9" * 40, path))
        yield in_path, None
        for one in call.parameters:
            if f"{{{one.name}" not in call.path and not one.is_header:
                yield f"{in_path}?{one.name}={quote(word)}", None
        yield from ((in_path, body) for body in bodies_of(call.body, word))
    if call.body:
        yield from ((path, body) for body in NO_BODIES)


def bodies_of(kind, word):
    """Each field in turn; of a catalog there are none."""
    fields = msgspec.structs.fields(kind) if kind not in {None, str} else ()
    for field in fields:
        yield msgspec.json.encode({field.name: word})
        yield msgspec.json.encode({field.name: [word]})
        yield b'{"%s": "\\ud800"}' % field.name.encode()


@pytest.mark.parametrize("call", ANSWERED, ids=lambda one: f"{one.method} {one.path}")
async def test_no_word_gets_an_answer_that_is_not_described(as_who, call):
    described = PATHS[call.path.replace(":int}", "}")][call.method.lower()]
    admin, wrong = as_who("admin"), []

    for path, body in set(requests_to(call)):
        headers = {"content-type": call.body_type} if body else None
        answer = await admin.request(call.method, path, content=body, headers=headers)
        told = described["responses"].get(str(answer.status_code), {}).get("content")
        kind = answer.headers.get("content-type")
        if kind not in (told or {None}):
            wrong.append((answer.status_code, kind, path[:80], body and body[:40]))

    assert wrong == []
