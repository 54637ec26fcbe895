"""``streamproc tag``: the pipeline without a broker, JSONL in, ``notes.tagged`` values as JSONL out."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, TextIO

import typer

from streamproc.cli.outputs import require_outputs
from streamproc.cli.running import ctrl_c_at_once
from streamproc.config import Settings, load_settings
from streamproc.errors import InputFileError, SettingsError
from streamproc.events.codec import Limits, encode, graph_note_key
from streamproc.events.files import read_lines
from streamproc.events.graph import Origin
from streamproc.events.record import InputRecord
from streamproc.events.tagged import NoteOutcome

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.graph.writer import GraphWriter
    from streamproc.pipeline.outcome import Outcome
    from streamproc.pipeline.tagging import Pipeline

__all__ = ["tag"]

STANDARD_STREAM = "-"


@dataclass(frozen=True)
class _Run:
    """One call of the command."""

    notes: IO[bytes]
    source_name: str
    output: Path | None
    dead: Path | None
    settings: Settings
    tags: Path | None
    history: Path | None
    learn: bool


@dataclass
class _Tally:
    """What became of the lines: rejected, or out; of the latter, in a language that is not read."""

    rejected: int = 0
    out: int = 0
    unread: int = 0


def tag(  # noqa: PLR0917 - the options of a command line
    notes: Annotated[
        str, typer.Argument(help="File of notes, one JSON object a line; - reads standard input.")
    ],
    tags: Annotated[Path | None, typer.Option(help="The tag repository (JSONL).")] = None,
    history: Annotated[
        Path | None, typer.Option(help="Labelled notes (JSONL): what is like them gets like tags.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of to standard output.")
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(help="Emit tags with at least this confidence; 0 ranks all candidates.", min=0, max=1),
    ] = None,
    max_tags: Annotated[
        int | None, typer.Option(help="Emit at most so many tags a note.", min=1, max=100)
    ] = None,
    dead: Annotated[Path | None, typer.Option(help="Keep the lines that are rejected in this file.")] = None,
    *,
    learn: Annotated[
        bool,
        typer.Option(
            "--learn", help="Let the notes enter the private graph, for later runs on the same files."
        ),
    ] = False,
) -> None:
    """Tag a file of notes, without a broker.

    Example: streamproc tag notes.jsonl --tags tags.jsonl --history labelled.jsonl -o tagged.jsonl

    Without --tags and --history the sample repository is used. A line that cannot be used is named on standard
    error and the rest comes out; the exit status is 1 then.
    """
    changes: dict[str, object] = {}
    if min_confidence is not None:
        changes["min_confidence"] = min_confidence
    if max_tags is not None:
        changes["max_tags"] = max_tags
    settings = load_settings(**changes)
    if learn and not settings.milvus_is_local:
        raise SettingsError(
            f"--learn writes to a private graph only, and STREAMPROC_MILVUS_URI = {settings.milvus_uri!r} is a server. "
            "Unset it, or publish the notes with streamproc publish notes."
        )
    require_outputs(output, dead, inputs=(Path(notes), tags, history))
    from streamproc.observability.logging import configure_logging  # noqa: PLC0415 - a quick --help

    configure_logging(settings.log_level)
    with contextlib.ExitStack() as stack:
        run = _Run(
            notes=_opened_input(notes, stack),
            source_name="standard input" if notes == STANDARD_STREAM else notes,
            output=output,
            dead=dead,
            settings=settings,
            tags=tags,
            history=history,
            learn=learn,
        )
        with ctrl_c_at_once():
            tally = asyncio.run(_tag(run))
    if tally.unread:
        typer.echo(
            f"{tally.unread:,} notes name a language that the models do not read and got no tags: language is a code such as en or "
            "en-GB; a note that names none is read",
            err=True,
        )
    if tally.rejected:
        rest = (
            "the rest came out"
            if tally.out
            else "nothing came out: a file of notes has one JSON object a line"
        )
        typer.echo(
            f"{tally.rejected:,} of {tally.rejected + tally.out:,} lines could not be used; {rest}", err=True
        )
        raise typer.Exit(1)


async def _tag(run: _Run) -> _Tally:
    """Tag all notes."""
    from streamproc.cli.progress import loading_progress  # noqa: PLC0415
    from streamproc.inference.backend import load_bundle, open_models  # noqa: PLC0415
    from streamproc.pipeline.garbage import calm_collector  # noqa: PLC0415
    from streamproc.pipeline.local import LocalFiles, open_local_graph  # noqa: PLC0415
    from streamproc.pipeline.local_confidences import with_local_confidences  # noqa: PLC0415
    from streamproc.pipeline.tagging import Pipeline  # noqa: PLC0415

    chosen = LocalFiles.chosen(run.tags, run.history)
    with tempfile.TemporaryDirectory(prefix="streamproc-") as workspace:
        with loading_progress() as progress:
            bundle, sentence = await with_local_confidences(
                run.settings, load_bundle(run.settings), chosen, open_models, progress
            )
        typer.echo(sentence, err=True)
        models = open_models(run.settings, bundle)
        try:
            with loading_progress() as progress:
                graph = await open_local_graph(
                    chosen,
                    models.encoder,
                    run.settings.cache_dir.expanduser(),
                    None if run.learn else Path(workspace),
                    progress,
                )
            if graph.unheard_labels:
                typer.echo(graph.unheard_labels, err=True)
            try:
                pipeline = Pipeline.of(run.settings, bundle, models, graph.store, graph.knowledge)
                calm_collector()
                return await _tag_lines(run, pipeline, graph.writer if run.learn else None)
            finally:
                await graph.store.close()
        finally:
            await models.close()


async def _tag_lines(run: _Run, pipeline: "Pipeline", writer: "GraphWriter | None") -> _Tally:
    with contextlib.ExitStack() as stack:
        # Opening an output empties it: not before everything else is in order.
        output = _standard(sys.stdout, "output") if run.output is None else _opened_output(run.output, stack)
        dead = None if run.dead is None else _opened_output(run.dead, stack)
        return await _write_lines(run, pipeline, writer, output, dead)


async def _write_lines(
    run: _Run, pipeline: "Pipeline", writer: "GraphWriter | None", output: IO[bytes], dead: IO[bytes] | None
) -> _Tally:
    from streamproc.pipeline.lines import RejectedLine, tag_lines  # noqa: PLC0415

    tally = _Tally()
    limits = Limits(run.settings.max_note_bytes, run.settings.max_text_chars)
    batches = tag_lines(
        read_lines(run.notes),
        run.source_name,
        pipeline,
        run.settings.batch_size,
        ahead=2 if writer is None else 1,
        limits=limits,
    )
    async for batch in batches:
        for result in batch:
            if isinstance(result, RejectedLine):
                tally.rejected += 1
                typer.echo(f"{run.source_name}, line {result.line.number}: {result.reason}", err=True)
                if dead is not None:
                    dead.write(result.line.value + b"\n")
            else:
                tally.out += 1
                tally.unread += result.tagged.outcome is NoteOutcome.UNSUPPORTED_LANGUAGE
                output.write(encode(result.tagged) + b"\n")
        output.flush()
        if writer is not None:
            await _learn(writer, [result for result in batch if not isinstance(result, RejectedLine)])
    return tally


async def _learn(writer: "GraphWriter", outcomes: "Sequence[Outcome]") -> None:
    """Write what the notes add to the graph, as the graph agent does."""
    records = [
        InputRecord(
            outcome.source, graph_note_key(outcome.tagged.note_id, Origin.STREAM), encode(outcome.graph_note)
        )
        for outcome in outcomes
        if outcome.graph_note is not None
    ]
    if records:
        await writer.apply(await writer.plan(records))


def _opened_input(notes: str, stack: contextlib.ExitStack) -> IO[bytes]:
    if notes == STANDARD_STREAM:
        return _standard(sys.stdin, "input")
    try:
        return stack.enter_context(Path(notes).open("rb"))
    except OSError as error:
        raise InputFileError(f"{notes} cannot be read: {error.strerror or error}") from None


def _standard(stream: TextIO | None, name: str) -> IO[bytes]:
    """A standard stream; a shell may have closed it, and then Python has none.

    Raises:
        InputFileError: there is none.
    """
    if stream is None:
        raise InputFileError(f"standard {name} is closed: open it, or name a file")
    return stream.buffer


def _opened_output(path: Path, stack: contextlib.ExitStack) -> IO[bytes]:
    try:
        return stack.enter_context(path.open("wb"))
    except OSError as error:
        raise InputFileError(f"{path} cannot be written: {error.strerror or error}") from None
