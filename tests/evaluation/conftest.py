"""Six hobbies, laid out and tagged by models that are known by heart."""

import pytest

from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.experiment import Experiment
from streamproc.evaluation.prepared import prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import FITTED
from tests.evaluation.worlds import MODELS, BagEncoder, write_hobbies


@pytest.fixture(scope="session")
def bag_cache(tmp_path_factory):
    return VectorCache(BagEncoder(), "bag", tmp_path_factory.mktemp("bag"))


@pytest.fixture(scope="session")
def hobbies(tmp_path_factory, bag_cache):
    return prepare(read_dataset(write_hobbies(tmp_path_factory.mktemp("data") / "hobbies")), bag_cache)


@pytest.fixture
def experiment(hobbies):
    return Experiment.of(hobbies, MODELS, FITTED, Split.TEST, lambda _line: None)


@pytest.fixture
def scored(experiment):
    return experiment.scored(experiment.recalled(experiment.hits()), "tagging")
