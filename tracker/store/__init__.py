"""Where things are kept: Redis for hot clicks, Postgres for everything else."""
