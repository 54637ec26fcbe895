"""Benchmark (b): what the worker costs beside the models, against a loop written by hand.

Both read the same notes from the same Apache Kafka and write ``notes.tagged`` (about 900 bytes) and ``graph.notes``
(about 2.6 kB) for each, every record confirmed before its offset is committed. The worker is the real one (Faust, its
agent, batcher, ledger, failure policy, metrics) with models that return fixed arrays at once; the graph agent is off,
recall as well. The loop is aiokafka and nothing else: as many notes a batch, as many batches under way, the same
linger, commits once a second. It decodes, makes and encodes the events with the same functions: the records of both
are identical, which is checked by a digest over all of them.

Each run is a process of its own; runs alternate. The ratio of every pair is printed, so that its spread is seen.

    python -m benchmarks.pass_through [--notes 16000] [--pairs 3]
"""

import argparse
import asyncio
import hashlib
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from benchmarks.command import parser_of, run
from benchmarks.corpus import make_notes
from streamproc.config import Settings, load_settings
from streamproc.events.codec import content_hash, decode_note, encode, graph_note_key
from streamproc.events.graph import GraphNote, GraphTag, Origin, Provenance, SimilarTo, pack_vector
from streamproc.events.note import Note
from streamproc.events.position import Source, SourcePosition
from streamproc.events.tagged import (
    AppliedOffsets,
    EmittedTag,
    ModelVersions,
    NeighbourEvidence,
    NoteOutcome,
    NoteTagged,
    RecallPath,
    TagEvidence,
)
from streamproc.knowledge.snapshot import Knowledge
from streamproc.observability import metrics
from streamproc.observability.logging import configure_logging
from streamproc.pipeline.outcome import Outcome, SourcedNote
from streamproc.streams.admin import create_topics
from streamproc.streams.parts import Parts
from streamproc.streams.runtime import Runtime
from tests.servers.kafka import KafkaServer

PREFIX = "pass."
WARM_SHARE = 0.25
"""Share of the notes before the clock starts: connections, caches and the group's assignment are behind then."""
BATCHES_UNDER_WAY = 4
"""As in the worker's lane."""
APPLIED = AppliedOffsets(labels=(-1,) * 6)


class FixedModels:
    """What encoder, tagger and calibrator would return, made once."""

    def __init__(self) -> None:
        self.vector = np.random.default_rng(0).normal(size=384).astype(np.float32)
        self.confidences = (0.912345, 0.734521)
        self.versions = ModelVersions(bundle="fixed-1", encoder="0" * 16, tagger="1", calibrator="1")
        near = tuple(
            NeighbourEvidence(note_id=f"n{number}", similarity=0.7, weight=0.9, provenance=Provenance.IMPORT)
            for number in range(3)
        )
        self.evidence = TagEvidence(similarity=0.612345, neighbours=near)
        self.similar = tuple(SimilarTo(target=f"t{number}", similarity=0.55) for number in range(4))

    def outcome(self, sourced: SourcedNote) -> Outcome:
        """Make the events of a note from the fixed arrays."""
        note = sourced.note
        tagged = NoteTagged(
            note_id=note.note_id,
            outcome=NoteOutcome.TAGGED,
            models=self.versions,
            applied=APPLIED,
            tags=tuple(
                EmittedTag(
                    tag_id=f"t{rank}",
                    name=f"tag number {rank}",
                    kind="topic",
                    confidence=confidence,
                    rank=rank,
                    paths=(RecallPath.C2T, RecallPath.C2C2T),
                    evidence=self.evidence,
                )
                for rank, confidence in enumerate(self.confidences, start=1)
            ),
        )
        graph_note = GraphNote(
            note=note,
            origin=Origin.STREAM,
            content_hash=content_hash(note),
            source=sourced.source.position,
            encoder=self.versions.encoder,
            vector=pack_vector(self.vector),
            tags=tuple(
                GraphTag(tag_id=f"t{rank}", weight=each, provenance=Provenance.MODEL, confidence=each)
                for rank, each in enumerate(self.confidences, start=1)
            ),
            similar_tags=self.similar,
        )
        return Outcome(sourced.source, tagged, graph_note)

    async def tag(self, notes: Sequence[SourcedNote]) -> list[Outcome]:
        """Stand where the pipeline stands."""
        return [self.outcome(note) for note in notes]


class NoGraph:
    """Stands where the graph stands and is never asked to write."""

    async def applied_offsets(self) -> dict[tuple[str, int], int]:
        """Give nothing: nothing is committed either."""
        return {}

    async def warm_up(self) -> None:
        """Nothing is to be warmed up."""

    async def plan(self, *_: Any) -> Any:
        """Never called: the graph agent is off."""
        raise NotImplementedError

    apply = apply_tags = apply_segments = plan


class WorkerWithoutGraphAgent(Runtime):
    """The worker, except that nobody reads ``graph.notes``."""

    def _lane(self, work: Any, gate: Any, topics: Sequence[str], **how: Any) -> Any:
        # An agent needs a topic: this one is empty.
        topics = [f"{PREFIX}notes.labels"] if work.name == "graph" else topics
        return super()._lane(work, gate, topics, **how)


