"""What the address and the agent of a click tell, found out when it is folded."""

import asyncio

from tracker.domain.click import Click
from tracker.domain.click_id import ClickFacts
from tracker.domain.traffic import Seen, traffic_of
from tracker.runtime import Runtime

_COUNTRY_LETTERS = 2


async def open_data(runtime: Runtime) -> None:
    """What is looked up in is open; costs nothing where it was before."""
    await asyncio.gather(
        runtime.countries.open(), runtime.agents.open(), runtime.hosting.open()
    )


def see(runtime: Runtime, facts: ClickFacts, click: Click) -> Seen:
    """Of one that was erased, no more than its class is to be seen."""
    if click.is_erased:
        return Seen(traffic_of(facts.click_class))
    agent = runtime.agents.find(click.user_agent)
    is_hosted = runtime.hosting.holds(click.address)
    traffic = traffic_of(facts.click_class, is_bot=agent.is_bot, is_hosted=is_hosted)
    return Seen(
        traffic=traffic,
        country=_country(runtime, click.address),
        device=agent.device,
        os=agent.os,
        browser=agent.browser,
        visitor=_visitor(runtime, facts, click) if traffic == "visit" else None,
    )


def _visitor(runtime: Runtime, facts: ClickFacts, click: Click) -> int | None:
    """Nobody is known again by nothing."""
    if not (click.address or click.user_agent):
        return None
    return runtime.visitor_hasher.digest(
        facts.offer_number, click.address, click.user_agent
    )


def _country(runtime: Runtime, address: str) -> str:
    """An operator's file may say anything: what is no country is none."""
    found = runtime.countries.find(address) if address else ""
    return found if len(found) == _COUNTRY_LETTERS and found.isascii() else ""
