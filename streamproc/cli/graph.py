"""``streamproc graph``: the content-tag graph in Milvus."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.progress import loading_progress
from streamproc.cli.running import run
from streamproc.config import Inference, Settings, load_settings
from streamproc.errors import SettingsError
from streamproc.events.topics import TopicNames

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.graph.milvus import GraphAddress
    from streamproc.graph.rebuild import RebuildReport
    from streamproc.graph.writer import GraphWriter
    from streamproc.inference.bundle import Bundle
    from streamproc.inference.protocols import Encoder

__all__ = ["app"]

_FEW_RECORDS = 500
"""A pass that found fewer has caught up, but for what came meanwhile."""

app = typer.Typer(help="The content-tag graph in Milvus.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def rebuild() -> None:
    """Empty the graph and build it anew from the topics.

    Needed when the graph was lost, belongs to other topics or was built by another encoder: a worker says so and
    waits. Stop all workers first; start them again afterwards, and they go on where they were.

    Example: streamproc graph rebuild
    """
    run(_rebuild(load_settings()))


@app.command()
def reembed(
    bundle: Annotated[
        Path, typer.Option(help="The bundle with the new encoder; a directory.", file_okay=False)
    ],
    *,
    anew: Annotated[
        bool, typer.Option("--anew", help="Begin with an empty graph, whatever an earlier run left.")
    ] = False,
) -> None:
    """Build the graph of a bundle with another encoder beside the one in use.

    Workers go on with the old graph meanwhile. Run it again to catch up with what was published since: it goes on where
    it ended. A last time with the workers stopped, then start them with the new bundle; 'graph drop' removes the old graph.

    Example: streamproc graph reembed --bundle /srv/bundles/multilingual-1
    """
    run(_reembed(load_settings(), bundle, anew=anew))


@app.command("list")
def list_graphs() -> None:
    """Print the graphs there are, a line an encoder: its hash, the notes, and whether the bundle in use reads it.

    Example: streamproc graph list
    """
    run(_list(load_settings()))


@app.command()
def drop(
    encoder: Annotated[str, typer.Option(help="The hash of its encoder, or the first characters of it.")],
) -> None:
    """Remove a graph that no worker reads any more.

    The graph of the bundle in use is refused. Nothing is lost that 'graph reembed' would not bring back.

    Example: streamproc graph drop --encoder 64ef48045171ffa2
    """
    run(_drop(load_settings(), encoder))


async def _rebuild(settings: Settings) -> None:
    from streamproc.graph.rebuild import rebuild as rebuild_graph  # noqa: PLC0415
    from streamproc.graph.store import MilvusGraph  # noqa: PLC0415
    from streamproc.graph.writer import GraphWriter  # noqa: PLC0415
    from streamproc.inference.backend import load_bundle  # noqa: PLC0415
    from streamproc.streams.reading import read_to_end  # noqa: PLC0415

    names = TopicNames(settings.topic_prefix)
    await _require_idle(settings, names)
    bundle = load_bundle(settings)
    async with _encoder(settings, bundle) as encoder:
        # Replaced from the start: the graph that is there may be another encoder's, or damaged.
        graph = await MilvusGraph.open(
            _address(settings), encoder.weights_hash, encoder.dimension, replace=True
        )
        try:
            with loading_progress() as progress:
                tags, knowledge, notes = (
                    read_to_end(settings, [topic], partial(progress, f"applying {topic}"))
                    for topic in (names.tags_changes, names.knowledge_changes, names.graph_notes)
                )
                report = await rebuild_graph(
                    GraphWriter(graph, encoder), tags=tags, knowledge=knowledge, notes=notes, progress=_ignore
                )
        finally:
            await graph.close()
    typer.echo(
        f"read {report.tags:,} changes of tags, {report.segments:,} of knowledge and {report.notes:,} notes; "
        f"{report.passed_over:,} could not be used and were passed over"
    )


async def _reembed(settings: Settings, path: Path, *, anew: bool) -> None:
    from streamproc.graph.store import MilvusGraph  # noqa: PLC0415 - a quick --help
    from streamproc.graph.writer import GraphWriter  # noqa: PLC0415
    from streamproc.inference.backend import load_bundle  # noqa: PLC0415
    from streamproc.inference.bundle import Bundle  # noqa: PLC0415

    in_use, bundle = load_bundle(settings), Bundle.load(path)
    if bundle.manifest.encoder.float_sha256 == in_use.manifest.encoder.float_sha256:
        raise SettingsError(
            f"{path} has the encoder of the bundle in use ({in_use.path}), so its graph is the one that workers write. To "
            "build that anew, stop them and run `streamproc graph rebuild`."
        )
    async with _encoder(settings, bundle) as encoder:
        graph = await MilvusGraph.open(
            _address(settings), encoder.weights_hash, encoder.dimension, replace=anew, beside=True
        )
        try:
            await _catch_up(settings, GraphWriter(graph, encoder))
            counts = await graph.counts()
        finally:
            await graph.close()
    typer.echo(
        f"the graph of encoder {bundle.manifest.encoder.float_sha256[:16]} holds {counts.notes:,} notes, {counts.tags:,} tags "
        f"and {counts.segments:,} passages\n"
        "next:\n"
        f"  fit its thresholds, where that is not done:  streamproc calibrate recall … --bundle {path}\n"
        "  stop the workers, and catch up a last time with this command\n"
        f"  start the workers with STREAMPROC_BUNDLE={path}\n"
        f"  once all is well:  streamproc graph drop --encoder {in_use.manifest.encoder.float_sha256[:16]}"
    )


async def _catch_up(settings: Settings, writer: "GraphWriter") -> None:
    from streamproc.graph.rebuild import catch_up  # noqa: PLC0415 - a quick --help
    from streamproc.streams.reading import read_to_end  # noqa: PLC0415

    names = TopicNames(settings.topic_prefix)
    everything: Mapping[tuple[str, int], int] = {}
    while True:
        applied = await writer.applied_offsets()
        with loading_progress() as progress:
            tags, knowledge, notes = (
                read_to_end(settings, [topic], partial(progress, f"applying {topic}"), after=after)
                for topic, after in (
                    (names.tags_changes, everything),  # whether a change is valid depends on all before it
                    (names.knowledge_changes, applied),
                    (names.graph_notes, applied),
                )
            )
            report = await catch_up(writer, tags=tags, knowledge=knowledge, notes=notes, progress=_ignore)
        read = report.tags + report.segments + report.notes
        typer.echo(
            f"read {report.tags:,} changes of tags, {report.segments:,} of knowledge and {report.notes:,} notes; "
            f"{report.passed_over:,} could not be used and were passed over",
            err=True,
        )
        # Workers publish on: each pass is shorter than the one before, until nothing to speak of is left.
        if read < _FEW_RECORDS:
            return


async def _list(settings: Settings) -> None:
    from streamproc.graph.encoders import stored_graphs  # noqa: PLC0415 - a quick --help
    from streamproc.inference.backend import load_bundle  # noqa: PLC0415

    in_use = load_bundle(settings).manifest.encoder.float_sha256
    # Opening a .db that is not there would make one.
    absent = settings.milvus_is_local and not await asyncio.to_thread(Path(settings.milvus_uri).exists)
    graphs = [] if absent else await stored_graphs(_address(settings))
    if not graphs:
        typer.echo("no graph yet: the first worker makes it", err=True)
    for graph in graphs:
        use = "used" if in_use.startswith(graph.encoder) else "-"
        typer.echo(f"{graph.encoder}\t{graph.notes}\t{use}")


async def _drop(settings: Settings, encoder: str) -> None:
    from streamproc.graph.encoders import drop_graph  # noqa: PLC0415 - a quick --help
    from streamproc.inference.backend import load_bundle  # noqa: PLC0415

    bundle = load_bundle(settings)
    in_use = bundle.manifest.encoder.float_sha256
    if in_use.startswith(encoder) or encoder.startswith(in_use):
        raise SettingsError(
            f"{encoder} is the encoder of the bundle in use ({bundle.path}), and its graph is the one that workers read. Set "
            "STREAMPROC_BUNDLE to the bundle that they use now, or leave the graph alone."
        )
    typer.echo(f"dropped the graph of encoder {await drop_graph(_address(settings), encoder)}")


def _address(settings: Settings) -> "GraphAddress":
    from streamproc.graph.milvus import GraphAddress  # noqa: PLC0415 - a quick --help

    return GraphAddress.of(settings)


def _ignore(report: "RebuildReport") -> None:
    """The readers tell how far they are of how much, which a report cannot."""


@asynccontextmanager
async def _encoder(settings: Settings, bundle: "Bundle") -> AsyncIterator["Encoder"]:
    """The encoder alone: a rebuild tags nothing."""
    if settings.inference is Inference.TRITON:
        from streamproc.inference.triton import load_triton_encoder  # noqa: PLC0415 - a quick --help

        remote = load_triton_encoder(settings, bundle)
        try:
            yield remote
        finally:
            await remote.close()
    else:
        from streamproc.inference.onnx import load_encoder  # noqa: PLC0415 - a quick --help

        local = load_encoder(bundle, settings.inference_threads)
        try:
            yield local
        finally:
            local.pool.close()


async def _require_idle(settings: Settings, names: TopicNames) -> None:
    from streamproc.streams.group import group_state  # noqa: PLC0415 - a quick --help

    members = (await group_state(settings, [names.graph_notes])).members
    if members:
        raise SettingsError(
            f"The group {settings.consumer_group!r} has {members} running consumers, which write to this graph. Stop the "
            "workers and try again; Kafka counts a worker that was killed for another "
            f"{settings.session_timeout_seconds:g} s."
        )
