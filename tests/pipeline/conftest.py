"""The shipped models and the sample graph, opened once."""

import pytest

from streamproc.config import load_settings
from streamproc.inference.backend import load_bundle, open_models
from streamproc.pipeline.local import LocalFiles, open_local_graph
from streamproc.pipeline.tagging import Pipeline


@pytest.fixture(scope="session")
def bundle():
    return load_bundle(load_settings())


@pytest.fixture(scope="session")
def sample_cache(tmp_path_factory):
    """A cache of graphs for this run of the tests: what was built by other code must not be found."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
async def models(bundle):
    models = open_models(load_settings(), bundle)
    yield models
    await models.close()


@pytest.fixture
async def sample_graph(models, sample_cache, tmp_path):
    graph = await open_local_graph(
        LocalFiles.chosen(None, None), models.encoder, sample_cache, tmp_path, lambda *_: None
    )
    yield graph
    await graph.store.close()


@pytest.fixture
def pipeline(bundle, models, sample_graph):
    return Pipeline.of(load_settings(), bundle, models, sample_graph.store, sample_graph.knowledge)
