"""The worker's metrics, in Prometheus' form. Served on ``/metrics``.

Every metric here is written somewhere in the package: an alert on a metric that nobody sets is worse than none.
Names carry base units (seconds, records, events); labels are bounded: agents, stages, classes of errors, topics and
partitions. Triton's refusals are counted where its client lives, in ``inference/triton_connection.py``.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

__all__ = [
    "BATCH_EVENTS",
    "BREAKER_OPEN",
    "CANDIDATES",
    "COMMITTED_LAG",
    "COMMIT_STANDSTILL_SECONDS",
    "CONFIDENCE",
    "DEAD_LETTERS",
    "EMITTED_PATHS",
    "EVENTS",
    "IN_FLIGHT",
    "JUDGEMENTS",
    "MODELS",
    "OLDEST_UNACKED_SECONDS",
    "OUTAGES",
    "OUTCOME_DELAY_SECONDS",
    "PIPELINE_SECONDS",
    "READY",
    "RECALL_DELAY_SECONDS",
    "REGISTRY",
    "RETRIES",
    "REVIEW_TAGS",
    "STAGE_SECONDS",
    "TAGS_PER_NOTE",
    "TAIL_LAG",
    "TAIL_NEXT_OFFSET",
    "TRUNCATED",
    "WORKER",
    "render",
]


REGISTRY = CollectorRegistry()
# A series more for each counter and histogram, which nothing here reads.
disable_created_metrics()  # type: ignore[no-untyped-call]
ProcessCollector(registry=REGISTRY)  # memory, processor time, open files of this process

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_DELAY_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

WORKER = Info("streamproc_worker", "Version of the package, and where its models run.", registry=REGISTRY)
READY = Gauge("streamproc_ready", "1 while the worker is ready.", registry=REGISTRY)

# Records on their way.

EVENTS = Counter(
    "streamproc_events",
    "Records that reached their outcome: tagged, unsupported_language, deleted, applied, dead.",
    ["agent", "outcome"],
    registry=REGISTRY,
)
BATCH_EVENTS = Histogram(
    "streamproc_batch_events",
    "Records in a micro-batch.",
    ["agent"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    registry=REGISTRY,
)
IN_FLIGHT = Gauge(
    "streamproc_in_flight_events", "Records that were read and have no outcome yet.", registry=REGISTRY
)
OLDEST_UNACKED_SECONDS = Gauge(
    "streamproc_oldest_unacked_seconds",
    "Age of the oldest record in flight, outages of dependencies left out.",
    registry=REGISTRY,
)
COMMIT_STANDSTILL_SECONDS = Gauge(
    "streamproc_commit_standstill_seconds",
    "How long a partition has had records to read while its commit stood still, outages left out.",
    registry=REGISTRY,
)
COMMITTED_LAG = Gauge(
    "streamproc_committed_lag_records",
    "Records of an assigned partition behind the end of the log that the group has not committed.",
    ["topic", "partition"],
    registry=REGISTRY,
)
TAIL_NEXT_OFFSET = Gauge(
    "streamproc_tail_next_offset",
    "Offset of the next record that the tail of this worker reads.",
    ["topic", "partition"],
    registry=REGISTRY,
)
TAIL_LAG = Gauge(
    "streamproc_tail_lag_records",
    "How far the tail of this worker is behind the end of the log, as of its last fetch.",
    ["topic", "partition"],
    registry=REGISTRY,
)

# Time.

STAGE_SECONDS = Histogram(
    "streamproc_stage_seconds",
    "Time of a batch: process (its work), deliver (until confirmed), settle (what follows, rows of the graph).",
    ["agent", "stage"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
PIPELINE_SECONDS = Histogram(
    "streamproc_pipeline_seconds",
    "Time of a batch of notes inside process: encode, search, recall, tag, judge, decide.",
    ["stage"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
OUTCOME_DELAY_SECONDS = Histogram(
    "streamproc_outcome_delay_seconds",
    "From a record's timestamp on the topic that the agent reads until its outcome is confirmed.",
    ["agent"],
    buckets=_DELAY_SECONDS,
    registry=REGISTRY,
)
RECALL_DELAY_SECONDS = Histogram(
    "streamproc_recall_delay_seconds",
    "From a note's timestamp on notes.new until it can be recalled: its row is written.",
    buckets=_DELAY_SECONDS,
    registry=REGISTRY,
)

# What goes wrong.

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
BREAKER_OPEN = Gauge(
    "streamproc_dependency_down",
    "1 while the dependency is held to be down.",
    ["dependency"],
    registry=REGISTRY,
)
OUTAGES = Counter(
    "streamproc_dependency_outages",
    "How often the dependency was held to be down.",
    ["dependency"],
    registry=REGISTRY,
)

# What the models say.

MODELS = Info("streamproc_models", "The models that made the last outcome.", registry=REGISTRY)
CANDIDATES = Histogram(
    "streamproc_note_candidates",
    "Candidate tags that recall found for a note.",
    buckets=(0, 1, 2, 4, 8, 16, 24, 32),
    registry=REGISTRY,
)
TAGS_PER_NOTE = Histogram(
    "streamproc_note_tags",
    "Tags emitted for a note.",
    buckets=(0, 1, 2, 3, 4, 5, 7, 10),
    registry=REGISTRY,
)
CONFIDENCE = Histogram(
    "streamproc_tag_confidence_ratio",
    "Confidence of emitted tags; 1 where a person confirmed the tag on this note.",
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
    registry=REGISTRY,
)
EMITTED_PATHS = Counter(
    "streamproc_emitted_tag_paths",
    "Emitted tags that a path of recall led to (c2t, c2c2t, lexical); several may lead to one tag.",
    ["path"],
    registry=REGISTRY,
)
REVIEW_TAGS = Counter(
    "streamproc_review_tags", "Tags that were set aside for a person's decision.", registry=REGISTRY
)
TRUNCATED = Counter(
    "streamproc_truncated_notes", "Notes of which part lay beyond what the models read.", registry=REGISTRY
)
JUDGEMENTS = Counter(
    "streamproc_judgements",
    "People's judgements that the group has read: whether the tag is right.",
    ["correct"],
    registry=REGISTRY,
)


def render() -> bytes:
    """All metrics in the text format."""
    return generate_latest(REGISTRY)
