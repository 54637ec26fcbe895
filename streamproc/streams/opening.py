"""Opens the parts of a production worker as the settings say."""

import asyncio
import contextlib

from streamproc.config import Inference, Settings
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.store import MilvusGraph
from streamproc.graph.writer import GraphWriter
from streamproc.inference.backend import load_bundle, open_models
from streamproc.inference.bundle import Bundle
from streamproc.knowledge.snapshot import Knowledge
from streamproc.observability.clock import SystemClock
from streamproc.pipeline.judged import Observer
from streamproc.pipeline.tagging import Pipeline
from streamproc.streams.breaker import Dependency
from streamproc.streams.parts import Parts
from streamproc.streams.releases import Release, Releases
from streamproc.streams.shadowing import open_shadow

__all__ = ["MilvusDependency", "open_parts"]


class MilvusDependency:
    """The graph's server; a Milvus Lite file answers while this process lives."""

    name = "Milvus"

    def __init__(self, graph: MilvusGraph) -> None:
        self._graph = graph

    async def check(self) -> None:
        """Return if Milvus answers.

        Raises:
            TransientError: it does not.
        """
        await self._graph.ping()


async def open_parts(settings: Settings) -> Parts:
    """Load the models, open the graph, and put the pipeline together.

    Raises:
        UserError: the bundle is broken, the graph is another encoder's, a setting contradicts.
        DependencyDownError: Milvus or Triton cannot be reached.
    """
    bundle = load_bundle(settings)
    opened = contextlib.AsyncExitStack()
    try:
        return await _opened(settings, bundle, opened)
    except BaseException:
        await opened.aclose()
        raise


async def _opened(settings: Settings, bundle: Bundle, opened: contextlib.AsyncExitStack) -> Parts:
    shadow = await open_shadow(settings, bundle)
    if shadow is not None:
        opened.push_async_callback(shadow.close)
    encoder = bundle.manifest.encoder
    graph = await MilvusGraph.open(GraphAddress.of(settings), encoder.float_sha256, encoder.dimension)
    opened.push_async_callback(graph.close)
    knowledge = Knowledge()

    def opening(bundle: Bundle) -> Release:
        return _release(settings, bundle, graph, knowledge, None if shadow is None else shadow.shadow)

    releases = Releases(settings, opening(bundle), opening, SystemClock())
    opened.push_async_callback(releases.close)
    opened.push_async_callback(_end, asyncio.create_task(releases.watch(), name="releases"))
    dependencies: list[Dependency] = [MilvusDependency(graph)]
    if settings.inference is Inference.TRITON:
        dependencies.append(releases)
    return Parts(
        pipeline=releases,
        graph=GraphWriter(graph, releases),
        knowledge=knowledge,
        dependencies=dependencies,
        close=opened.aclose,
    )


def _release(
    settings: Settings, bundle: Bundle, graph: MilvusGraph, knowledge: Knowledge, observer: Observer | None
) -> Release:
    models = open_models(settings, bundle)
    pipeline = Pipeline.of(settings, bundle, models, graph, knowledge, observer=observer)
    if settings.inference is not Inference.TRITON:
        return Release(bundle, models, pipeline, None, models.close)
    from streamproc.inference.triton import connect  # noqa: PLC0415 - only those who use it pay for its import

    # A connection of its own: a probe must not wait behind the requests that it is to explain.
    probe = connect(settings, bundle)

    async def close() -> None:
        await probe.close()
        await models.close()

    return Release(bundle, models, pipeline, probe, close)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
