"""``streamproc demo``: the real application on an embedded broker, with a live view."""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.outputs import require_outputs
from streamproc.config import Settings, load_settings
from streamproc.errors import InputFileError, PoisonError
from streamproc.events.codec import encode
from streamproc.events.files import note_from_row, parse_object, read_lines
from streamproc.whole_file import write_whole

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.cli.demo_view import DemoView
    from streamproc.streams.demonstration import Demonstration, NewRecord
    from streamproc.streams.parts import Parts
    from streamproc.streams.tally import Summary

__all__ = ["demo"]

WATCHED_NOTES_PER_SECOND = 12.0
"""On a terminal the sample notes come at a pace that eyes can follow."""

DELETED_SAMPLE = b"n-001"
"""The sample stream ends with a tombstone of its first note."""


@dataclass(frozen=True)
class _Run:
    """One call of the command."""

    notes: Path | None
    tags: Path | None
    history: Path | None
    once: bool
    summary: Path | None
    settings: Settings

    @property
    def interactive(self) -> bool:
        """Whether a person watches and may type."""
        return not self.once and sys.stdin.isatty() and sys.stdout.isatty()


def demo(
    notes: Annotated[
        Path | None, typer.Option(help="Notes to stream (JSONL); the sample notes otherwise.")
    ] = None,
    tags: Annotated[Path | None, typer.Option(help="The tag repository (JSONL).")] = None,
    history: Annotated[Path | None, typer.Option(help="Labelled notes (JSONL).")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write the summary here, as JSON.")] = None,
    *,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Stream the notes as fast as they are taken and end; no typing of own notes."
        ),
    ] = False,
) -> None:
    """Watch notes being tagged: everything in one process, nothing to set up.

    An in-memory Kafka broker, the real application, Milvus Lite and the ONNX models. On a terminal you can type
    notes of your own when the file is through.

    Example: streamproc demo --once --notes notes.jsonl --tags tags.jsonl --history labelled.jsonl
    """
    from streamproc.observability.logging import configure_logging  # noqa: PLC0415 - a quick --help

    settings = load_settings(topic_prefix="", web_port=0)
    configure_logging("error" if settings.log_level == "info" else settings.log_level)
    require_outputs(summary, inputs=(notes, tags, history))
    if notes is not None:
        _require_readable(notes)
    figures = asyncio.run(_demo(_Run(notes, tags, history, once, summary, settings)))
    if figures.notes_in != figures.tagged + figures.deleted + figures.dead:
        typer.echo("error: not every note came out; this is a defect, please report it", err=True)
        raise typer.Exit(1)


def _require_readable(path: Path) -> None:
    """Open the file once, before what takes seconds.

    Raises:
        InputFileError: it cannot be read.
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror or error}") from None


async def _demo(run: _Run) -> "Summary":
    from streamproc.cli.demo_view import DemoView  # noqa: PLC0415
    from streamproc.streams.demonstration import demonstration  # noqa: PLC0415

    view = DemoView()
    with tempfile.TemporaryDirectory(prefix="streamproc-") as workspace:

        async def open_parts(settings: Settings) -> "Parts":
            return await _open_parts(run, settings, Path(workspace), view)

        async with demonstration(run.settings, open_parts, view.show) as running:
            view.ready(running.start_up_seconds)
            paced = run.interactive and run.notes is None
            await running.publish(_records(run, view), WATCHED_NOTES_PER_SECOND if paced else 0.0)
            figures = running.summary
            if run.interactive:
                await _typed_notes(running, view)
                figures = running.summary
    view.finish(figures)
    if run.summary is not None:
        import msgspec  # noqa: PLC0415

        write_whole(run.summary, msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    return figures


async def _open_parts(run: _Run, settings: Settings, workspace: Path, view: "DemoView") -> "Parts":
    from streamproc.cli.progress import loading_progress  # noqa: PLC0415
    from streamproc.inference.backend import load_bundle, open_models  # noqa: PLC0415
    from streamproc.pipeline.local import LocalFiles, open_local_graph  # noqa: PLC0415
    from streamproc.pipeline.local_confidences import with_local_confidences  # noqa: PLC0415
    from streamproc.pipeline.tagging import Pipeline  # noqa: PLC0415
    from streamproc.streams.parts import Parts  # noqa: PLC0415

    chosen = LocalFiles.chosen(run.tags, run.history)
    with loading_progress() as progress:
        bundle, sentence = await with_local_confidences(
            settings, load_bundle(settings), chosen, open_models, progress
        )
        models = open_models(settings, bundle)
        graph = await open_local_graph(
            chosen, models.encoder, settings.cache_dir.expanduser(), workspace, progress
        )
    typer.echo(sentence, err=True)
    if graph.unheard_labels:
        typer.echo(graph.unheard_labels, err=True)
    view.loaded(graph.tags, graph.notes)

    async def close() -> None:
        await graph.store.close()
        await models.close()

    return Parts(
        pipeline=Pipeline.of(settings, bundle, models, graph.store, graph.knowledge),
        graph=graph.writer,
        knowledge=graph.knowledge,
        dependencies=(),
        close=close,
    )


def _records(run: _Run, view: "DemoView") -> "Iterator[NewRecord]":
    """What is streamed: the lines of the file, good and bad; or the sample notes, broken events and a deletion."""
    from streamproc.pipeline.local import sample_file  # noqa: PLC0415
    from streamproc.streams.demonstration import NewRecord  # noqa: PLC0415

    yield from _file_records(run.notes or sample_file("notes.jsonl"), view)
    if run.notes is None:
        with sample_file("broken.jsonl").open("rb") as file:
            for line in read_lines(file):
                broken = parse_object(line.value)
                key = broken["key"]
                yield NewRecord(None if key is None else key.encode(), broken["value"].encode())
        yield NewRecord(DELETED_SAMPLE, None)


def _file_records(path: Path, view: "DemoView") -> "Iterator[NewRecord]":
    from streamproc.streams.demonstration import NewRecord  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            for line in read_lines(file):
                try:
                    note = note_from_row(parse_object(line.value))
                    view.published(note)
                    yield NewRecord(note.note_id.encode(), encode(note))
                except PoisonError:  # published as it stands: what becomes of it is the worker's to say
                    yield NewRecord(None, line.value)
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror or error}") from None


async def _typed_notes(running: "Demonstration", view: "DemoView") -> None:
    """Publish what a person types, a line a note, until an empty line, the end of the input or Ctrl-C."""
    from streamproc.events.note import Note  # noqa: PLC0415
    from streamproc.streams.demonstration import NewRecord  # noqa: PLC0415

    view.invite()
    number = 0
    try:
        while text := (await _typed_line()).strip():
            number += 1
            note = Note(note_id=f"typed-{number}", text=text)
            await running.publish([NewRecord(note.note_id.encode(), encode(note))])
    except asyncio.CancelledError:  # Ctrl-C: the summary still comes
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        typer.echo()


async def _typed_line() -> str:
    """The next line of the terminal; empty at the end of the input.

    No thread waits in ``input()``: it could not be interrupted, and the program could not end before the next Enter.
    """
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        if not line.done():
            line.set_result(sys.stdin.readline())

    typer.echo("> ", nl=False)
    loop.add_reader(sys.stdin, read)
    try:
        return await line
    finally:
        loop.remove_reader(sys.stdin)