@dataclass(frozen=True)
class Pace:
    """When to start and stop the clock."""

    warm: int
    notes: int


class Clock:
    """Measures between the first notes and the last."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._began: tuple[float, float, int] | None = None

    def confirmed(self, notes: int) -> dict[str, float] | None:
        """Take note of how many are confirmed by now; give the result after the last."""
        if self._began is None:
            if notes >= self._pace.warm:
                self._began = (time.perf_counter(), time.process_time(), notes)
            return None
        if notes < self._pace.notes:
            return None
        began, cpu, first = self._began
        return {
            "rate": (notes - first) / (time.perf_counter() - began),
            "cpu_us": 1e6 * (time.process_time() - cpu) / (notes - first),
        }


def settings_of(bootstrap: str, group: str) -> Settings:
    """The worker's own defaults, but for addresses."""
    return load_settings(kafka_bootstrap=bootstrap, topic_prefix=PREFIX, consumer_group=group, web_port=0)


async def run_worker(settings: Settings, pace: Pace) -> dict[str, float]:
    """Let the worker pass the notes."""

    async def close() -> None:
        pass

    parts = Parts(FixedModels(), NoGraph(), Knowledge(), (), close)
    runtime = WorkerWithoutGraphAgent(settings, parts, loop=asyncio.get_running_loop(), web=False)
    done = metrics.EVENTS.labels("tagging", "tagged")._value  # noqa: SLF001 - read once every few milliseconds
    clock = Clock(pace)
    await runtime.app.start()
    try:
        while (result := clock.confirmed(int(done.get()))) is None:
            await asyncio.sleep(0.005)
            if runtime.app.crash_reason is not None:
                raise runtime.app.crash_reason
        return result
    finally:
        await runtime.app.stop()


async def run_loop(settings: Settings, pace: Pace) -> dict[str, float]:
    """Pass the notes by hand."""
    models, clock = FixedModels(), Clock(pace)
    consumer = AIOKafkaConsumer(
        f"{PREFIX}notes.new",
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=settings.consumer_group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        acks="all",
        linger_ms=5,
        max_batch_size=256 * 1024,
        max_request_size=settings.max_output_bytes,
    )
    await consumer.start()
    await producer.start()
    under_way: deque[tuple[list[asyncio.Future[Any]], int, dict[TopicPartition, int]]] = deque()
    offsets: dict[TopicPartition, int] = {}
    confirmed, committed_at = 0, time.monotonic()
    try:
        while True:
            fetched = await consumer.getmany(
                timeout_ms=int(1000 * settings.linger_seconds), max_records=settings.batch_size
            )
            sends, count = [], 0
            for records in fetched.values():
                for record in records:
                    count += 1
                    for topic, key, value, headers in by_hand(models, record):
                        sends.append(await producer.send(topic, value, key, headers=headers))
            if count:
                under_way.append(
                    (sends, count, {tp: records[-1].offset + 1 for tp, records in fetched.items()})
                )
            while under_way and (not count or len(under_way) >= BATCHES_UNDER_WAY):
                oldest, notes, ends = under_way.popleft()
                for send in oldest:
                    await send
                offsets |= ends
                confirmed += notes
                if (result := clock.confirmed(confirmed)) is not None:
                    return result
            if offsets and time.monotonic() - committed_at >= 1:
                committed_at = time.monotonic()
                await consumer.commit(offsets)
    finally:
        await consumer.stop()
        await producer.stop()


def by_hand(
    models: FixedModels, record: "ConsumerRecord[bytes, bytes]"
) -> list[tuple[str, bytes, bytes, list[tuple[str, bytes]]]]:
    """Give the two records of a note."""
    note = decode_note(record.value, record.key, record.headers)
    assert isinstance(note, Note)
    source = Source(SourcePosition(record.topic, record.partition, record.offset), record.timestamp)
    outcome = models.outcome(SourcedNote(note, source))
    assert outcome.graph_note is not None
    position, moment = str(source.position).encode(), source.time.encode()

    def headers(topic: bytes, part: bytes) -> list[tuple[str, bytes]]:
        return [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"%b:%b%b" % (topic, position, part)),
            ("ce_type", b"streamproc.%b.v1" % topic),
            ("ce_source", b"/streamproc"),
            ("ce_time", moment),
            ("content-type", b"application/json"),
            ("ce_sourceposition", position),
        ]

    return [
        (
            f"{PREFIX}notes.tagged",
            note.note_id.encode(),
            encode(outcome.tagged),
            headers(b"notes.tagged", b""),
        ),
        (
            f"{PREFIX}graph.notes",
            graph_note_key(note.note_id, Origin.STREAM),
            encode(outcome.graph_note),
            headers(b"graph.notes", b":stream"),
        ),
    ]


