"""
Every counter, declared once.

Set `PROMETHEUS_MULTIPROC_DIR` before the import, as `tracker up` does, and every
process of the folder is added up in one answer. No label ever holds an id.
"""

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

CONTENT_TYPE = CONTENT_TYPE_LATEST

CLICKS = Counter(
    "tracker_clicks_total", "Clicks kept before their redirect.", ["click_class"]
)
CLICKS_LOST = Counter(
    "tracker_clicks_lost_total",
    "Visitors redirected before any store had confirmed their click.",
)
CLICK_ID_COLLISIONS = Counter(
    "tracker_click_id_collisions_total", "Click ids that were taken and minted again."
)
CLICKS_FOLDED = Counter(
    "tracker_clicks_folded_total", "Clicks moved from Redis into Postgres."
)
CLICKS_REJECTED = Counter(
    "tracker_clicks_rejected_total", "Clicks set aside because Postgres refused them."
)
STORES_AWAY = Gauge(
    "tracker_store_away",
    "1 while a process does without this store.",
    ["store"],
    multiprocess_mode="livemax",
)
SPOOLED = Counter(
    "tracker_spooled_total", "What was written to a spool on disk.", ["kind"]
)
SPOOL_DRAINED = Counter(
    "tracker_spool_drained_total", "What went from a spool to Postgres.", ["kind"]
)
SPOOL_REFUSED = Counter(
    "tracker_spool_refused_total",
    "Records of a spool that Postgres did not take; they are kept there.",
)
SPOOL_WAITING = Gauge(
    "tracker_spool_waiting",
    "Records on disk that wait for Postgres.",
    multiprocess_mode="livesum",
)
POSTBACKS = Counter(
    "tracker_postbacks_total", "Postbacks judged.", ["outcome", "reason"]
)
POSTBACKS_FAILED = Counter(
    "tracker_postbacks_failed_total",
    "Postbacks that were not judged: cut off, or nothing could be stored.",
    ["status"],
)
POSTBACKS_LIMITED = Counter(
    "tracker_postbacks_limited_total",
    "Unproven postbacks answered with 429, for there were too many.",
    ["kept"],
)
CLICKS_CAPPED = Counter(
    "tracker_clicks_capped_total",
    "Visitors that a cap kept from their offer: sent to the fallback, or nowhere.",
)
CAPS_REACHED = Gauge(
    "tracker_caps_reached",
    "Caps that have no room in their current period.",
    multiprocess_mode="livemax",
)
CONNECTIONS_ENDED = Counter(
    "tracker_connections_ended_total",
    "Connections ended because their callers took too long, or were too many.",
    ["reason"],
)
CONVERSIONS_APPROVED = Counter(
    "tracker_conversions_approved_total",
    "Pending conversions approved because their time was over.",
)
DELIVERY_ATTEMPTS = Counter(
    "tracker_delivery_attempts_total", "Calls made to partners.", ["outcome"]
)
DELIVERIES_DEAD = Counter(
    "tracker_deliveries_dead_total", "Deliveries given up.", ["reason"]
)
CATALOG_FAULTS = Counter(
    "tracker_catalog_faults_total", "Edits of partners.yaml that were refused."
)
CATALOG_VERSION = Gauge(
    "tracker_catalog_version",
    "The catalog version this process follows.",
    multiprocess_mode="livemin",
)
DELIVERIES_OWED = Gauge(
    "tracker_deliveries_owed",
    "Deliveries that are owed, by what they wait for.",
    ["state"],
    multiprocess_mode="livemostrecent",
)
OLDEST_DUE = Gauge(
    "tracker_deliveries_oldest_due_seconds",
    "How long the delivery that is overdue longest has waited.",
    multiprocess_mode="livemostrecent",
)
LANES_STOPPED = Gauge(
    "tracker_lanes_stopped",
    "Lanes that nothing, or not all, is sent on.",
    ["state"],
    multiprocess_mode="livemostrecent",
)
NETWORK_DOWN = Gauge(
    "tracker_network_down",
    "1 while a worker reaches no partner at all: its own network is down.",
    multiprocess_mode="livemax",
)
CLICKS_UNFOLDED = Gauge(
    "tracker_clicks_unfolded",
    "Clicks that Redis holds and Postgres does not have yet.",
    multiprocess_mode="livemostrecent",
)
CHANGES_UNFOLDED = Gauge(
    "tracker_changes_unfolded",
    "Changes of conversions that reports do not count yet.",
    multiprocess_mode="livemostrecent",
)
OLDEST_UNFOLDED = Gauge(
    "tracker_changes_oldest_unfolded_seconds",
    "How long the change that reports do not count yet has waited longest.",
    multiprocess_mode="livemostrecent",
)
PARTITIONS_DROPPED = Counter(
    "tracker_partitions_dropped_total", "Days that retention has dropped.", ["table"]
)
CLICKS_MISSING = Gauge(
    "tracker_clicks_missing",
    "Clicks of the last days that were confirmed, and that no store has any more.",
    multiprocess_mode="livemostrecent",
)
SIGN_INS = Counter(
    "tracker_sign_ins_total", "Tries to sign in to the console.", ["outcome"]
)
PASSWORDS_HASHED = Counter(
    "tracker_passwords_hashed_total", "Passwords hashed, which is dear on purpose."
)
BATCH_SIZE = Histogram(
    "tracker_batch_size",
    "Requests that shared one store call.",
    ["store"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)


def render() -> bytes:
    """All of them in the text format of Prometheus."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # theirs
    return generate_latest(registry)


def forget_process(pid: int, folder: str) -> None:
    """The gauges of a process that ended no longer count."""
    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]  # theirs
