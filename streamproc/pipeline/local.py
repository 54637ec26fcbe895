"""A private graph built from files: what ``demo`` and ``tag`` recall from.

Files go through the same code as the agents' records. Encoding history takes the time, so the finished graph
is kept in the cache, under the hash of everything that went into it; a run works on a copy.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from streamproc.errors import InputFileError, InvalidChangeError, SettingsError
from streamproc.events.codec import encode, graph_note_key, normalise_name
from streamproc.events.files import note_from_row, read_events, segment_from_row, tag_from_row
from streamproc.events.graph import Origin
from streamproc.events.history import file_position, imported_note
from streamproc.events.note import Note
from streamproc.events.position import Source
from streamproc.events.record import InputRecord
from streamproc.events.segment import SegmentChange
from streamproc.events.tag import TagChange
from streamproc.graph.milvus import GraphAddress, kept_closed
from streamproc.graph.store import MilvusGraph
from streamproc.graph.writer import GraphWriter
from streamproc.inference.protocols import Encoder
from streamproc.knowledge.judgements import Judgements
from streamproc.knowledge.repository import Repository
from streamproc.knowledge.segments import Segments
from streamproc.knowledge.snapshot import Knowledge
from streamproc.pipeline.kept_graphs import GRAPH_FILE, is_whole, note_use, prune, put_in_place

__all__ = ["LocalFiles", "LocalGraph", "Progress", "kept_directory", "open_local_graph", "sample_file"]

FORMAT = "1"
"""Part of the cache's hash: raised when the same files would give another graph."""

