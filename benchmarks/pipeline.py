"""Benchmarks (a) and (d): the whole pipeline against the bare ONNX sessions, on Apache Kafka, on the same cores.

(a) notes a second of the real worker (Apache Kafka, Milvus Lite, write-back on, until every note is in the graph)
after a warm-up
÷ notes a second of the bare sessions on the same tokens: one unpadded sequence a run, runs on as many threads as
there are cores, the fastest bare configuration measured. The bare run is repeated before and after, and averaged.

(d) p99 from produce to tagged at half of the saturated rate ÷ (linger + model time a note).

    python -m benchmarks.pipeline [--history 10000] [--notes 4000] [--tags 1000]
"""

import asyncio
import resource
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.command import parser_of, run
from benchmarks.corpus import make_notes, make_tags, write_jsonl
from streamproc.config import Settings, load_settings
from streamproc.events.codec import encode
from streamproc.events.headers import source_position
from streamproc.events.note import Note
from streamproc.graph.evidence import FEATURES
from streamproc.inference.backend import load_bundle, open_models
from streamproc.inference.bundle import Bundle
from streamproc.inference.cores import available_cores
from streamproc.inference.text import note_text
from streamproc.inference.tokenization import WindowTokenizer
from streamproc.observability.logging import configure_logging
from streamproc.pipeline.local import LocalFiles, open_local_graph
from streamproc.pipeline.tagging import Pipeline
from streamproc.streams.admin import create_topics
from streamproc.streams.parts import Parts
from streamproc.streams.worker import EmbeddedWorker
from tests.servers.kafka import KafkaServer

CANDIDATES = 20
COUNT_SECONDS = 1.0
"""Counting what is in the graph is a query that costs as much as some notes."""
WARM_UP_NOTES = 500
"""Not measured: the Java machine compiles itself, files and caches fill."""


@dataclass(frozen=True)
class Load:
    """What is measured."""

    cache: Path
    """Where the encoded history is kept."""
    history: Path
    tags: Path
    notes: Sequence[Note]


@dataclass(frozen=True)
class Run:
    """One saturated run of the worker."""

    notes_per_second: float
    own_core_ms: float
    """Core-milliseconds a note of this process: models, Python, Milvus Lite."""
    kafka_core_ms: float


@dataclass(frozen=True)
class _Meter:
    """Clocks, read together."""

    seconds: float
    own_core_seconds: float
    kafka_core_seconds: float

    @classmethod
    def read(cls, kafka: KafkaServer) -> "_Meter":
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(time.perf_counter(), used.ru_utime + used.ru_stime, _core_seconds(kafka.pid))


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--history", type=int, default=10_000)
    parser.add_argument("--tags", type=int, default=1_000)
    parser.add_argument("--notes", type=int, default=4_000)
    parser.add_argument("--cache", type=Path, help="keep the encoded history here for the next run")
    options = parser.parse_args()
    configure_logging("error")
    with tempfile.TemporaryDirectory() as directory, KafkaServer() as kafka:
        load = _load(Path(directory), options.history, options.tags, options.notes)
        if options.cache is not None:
            load = replace(load, cache=options.cache.expanduser())
        asyncio.run(_measure(load, kafka, Path(directory)))


def _load(directory: Path, history: int, tags: int, notes: int) -> Load:
    repository = make_tags(tags, seed=1)
    return Load(
        cache=directory / "cache",
        history=write_jsonl(
            directory / "history.jsonl",
            [encode(note) for note in make_notes(history, seed=2, tags=repository, prefix="h")],
        ),
        tags=write_jsonl(directory / "tags.jsonl", [encode(tag) for tag in repository]),
        notes=make_notes(notes, seed=3),
    )


async def _measure(load: Load, kafka: KafkaServer, directory: Path) -> None:
    bundle = load_bundle(load_settings())
    before, model_core_ms = bare(bundle, load.notes)
    run = await saturated(load, kafka, directory)
    after, _ = bare(bundle, load.notes)
    limit = (before + after) / 2
    print(f"bare sessions      {limit:8.1f} notes/s ({before:.1f} before, {after:.1f} after)")
    print(f"whole pipeline     {run.notes_per_second:8.1f} notes/s")
    print(f"ratio (a)          {run.notes_per_second / limit:8.3f}")
    outside = run.own_core_ms - model_core_ms
    print(
        f"core-ms a note     {model_core_ms:8.2f} in the sessions, {outside:.2f} beside them in the worker, "
        f"{run.kafka_core_ms:.2f} in Apache Kafka"
    )
    await _latency(load, kafka, directory, run.notes_per_second / 2, model_core_ms)


