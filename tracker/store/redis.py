"""Redis (or Valkey): how connections are made."""

from collections.abc import Callable
from typing import Any, TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import RedisError, ResponseError

Client: TypeAlias = Redis

UNAVAILABLE = (RedisError, OSError, TimeoutError)
"""What a call raises while Redis is away, slow, full or read-only."""


def make_client(url: str, *, connections: int, timeout: float) -> Client:
    """
    A client that fails soon and retries nothing: its callers know what to do.

    `timeout` is in seconds, for every call; a reader that blocks needs a longer one.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        # Two round trips at every connect that nobody here reads.
        driver_info=None,
    )
    pool.connection_class = _packing(pool.connection_class)
    return Redis.from_pool(pool)


def _packing(plain: Any) -> Any:
    """A connection that spells commands in C, as redis-py's blocking ones do."""
    packer = HiredisRespSerializer()
    return type(plain.__name__, (plain,), {"pack_command": _method(packer.pack)})


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _self, *arguments: function(*arguments)


async def faults_of(client: Client) -> list[str]:
    """What in its configuration would break the promise that no click is lost."""
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
    }
    try:
        found = await client.config_get(*wanted)
    except ResponseError:
        return ["its configuration may not be read, so nobody knows if it is durable"]
    return [
        f"{name} is {found.get(name)}, not {value}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
