"""
What a user agent says it is, by data that is on this machine.

Bundled are the patterns of uap-core (ua-parser) and of known crawlers
(crawler-user-agents), both held by the same matcher, in Rust: a new agent costs 30 µs,
however it was made, and one that was seen costs nothing.
"""

import asyncio
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from tracker.domain.traffic import LONGEST_AGENT, Agent, device_in

if TYPE_CHECKING:
    from ua_parser.core import Matcher

REMEMBERED = 20_000
"""Agents whose meaning is kept: 10 MB at most."""

_LONGEST_NAME = 50

Read = Callable[[str], Agent]


class Agents:
    """Reads user agents, once it was opened; before that none says anything."""

    def __init__(self) -> None:
        self._read: Read | None = None

    async def open(self) -> None:
        """Once, in a thread: the patterns take a quarter of a second."""
        if self._read is None:
            self._read = await asyncio.to_thread(_opened)

    def find(self, user_agent: str) -> Agent:
        """What it says; nothing for one that is empty."""
        return self._read(user_agent[:LONGEST_AGENT]) if self._read else Agent()


@cache
def _opened() -> Read:
    """The same for everybody in a process."""
    # Imported where they are needed: it takes longer than a command may.
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # noqa: PLC0415
    from ua_parser import Domain, UserAgent, load_lazy_builtins  # noqa: PLC0415
    from ua_parser.matchers import UserAgentMatcher  # noqa: PLC0415
    from ua_parser.regex import Resolver  # noqa: PLC0415

    crawlers: list[Matcher[UserAgent]] = [
        UserAgentMatcher(one["pattern"], "crawler") for one in CRAWLER_USER_AGENTS_DATA
    ]
    find_crawler = Resolver((crawlers, [], []))
    find_names = Resolver(load_lazy_builtins())
    names = Domain.USER_AGENT | Domain.OS

    @lru_cache(REMEMBERED)
    def read(user_agent: str) -> Agent:
        found = find_names(user_agent, names)
        return Agent(
            device=device_in(user_agent),
            os=found.os.family[:_LONGEST_NAME] if found.os else "",
            browser=found.user_agent.family[:_LONGEST_NAME] if found.user_agent else "",
            is_bot=bool(find_crawler(user_agent, Domain.USER_AGENT).user_agent),
        )

    return read