BATCH = 512
"""Notes embedded and written at once: long enough that a write's fixed cost does not count."""

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""Told what is being loaded, how many are done, and of how many."""


def sample_file(name: str) -> Path:
    """A file of the sample data that ships with the package."""
    return Path(str(files("streamproc"))) / "samples" / name


@dataclass(frozen=True)
class LocalFiles:
    """The files a private graph is built from; None: there are none of that sort."""

    tags: Path | None
    history: Path | None
    knowledge: Path | None

    @classmethod
    def chosen(cls, tags: Path | None, history: Path | None) -> "LocalFiles":
        """The files that were named, or the sample repository where none was."""
        if tags is None and history is None:
            return cls(
                sample_file("tags.jsonl"), sample_file("history.jsonl"), sample_file("knowledge.jsonl")
            )
        return cls(tags, history, None)


@dataclass(frozen=True)
class LocalGraph:
    """An open private graph and the knowledge that goes with it."""

    store: MilvusGraph
    writer: GraphWriter
    knowledge: Knowledge
    path: Path
    tags: int
    history: Sequence[Note]

    @property
    def notes(self) -> int:
        """How many notes the history has."""
        return len(self.history)

    @property
    def unheard_labels(self) -> str:
        """A sentence about labels of the history that name no active tag; empty where all do."""
        tags = self.knowledge.snapshot().tags
        labels = dict.fromkeys(normalise_name(name) for note in self.history for name in note.tags)
        unknown = [label for label in labels if label and tags.resolve(label) is None]
        if not unknown:
            return ""
        return (
            f"{len(unknown)} of {len(labels)} labels in the history name no active tag of the repository and count for nothing, "
            f"such as {unknown[0]!r}: a tag goes by its tag_id, or by its exact name if it has none"
        )


@dataclass(frozen=True)
class _Contents:
    tags: Sequence[TagChange]
    notes: Sequence[Note]
    segments: Sequence[SegmentChange]
    history_name: str


async def open_local_graph(
    chosen: LocalFiles, encoder: Encoder, cache: Path, workspace: Path | None, progress: Progress
) -> LocalGraph:
    """Build the graph of these files, or take it from the cache, and open it.

    Args:
        chosen: tags, labelled history, knowledge.
        encoder: embeds them.
        cache: where finished graphs are kept.
        workspace: a directory for a copy that may be written to; None: the kept graph itself is opened, and
            what is learnt stays in it.
        progress: told how far the building is.

    Raises:
        InputFileError: a file cannot be read, or a line of it cannot be used; another run is learning from these files.
        SettingsError: the cache cannot be written to.
    """
    contents = _read(chosen)
    knowledge = _knowledge(contents, chosen)
    kept = kept_directory(chosen, encoder.weights_hash, cache)
    note_use(kept)
    if not is_whole(kept):
        await _build(kept, contents, encoder, progress)
        prune(kept.parent)
    # One that is being written to would be copied in parts of different moments.
    with kept_closed(kept / GRAPH_FILE) as closed:
        if not closed:
            raise InputFileError(
                "another run of streamproc tag --learn has the graph of these files open: wait until it has ended"
            )
        path = kept / GRAPH_FILE if workspace is None else _copied(kept / GRAPH_FILE, workspace)
    store = await _open_store(path, encoder)
    return LocalGraph(store, GraphWriter(store, encoder), knowledge, path, len(contents.tags), contents.notes)


def _read(chosen: LocalFiles) -> _Contents:
    notes = list(read_events(chosen.history, note_from_row)) if chosen.history else []
    if chosen.tags:
        tags = list(read_events(chosen.tags, tag_from_row))
    else:
        # History without a repository: its labels are the repository.
        names = dict.fromkeys(normalise_name(name) for note in notes for name in note.tags)
        tags = [tag_from_row({"tag": name}) for name in names if name]
    if not tags:
        raise InputFileError(f"{chosen.tags or chosen.history} names no tag: nothing could be tagged with it")
    segments = list(read_events(chosen.knowledge, segment_from_row)) if chosen.knowledge else []
    return _Contents(tags, notes, segments, chosen.history.name if chosen.history else "")


def _knowledge(contents: _Contents, chosen: LocalFiles) -> Knowledge:
    try:
        repository = Repository.of(contents.tags)
    except InvalidChangeError as error:
        raise InputFileError(f"{chosen.tags or chosen.history}: {error}") from None
    return Knowledge(repository, Judgements(), Segments.of(contents.segments))


def kept_directory(chosen: LocalFiles, encoder_hash: str, cache: Path) -> Path:
    """Where what is made of these files is kept: under the hash of everything that went into it.

    Raises:
        InputFileError: a file cannot be read.
    """
    digest = hashlib.sha256(f"{FORMAT} {encoder_hash}".encode())
    for path in (chosen.tags, chosen.history, chosen.knowledge):
        digest.update(b"\0" if path is None else hashlib.sha256(_bytes(path)).digest())
    return cache / "graphs" / digest.hexdigest()[:24]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror or error}") from None


async def _build(kept: Path, contents: _Contents, encoder: Encoder, progress: Progress) -> None:
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Built aside and moved into place whole: a run that is interrupted leaves nothing that looks finished.
        building = Path(tempfile.mkdtemp(prefix=f"{kept.name}.", dir=kept.parent))
    except OSError as error:
        raise SettingsError(
            f"the graph cannot be kept in {kept.parent}: {error.strerror or error}. Set STREAMPROC_CACHE_DIR to a "
            "directory that can be written to."
        ) from None
    try:
        store = await _open_store(building / GRAPH_FILE, encoder)
        try:
            await _fill(GraphWriter(store, encoder), contents, encoder, progress)
        finally:
            await store.close()
        put_in_place(building, kept)
    finally:
        shutil.rmtree(building, ignore_errors=True)


async def _fill(writer: GraphWriter, contents: _Contents, encoder: Encoder, progress: Progress) -> None:
    done = 0
    for tags in _batches(contents.tags):
        await writer.apply_tags(tags, {})
        done += len(tags)
        progress("tags", done, len(contents.tags))
    if contents.segments:
        await writer.apply_segments(contents.segments, {})
    done = 0
    for notes in _batches(contents.notes):
        records = [
            _history_record(note, contents.history_name, done + index, encoder)
            for index, note in enumerate(notes, start=1)
        ]
        await writer.apply(await writer.plan(records))
        done += len(notes)
        progress("history", done, len(contents.notes))


def _history_record(note: Note, file_name: str, line: int, encoder: Encoder) -> InputRecord:
    graph_note = imported_note(note, file_position(file_name, line), encoder.weights_hash)
    return InputRecord(
        Source(graph_note.source, 0), graph_note_key(note.note_id, Origin.IMPORT), encode(graph_note)
    )


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _copied(graph: Path, workspace: Path) -> Path:
    target = workspace / GRAPH_FILE
    if graph.is_dir():
        shutil.copytree(graph, target)
    else:
        shutil.copy2(graph, target)
    return target


async def _open_store(path: Path, encoder: Encoder) -> MilvusGraph:
    address = GraphAddress(uri=str(path), token="", timeout_seconds=60.0, topic_prefix="")
    return await MilvusGraph.open(address, encoder.weights_hash, encoder.dimension)