def bare(bundle: Bundle, notes: Sequence[Note]) -> tuple[float, float]:
    """Notes a second of the bare sessions, and their core-milliseconds a note."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    manifest = bundle.manifest
    spec = manifest.encoder

    def session(file: str) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(
            str(bundle.file(file)), options, providers=["CPUExecutionProvider"]
        )

    assert manifest.tagger is not None
    assert manifest.calibrator is not None
    encoder, tagger, calibrator = (
        session(spec.file),
        session(manifest.tagger.file),
        session(manifest.calibrator.file),
    )
    tokenizer = WindowTokenizer(
        bundle.file(spec.tokenizer), window_tokens=spec.window_tokens, max_windows=spec.max_windows
    )
    sequences = [window for note in notes for window in tokenizer.tokenize(note_text(note)).windows]
    sequences.sort(key=lambda ids: -ids.size)
    evidence = np.zeros((64 * CANDIDATES, len(FEATURES)), dtype=np.float32)
    judged = np.zeros((64 * CANDIDATES, len(FEATURES) + 1), dtype=np.float32)
    batches = -(-len(notes) // 64)

    def encode_one(ids: np.ndarray) -> None:
        encoder.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})

    cpu = time.process_time()
    began = time.perf_counter()
    with ThreadPoolExecutor(available_cores()) as threads:
        list(threads.map(encode_one, sequences))
    for _ in range(batches):
        tagger.run(["logit"], {"evidence": evidence})
        calibrator.run(["logits"], {"features": judged})
    seconds = time.perf_counter() - began
    return len(notes) / seconds, 1000 * (time.process_time() - cpu) / len(notes)


async def saturated(load: Load, kafka: KafkaServer, directory: Path) -> Run:
    """The worker on notes that all wait in the topic; the clock stops when the last is in the graph."""
    settings = _settings(kafka, "saturated.")
    await create_topics(settings)
    await _produce(settings, load.notes)
    parts = await _open(load, settings, directory)
    worker = EmbeddedWorker(settings, parts)
    await worker.start()
    try:
        warm = await _until_in_graph(settings, parts, WARM_UP_NOTES)
        before = _Meter.read(kafka)
        count = await _until_in_graph(settings, parts, len(load.notes)) - warm
        after = _Meter.read(kafka)
    finally:
        await worker.stop()
    return Run(
        count / (after.seconds - before.seconds),
        1000 * (after.own_core_seconds - before.own_core_seconds) / count,
        1000 * (after.kafka_core_seconds - before.kafka_core_seconds) / count,
    )


async def _latency(
    load: Load, kafka: KafkaServer, directory: Path, rate: float, model_core_ms: float
) -> None:
    settings = _settings(kafka, "paced.")
    await create_topics(settings)
    parts = await _open(load, settings, directory)
    worker = EmbeddedWorker(settings, parts)
    await worker.start()
    try:
        await worker.wait_ready()
        latencies = await _paced(settings, load.notes[: int(rate * 15)], rate)
    finally:
        await worker.stop()
    p50, p99 = np.percentile(latencies, [50, 99])
    base = 1000 * settings.linger_seconds + model_core_ms
    print(f"at {rate:.0f} notes/s     p50 {p50:.1f} ms, p99 {p99:.1f} ms from produce to tagged")
    print(
        f"ratio (d)          {p99 / base:8.2f} = p99 ÷ (linger {1000 * settings.linger_seconds:.0f} ms + models "
        f"{model_core_ms:.1f} ms)"
    )


async def _paced(settings: Settings, notes: Sequence[Note], rate: float) -> list[float]:
    sent: dict[tuple[int, int], float] = {}
    seen: dict[tuple[int, int], float] = {}
    consumer = AIOKafkaConsumer(
        "paced.notes.tagged", bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all")
    await consumer.start()
    await producer.start()

    async def watch() -> None:
        async for record in consumer:
            position = source_position(record.headers)
            if position is not None:
                seen[position.partition, position.offset] = time.perf_counter()
            if len(seen) == len(notes):
                return

    async def publish(note: Note) -> None:
        moment = time.perf_counter()
        written = await producer.send_and_wait("paced.notes.new", encode(note), note.note_id.encode())
        sent[written.partition, written.offset] = moment

    watching = asyncio.create_task(watch())
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, note in enumerate(notes):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            group.create_task(publish(note))
    await asyncio.wait_for(watching, 60)
    await consumer.stop()
    await producer.stop()
    return [1000 * (seen[position] - moment) for position, moment in sent.items()]


def _settings(kafka: KafkaServer, prefix: str) -> Settings:
    return load_settings(
        kafka_bootstrap=kafka.bootstrap, topic_prefix=prefix, consumer_group=f"{prefix}bench", web_port=0
    )


async def _open(load: Load, settings: Settings, directory: Path) -> Parts:
    bundle = load_bundle(settings)
    models = open_models(settings, bundle)
    workspace = Path(tempfile.mkdtemp(dir=directory))
    graph = await open_local_graph(
        LocalFiles(load.tags, load.history, None),
        models.encoder,
        load.cache,
        workspace,
        lambda *_: None,
    )

    async def close() -> None:
        await graph.store.close()
        await models.close()

    pipeline = Pipeline.of(settings, bundle, models, graph.store, graph.knowledge)
    return Parts(pipeline, graph.writer, graph.knowledge, (), close)


async def _produce(settings: Settings, notes: Sequence[Note]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all", linger_ms=5)
    await producer.start()
    topic = f"{settings.topic_prefix}notes.new"
    await asyncio.gather(*[await producer.send(topic, encode(note), note.note_id.encode()) for note in notes])
    await producer.stop()


async def _until_in_graph(settings: Settings, parts: Parts, notes: int) -> int:
    """Wait until so many notes are in the graph; return how many are."""
    topic = f"{settings.topic_prefix}graph.notes"
    while True:
        applied = await parts.graph.applied_offsets()
        count = sum(offset + 1 for (name, _), offset in applied.items() if name == topic)
        if count >= notes:
            return count
        await asyncio.sleep(COUNT_SECONDS)


def _core_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    run(main)
