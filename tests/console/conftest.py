"""Whoever opens the console: `console` is the fixture of the folder, served."""

from contextlib import asynccontextmanager

import httpx
import pytest
from signed_in import headers_in, person_in


@pytest.fixture
def browser(console):
    """Opens a browser of a stranger's, or with what signs somebody in."""

    @asynccontextmanager
    async def browser(headers=None, address="192.0.2.1"):
        transport = httpx.ASGITransport(console, client=(address, 4711))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://console.test", headers=headers
        ) as client:
            yield client

    return browser


@pytest.fixture
def as_role(console, browser):
    """Opens a browser in which somebody of that role is signed in."""

    @asynccontextmanager
    async def as_role(role, partner=None, name=None):
        runtime = console.state.runtime
        name = name or f"{partner or 'the'}-{role}"
        person_id = await person_in(runtime, name, role, partner)
        async with browser(await headers_in(runtime, person_id)) as client:
            yield client

    return as_role
