"""The worker's metrics, in Prometheus' form. Served on ``/metrics``.

Every metric here is written somewhere in the package: an alert on a metric that nobody sets is worse than none.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = [
    "BATCH_EVENTS",
    "BREAKER_OPEN",
    "CONTENT_TYPE",
    "DEAD_LETTERS",
    "EVENTS",
    "IN_FLIGHT",
    "OLDEST_UNACKED_SECONDS",
    "READY",
    "RECALL_DELAY_SECONDS",
    "REGISTRY",
    "RETRIES",
    "STAGE_SECONDS",
    "render",
]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REGISTRY = CollectorRegistry()

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

EVENTS = Counter(
    "streamproc_events",
    "Records that reached their outcome: tagged, deleted, dead, applied.",
    ["agent", "outcome"],
    registry=REGISTRY,
)
STAGE_SECONDS = Histogram(
    "streamproc_stage_seconds",
    "Time a batch spent in a stage: process (recall and models, or the graph) and deliver (until confirmed).",
    ["agent", "stage"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
BATCH_EVENTS = Histogram(
    "streamproc_batch_events",
    "Records in a micro-batch.",
    ["agent"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    registry=REGISTRY,
)
OLDEST_UNACKED_SECONDS = Gauge(
    "streamproc_oldest_unacked_seconds",
    "Age of the oldest record in flight, outages of dependencies left out.",
    registry=REGISTRY,
)
IN_FLIGHT = Gauge(
    "streamproc_in_flight_events", "Records that were read and have no outcome yet.", registry=REGISTRY
)
DEAD_LETTERS = Counter(
    "streamproc_dead_letters",
    "Records sent to notes.dead, by class of error.",
    ["stage", "reason"],
    registry=REGISTRY,
)
RETRIES = Counter(
    "streamproc_retries",
    "Attempts after the first, by class of the error before.",
    ["agent", "reason"],
    registry=REGISTRY,
)
RECALL_DELAY_SECONDS = Histogram(
    "streamproc_recall_delay_seconds",
    "From a note's timestamp on notes.new until it can be recalled: its row is written.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)
BREAKER_OPEN = Gauge(
    "streamproc_dependency_down",
    "1 while the dependency is held to be down.",
    ["dependency"],
    registry=REGISTRY,
)
READY = Gauge("streamproc_ready", "1 while the worker is ready.", registry=REGISTRY)


def render() -> bytes:
    """All metrics in the text format."""
    return generate_latest(REGISTRY)
