"""The Faust app: every setting of it, each with its reason. Agents and routes are added by the runtime.

Faust's acknowledgement is switched off for our topics (``acks=False``): its ``finally`` acks a failed event, its
offset search can commit past one in flight, and an event skipped in a rebalance is acked unseen. The offset ledger
decides what is committed.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import faust
from mode.supervisors import CrashingSupervisor

from streamproc.config import Settings
from streamproc.streams.connection import client_options
from streamproc.streams.delivery import Producer
from streamproc.streams.fast_intake.app import FastApp

__all__ = ["StreamApp", "consumer_thread", "create_app", "missing_topics", "producer_of", "subscribe"]

MAX_POLL_RECORDS = 500
METADATA_MS = 10_000

BUFFERED_RECORDS = 6 * MAX_POLL_RECORDS
"""A queue that is full stops the one fetch loop for every agent; pressure is signalled at 80 % of it, and what a
poll brings on top must still fit."""

Background = Callable[[], Awaitable[None]]


class StreamApp(FastApp):
    """A Faust app that runs background tasks from its first moment on, not only after the first assignment.

    An error in one of them is a crash of the app.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.background: list[Background] = []
        self.at_shutdown: Background | None = None

    async def on_start(self) -> None:
        """Faust calls this on every start."""
        await super().on_start()
        for task in self.background:
            self.add_future(task())

    def _create_directories(self) -> None:
        """Without tables Faust keeps nothing on disk."""

    async def on_shutdown(self) -> None:
        """Faust calls this when everything else has stopped."""
        await super().on_shutdown()
        if self.at_shutdown is not None:
            await self.at_shutdown()


def create_app(settings: Settings, *, web: bool, loop: asyncio.AbstractEventLoop) -> StreamApp:
    """Make the app, without agents.

    Args:
        settings: address, log-in, group, sizes and time-outs.
        web: whether it serves health and metrics.
        loop: the event loop that it will run in.
    """
    session_seconds = settings.session_timeout_seconds
    return StreamApp(
        settings.consumer_group,
        loop=loop,
        broker=[f"kafka://{address.strip()}" for address in settings.kafka_bootstrap.split(",")],
        broker_credentials=_credentials(settings),
        autodiscover=False,
        # Values are decoded by us: a decode error in Faust's serializer acks the record and crashes the agent.
        key_serializer="raw",
        value_serializer="raw",
        # Its exactly-once sends outside of its transactions; keyed outputs make at-least-once enough.
        processing_guarantee="at_least_once",
        # A worker that crashed reads again what was not committed; Faust's default restarts the agent past it.
        agent_supervisor=CrashingSupervisor,
        # With events held back for their confirmations, its waiting would have no end: our handlers drain.
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFERED_RECORDS,
        stream_processing_timeout=120.0,
        stream_publish_on_commit=False,
        # An outage of a dependency may be long; the worker stays in the group meanwhile (default: 1,000 s).
        broker_max_poll_interval=86_400.0,
        broker_max_poll_records=MAX_POLL_RECORDS,
        # Topics and partitions that are made after the start are read within seconds (default: 5 minutes).
        consumer_metadata_max_age_ms=METADATA_MS,
        broker_session_timeout=session_seconds,
        broker_heartbeat_interval=session_seconds / 10,
        broker_request_timeout=1.5 * session_seconds,
        broker_rebalance_timeout=session_seconds,
        consumer_max_fetch_size=max(1024 * 1024, settings.max_output_bytes),
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_linger=0.005,
        producer_max_batch_size=256 * 1024,
        # What Kafka adds to a record (lengths, the batch's header) is a few dozen bytes.
        producer_max_request_size=settings.max_output_bytes + 16 * 1024,
        # The default of 1,200 s would hide a broker that is down.
        producer_request_timeout=30.0,
        # No tables, no leader topic, no replies: nothing but our topics.
        topic_allow_declare=False,
        topic_disable_leader=True,
        reply_create_topic=False,
        table_standby_replicas=0,
        web_enabled=web,
        web_host=settings.web_host,
        web_bind=settings.web_host,
        web_port=settings.web_port or None,
        web_in_thread=False,
        web_tables_enabled=False,
        web_stats_enabled=False,
        web_router_enabled=False,
        web_graph_enabled=False,
        web_metrics_enabled=False,
        worker_redirect_stdouts=False,
    )


def producer_of(app: StreamApp) -> Producer:
    """The aiokafka producer under a running app: a send of Faust's own costs several times as much."""
    producer: Producer = app.producer._producer  # noqa: SLF001 - Faust offers no other way to it
    return producer


def consumer_thread(app: StreamApp) -> Any:
    """The thread of a running app in which aiokafka's consumer lives; calls to it go through ``call_thread``."""
    return app.consumer._thread  # noqa: SLF001 - Faust offers no other way to it


def missing_topics(app: StreamApp, topics: Iterable[str]) -> tuple[str, ...]:
    """Those of the topics that the cluster does not have, as far as a running app knows."""
    consumer = getattr(consumer_thread(app), "_consumer", None)
    return tuple(
        topic for topic in topics if consumer is not None and not consumer.partitions_for_topic(topic)
    )


def subscribe(
    app: StreamApp, name: str, topics: Sequence[str], body: Callable[[Any], Awaitable[None]]
) -> None:
    """Add an agent that reads several topics."""
    app.agent(app.topic(*topics, acks=False, internal=False), name=name)(body)


def _credentials(settings: Settings) -> Any:
    options = client_options(settings)
    context: ssl.SSLContext | None = options.get("ssl_context")
    if "sasl_mechanism" in options:
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None
