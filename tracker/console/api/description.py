"""`/api/v1/openapi.json`: every call, described from its declaration."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from tracker import __version__
from tracker.console.api.calls import PREFIX, Call, Parameter

Json = dict[str, Any]

_SCHEMA = "#/components/schemas/{name}"
_PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_REFUSALS = {
    400: "A parameter or the body cannot be read.",
    401: "No token, or one that is not valid (any more).",
    403: "The token is not for this.",
    404: "There is no such thing, or it is not yours.",
    405: "The address takes other methods; `Allow` names them.",
    409: "The rules, or somebody else's change, do not allow it.",
    412: "Somebody else was quicker: read it again.",
    413: "The body is too large.",
    415: "The body is said to be something else.",
    422: "The body says something that cannot be.",
    428: "If-Match is missing.",
    503: "A store does not answer; try again later.",
}


def document(calls: Sequence[Call], url: str) -> Json:
    """The description, in OpenAPI 3.1; `url` is where the console is found."""
    types = [one for call in calls for one in (call.answer, call.own, call.body) if one]
    schemas, components = msgspec.json.schema_components(types, ref_template=_SCHEMA)
    by_type = dict(zip(map(_name, types), schemas, strict=True))
    paths: Json = {}
    for call in calls:
        described = _call(call, by_type)
        paths.setdefault(_template(call.path), {})[call.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "tracker: the console's API", "version": __version__},
        "servers": [{"url": url + PREFIX}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _template(path: str) -> str:
    """A path without the kinds of its parameters, which only routes know."""
    return path.replace(":int}", "}")


def _name(kind: Any) -> str:
    return repr(kind)


def _call(call: Call, schemas: Json) -> Json:
    described: Json = {
        "operationId": _operation(call),
        "summary": call.says,
        "description": f"Needs the scope `{call.needs}`.",
        "parameters": [
            _parameter(one, _template(call.path)) for one in call.parameters
        ],
        "responses": {str(int(call.status)): _answer(call, schemas), **_refusals()},
    }
    if call.body:
        described["requestBody"] = _body(call, schemas)
    return described


def _operation(call: Call) -> str:
    """What programs that are made of the description name a call by."""
    words = re.findall(r"\w+", _template(call.path))
    return "_".join((call.method.lower(), *words))


def _body(call: Call, schemas: Json) -> Json:
    content: Json = {"schema": schemas[_name(call.body)]}
    if call.example is not None:
        content["example"] = call.example
    return {"required": _must_say(call.body), "content": {call.body_type: content}}


def _must_say(kind: Any) -> bool:
    """Whether a body that says nothing is none; no text is a text as well."""
    try:
        msgspec.convert({} if kind is not str else "", kind)
    except msgspec.ValidationError:
        return True
    return False


def _parameter(one: Parameter, path: str) -> Json:
    is_path = f"{{{one.name}}}" in path
    return {
        "name": one.name,
        "in": "path" if is_path else "header" if one.is_header else "query",
        "required": is_path or one.is_required,
        "description": f"{one.says} For staff." if one.is_for_staff else one.says,
        "schema": _values(one),
    }


def _values(one: Parameter) -> Json:
    schema: Json = {"type": one.kind, **one.rules}
    if one.kind == "string" and not one.may_be_empty:
        schema["minLength"] = 1
    return {"type": "array", "items": schema} if one.is_repeated else schema


def _answer(call: Call, schemas: Json) -> Json:
    said: Json = {"description": HTTPStatus(call.status).phrase}
    if call.answer:
        schema = schemas[_name(call.answer)]
        if call.own:
            schema = {"anyOf": [schema, schemas[_name(call.own)]]}
        schema = _listed(schema) if call.is_list else schema
        content = {"schema": schema}
        if call.answer_type != "application/json":
            # OpenAPI 3.1 has no word for the parts of what never ends.
            content = {"schema": {"type": "string"}, "x-item-schema": schema}
        said["content"] = {call.answer_type: content}
    return said


def _listed(schema: Json) -> Json:
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": schema},
            "next": {"type": ["string", "null"]},
        },
    }


def _refusals() -> Json:
    problem = {"application/problem+json": {"schema": {"$ref": _ref("Problem")}}}
    return {
        str(status): {"description": said, "content": problem}
        for status, said in _REFUSALS.items()
    }


def _ref(name: str) -> str:
    return _SCHEMA.format(name=name)
