"""``streamproc worker``: the production worker."""

import typer

from streamproc.config import load_settings
from streamproc.observability.logging import configure_logging

__all__ = ["worker"]


def worker() -> None:
    """Tag notes from Kafka until stopped.

    Reads notes.new, publishes notes.tagged, keeps the graph. Any number of workers share the work: same consumer
    group, same Milvus. SIGTERM ends it cleanly. Health is on /health/live and /health/ready, metrics are on /metrics
    (STREAMPROC_WEB_PORT). Create the topics first: streamproc topics create
    """
    settings = load_settings()
    configure_logging(settings.log_level)
    # Faust takes a second to import: other commands must not pay for it.
    from streamproc.streams.worker import run_worker  # noqa: PLC0415

    raise typer.Exit(run_worker(settings))
