"""Faust is the one that the overrides of the intake were written against."""

import hashlib
import inspect
from importlib.metadata import version
from typing import Any

import faust
import pytest
from faust.tables.recovery import Recovery
from faust.transport.conductor import Conductor, ConductorCompiler
from faust.transport.consumer import Consumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from mode.utils.queues import FlowControlQueue, ThrowableQueue

REPLACED = {
    AIOKafkaConsumerThread._create_worker_consumer: "c2701bfc3e6f",
    AIOKafkaConsumerThread._fetch_records: "39a2c6c79fc1",
    AIOKafkaConsumerThread.seek_to_committed: "775ab0adc4b0",
    Recovery._resume_streams: "d986a6710c1a",
    Recovery.on_rebalance: "aa4d997a1795",
    Conductor._build_handler: "5c071d127798",
    Conductor._compile_message_handler: "9fbc0538097a",
    Conductor._update_indices: "619b3247b96a",
    ConductorCompiler.build: "837cf521368c",
    Consumer._commit_tps: "a20e230b05ae",
    Consumer._drain_messages: "44a2500309e8",
    Consumer._new_offset: "1d2c7ea89a7a",
    Consumer._wait_next_records: "6218e1969a63",
    Consumer.ack: "5fcf41cf4515",
    Consumer.getmany: "4b168d84882a",
    Consumer.on_buffer_drop: "4b57e8a418d5",
    Consumer.on_buffer_full: "c8961679e0bc",
    Consumer.on_partitions_assigned: "29ce96596f05",
    Consumer.on_partitions_revoked: "d04b7ae72c6f",
    Consumer.pause_partitions: "27a1c94bdacd",
    Consumer.perform_seek: "0e8c130ff4b0",
    Consumer.resume_partitions: "afe6b7c02a41",
    Consumer.seek: "b86a9fe05f95",
    FlowControlQueue.in_pressure_high_state: "3165f1488019",
    ThrowableQueue.force_put_nowait: "e029f3d27824",
    faust.App._new_transport: "42db531312dd",
    faust.App._on_partitions_revoked: "d5c895bbe57d",
    faust.Event.__init__: "a1d3454dce42",
    faust.Stream._py_aiter: "3a48ee257a65",
    faust.Stream.events: "c62f4dd3a73f",
}
"""What streams/fast_intake replaces, extends or copies, with the hash of its source in faust-streaming 0.15.3."""


def digest(function: Any) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]


def test_faust_is_the_version_that_the_overrides_were_written_against() -> None:
    assert version("faust-streaming") == "0.15.3"


@pytest.mark.parametrize("function", REPLACED, ids=lambda function: function.__qualname__)
def test_what_is_replaced_is_still_what_it_was(function: Any) -> None:
    assert digest(function) == REPLACED[function], (
        "read what changed in Faust, adapt streams/fast_intake, then this hash"
    )
