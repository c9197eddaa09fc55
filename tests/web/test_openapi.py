import httpx
import pytest

from tracker.domain.outcome import REASONS, SPOOLED, Verdict
from tracker.settings import Settings
from tracker.web import postback, redirect
from tracker.web.app import create_app
from tracker.web.openapi import FAILED, document

HOT = {
    f"{redirect.PREFIX}{{partner}}/{{offer}}": {"get", "head"},
    postback.PREFIX: {"get", "post"},
    f"{postback.PREFIX}/{{advertiser}}": {"get", "post"},
    f"{postback.PREFIX}/{{advertiser}}/{{rest}}": {"get", "post"},
}


@pytest.fixture
def app():
    return create_app(Settings())


async def test_it_is_served(app):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        answer = await client.get("/openapi.json")

    assert answer.json() == document()


async def test_every_endpoint_is_described_and_no_other(app):
    pages = {route.path: {"get"} for route in app.pages.routes}

    assert {path: set(item) for path, item in document()["paths"].items()} == (
        HOT | pages
    )


async def test_the_methods_of_the_hot_endpoints_are_those_they_take():
    assert {name.lower() for name in redirect.METHODS} == {"get", "head"}
    assert {name.lower() for name in postback.METHODS} == {"get", "post"}


@pytest.mark.parametrize("path", [path for path in HOT if "postback" in path])
async def test_every_outcome_of_a_postback_is_described(path):
    described = document()["paths"][path]["post"]["responses"]
    outcome = document()["components"]["schemas"]["Outcome"]["properties"]

    assert outcome["status"]["enum"] == list(Verdict)
    assert outcome["reason"]["enum"] == list(REASONS)
    decided = {SPOOLED, *(status for status, _ in REASONS.values())}
    assert set(described) == {str(status) for status in {*FAILED, *decided}}
