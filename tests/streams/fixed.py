"""Models that return fixed arrays at once, for tests of delivery: what they say of a note does not matter there.

The graph is the real one (Milvus Lite); tests of what the models say use the real models.
"""

import asyncio
import contextlib
import hashlib
import time
from pathlib import Path

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streamproc.config import Settings
from streamproc.events.codec import content_hash
from streamproc.events.graph import GraphNote, GraphTag, Origin, Provenance, pack_vector
from streamproc.events.tagged import (
    EmittedTag,
    ModelVersions,
    NoteOutcome,
    NoteTagged,
    RecallPath,
    TagEvidence,
)
from streamproc.events.topics import TOPICS, TopicNames
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.store import MilvusGraph
from streamproc.graph.writer import GraphWriter
from streamproc.inference.protocols import Encoded
from streamproc.knowledge.snapshot import Knowledge
from streamproc.pipeline.outcome import Outcome
from streamproc.streams.partitions import existing_partitions
from streamproc.streams.parts import Parts

DIMENSION = 8
MODELS = ModelVersions(bundle="fixed", encoder="fixed", tagger="fixed", calibrator="fixed")


def fixed_vector(text):
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    vector = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


class FixedEncoder:
    dimension = DIMENSION
    weights_hash = "fixed0"

    async def encode(self, texts):
        vectors = (
            np.stack([fixed_vector(text) for text in texts])
            if texts
            else np.zeros((0, DIMENSION), np.float32)
        )
        return Encoded(vectors, np.zeros(len(texts), dtype=bool))


class FixedPipeline:
    """Gives every note one tag named after the first word of its title."""

    def __init__(self, knowledge):
        self.knowledge = knowledge
        self.batches = []

    async def tag(self, notes):
        self.batches.append(len(notes))
        applied = self.knowledge.snapshot().applied
        return [self.outcome(each, applied) for each in notes]

    def outcome(self, sourced, applied):
        note = sourced.note
        tag = (note.title or note.text).split()[0][:40]
        emitted = EmittedTag(
            tag_id=tag,
            name=tag,
            kind="topic",
            confidence=0.9,
            rank=1,
            paths=(RecallPath.C2T,),
            evidence=TagEvidence(similarity=0.5),
        )
        return Outcome(
            sourced.source,
            NoteTagged(
                note_id=note.note_id,
                outcome=NoteOutcome.TAGGED,
                models=MODELS,
                applied=applied,
                tags=(emitted,),
            ),
            GraphNote(
                note=note,
                origin=Origin.STREAM,
                content_hash=content_hash(note),
                source=sourced.source.position,
                encoder=FixedEncoder.weights_hash,
                vector=pack_vector(fixed_vector(note.text)),
                tags=(GraphTag(tag_id=tag, weight=0.9, provenance=Provenance.MODEL, confidence=0.9),),
            ),
        )


async def fixed_parts(path, pipeline=FixedPipeline, uri=None, prefix=""):
    encoder = FixedEncoder()
    graph = await MilvusGraph.open(
        GraphAddress(uri or str(Path(path) / "graph.db"), topic_prefix=prefix, timeout_seconds=30),
        encoder.weights_hash,
        DIMENSION,
    )
    knowledge = Knowledge()

    class Milvus:
        name = "Milvus"

        async def check(self):
            await graph.ping()

    return Parts(
        pipeline=pipeline(knowledge),
        graph=GraphWriter(graph, encoder),
        knowledge=knowledge,
        dependencies=(Milvus(),),
        close=graph.close,
    )


def settings_for(bootstrap, tmp_path, prefix="", **more):
    defaults = {
        "kafka_bootstrap": bootstrap,
        "topic_prefix": prefix,
        "topic_partitions": 3,
        "consumer_group": f"{prefix}workers",
        "cache_dir": tmp_path / "cache",
        "milvus_uri": str(tmp_path / "graph.db"),
        "web_port": 0,
        "linger_seconds": 0.01,
        "session_timeout_seconds": 6,
        "drain_seconds": 3,
    }
    return Settings(**{**defaults, **more})


def topic_counts(settings):
    return {
        settings.topic_prefix + topic.name: 1 if topic.single_partition else settings.topic_partitions
        for topic in TOPICS
    }


class Client:
    """Publishes and reads, as producers and consumers of the topics do."""

    def __init__(self, settings):
        self.settings = settings
        self.bootstrap = settings.kafka_bootstrap
        self.names = TopicNames(settings.topic_prefix)
        self.producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, max_request_size=12 * 1024 * 1024, linger_ms=2
        )

    async def __aenter__(self):
        await self.producer.start()
        return self

    async def __aexit__(self, *_):
        await self.producer.stop()

    async def publish(self, topic, value, key=None, headers=()):
        key = key.encode() if isinstance(key, str) else key
        value = value.encode() if isinstance(value, str) else value
        sent = await self.producer.send_and_wait(topic, value, key, headers=list(headers))
        return (topic, sent.partition, sent.offset)

    async def publish_many(self, topic, pairs):
        futures = [await self.producer.send(topic, value, key) for value, key in pairs]
        return [(topic, each.partition, each.offset) for each in await asyncio.gather(*futures)]

    async def read_all(self, *topics):
        """Every record of some topics, in the order of the log."""
        existing = await existing_partitions(self.settings)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            enable_auto_commit=False,
            max_partition_fetch_bytes=12 * 1024 * 1024,
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, number) for topic in topics for number in existing[topic]]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            records = []
            while any([await consumer.position(each) < ends[each] for each in partitions]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records += batch
            return records
        finally:
            await consumer.stop()

    async def wait_for(self, check, *topics, seconds=20):
        """Read topics again and again until ``check(records)`` holds; give the records."""
        deadline = time.monotonic() + seconds
        while True:
            records = await self.read_all(*topics)
            with contextlib.suppress(LookupError):
                if check(records):
                    return records
            if time.monotonic() > deadline:
                raise AssertionError(f"not in {seconds} s; {len(records)} records on {topics}")
            await asyncio.sleep(0.1)


def header(record, name):
    return dict(record.headers).get(name, b"").decode()


def source_of(record):
    topic, partition, offset = header(record, "ce_sourceposition").rsplit("/", 2)
    return (topic, int(partition), int(offset))
