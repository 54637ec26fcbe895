"""Benchmark (c): what the graph costs a note, in core-milliseconds, on Milvus Lite.

Search, recall and writing are measured apart, in batches of 64, at 1,000, 10,000 and 100,000 tags and at 10,000 and
100,000 notes. Vectors are made at random around as many centres as a thousandth of them: what they mean is of no
account here, how many are walked and brought back is.

    python -m benchmarks.recall_cost [--tags 1000 10000 100000] [--notes 10000 100000]
"""

import os

# numpy's threads spin while they wait: on two cores that doubles what a search takes of them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.command import parser_of, run
from benchmarks.corpus import make_notes, make_tags
from streamproc.events.graph import GraphTag, Origin, Provenance, SimilarTo
from streamproc.events.note import Note
from streamproc.events.position import SourcePosition
from streamproc.events.tag import TagChange
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.recall import recall
from streamproc.graph.rows import Float32, NoteRow, StoredNote, VertexRow, unit
from streamproc.graph.store import MilvusGraph
from streamproc.graph.thresholds import FITTED
from streamproc.graph.wording import pack_words, words_of
from streamproc.knowledge.lexical import LexicalIndex
from streamproc.knowledge.repository import RepositorySnapshot
from streamproc.knowledge.snapshot import Knowledge

DIMENSION = 384
BATCH = 64
ROUNDS = 5


def main() -> None:
    """Print one line a size."""
    parser = parser_of(__doc__)
    parser.add_argument("--tags", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--notes", type=int, nargs="+", default=[10_000, 100_000])
    sizes = parser.parse_args()
    print(
        f"core-ms a note, batches of {BATCH}, {FITTED.nearest_tags} tags and {FITTED.nearest_notes} notes asked for"
    )
    print(f"{'tags':>8} {'notes':>8} {'search':>8} {'recall':>8} {'read':>8} {'write':>8} {'import':>8}")
    for tags, notes in [(tags, sizes.notes[0]) for tags in sizes.tags] + [
        (sizes.tags[0], notes) for notes in sizes.notes[1:]
    ]:
        asyncio.run(_measure(tags, notes))


@dataclass(frozen=True)
class View:
    """The repository as recall asks for it; no passages."""

    tags: RepositorySnapshot

    @property
    def lexical(self) -> LexicalIndex:
        """Names and definitions."""
        return self.tags.lexical

    def resolve(self, tag_id: str) -> TagChange | None:
        """The active tag."""
        return self.tags.resolve(tag_id)

    def merged(self, tag_id: str) -> Collection[str]:
        """The ids that were merged into it."""
        return self.tags.merged(tag_id)

    def segment_tags(self, segment_id: str) -> Sequence[str]:
        """None."""
        del segment_id
        return ()


async def _measure(tags: int, notes: int) -> None:
    repository = make_tags(tags, seed=1)
    knowledge = Knowledge()
    knowledge.repository.load((change, offset) for offset, change in enumerate(repository))
    with tempfile.TemporaryDirectory() as folder:
        graph = await MilvusGraph.open(
            GraphAddress(str(Path(folder) / "graph.db"), timeout_seconds=120.0), "benchmark", DIMENSION
        )
        rng = np.random.default_rng(2)
        centres = rng.standard_normal((max(notes // 1000, 8), DIMENSION)).astype(np.float32)
        await graph.write_tags(
            [
                VertexRow(tag.tag_id, vector)
                for tag, vector in zip(repository, _near(centres, tags, rng), strict=True)
            ]
        )
        imported = await _core_ms(lambda: _import(graph, notes, tags, centres, rng), notes, rounds=1)
        await asyncio.sleep(3)  # Milvus Lite merges its files in the background
        streamed = make_notes(BATCH, seed=3)
        queries = _near(centres, BATCH, rng)
        asked = {"tags": FITTED.nearest_tags, "notes": FITTED.nearest_notes, "segments": 0}
        search = await _core_ms(lambda: graph.search(queries, **asked), BATCH)
        hits = await graph.search(queries, **asked)
        snapshot = knowledge.snapshot()
        view = View(snapshot.tags)

        async def recalled() -> None:
            for note, found in zip(streamed, hits, strict=True):
                recall(note, found, view, snapshot.judgements, FITTED)

        rows = _rows(streamed, queries, tags)
        recalling = await _core_ms(recalled, BATCH)
        writing = await _core_ms(lambda: graph.write_notes(rows), BATCH)
        reading = await _core_ms(lambda: graph.notes([row.note.key for row in rows]), BATCH)
        await graph.close()
    figures = (search, recalling, reading, writing, imported)
    print(f"{tags:>8} {notes:>8} " + " ".join(f"{figure:>8.3f}" for figure in figures), flush=True)


async def _import(
    graph: MilvusGraph, notes: int, tags: int, centres: Float32, rng: np.random.Generator
) -> None:
    texts = [note.text for note in make_notes(1024, seed=5)]
    for start in range(0, notes, 1024):
        count = min(1024, notes - start)
        history = [Note(note_id=f"h{start + number}", text=texts[number]) for number in range(count)]
        await graph.write_notes(_rows(history, _near(centres, count, rng), tags, Origin.IMPORT))


def _rows(
    notes: Sequence[Note], vectors: Float32, tags: int, origin: Origin = Origin.STREAM
) -> list[NoteRow]:
    rng = random.Random(4)
    return [
        NoteRow(
            StoredNote(
                note.note_id,
                origin,
                "0" * 32,
                SourcePosition("notes.new", 0, number),
                tuple(
                    GraphTag(tag_id=f"t{tag}", weight=1.0, provenance=Provenance.IMPORT)
                    for tag in rng.sample(range(tags), 5)
                ),
                tuple(SimilarTo(target=f"t{tag}", similarity=0.5) for tag in range(10)),
                tuple(SimilarTo(target=f"h{near}", similarity=0.5) for near in range(5)),
                pack_words(words_of(note)),
            ),
            vector,
        )
        for number, (note, vector) in enumerate(zip(notes, vectors, strict=True))
    ]


def _near(centres: Float32, count: int, rng: np.random.Generator) -> Float32:
    noise = rng.standard_normal((count, DIMENSION)).astype(np.float32)
    return unit(centres[rng.integers(len(centres), size=count)] + noise)


async def _core_ms(work: Callable[[], Awaitable[object]], notes: int, rounds: int = ROUNDS) -> float:
    """Core-milliseconds a note, all threads of this process together; the first of several rounds does not count."""
    if rounds > 1:
        await work()
    started = time.process_time()
    for _ in range(rounds):
        await work()
    return (time.process_time() - started) / rounds / notes * 1000


if __name__ == "__main__":
    run(main)