async def fill(settings: Settings, count: int) -> None:
    """Make the topics and publish the notes."""
    await create_topics(settings)
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all", linger_ms=20)
    await producer.start()
    for note in make_notes(count, seed=1):
        value = encode(note)
        # About 1.3 kB, as in real posts with their metadata.
        longer = Note(note_id=note.note_id, title=note.title, text=(note.text * 4)[: 1250 - len(note.title)])
        await producer.send(f"{PREFIX}notes.new", encode(longer) or value, note.note_id.encode())
    await producer.flush()
    await producer.stop()


async def ends_of(settings: Settings) -> dict[TopicPartition, int]:
    """Where the output topics end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap)
    async with consumer:
        partitions = [
            TopicPartition(f"{PREFIX}{name}", number)
            for name in ("notes.tagged", "graph.notes")
            for number in range(settings.topic_partitions)
        ]
        return dict(await consumer.end_offsets(partitions))


async def written(
    settings: Settings, begin: dict[TopicPartition, int], end: dict[TopicPartition, int]
) -> tuple[dict[str, bytes], dict[str, float]]:
    """Digests of the records between two ends, by ``ce_id``; and the mean size of a value, by topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap)
    digests: dict[str, bytes] = {}
    sizes: dict[str, list[int]] = {}
    async with consumer:
        waiting = [partition for partition in begin if end[partition] > begin[partition]]
        consumer.assign(waiting)
        for partition in waiting:
            consumer.seek(partition, begin[partition])
        while any([await consumer.position(partition) < end[partition] for partition in waiting]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    if record.offset < end[TopicPartition(record.topic, record.partition)]:
                        said = repr((record.topic, record.key, record.value, list(record.headers)))
                        digests[dict(record.headers)["ce_id"].decode()] = hashlib.sha256(
                            said.encode()
                        ).digest()
                        sizes.setdefault(record.topic, []).append(len(record.value))
    return digests, {topic: statistics.mean(each) for topic, each in sizes.items()}


def run_in_process(way: str, settings: Settings, pace: Pace) -> dict[str, float]:
    """Run one way in a process of its own."""
    command = [
        *(
            sys.executable,
            "-m",
            "benchmarks.pass_through",
            "--run",
            way,
            "--bootstrap",
            settings.kafka_bootstrap,
        ),
        *("--notes", str(pace.notes)),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(notes: int, pairs: int) -> None:
    """Alternate the two ways and print what they did."""
    with KafkaServer() as kafka:
        settings, pace = settings_of(kafka.bootstrap, "-"), Pace(0, notes)
        # Some more than are measured, so that neither way runs dry before its last batch is full.
        asyncio.run(fill(settings, notes + 1024))
        ends = [asyncio.run(ends_of(settings))]
        runs: dict[str, list[dict[str, float]]] = {"loop": [], "worker": []}
        for pair in range(pairs):
            for way, results in runs.items():
                results.append(run_in_process(way, settings, pace))
                if pair == 0:
                    ends.append(asyncio.run(ends_of(settings)))
            loop, worker = runs["loop"][-1], runs["worker"][-1]
            print(
                f"loop {loop['rate']:6.0f} notes/s {loop['cpu_us']:5.0f} µs CPU   "
                f"worker {worker['rate']:6.0f} notes/s {worker['cpu_us']:5.0f} µs CPU   "
                f"ratio {worker['rate'] / loop['rate']:.2f} (CPU {loop['cpu_us'] / worker['cpu_us']:.2f})",
                flush=True,
            )
        by_loop, sizes = asyncio.run(written(settings, ends[0], ends[1]))
        by_worker, _ = asyncio.run(written(settings, ends[1], ends[2]))
    both = by_loop.keys() & by_worker.keys()
    different = sum(by_loop[one] != by_worker[one] for one in both)
    ratios = [
        worker["rate"] / loop["rate"] for loop, worker in zip(runs["loop"], runs["worker"], strict=True)
    ]
    cpu = [
        loop["cpu_us"] / worker["cpu_us"] for loop, worker in zip(runs["loop"], runs["worker"], strict=True)
    ]
    print("values", ", ".join(f"{topic} {size:.0f} bytes" for topic, size in sorted(sizes.items())))
    print(f"{len(both)} records compared, {different} different")
    print(
        f"ratio (b) {statistics.median(ratios):.2f} (median; {min(ratios):.2f} to {max(ratios):.2f}); "
        f"by CPU time {statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f})"
    )
    # The last notes of the two ways are not the same ones: partitions are read in no order.
    if different or len(both) < notes:
        sys.exit("the two ways did not write the same records")


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--notes", type=int, default=16_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--run", choices=["loop", "worker"], help=argparse.SUPPRESS)
    parser.add_argument("--bootstrap", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    configure_logging("error")
    if options.run is None:
        compare(options.notes, options.pairs)
        return
    settings = settings_of(options.bootstrap, f"{options.run}-{uuid.uuid4().hex[:8]}")
    pace = Pace(int(WARM_SHARE * options.notes), options.notes)
    way = run_loop if options.run == "loop" else run_worker
    print(json.dumps(asyncio.run(way(settings, pace))))


if __name__ == "__main__":
    run(main)
