"""Opens the parts of a production worker as the settings say."""

from streamproc.config import Inference, Settings
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.store import MilvusGraph
from streamproc.graph.writer import GraphWriter
from streamproc.inference.backend import load_bundle, open_models
from streamproc.inference.triton_connection import TritonConnection
from streamproc.knowledge.snapshot import Knowledge
from streamproc.pipeline.tagging import Pipeline
from streamproc.streams.breaker import Dependency
from streamproc.streams.parts import Parts

__all__ = ["MilvusDependency", "TritonDependency", "open_parts"]


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


class TritonDependency:
    """The inference server: its pinned versions with the bundle's weights, and an answer in time."""

    name = "Triton"

    def __init__(self, connection: TritonConnection) -> None:
        self._connection = connection

    async def check(self) -> None:
        """Return if Triton serves the bundle's models.

        Raises:
            TransientError: it does not.
        """
        await self._connection.check()

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()


async def open_parts(settings: Settings) -> Parts:
    """Load the models, open the graph, and put the pipeline together.

    Raises:
        UserError: the bundle is broken, the graph is another encoder's, a setting contradicts.
        DependencyDownError: Milvus or Triton cannot be reached.
    """
    bundle = load_bundle(settings)
    models = open_models(settings, bundle)
    try:
        graph = await MilvusGraph.open(
            GraphAddress(
                settings.milvus_uri,
                settings.milvus_token,
                settings.milvus_timeout_seconds,
                settings.topic_prefix,
            ),
            models.encoder.weights_hash,
            models.encoder.dimension,
        )
    except BaseException:
        await models.close()
        raise
    knowledge = Knowledge()
    dependencies: list[Dependency] = [MilvusDependency(graph)]
    closing = [graph.close, models.close]
    if settings.inference is Inference.TRITON:
        from streamproc.inference.triton import connect  # noqa: PLC0415 - only those who use it pay for its import

        # A connection of its own: a probe must not wait behind the requests that it is to explain.
        triton = TritonDependency(connect(settings, bundle))
        dependencies.append(triton)
        closing.append(triton.close)

    async def close() -> None:
        for each in closing:
            await each()

    return Parts(
        pipeline=Pipeline.of(settings, bundle, models, graph, knowledge),
        graph=GraphWriter(graph, models.encoder),
        knowledge=knowledge,
        dependencies=dependencies,
        close=close,
    )
