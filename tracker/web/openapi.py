"""
`/openapi.json`: every public endpoint, described for machines.

Parameters, statuses and reasons are taken from where they are decided, so that the
description cannot fall behind them.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tracker import __version__
from tracker.domain.click import AD_IDS, SUBS
from tracker.domain.deeplink import PARAMETER, SIGNATURE
from tracker.domain.outcome import REASONS, SPOOLED, Reason, Verdict
from tracker.domain.vocabulary import CANONICAL, GENERIC, Names

Json = dict[str, Any]

FAILED = {
    400: "The request was cut off, or is not HTTP.",
    408: "The request was not here in time.",
    429: "Too many failures to prove anything from this address.",
    503: "Nothing could be stored; send it again later.",
}
"""What is answered where nothing was decided; whatever else goes wrong is a 500."""

_TEXT: Json = {"text/plain": {"schema": {"type": "string"}}}
_STRING: Json = {"type": "string"}


async def describe(_: Request) -> Response:
    """The description, in OpenAPI 3.1."""
    return JSONResponse(document())


def document() -> Json:
    """Every endpoint that the public port has."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "tracker", "version": __version__},
        "paths": {
            "/c/{partner}/{offer}": _link(),
            "/postback": _postbacks(GENERIC, {}),
            "/postback/{advertiser}": _postbacks(CANONICAL, _any_reply(), "advertiser"),
            "/postback/{advertiser}/{rest}": _postbacks(
                CANONICAL, _any_reply(), "advertiser", "rest"
            ),
            **_status_paths(),
        },
        "components": {
            "schemas": {"Outcome": _outcome(), "Failure": _failure()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _link() -> Json:
    names = [*SUBS, *AD_IDS, PARAMETER, SIGNATURE]
    shared = {
        "parameters": [*_path("partner", "offer"), *_query(names)],
        "responses": {
            "302": {
                "description": "The way to the offer.",
                "headers": {"location": {"required": True, "schema": _STRING}},
            },
            **{str(status): _said(status, _TEXT) for status in (400, 404, 408, 410)},
        },
    }
    return {
        "get": {"summary": "A visitor follows a tracked link", **shared},
        "head": {"summary": "The same, for who only looks", **shared},
    }


def _postbacks(names: Names, more: Json, *path: str) -> Json:
    spelled = [name for meaning in names.values() for name in meaning]
    shared = {
        "security": [{}, {"token": []}],
        "parameters": [*_path(*path), *_query(spelled)],
        "responses": _judged(more),
    }
    fields: Json = {"type": "object", "properties": dict.fromkeys(spelled, _STRING)}
    kinds = (
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json",
    )
    body = {"content": {kind: {"schema": fields} for kind in kinds}}
    said = "An advertiser's server reports what a visitor did"
    return {
        "get": {"summary": said, **shared},
        "post": {"summary": said, **shared, "requestBody": body},
    }


def _judged(more: Json) -> Json:
    """
    An answer for every status that a reason has.

    `more` are other bodies, of an advertiser that may also be told 200 always.
    """
    reasons: dict[int, list[Reason]] = {200: list(REASONS)} if more else {}
    reasons[SPOOLED] = [Reason.NONE]
    for reason, (status, _) in REASONS.items():
        if not more or status != HTTPStatus.OK:
            reasons.setdefault(status, []).append(reason)
    failure = {"application/json": {"schema": _named("Failure")}}
    judged = {
        str(status): {
            "description": ", ".join(filter(None, found)) or "Accepted.",
            "content": {"application/json": {"schema": _of(found)}, **more},
        }
        for status, found in reasons.items()
    }
    failed = {str(status): _said(status, failure | _TEXT) for status in FAILED}
    return judged | failed


def _of(reasons: Iterable[Reason]) -> Json:
    found = {"properties": {"reason": {"enum": list(reasons)}}}
    return {"allOf": [_named("Outcome"), found]}


def _outcome() -> Json:
    return {
        "type": "object",
        "required": ["status", "reason", "conversion_id", "postback_id"],
        "additionalProperties": False,
        "properties": {
            "status": {"enum": list(Verdict)},
            "reason": {"enum": list(REASONS)},
            "conversion_id": {"type": ["string", "null"]},
            "postback_id": _STRING,
        },
    }


def _failure() -> Json:
    return {
        "type": "object",
        "required": ["status", "reason"],
        "additionalProperties": False,
        "properties": {"status": {"const": "failed"}, "reason": _STRING},
    }


def _any_reply() -> Json:
    """An advertiser's `reply` may be anything."""
    return {"*/*": {"schema": {}}}


def _status_paths() -> Json:
    ready = {"application/json": {"schema": _ready()}}
    seen = {"200": _said(200, ready), "503": _said(503, ready)}
    return {
        "/healthz": _reading("The process is alive", {"200": _said(200, _TEXT)}),
        "/readyz": _reading("Visitors are redirected, and what is wrong", seen),
        "/metrics": _reading("For Prometheus", {"200": _said(200, _TEXT)}),
        "/openapi.json": _reading(
            "This description",
            {"200": _said(200, {"application/json": {"schema": {"type": "object"}}})},
        ),
    }


def _ready() -> Json:
    return {
        "type": "object",
        "required": ["ready", "catalog_version", "degraded"],
        "properties": {
            "ready": {"type": "boolean"},
            "catalog_version": {"type": "integer"},
            "degraded": {"type": "object", "additionalProperties": _STRING},
        },
    }


def _reading(summary: str, responses: Json) -> Json:
    return {"get": {"summary": summary, "responses": responses}}


def _said(status: int, content: Mapping[str, Any]) -> Json:
    description = FAILED.get(status, HTTPStatus(status).phrase)
    return {"description": description, "content": content}


def _path(*names: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _STRING}
        for name in names
    ]


def _query(names: Iterable[str]) -> list[Json]:
    return [{"name": name, "in": "query", "schema": _STRING} for name in names]


def _named(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}
