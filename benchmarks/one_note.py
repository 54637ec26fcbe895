"""What one note costs that has the machine to itself: latency by stage, and the memory of the process.

The bundle in process, over the graph of the sample repository; every candidate has a definition. Notes come one at a
time, each so long that the encoder's windows are full (and with them the budget of a tagger that reads the text), each
with 24 candidates. A note is tokenized in every stage that reads it, and that is part of the stage; a tag that was met
before is known by its tokens, as in a worker.

Memory is the resident set of this process and the highest it has been: the kernel's ``VmHWM``, which other than
``ru_maxrss`` knows nothing of the process that started this one.

    python -m benchmarks.one_note [--notes 200] [--bundle BUNDLE]
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.command import parser_of, run
from benchmarks.corpus import make_notes
from streamproc.events.note import Note
from streamproc.graph.knowledge_view import KnowledgeView
from streamproc.graph.recall import recall
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.cores import available_cores
from streamproc.inference.onnx import load_models
from streamproc.inference.protocols import CandidateTag, Models, TaggingRequest
from streamproc.inference.text import note_text
from streamproc.inference.tokenization import WindowTokenizer
from streamproc.pipeline.local import LocalFiles, LocalGraph, open_local_graph
from streamproc.pipeline.tagging import SEGMENTS

__all__ = ["CANDIDATES", "Memory", "NoteSeconds", "filled_notes", "main", "tagged"]

CANDIDATES = 24
WARM_UP_NOTES = 10
"""Not measured: onnxruntime and the allocator take what they need on their first runs."""


@dataclass(frozen=True)
class NoteSeconds:
    """How long each stage of one note took, in the order of the stages."""

    encoder: float
    search: float
    recall: float
    tagger_and_calibrator: float

    @property
    def whole(self) -> float:
        """All stages."""
        return self.encoder + self.search + self.recall + self.tagger_and_calibrator


@dataclass(frozen=True)
class Memory:
    """Of this process, in MB (10⁶ bytes).

    Attributes:
        resident: now.
        highest: since the process began.
    """

    resident: float
    highest: float

    @classmethod
    def now(cls) -> "Memory":
        """As the kernel counts it."""
        lines = (line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        kilobytes = {name: rest.split()[0] for name, rest in lines if name in {"VmRSS", "VmHWM"}}
        return cls(int(kilobytes["VmRSS"]) * 1024 / 1e6, int(kilobytes["VmHWM"]) * 1024 / 1e6)


def filled_notes(number: int, bundle: Bundle) -> list[Note]:
    """Notes that are just longer than the bundle's encoder reads, made of the sample notes' sentences."""
    spec = bundle.manifest.encoder
    tokenizer = WindowTokenizer(
        bundle.file(spec.tokenizer), window_tokens=spec.window_tokens, max_windows=spec.max_windows
    )
    filled = []
    for position in range(number):
        note, pieces = Note(note_id=f"filled{position}", text="-"), []
        for piece in count():
            if tokenizer.tokenize(note_text(note)).truncated:
                break
            pieces += [made.text for made in make_notes(1, seed=1000 * position + piece)]
            note = Note(note_id=note.note_id, text=" ".join(pieces))
        filled.append(note)
    return filled


async def tagged(
    note: Note, models: Models, graph: LocalGraph, thresholds: Thresholds
) -> tuple[NoteSeconds, TaggingRequest]:
    """Take one note through the stages; how long they took, and what the tagger was asked."""
    text = note_text(note)
    marks = [time.perf_counter()]
    encoded = await models.encoder.encode([text])
    marks.append(time.perf_counter())
    hits = await graph.store.search(
        encoded.vectors, tags=thresholds.nearest_tags, notes=thresholds.nearest_notes, segments=SEGMENTS
    )
    marks.append(time.perf_counter())
    snapshot = graph.knowledge.snapshot()
    recalled = recall(note, hits[0], KnowledgeView(snapshot), snapshot.judgements, thresholds)
    candidates = tuple(CandidateTag(tag.tag_id, tag.name, tag.description) for tag in recalled.tags)
    marks.append(time.perf_counter())
    request = TaggingRequest(text, candidates, recalled.evidence)
    await models.calibrator.judge([request], await models.tagger.score([request]))
    marks.append(time.perf_counter())
    return NoteSeconds(*np.diff(marks)), request


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the rows of ``benchmarks/RESULTS.md``."""
    parser = parser_of(__doc__)
    parser.add_argument("--notes", type=int, default=200)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    options = parser.parse_args(arguments)
    asyncio.run(_measure(options.notes, options.bundle))


async def _measure(notes: int, path: Path) -> None:
    memory = {"program imported": Memory.now()}
    bundle = Bundle.load(path)
    models = load_models(bundle)
    memory["bundle loaded"] = Memory.now()
    filled = filled_notes(notes + WARM_UP_NOTES, bundle)
    for note in filled[:WARM_UP_NOTES]:
        await models.encoder.encode([note_text(note)])
    memory["bundle loaded and used"] = Memory.now()
    thresholds = replace(Thresholds.of(bundle.manifest.recall), candidates=CANDIDATES)
    with tempfile.TemporaryDirectory() as cache:
        graph = await open_local_graph(
            LocalFiles.chosen(None, None), models.encoder, Path(cache), None, lambda *_: None
        )
        seconds = []
        for note in filled:
            took, request = await tagged(note, models, graph, thresholds)
            _require_defined_candidates(request)
            seconds.append(took)
        memory["graph opened, notes tagged"] = Memory.now()
        await graph.store.close()
    await models.close()
    load = os.getloadavg()[0]
    print(
        f"{bundle.manifest.name}-{bundle.manifest.version}, {available_cores()} cores, load {load:.1f}, {notes} notes\n"
    )
    _print_latencies(seconds[WARM_UP_NOTES:])
    print("\n| memory, MB | resident | highest |\n|---|---|---|")
    for stage, read in memory.items():
        print(f"| {stage} | {read.resident:.0f} | {read.highest:.0f} |")


def _require_defined_candidates(request: TaggingRequest) -> None:
    assert len(request.candidates) == CANDIDATES
    assert all(each.definition for each in request.candidates)


def _print_latencies(seconds: Sequence[NoteSeconds]) -> None:
    stages = {
        "encoder": [each.encoder for each in seconds],
        "search": [each.search for each in seconds],
        "recall": [each.recall for each in seconds],
        "**tagger and calibrator**": [each.tagger_and_calibrator for each in seconds],
        "together": [each.whole for each in seconds],
    }
    print("| a note, ms | p50 | p99 |\n|---|---|---|")
    for stage, values in stages.items():
        p50, p99 = np.percentile(values, [50, 99]) * 1e3
        print(f"| {stage} | {p50:.2f} | {p99:.2f} |")


if __name__ == "__main__":
    run(main)
