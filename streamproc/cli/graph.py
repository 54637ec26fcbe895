"""``streamproc graph``: the content-tag graph in Milvus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import typer

from streamproc.cli.progress import loading_progress
from streamproc.cli.running import run
from streamproc.config import Inference, Settings, load_settings
from streamproc.errors import SettingsError
from streamproc.events.topics import TopicNames

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.graph.rebuild import RebuildReport
    from streamproc.inference.bundle import Bundle
    from streamproc.inference.protocols import Encoder

__all__ = ["app"]

app = typer.Typer(help="The content-tag graph in Milvus.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    # With a single command Typer would leave its name out.
    pass


@app.command()
def rebuild() -> None:
    """Empty the graph and build it anew from the topics.

    Needed when the graph was lost, belongs to other topics or was built by another encoder: a worker says so and
    waits. Stop all workers first; start them again afterwards, and they go on where they were.

    Example: streamproc graph rebuild
    """
    run(_rebuild(load_settings()))


async def _rebuild(settings: Settings) -> None:
    from streamproc.graph.milvus import GraphAddress  # noqa: PLC0415 - a quick --help
    from streamproc.graph.rebuild import rebuild as rebuild_graph  # noqa: PLC0415
    from streamproc.graph.store import MilvusGraph  # noqa: PLC0415
    from streamproc.graph.writer import GraphWriter  # noqa: PLC0415
    from streamproc.inference.backend import load_bundle  # noqa: PLC0415
    from streamproc.streams.reading import read_to_end  # noqa: PLC0415

    names = TopicNames(settings.topic_prefix)
    await _require_idle(settings, names)
    bundle = load_bundle(settings)
    address = GraphAddress(
        settings.milvus_uri, settings.milvus_token, settings.milvus_timeout_seconds, settings.topic_prefix
    )
    async with _encoder(settings, bundle) as encoder:
        # Replaced from the start: the graph that is there may be another encoder's, or damaged.
        graph = await MilvusGraph.open(address, encoder.weights_hash, encoder.dimension, replace=True)
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
