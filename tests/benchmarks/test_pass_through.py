"""What stands in for the graph in the benchmark of the worker alone."""

from benchmarks.pass_through import NoGraph
from streamproc.streams.parts import GraphSide


def test_everything_that_a_worker_asks_of_its_graph_is_there():
    asked = {name for name in dir(GraphSide) if not name.startswith("_")}
    assert not asked - set(dir(NoGraph))
