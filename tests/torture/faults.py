"""What is done to a store: while the block runs it is so, afterwards it is well."""

from contextlib import contextmanager

from arena import free_port, processes_of_postgres

HANG_UP = """
select pg_terminate_backend(pid)
from   pg_stat_activity
where  backend_type = 'client backend' and pid <> pg_backend_pid()
"""


@contextmanager
def postgres_stopped(ground):
    ground.postgres.stop()
    yield
    ground.postgres.start()


@contextmanager
def postgres_killed(ground):
    ground.kill_postgres()
    yield
    ground.postgres.start()


@contextmanager
def postgres_frozen(ground):
    """It neither answers nor hangs up."""
    with ground.frozen(processes_of_postgres(ground.postgres)):
        yield


@contextmanager
def postgres_hanging_up(ground):
    """Five times a second."""
    with ground.repeating(0.2, lambda: ground.ask(HANG_UP)):
        yield


@contextmanager
def redis_killed(ground):
    ground.kill_valkey()
    yield
    ground.valkey.start()


@contextmanager
def redis_frozen(ground):
    with ground.frozen([ground.valkey_pid()]):
        yield


@contextmanager
def redis_full(ground):
    with ground.redis() as client:
        client.config_set("maxmemory", "1")
        yield
        client.config_set("maxmemory", "0")


@contextmanager
def redis_read_only(ground):
    """A replica of a host that is dead, as after a failover that went wrong."""
    with ground.redis() as client:
        client.replicaof("127.0.0.1", free_port())
        yield
        client.replicaof("NO", "ONE")
