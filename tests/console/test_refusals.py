import httpx
import pytest

from tracker.console.app import create_console
from tracker.settings import Settings


@pytest.fixture
async def stranger():
    """Somebody with neither a session nor a token, at a console without stores."""
    transport = httpx.ASGITransport(create_console(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://c") as client:
        yield client


async def test_a_page_that_is_not_there_is_a_page_that_says_so(stranger):
    answer = await stranger.get("/nothing")

    assert answer.status_code == 404
    assert "<h1>Not Found</h1>" in answer.text


async def test_a_program_is_told_of_a_problem(stranger):
    answer = await stranger.get("/api/v1/nothing")

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Not Found",
    }


async def test_a_wrong_method_is_answered_with_the_right_ones(stranger):
    answer = await stranger.post("/")
    shared = await stranger.delete("/api/v1/catalog")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert (shared.status_code, shared.headers["allow"]) == (405, "GET, HEAD, PUT")
