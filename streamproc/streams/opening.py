"""Opens the parts of a production worker as the settings say."""

from streamproc.config import Inference, Settings
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.store import MilvusGraph
from streamproc.graph.writer import GraphWriter
from streamproc.inference.backend import load_bundle, open_models
from streamproc.inference.protocols import Models
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
    """The inference server, asked by the smallest thing it does for us: encoding a word."""

    name = "Triton"

    def __init__(self, models: Models) -> None:
        self._models = models

    async def check(self) -> None:
        """Return if Triton answers.

        Raises:
            TransientError: it does not.
        """
        await self._models.encoder.encode(["up"])


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
    if settings.inference is Inference.TRITON:
        dependencies.append(TritonDependency(models))

    async def close() -> None:
        await graph.close()
        await models.close()

    return Parts(
        pipeline=Pipeline.of(settings, bundle, models, graph, knowledge),
        graph=GraphWriter(graph, models.encoder),
        knowledge=knowledge,
        dependencies=dependencies,
        close=close,
    )
